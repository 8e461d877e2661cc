//! What a large registry costs one agent.
//!
//! `cargo bench -p tidings-tests --bench large [-- --instances 1000000]` puts a hundred members beside one
//! agent, each of which gives it as many instances as a node may have, and tells how much memory the
//! agent takes for one of them: when it holds them, and when each has been asked for, so that its JSON is
//! kept. It wants `cargo build --release -p tidings` before, or a binary in `TIDINGS_BIN`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    thread,
    time::{Duration, Instant},
};

use tidings_registry::Registry;
use tidings_tests::{
    agent::{Agent, Spec},
    cluster,
    figures::Figures,
    keys,
    member::{Joined, Member},
    rogue,
    stage::{self, Stage},
    wait,
};
use tidings_types::{
    Body, Change, Delta, Entry, FeedState, Instance, Key, Lineage, Needs, Node, NodeId, NodeName,
    Place, ServiceId, ServiceName, Slot, TextMap, Transfer, Version,
};
use tidings_wire::FeedPart;
use tokio::runtime::Runtime;

/// Instances of one service.
const OF_ONE_SERVICE: u64 = 10;
/// Records of one feed: a node's own and its instances.
const OF_ONE_FEED: u64 = 10_000;
/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(3_600);
/// Members that join at the same time.
const AT_ONCE: usize = 5;

fn main() {
    let mut instances = 1_000_000;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--instances" => {
                let number = words.next().and_then(|number| number.parse().ok());
                instances = number.expect("--instances N");
            }
            // Cargo says so to every benchmark.
            "--bench" => {}
            other => panic!("{other} is no option here; --instances N is"),
        }
    }
    let code = stage::program(LIMIT, |stage| {
        measure(stage, instances);
        0
    });
    assert_eq!(code, Ok(0));
}

fn measure(stage: &Stage, instances: u64) {
    let key = keys::new_file(stage.dir(), "ours");
    let agent = Agent::start(Spec {
        key_file: Some(key.clone()),
        log_level: "warn".to_owned(),
        ..cluster::spec(stage, "large")
    });
    let empty = resident(&agent);
    println!("the agent alone: {} MiB", empty >> 20);

    let runtime = Runtime::new().expect("a runtime can be started");
    let begun = Instant::now();
    let feeds = instances.div_ceil(OF_ONE_FEED - 1);
    let mut joining: Vec<Joined> = Vec::new();
    let mut given = 0;
    for number in 0..feeds {
        let from = number * (OF_ONE_FEED - 1);
        let upto = instances.min(from + OF_ONE_FEED - 1);
        let member = Member::new(&runtime, stage.free_addr(), &key);
        let feed = feed(&member, number, from..upto);
        joining.push(member.join(&runtime, agent.spec().gossip, feed));
        given += 1 + upto - from;
        if joining.len() == AT_ONCE {
            wait_until_held(&agent, given, &joining);
            joining.clear();
        }
    }
    wait_until_held(&agent, given, &joining);
    println!("{feeds} feeds were taken in {:.0?}", begun.elapsed());
    let held = settled(&agent);
    tell("held", instances, held - empty);

    let begun = Instant::now();
    let shown = ask_for_all(&agent, instances);
    let spent = begun.elapsed();
    println!(
        "{shown} instances were asked for in {spent:.0?}, {:.0?} each service",
        spent / u32::try_from(instances.div_ceil(OF_ONE_SERVICE)).unwrap_or(u32::MAX)
    );
    assert_eq!(
        shown, instances,
        "every instance is shown, since its node is alive"
    );
    let asked = settled(&agent);
    tell("held, with the JSON that is kept", instances, asked - empty);
}

fn tell(what: &str, instances: u64, bytes: u64) {
    println!(
        "{what}: {} MiB, {} bytes an instance",
        bytes >> 20,
        bytes / instances
    );
}

