//! A member with the cluster's key lies about others: it is found out, named, and put right.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;
use tidings_registry::Registry;
use tidings_tests::{
    agent::{Agent, Spec},
    cluster,
    figures::Figures,
    keys,
    rogue::{self, Rogue, Victim},
    stage::{Needs, Stage, story},
    stats::{Spans, measured, times},
    wait::{self, ensure},
};
use tidings_types::{
    Body, Change, Delta, Entry, Epoch, FeedState, Instance, Key, Lineage, NodeId, Place, ServiceId,
    Slot, Snapshot, Version,
};
use tidings_wire::datagram;

/// What a liar made of another's feed is put right in this time.
const RIGHT_WITHIN: Duration = Duration::from_secs(5);
/// The true port, and the one that the liar makes of it.
const TRUE: u16 = 80;
const FALSE: u16 = 666;

#[test]
fn what_a_member_says_falsely_of_another_is_put_right_and_held_against_it() {
    let name = "what_a_member_says_falsely_of_another_is_put_right_and_held_against_it";
    story(name, Needs::Nothing, |stage| {
        let key = keys::new_file(stage.dir(), "ours");
        let mut agents = three(stage, &key);
        // An operator has to know of it.
        for agent in &mut agents {
            agent.expect_error("two replicas of a feed differed");
        }
        let liar = Rogue::new(stage, &key, 1);
        let (victim, owner) = (Victim::of(&agents[0]), Victim::of(&agents[1]));
        let rounds = times(20, 3);

        steal(&liar, victim, owner, &agents[0]);
        let mut right = Spans::new();
        for _ in 0..rounds {
            let truth = liar.feed(owner, owner.node);
            liar.tell(victim, rumor(invented(&truth)));
            // From the lie on, whether or not it is ever seen.
            let told = Instant::now();
            let (_, span) = wait::since(told, "the truth is served", RIGHT_WITHIN, || {
                let refused = agents[1].status()?.refused + agents[0].status()?.refused;
                ensure(refused > 0, || "nothing was refused".to_owned())?;
                ensure_true(&agents)
            });
            right.push(span);
        }
        right.report("changes that their owner never made are gone", RIGHT_WITHIN);

        let mut right = Spans::new();
        for _ in 0..rounds {
            let before = count(&agents[0], ALARMS);
            let truth = liar.feed(owner, owner.node);
            liar.tell(victim, rumor(other_content(&truth)));
            let told = Instant::now();
            let (_, span) = wait::since(told, "it is found", RIGHT_WITHIN, || {
                let now = count(&agents[0], ALARMS);
                ensure(now > before, || "no alarm".to_owned())?;
                ensure_true(&agents)
            });
            right.push(span);
        }
        right.report("other content at a true position is found", RIGHT_WITHIN);
        ensure_named(&agents[0], &liar).expect("the victim's log names the liar");
        cluster::wait_until_one(&agents);
    });
}

/// Feeds whose content differed at an equal position.
const ALARMS: &str = "tidings_node_alarms_total";
/// Changes that no owner can have made.
const REFUSED: &str = "tidings_node_changes_refused_total";

fn three(stage: &Stage, key: &Path) -> Vec<Agent> {
    let specs = cluster::specs(stage, 3).into_iter().map(|spec| Spec {
        key_file: Some(key.to_owned()),
        ..spec
    });
    let agents = cluster::start(specs.collect());
    let body = json!({"Name": "web", "Port": TRUE});
    let taken = agents[1].http().accept("/v1/agent/service/register", &body);
    taken.expect("it takes registrations");
    cluster::wait_until_one(&agents);
    agents
}

