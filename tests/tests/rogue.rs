//! A member with the cluster's key and a key of its own takes what it can get: it costs its victim a
//! bounded amount, and honest members notice nothing.

use std::{
    collections::BTreeMap,
    iter,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tidings_registry::{FEED_SLOTS_ACCEPTED, Registry};
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
    Body, Change, CheckId, Delta, Dot, Entry, Epoch, FeedState, Instance, Key, Lineage, NodeId,
    Place, ServiceId, ServiceName, Slot, Transfer, Version,
    limits::{CHECKS_PER_INSTANCE, FEED_BYTES, FEED_RECORDS, LINEAGE_EPOCHS},
};
use tidings_wire::{FeedPart, Request, Response, Want, datagram};
use tokio::{task::JoinSet, time::sleep};

/// How long each attempt goes on.
const ATTEMPT: Duration = Duration::from_secs(3);
/// How long a feed is replaced again and again.
const REPLACING: Duration = Duration::from_secs(15);
/// How many feeds there are to replace it with.
const REPLACEMENTS: u64 = 5;
/// Ports of the rogue.
const PORTS: usize = 12;

#[test]
fn a_rogue_member_costs_its_victim_little_and_the_honest_nothing() {
    let name = "a_rogue_member_costs_its_victim_little_and_the_honest_nothing";
    story(name, Needs::Nothing, |stage| {
        let (key, agents) = pair(stage);
        fill(&agents[0]);
        cluster::wait_until_one(&agents);
        let rogue = Rogue::new(stage, &key, PORTS);
        let victim = Victim::of(&agents[0]);
        let limits = idle(&agents);
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
        cost(&agents, "50,000 valid datagrams a second", limits, || {
            flood(&rogue, victim, 50_000);
        });
        cost(&agents, "a run of its own every 10 ms", limits, || {
            begin_again(&rogue, victim);
        });
        give_for_ever(stage, &key, &agents, limits);
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

#[test]
fn the_largest_feed_of_long_records_costs_its_victim_little() {
    let name = "the_largest_feed_of_long_records_costs_its_victim_little";
    largest_feed(name, Content::Long);
}

#[test]
fn the_largest_feed_of_short_records_costs_its_victim_little() {
    let name = "the_largest_feed_of_short_records_costs_its_victim_little";
    largest_feed(name, Content::Short);
}

#[test]
fn the_largest_feed_of_records_that_name_checks_costs_its_victim_little() {
    let name = "the_largest_feed_of_records_that_name_checks_costs_its_victim_little";
    largest_feed(name, Content::Naming);
}

#[test]
fn the_largest_feed_of_removals_costs_its_victim_little() {
    let name = "the_largest_feed_of_removals_costs_its_victim_little";
    largest_feed(name, Content::Marks);
}

/// Each on agents of its own: what one attempt frees would serve the next.
fn largest_feed(name: &str, content: Content) {
    story(name, Needs::Nothing, |stage| {
        let (key, agents) = pair(stage);
        cluster::wait_until_one(&agents);
        let limits = idle(&agents);
        replace_again_and_again(&mut Rogue::new(stage, &key, 1), content, &agents, limits);
        cluster::wait_until_one(&agents);
    });
}

/// Two honest agents, and the file with their cluster's key.
fn pair(stage: &Stage) -> (PathBuf, Vec<Agent>) {
    let key = keys::new_file(stage.dir(), "ours");
    let specs = cluster::specs(stage, 2).into_iter().map(|spec| Spec {
        key_file: Some(key.clone()),
        ..spec
    });
    let agents = cluster::start(specs.collect());
    (key, agents)
}

/// The limits of an attempt: memory, and the share of a core that agents use without any.
fn idle(agents: &[Agent]) -> (u64, f64) {
    let none = (GROWTH_BYTES, 0.0);
    let share = cost(agents, "nothing, for comparison", none, || {
        thread::sleep(ATTEMPT);
    });
    (GROWTH_BYTES, share)
}

/// A feed that never ends.
fn give_for_ever(stage: &Stage, key: &Path, agents: &[Agent], limits: (u64, f64)) {
    let victim = Victim::of(&agents[0]);
    let mut rogue = Rogue::new(stage, key, 1);
    let parts = feed_parts(&Feed::of(&rogue, Content::Long));
    rogue.answer(move |request| answer_endlessly(&request, &parts[0]));
    let endless = Lineage::of(rogue.epoch(), ENDLESS);
    cost(agents, "a feed without an end", limits, || {
        claim(&rogue, victim, ATTEMPT, || &endless);
    });
}

/// The largest feed that is taken, and another as large in its place as soon as it was asked for.
fn replace_again_and_again(
    rogue: &mut Rogue,
    content: Content,
    agents: &[Agent],
    limits: (u64, f64),
) {
    let victim = Victim::of(&agents[0]);
    let mut feed = Feed::of(rogue, content);
    let records = feed.number;
    let mut feeds = vec![feed_parts(&feed)];
    for turn in 1..=REPLACEMENTS {
        feed.replace_all(turn);
        feeds.push(feed_parts(&feed));
    }
    let positions: Vec<_> = feeds
        .iter()
        .map(|parts| parts[0].state.lineage.clone())
        .collect();
    let given = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&given);
    let owner = rogue.node();
    rogue.answer(move |request| {
        if !asks_for(&request, owner) {
            return answers([]);
        }
        let next = asked.fetch_add(1, Ordering::Relaxed);
        answers(feeds[next.min(feeds.len() - 1)].clone())
    });
    let what = format!("{records} slots of {content:?}, all replaced for as long as it is asked");
    let last = positions.len() - 1;
    let now = || &positions[given.load(Ordering::Relaxed).min(last)];
    cost(agents, &what, limits, || {
        claim(rogue, victim, REPLACING, now);
    });
    let times = given.load(Ordering::Relaxed);
    stats::measured(&format!("{what}: given {times} times"));
    assert!(times > 1, "{content:?}: the victim asked for another feed");
    let held = rogue.feed(victim, owner).state.lineage;
    let given = &positions[..times.min(positions.len())];
    assert!(
        given.contains(&held),
        "{content:?}: the victim holds what it was given"
    );
}

/// Limits that the attempts meet.
const ENDS: [&str; 6] = [
    "tidings_transport_sessions_over_share_total",
    "tidings_transport_datagrams_over_share_total",
    "tidings_transport_addresses_shut_out_total",
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

/// Tells of ever new runs of its own, with nothing in them: of twice as many as may be alive at
/// once, however long a busy machine takes for that.
fn begin_again(rogue: &Rogue, victim: Victim) {
    for run in 1..=2 * LINEAGE_EPOCHS as u64 {
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
fn claim<'a>(rogue: &Rogue, victim: Victim, during: Duration, position: impl Fn() -> &'a Lineage) {
    let begin = Instant::now();
    while begin.elapsed() < during {
        let owner = rogue.node();
        let lineage = position().clone();
        rogue.tell(victim, datagram::Body::Have { owner, lineage });
        thread::sleep(Duration::from_millis(100));
    }
}

/// A seq that a feed without an end claims to reach.
const ENDLESS: u64 = 1 << 40;

type Answers = Box<dyn Iterator<Item = Response> + Send>;

/// Gives the first part of a feed again and again to whoever asks for it.
fn answer_endlessly(request: &Request, first: &FeedPart) -> Answers {
    if !asks_for(request, first.state.owner) {
        return answers([]);
    }
    let mut part = first.clone();
    let (epoch, _) = part.state.lineage.heads().next().expect("it has a run");
    part.state.lineage = Lineage::of(epoch, ENDLESS);
    part.last = false;
    answers(iter::repeat(part))
}

fn answers<I>(parts: I) -> Answers
where
    I: IntoIterator<Item = FeedPart, IntoIter: Send + 'static>,
{
    Box::new(parts.into_iter().map(|part| Response::Feed(Box::new(part))))
}

fn asks_for(request: &Request, owner: NodeId) -> bool {
    match request {
        Request::Pull(wants) => wants.iter().any(|want| want.owner == owner),
        _ => false,
    }
}

/// How a feed is filled.
#[derive(Clone, Copy, Debug)]
enum Content {
    /// As many records as a node may have, with as much text as they may have then.
    Long,
    /// Records of nothing, each of a service of its own.
    Short,
    /// Records that name as many checks as one may, none of which exists.
    Naming,
    /// Nothing but removals.
    Marks,
}

/// The first seq of a feed: from here on all have encodings of one length.
const FIRST: u64 = 100_000;

/// A feed that is filled until nobody would take more.
struct Feed {
    owner: NodeId,
    epoch: Epoch,
    content: Content,
    registry: Registry,
    /// Its keys.
    number: u64,
}

impl Feed {
    fn of(rogue: &Rogue, content: Content) -> Self {
        let most = Self::up_to(FEED_SLOTS_ACCEPTED as u64, rogue, content).number;
        // An owner may write no more than this of what its feed may hold.
        Self::up_to(most * 11 / 12, rogue, content)
    }

    fn up_to(most: u64, rogue: &Rogue, content: Content) -> Self {
        let mut feed = Self {
            owner: rogue.node(),
            epoch: rogue.epoch(),
            content,
            registry: Registry::new(NodeId::from_bytes([0; 16]), rogue::cluster()),
            number: 0,
        };
        while feed.number < most && feed.put(FIRST + feed.number, feed.number) {
            feed.number += 1;
        }
        feed
    }

    /// Whether the change is taken.
    fn put(&mut self, seq: u64, number: u64) -> bool {
        let from = self.registry.lineage(self.owner);
        let delta = Delta {
            from,
            state: state(self.owner, Lineage::of(self.epoch, seq)),
            changes: vec![self.change(seq, number)],
        };
        self.registry.apply(Transfer::Delta(delta)).is_ok()
    }

    /// Writes everything anew, for the so many-th time.
    fn replace_all(&mut self, turn: u64) {
        for number in 0..self.number {
            assert!(
                self.put(FIRST + turn * self.number + number, number),
                "it takes no more than before"
            );
        }
    }

    fn change(&self, seq: u64, number: u64) -> Change {
        let id = ServiceId::new(format!("rogue-{number}")).expect("it is an id");
        let (owner, epoch) = (self.owner, self.epoch);
        let dot = Dot {
            epoch,
            seq,
            node: owner,
        };
        let entry = |instance| {
            Slot::Entry(Entry {
                version: Version::Owner(dot.into()),
                body: Some(Body::Instance(instance).into()),
            })
        };
        let slot = match self.content {
            Content::Long => {
                let bytes = (FEED_BYTES / FEED_RECORDS - 1_100) / 2;
                let mut long = instance("rogue");
                let text = format!("{seq:05}-").repeat(bytes / 6);
                long.meta = [("text", text)].into_iter().collect();
                entry(long)
            }
            Content::Short => entry(instance(&format!("rogue-{number}-{seq:05}"))),
            Content::Naming => {
                let mut naming = instance("rogue");
                let names = (0..CHECKS_PER_INSTANCE as u64).map(|n| format!("{:05}", seq + n));
                let names = names.map(|name| CheckId::new(name).expect("it is an id"));
                naming.checks = names.collect();
                entry(naming)
            }
            Content::Marks => Slot::RemovalMark,
        };
        Change {
            place: Place { epoch, seq },
            key: Key::Instance(owner, id),
            slot,
        }
    }
}

fn feed_parts(feed: &Feed) -> Vec<FeedPart> {
    let whole = feed.registry.snapshot(feed.owner).expect("it was filled");
    let parts = FeedPart::split(Transfer::Snapshot(whole));
    parts
        .collect::<Result<_, _>>()
        .expect("its records have encodings")
}

fn instance(service: &str) -> Instance {
    Instance::new(ServiceName::new(service).expect("it is a name"), 1)
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