fn resident(agent: &Agent) -> u64 {
    Figures::of(agent).expect("it answers").resident_bytes()
}

/// When it does not grow any more: replicas are written to the disk, feeds in transit are let go.
fn settled(agent: &Agent) -> u64 {
    let mut last = resident(agent);
    loop {
        thread::sleep(Duration::from_secs(5));
        let now = resident(agent);
        if now.abs_diff(last) < 1 << 20 {
            return now;
        }
        last = now;
    }
}

fn wait_until_held(agent: &Agent, records: u64, joining: &[Joined]) {
    wait::until("the agent holds the feeds", Duration::from_secs(2), || {
        let held = Figures::of(agent)?.count("tidings_entries");
        let given = joining.iter().filter(|joined| joined.has_given()).count();
        // Its own record is one more.
        wait::ensure(held > records, || {
            format!(
                "{held} of {records}; {given} of {} were asked",
                joining.len()
            )
        })
    });
}

/// Asks for each service once; how many instances were shown.
fn ask_for_all(agent: &Agent, instances: u64) -> u64 {
    let services = instances.div_ceil(OF_ONE_SERVICE);
    let shown = (0..services).map(|number| {
        let path = format!("/v1/health/service/{}", service(number));
        let answer = agent.http().get(&path).and_then(|answer| answer.success());
        let answer = answer.expect("it is answered");
        answer.body.matches("\"Service\":{").count() as u64
    });
    shown.sum()
}

fn service(number: u64) -> String {
    format!("svc-{number:06}")
}

/// A member's own record and these instances.
fn feed(member: &Member, number: u64, instances: std::ops::Range<u64>) -> Vec<FeedPart> {
    let (node, epoch) = (member.node(), member.epoch());
    let records = [(Key::Node(node), Body::Node(node_record(member, number)))];
    let records = records
        .into_iter()
        .chain(instances.map(|nth| instance(node, nth)));
    let changes: Vec<_> = (1..)
        .zip(records)
        .map(|(seq, (key, body))| {
            let mut change = Change {
                place: Place { epoch, seq },
                key,
                slot: Slot::RemovalMark,
            };
            change.slot = Slot::Entry(Entry {
                version: Version::Owner(change.place),
                body: Some(body.into()),
            });
            change
        })
        .collect();
    let mut registry = Registry::new(NodeId::from_bytes([0; 16]), rogue::cluster());
    let delta = Delta {
        from: Lineage::empty(),
        state: FeedState {
            owner: node,
            lineage: Lineage::of(epoch, changes.len() as u64),
            watermark: Lineage::empty(),
            needs: Needs::new(),
            sum: 0,
        },
        changes,
    };
    registry
        .apply(Transfer::Delta(delta))
        .expect("nobody has a limit that it does not keep");
    let whole = registry.snapshot(node).expect("it was given");
    let parts = FeedPart::split(Transfer::Snapshot(whole));
    parts
        .collect::<Result<_, _>>()
        .expect("its records have encodings")
}

fn node_record(member: &Member, number: u64) -> Node {
    Node {
        name: NodeName::new(format!("host-{number:03}")).expect("it is a name"),
        gossip: member.addr(),
        address: format!("10.20.{}.{}", number / 250, 1 + number % 250).into(),
        datacenter: "dc1".into(),
        meta: TextMap::new(),
        build: "0.1.0".into(),
        departure: None,
    }
}

fn instance(node: NodeId, nth: u64) -> (Key, Body) {
    let service = service(nth / OF_ONE_SERVICE);
    let id = ServiceId::new(format!("{service}-{}", nth % OF_ONE_SERVICE)).expect("it is an id");
    let port = 20_000 + u16::try_from(nth % OF_ONE_FEED).expect("it is below 10,000");
    let mut instance = Instance::new(ServiceName::new(service).expect("it is a name"), port);
    instance.tags = ["v1"].into_iter().collect();
    (Key::Instance(node, id), Body::Instance(instance))
}
