//! A member with the cluster's key and a key of its own takes what it can get: it costs its victim a
//! bounded amount, and honest members notice nothing.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;
use tidings_agent::{
    cluster_id,
    transport::{self, KeyRing, NodeKey, ResponseStream, Transport},
};
use tidings_tests::{
    agent::{Agent, Spec},
    cluster,
    figures::Figures,
    keys,
    stage::{Needs, Stage, story},
    stats::{self, Spans},
    wait::{self, ensure},
};
use tidings_types::{Epoch, NodeId};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::{sleep, timeout},
};

/// What one member may cost another.
const GROWTH_BYTES: u64 = 16 << 20;
const CPU_SHARE: f64 = 0.05;
/// How long each attempt goes on.
const ATTEMPT: Duration = Duration::from_secs(6);
/// Registrations at the victim are answered by the other agent in this time.
const SPREAD_WITHIN: Duration = Duration::from_secs(1);
/// Ports of the rogue, all under its one key.
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
        let rogue = Rogue::new(stage, &key, &agents[0]);
        let idle = cost(&agents, "nothing, for comparison", 0.0, || {
            rogue.runtime.block_on(async { sleep(ATTEMPT).await });
        });
        let before = Figures::of(&agents[0]).expect("it answers");
        cost(&agents, "12 sessions of one key", idle, || rogue.crowd());
        cost(&agents, "heads in a loop", idle, || rogue.ask_in_a_loop());
        cost(&agents, "pulls that are not read", idle, || rogue.pull());
        cost(&agents, "1,000 valid datagrams a second", idle, || {
            rogue.flood();
        });
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
        let id = rogue.node.to_string();
        let mut lines = log.lines().filter(|line| line.contains("as one may have"));
        assert!(
            lines.any(|line| line.contains(&id)),
            "the rogue is not named"
        );
        cluster::wait_until_one(&agents);
    });
}

