//! A member with the cluster's key and a key of its own takes what it can get: it costs its victim a
//! bounded amount, and honest members notice nothing.

use std::{
    collections::BTreeMap,
    iter,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tidings_registry::{FEED_BYTES_WRITTEN, Registry};
use tidings_tests::{
    agent::{Agent, Spec},
    cluster,
    cost::{GROWTH_BYTES, cost},
    figures::Figures,
    keys,
    rogue::{self, Rogue, Victim},
    stage::{Needs, Stage, story},
    stats,
};
use tidings_types::{
    Body, Change, Delta, Dot, Entry, Epoch, FeedState, Instance, Key, Lineage, NodeId, ServiceId,
    ServiceName, Slot, TaggedAddresses, Texts, Transfer, Version, Weights, limits::FEED_RECORDS,
};
use tidings_wire::{FeedPart, Request, Response, Want, datagram};
use tokio::{task::JoinSet, time::sleep};

/// How long each attempt goes on.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Memory that the feed of a node with all the records that one may have takes, honest or not.
const WHOLE_FEED_BYTES: u64 = 48 << 20;
/// Ports of the rogue.
const PORTS: usize = 12;

#[test]
fn a_rogue_member_costs_its_victim_little_and_the_honest_nothing() {
    let name = "a_rogue_member_costs_its_victim_little_and_the_honest_nothing";
    story(name, Needs::Nothing, |stage| {
        let key = keys::new_file(stage.dir(), "ours");
        let specs = cluster::specs(stage, 2).into_iter().map(|spec| Spec {
            key_file: Some(key.clone()),
            ..spec
        });
        let agents = cluster::start(specs.collect());
        fill(&agents[0]);
        cluster::wait_until_one(&agents);
        let rogue = Rogue::new(stage, &key, PORTS);
        let victim = Victim::of(&agents[0]);
        let idle = cost(
            &agents,
            "nothing, for comparison",
            (GROWTH_BYTES, 0.0),
            || {
                thread::sleep(ATTEMPT);
            },
        );
        let limits = (GROWTH_BYTES, idle);
        let before = Figures::of(&agents[0]).expect("it answers");
        cost(&agents, "12 sessions of one key", limits, || {
            crowd(&rogue, victim);
        });
        cost(&agents, "heads in a loop", limits, || {
            ask_in_a_loop(&rogue, victim);
        });
        cost(&agents, "pulls that are not read", limits, || {
            pull(&rogue, victim);
        });
        cost(&agents, "1,000 valid datagrams a second", limits, || {
            flood(&rogue, victim, 1_000);
        });
        cost(&agents, "10,000 valid datagrams a second", limits, || {
            flood(&rogue, victim, 10_000);
        });
        cost(&agents, "a run of its own every 10 ms", limits, || {
            begin_again(&rogue, victim);
        });
        give(stage, &key, &agents, idle);
        let now = Figures::of(&agents[0]).expect("it answers");
        let ended: BTreeMap<_, _> = ENDS
            .iter()
            .map(|name| (*name, now.count(name) - before.count(name)))
            .collect();
        stats::measured(&format!("how it ended: {ended:?}"));
        for (name, count) in &ended {
            assert!(*count > 0, "{name} was never met");
        }
        let log = agents[0].log();
        let id = rogue.node().to_string();
        let mut lines = log.lines().filter(|line| line.contains("as one may have"));
        assert!(
            lines.any(|line| line.contains(&id)),
            "the rogue is not named"
        );
        cluster::wait_until_one(&agents);
    });
}

/// Feeds of rogues: one that never ends, and one that is as large as an honest one may be.
fn give(stage: &Stage, key: &Path, agents: &[Agent], idle: f64) {
    let victim = Victim::of(&agents[0]);
    let mut rogue = Rogue::new(stage, key, 1);
    let parts = feed(rogue.node(), rogue.epoch());
    rogue.answer(move |request| answer(&request, &parts, true));
    let limits = (GROWTH_BYTES, idle);
    cost(agents, "a feed without an end", limits, || {
        claim(&rogue, victim, &Lineage::of(rogue.epoch(), ENDLESS));
    });
    let mut rogue = Rogue::new(stage, key, 1);
    let parts = feed(rogue.node(), rogue.epoch());
    let whole = parts[0].state.lineage.clone();
    rogue.answer(move |request| answer(&request, &parts, false));
    let limits = (WHOLE_FEED_BYTES, idle);
    cost(agents, "a feed as large as may be", limits, || {
        claim(&rogue, victim, &whole);
    });
}

/// Limits that the attempts meet.
const ENDS: [&str; 5] = [
    "tidings_transport_sessions_over_share_total",
    "tidings_transport_datagrams_over_share_total",
    "tidings_node_datagrams_malformed_total",
    "tidings_node_feeds_too_large_total",
    "tidings_node_changes_refused_total",
];

/// Gives the victim a feed that is worth asking for: a few MiB.
fn fill(agent: &Agent) {
    for number in 0..60 {
        let meta: BTreeMap<_, _> = (0..60)
            .map(|n| (format!("key-{n}"), format!("{number}-").repeat(120)))
            .collect();
        let body = json!({"Name": format!("large-{number}"), "Meta": meta});
        let taken = agent.http().accept("/v1/agent/service/register", &body);
        taken.expect("it takes registrations");
    }
}

/// A session from each port, kept open.
fn crowd(rogue: &Rogue, victim: Victim) {
    rogue.runtime().block_on(async {
        let mut held = Vec::new();
        for port in 0..PORTS {
            held.push(rogue.ask(port, victim, &Request::Heads).await);
        }
        sleep(ATTEMPT).await;
        let open = held.iter().flatten().count();
        assert!(open <= 4, "{open} sessions of one node are open");
    });
}

/// Asks for heads again and again, two requests at a time over each session that it gets.
fn ask_in_a_loop(rogue: &Rogue, victim: Victim) {
    let end = Instant::now() + ATTEMPT;
    let heads = Request::Heads.encode().expect("it has a frame");
    let mut asking = JoinSet::new();
    let asked = rogue.runtime().block_on(async {
        let ports = rogue.ports();
        for port in ports.iter().take(4).chain(ports.iter().take(4)) {
            let (port, heads) = (port.clone(), heads.clone());
            asking.spawn(async move {
                let mut asked = 0_u32;
                while Instant::now() < end {
                    let answer = port.request(victim.node, victim.addr, heads.clone());
                    asked += u32::from(answer.await.is_ok());
                }
                asked
            });
        }
        asking.join_all().await.iter().sum::<u32>()
    });
    stats::measured(&format!(
        "heads in a loop: {asked} answers in {ATTEMPT:.0?}"
    ));
}

/// Asks for the victim's feed on all sessions, and reads no further than the first frame.
fn pull(rogue: &Rogue, victim: Victim) {
    let want = Want {
        owner: victim.node,
        held: Lineage::empty(),
        sum: 0,
    };
    let pull = Request::Pull(vec![want]);
    rogue.runtime().block_on(async {
        let mut held = Vec::new();
        for port in (0..4).chain(0..4) {
            held.push(rogue.ask(port, victim, &pull).await);
        }
        assert!(held.iter().flatten().count() > 0, "no pull was answered");
        sleep(ATTEMPT).await;
    });
}

/// Sends sealed datagrams whose payload means nothing.
fn flood(rogue: &Rogue, victim: Victim, per_second: u32) {
    rogue.runtime().block_on(async {
        let begin = Instant::now();
        let mut sent = 0;
        while begin.elapsed() < ATTEMPT {
            let due = begin.elapsed().as_secs_f64() * f64::from(per_second);
            while f64::from(sent) < due {
                sent += 1;
                // A full buffer of the system is the rogue's loss.
                let _ = rogue.ports()[0].send_datagram(victim.addr, Some(victim.node), &[7; 900]);
            }
            sleep(Duration::from_millis(5)).await;
        }
    });
}

/// Tells of ever new runs of its own, with nothing in them.
fn begin_again(rogue: &Rogue, victim: Victim) {
    let begin = Instant::now();
    for run in 1.. {
        if begin.elapsed() >= ATTEMPT {
            break;
        }
        let epoch = Epoch::from_bits(rogue.epoch().bits() + (run << 40));
        let delta = Delta {
            from: Lineage::empty(),
            state: state(rogue.node(), Lineage::of(epoch, 1)),
            changes: Vec::new(),
        };
        rogue.tell(victim, datagram::Body::Rumors(vec![delta]));
        thread::sleep(Duration::from_millis(10));
    }
}

/// Says again and again that it holds so much of its feed.
fn claim(rogue: &Rogue, victim: Victim, lineage: &Lineage) {
    let begin = Instant::now();
    while begin.elapsed() < ATTEMPT {
        let owner = rogue.node();
        let lineage = lineage.clone();
        rogue.tell(victim, datagram::Body::Have { owner, lineage });
        thread::sleep(Duration::from_millis(100));
    }
}

/// A seq that a feed without an end claims to reach.
const ENDLESS: u64 = 1 << 40;

/// Gives the feed, or its first part again and again, to whoever asks for it.
fn answer(
    request: &Request,
    feed: &[FeedPart],
    is_endless: bool,
) -> Box<dyn Iterator<Item = Response> + Send> {
    let owner = feed[0].state.owner;
    let is_asked = |request: &Request| match request {
        Request::Pull(wants) => wants.iter().any(|want| want.owner == owner),
        _ => false,
    };
    if !is_asked(request) {
        return Box::new(iter::empty());
    }
    let response = |part| Response::Feed(Box::new(part));
    if !is_endless {
        return Box::new(Vec::from(feed).into_iter().map(response));
    }
    let mut part = feed[0].clone();
    let (epoch, _) = part.state.lineage.heads().next().expect("it has a run");
    part.state.lineage = Lineage::of(epoch, ENDLESS);
    part.last = false;
    Box::new(iter::repeat(part).map(response))
}

/// The greatest feed that an honest node may have: as many records, with as many bytes.
fn feed(owner: NodeId, epoch: Epoch) -> Vec<FeedPart> {
    let mut registry = Registry::new(NodeId::from_bytes([0; 16]), rogue::cluster());
    let bytes = FEED_BYTES_WRITTEN / FEED_RECORDS - 120;
    for seq in 1..=FEED_RECORDS as u64 {
        let mut from = Lineage::empty();
        from.advance(epoch, seq - 1);
        let delta = Delta {
            from,
            state: state(owner, Lineage::of(epoch, seq)),
            changes: vec![change(owner, epoch, seq, bytes)],
        };
        let taken = registry.apply(Transfer::Delta(delta));
        taken.expect("the feed is not larger than it may be");
    }
    let whole = registry.snapshot(owner).expect("it was filled");
    FeedPart::split(Transfer::Snapshot(whole)).expect("its records have encodings")
}

fn change(owner: NodeId, epoch: Epoch, seq: u64, bytes: usize) -> Change {
    let instance = Instance {
        service: ServiceName::new("rogue").expect("it is a name"),
        address: String::new(),
        port: 1,
        socket_path: String::new(),
        tags: Texts::new(),
        meta: [("text", "x".repeat(bytes))].into_iter().collect(),
        tagged_addresses: TaggedAddresses::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        kind: String::new(),
        checks: Vec::new(),
    };
    let id = ServiceId::new(format!("rogue-{seq}")).expect("it is an id");
    let dot = Dot {
        epoch,
        seq,
        node: owner,
    };
    Change {
        epoch,
        seq,
        key: Key::Instance(owner, id),
        slot: Slot::Entry(Entry {
            version: Version::Owner(dot),
            body: Some(Arc::new(Body::Instance(instance))),
        }),
    }
}

const fn state(owner: NodeId, lineage: Lineage) -> FeedState {
    FeedState {
        owner,
        lineage,
        watermark: Lineage::empty(),
        needs: BTreeMap::new(),
        sum: 0,
    }
}