/// The liar registers an instance of another node in its own feed: nobody takes it.
fn steal(liar: &Rogue, victim: Victim, owner: Victim, agent: &Agent) {
    let before = count(agent, REFUSED);
    let truth = liar.feed(owner, owner.node);
    let state = FeedState {
        owner: liar.node(),
        lineage: Lineage::empty(),
        watermark: Lineage::empty(),
        needs: BTreeMap::new(),
        sum: 0,
    };
    let entries = vec![(Key::Instance(owner.node, id("stolen")), forged(&truth))];
    let delta = next(state, liar.epoch(), entries);
    liar.tell(victim, rumor(delta));
    let (_, span) = wait::until("it is refused", RIGHT_WITHIN, || {
        ensure(count(agent, REFUSED) > before, || {
            "nothing is refused".to_owned()
        })
    });
    measured(&format!(
        "another's instance in its own feed: refused after {span:.0?}"
    ));
    ensure_named(agent, liar).expect("the victim's log names the liar");
}

/// Expects all to serve what the owner registered and nothing else.
fn ensure_true(agents: &[Agent]) -> Result<(), String> {
    for agent in agents {
        let found = agent.http().json("/v1/health/service/web")?;
        let ports: Vec<_> = found
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry["Service"]["Port"].as_u64())
            .collect();
        ensure(ports == [u64::from(TRUE)], || {
            format!("{} serves {ports:?}", agent.name())
        })?;
    }
    cluster::ensure_one(agents)
}

fn ensure_named(agent: &Agent, liar: &Rogue) -> Result<(), String> {
    let log = agent.log();
    let id = liar.node().to_string();
    let mut warnings = log.lines().filter(|line| line.contains("WARN"));
    ensure(warnings.any(|line| line.contains(&id)), || log.clone())
}

fn count(agent: &Agent, name: &str) -> u64 {
    Figures::of(agent).expect("it answers").count(name)
}

fn rumor(delta: Delta) -> datagram::Body {
    datagram::Body::Rumors(vec![delta])
}

/// The next changes of another node's feed, which it never made: a new instance, and another port of
/// one that is there.
fn invented(truth: &Snapshot) -> Delta {
    let owner = truth.state.owner;
    let epoch = truth.state.lineage.last_epoch().expect("it has written");
    let entries = vec![
        (Key::Instance(owner, id("invented")), forged(truth)),
        (Key::Instance(owner, id("web")), forged(truth)),
    ];
    next(truth.state.clone(), epoch, entries)
}

/// The feed at its true position, with another port in it.
fn other_content(truth: &Snapshot) -> Delta {
    let mut altered = truth.clone();
    altered.changes.iter_mut().for_each(forge);
    // Restored as if from a disk, a feed whose sum does not match is summed up anew.
    let mut registry = Registry::new(NodeId::from_bytes([0; 16]), rogue::cluster());
    let _ = registry.restore(altered, false);
    let state = registry.state(truth.state.owner);
    Delta {
        from: Lineage::empty(),
        state: state.expect("it was restored"),
        changes: Vec::new(),
    }
}

fn next(mut state: FeedState, epoch: Epoch, entries: Vec<(Key, Instance)>) -> Delta {
    let from = state.lineage.clone();
    let first = from.head(epoch) + 1;
    let changes = (first..).zip(entries).map(|(seq, (key, instance))| {
        let version = Version::Owner(Place { epoch, seq });
        let body = Some(Body::Instance(instance).into());
        Change {
            place: Place { epoch, seq },
            key,
            slot: Slot::Entry(Entry { version, body }),
        }
    });
    let changes: Vec<_> = changes.collect();
    state
        .lineage
        .advance(epoch, first + changes.len() as u64 - 1);
    state.sum = !state.sum;
    Delta {
        from,
        state,
        changes,
    }
}

/// The owner's instance, on another port.
fn forged(truth: &Snapshot) -> Instance {
    let mut changes = truth.changes.clone();
    changes.iter_mut().for_each(forge);
    let found = changes.into_iter().find_map(|change| match change.slot {
        Slot::Entry(entry) => entry.body?.instance(),
        Slot::RemovalMark => None,
    });
    found.expect("it has registered one")
}

fn forge(change: &mut Change) {
    if let Slot::Entry(Entry {
        body: Some(body), ..
    }) = &mut change.slot
        && let Some(mut instance) = body.instance()
    {
        instance.port = FALSE;
        *body = Body::Instance(instance).into();
    }
}

fn id(text: &str) -> ServiceId {
    ServiceId::new(text).expect("it is an id")
}