/// Limits that the attempts meet.
const ENDS: [&str; 2] = [
    "tidings_transport_sessions_over_share_total",
    "tidings_node_datagrams_malformed_total",
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

/// Runs an attempt while registrations go on, and tells what it cost the first agent; returns the
/// share of a core.
fn cost(agents: &[Agent], what: &str, idle: f64, attempt: impl FnOnce() + Send) -> f64 {
    let of = |agent| Figures::of(agent).expect("it answers");
    let before = of(&agents[0]);
    let begin = Instant::now();
    let (mut spans, mut greatest) = (Spans::new(), 0);
    std::thread::scope(|scope| {
        let attempt = scope.spawn(attempt);
        for port in 1..60_000 {
            if attempt.is_finished() {
                break;
            }
            spans.push(spread(agents, port));
            greatest = greatest.max(of(&agents[0]).resident_bytes());
            // Registrations cost something too: a few a second are enough.
            std::thread::sleep(Duration::from_millis(250));
        }
        attempt.join().expect("the attempt does not panic");
    });
    let now = of(&agents[0]);
    let share = (now.cpu_seconds() - before.cpu_seconds()) / begin.elapsed().as_secs_f64();
    let growth = greatest
        .max(now.resident_bytes())
        .saturating_sub(before.resident_bytes());
    stats::measured(&format!(
        "{what}: memory grew by {} KiB, {:.1} % of a core, {:.1} % more than idle{}",
        growth >> 10,
        share * 100.0,
        (share - idle) * 100.0,
        if share - idle <= CPU_SHARE {
            ""
        } else {
            " MISSED"
        },
    ));
    spans.report(&format!("{what}: a registration spreads"), SPREAD_WITHIN);
    assert!(
        growth < GROWTH_BYTES,
        "{what}: memory grew by {growth} bytes"
    );
    let strict = std::env::var_os("TIDINGS_STRICT").is_some_and(|value| value == "1");
    assert!(
        share - idle <= CPU_SHARE || !strict,
        "{what}: {share} of a core"
    );
    share
}

fn spread(agents: &[Agent], port: u16) -> Duration {
    let begin = Instant::now();
    let body = json!({"Name": "spread", "Port": port});
    let taken = agents[0].http().accept("/v1/agent/service/register", &body);
    taken.expect("the victim takes registrations");
    let (_, span) = wait::since(begin, "the other answers", SPREAD_WITHIN, || {
        let found = agents[1].http().json("/v1/catalog/service/spread")?;
        ensure(found[0]["ServicePort"] == port, || found.to_string())
    });
    span
}

struct Rogue {
    runtime: Runtime,
    ports: Vec<Transport>,
    node: NodeId,
    victim: NodeId,
    at: SocketAddr,
}

impl Rogue {
    fn new(stage: &Stage, key: &std::path::Path, victim: &Agent) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be started");
        let identity = NodeKey::generate().expect("the system gives randomness");
        let mut secret = [0; 32];
        for (byte, digits) in secret
            .iter_mut()
            .zip(keys::digits(key).as_bytes().chunks(2))
        {
            let digits = std::str::from_utf8(digits).expect("digits are ASCII");
            *byte = u8::from_str_radix(digits, 16).expect("keygen writes hexadecimal digits");
        }
        let ports = (0..PORTS).map(|_| {
            let keys = KeyRing::new(&[secret]).expect("one key is a ring");
            let cluster = cluster_id("tidings").expect("it is a name");
            let settings = transport::Settings::new(
                stage.free_addr(),
                cluster,
                keys,
                identity.clone(),
                Epoch::from_bits(1 << 40),
            );
            let _inside = runtime.enter();
            Transport::bind(settings)
                .expect("a free address can be bound")
                .0
        });
        let ports = ports.collect();
        let status = victim.status().expect("it answers");
        Self {
            ports,
            node: identity.node_id(),
            victim: status.node_id.parse().expect("a node's id"),
            at: victim.spec().gossip,
            runtime,
        }
    }

    async fn ask(&self, port: usize, frame: &[u8]) -> Option<ResponseStream> {
        let asked = self.ports[port].request(self.victim, self.at, frame.to_vec());
        timeout(ATTEMPT, asked).await.ok()?.ok()
    }

    /// A session from each port, kept open.
    fn crowd(&self) {
        self.runtime.block_on(async {
            let mut held = Vec::new();
            for port in 0..PORTS {
                held.push(self.ask(port, HEADS).await);
            }
            sleep(ATTEMPT).await;
            let open = held.iter().flatten().count();
            assert!(open <= 4, "{open} sessions of one node are open");
        });
    }

    /// Asks for heads again and again, two requests at a time over each session that it gets.
    fn ask_in_a_loop(&self) {
        let end = Instant::now() + ATTEMPT;
        let mut asking = JoinSet::new();
        let asked = self.runtime.block_on(async {
            for port in self.ports.iter().take(4).chain(self.ports.iter().take(4)) {
                let (port, victim, at) = (port.clone(), self.victim, self.at);
                asking.spawn(async move {
                    let mut asked = 0_u32;
                    while Instant::now() < end {
                        let answer = port.request(victim, at, HEADS.to_vec());
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
    fn pull(&self) {
        let mut frame = vec![0, 2, 1];
        frame.extend_from_slice(self.victim.as_bytes());
        // Holding nothing: no floor, no epochs, no content.
        frame.extend_from_slice(&[0, 0, 0]);
        self.runtime.block_on(async {
            let mut held = Vec::new();
            for port in (0..4).chain(0..4) {
                held.push(self.ask(port, &frame).await);
            }
            assert!(held.iter().flatten().count() > 0, "no pull was answered");
            sleep(ATTEMPT).await;
        });
    }

    /// Sealed datagrams whose payload means nothing.
    fn flood(&self) {
        self.runtime.block_on(async {
            let end = Instant::now() + ATTEMPT;
            while Instant::now() < end {
                for _ in 0..10 {
                    // A full buffer of the system is the rogue's loss.
                    let _ = self.ports[0].send_datagram(self.at, Some(self.victim), &[7; 900]);
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
    }
}

/// The frame that asks for heads, as the wire format's golden bytes have it.
const HEADS: &[u8] = &[0, 1];
