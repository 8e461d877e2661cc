//! A flood of hostile packets: every one is counted by its reason, none costs memory, the log
//! stays short, and registrations go on.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tidings_tests::{
    agent::{Agent, Spec},
    cluster,
    figures::Figures,
    hostile::{self, Hostile, KINDS, Material},
    http::Http,
    keys,
    relay::{self, Relays},
    stage::{Needs, Stage, story},
    stats::{self, Spans, times},
    wait::{self, ensure},
};

/// A registration at the victim is answered by the others in this time.
const SPREAD_WITHIN: Duration = Duration::from_secs(1);
/// What has arrived is counted in this time.
const COUNTED_WITHIN: Duration = Duration::from_secs(1);
/// What the victim's memory may grow by.
const GROWTH_BYTES: u64 = 10 << 20;
/// Packets a second: the kernel's buffer is not what is tested.
const RATE: u32 = 10_000;
const SEED: u64 = 0x7469_6469_6e67_7301;

/// Where a packet that came to the gossip port may be counted; each is in exactly one.
const REASONS: [&str; 14] = [
    "datagrams_received",
    "foreign_cluster",
    "unknown_kind",
    "unknown_version",
    "unknown_key",
    "unverified",
    "replay",
    "old_epoch",
    "wrong_length",
    "own_packet",
    "other_receiver",
    "queue_full",
    "quic_received",
    "quic_queue_full",
];

#[test]
fn a_million_hostile_packets_are_counted_and_harm_nothing() {
    let name = "a_million_hostile_packets_are_counted_and_harm_nothing";
    story(name, Needs::Nothing, |stage| {
        let relays = Relays::default();
        let key = keys::new_file(stage.dir(), "ours");
        let agents = cluster::start(relayed(stage, &relays, &key));
        let victim = &agents[0];
        let at = victim.spec().gossip;
        let mut hostile = Hostile::new(material(stage, &relays, victim, &key), SEED);
        // What only fills caches is filled by now.
        hostile::attack(&mut hostile, at, 5_000, RATE);

        let before = Figures::of(victim).unwrap();
        let (sent_before, counted_before, dropped_before) = settled(&relays, victim, 0);
        let count = times(1_000_000, 50_000);
        let begin = Instant::now();
        let (attack, spans, lines_before) = (
            thread::spawn(move || hostile::attack(&mut hostile, at, count, RATE)),
            Spreading::begin(&agents),
            victim.log().lines().count(),
        );
        let (mut greatest, mut looks) = (before.resident_bytes(), 0);
        wait::until("the attack ends", Duration::from_secs(200), || {
            // Now and then: asking costs the victim something too.
            looks += 1;
            if looks % 40 == 0 {
                greatest = greatest.max(Figures::of(victim)?.resident_bytes());
            }
            ensure(attack.is_finished(), || "it goes on".to_owned())
        });
        let attacked = attack.join().expect("the attack does not panic");
        let span = begin.elapsed();
        let spans = spans.end();
        let (relayed, counted, dropped) = settled(&relays, victim, attacked);
        let now = Figures::of(victim).unwrap();
        greatest = greatest.max(now.resident_bytes());

        let sent = relayed - sent_before + attacked;
        let dropped = dropped - dropped_before;
        let counted = counted - counted_before;
        stats::measured(&format!(
            "{attacked} hostile packets in {span:.1?} beside {} others: {counted} counted, \
             {dropped} dropped by the kernel, memory grew by {} KiB at most",
            sent - attacked,
            greatest.saturating_sub(before.resident_bytes()) >> 10,
        ));
        let by_reason: BTreeMap<_, _> = REASONS
            .iter()
            .map(|reason| (*reason, now.transport(reason) - before.transport(reason)))
            .filter(|(_, count)| *count > 0)
            .collect();
        stats::measured(&format!("by reason, {KINDS:?}: {by_reason:?}"));
        assert_eq!(attacked, u64::try_from(count).unwrap(), "all were sent");
        assert_eq!(relays.failed(), 0);
        assert_eq!(
            sent,
            counted + dropped,
            "each is counted once: {by_reason:?}"
        );
        assert!(dropped * 100 < sent, "{dropped} of {sent} were dropped");
        for reason in ["foreign_cluster", "unknown_key", "unverified", "replay"] {
            assert!(by_reason[reason] > attacked / 50, "{reason}: {by_reason:?}");
        }
        let growth = greatest.saturating_sub(before.resident_bytes());
        assert!(growth < GROWTH_BYTES, "memory grew by {growth} bytes");
        assert_short(&victim.log(), lines_before, span);
        spans.report(
            "a registration at the victim is answered by both others",
            SPREAD_WITHIN,
        );
        cluster::wait_until_one(&agents);
    });
}

/// Three agents that reach each other through relays alone.
fn relayed(stage: &Stage, relays: &Relays, key: &std::path::Path) -> Vec<Spec> {
    let mut specs = cluster::specs(stage, 3);
    let publics: Vec<SocketAddr> = specs.iter().map(|_| stage.free_addr()).collect();
    for (spec, public) in specs.iter_mut().zip(&publics) {
        relays.open(*public, spec.gossip);
        spec.join = publics.iter().map(ToString::to_string).collect();
        spec.key_file = Some(key.to_owned());
        spec.more = vec!["--advertise".to_owned(), public.to_string()];
    }
    specs
}

/// Real packets of all kinds, the victim's own and those of agents that do not belong to it.
fn material(stage: &Stage, relays: &Relays, victim: &Agent, key: &std::path::Path) -> Material {
    let of_stranger = |name: &str, key: &std::path::Path, cluster: &str| {
        let seed = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
        let addr = seed.local_addr().expect("a bound socket has an address");
        let _stranger = Agent::start(Spec {
            join: vec![addr.to_string()],
            key_file: Some(key.to_owned()),
            more: vec!["--cluster".to_owned(), cluster.to_owned()],
            ..cluster::spec(stage, name)
        });
        relay::receive(&seed, 2, Duration::from_secs(30))
    };
    let theirs = keys::new_file(stage.dir(), "theirs");
    let at = victim.spec().gossip;
    let (captured, _) = wait::until("the victim is sent datagrams", SPREAD_WITHIN * 3, || {
        let captured = relays.pause().captured(at);
        ensure(captured.len() >= 50, || {
            format!("{} so far", captured.len())
        })?;
        Ok(captured)
    });
    Material {
        captured,
        foreign: of_stranger("foreign", key, "other"),
        wrong_key: of_stranger("stranger", &theirs, "tidings"),
    }
}

/// What the relays have sent to the victim, what it has counted and what the kernel has dropped,
/// at a moment when nothing is on its way; `attacked` packets came beside.
fn settled(relays: &Relays, victim: &Agent, attacked: u64) -> (u64, u64, u64) {
    let traffic = relays.pause();
    let at = victim.spec().gossip;
    let mut last = (0, 0, 0);
    let mut looks_alike = 0;
    wait::until("what was sent is counted", COUNTED_WITHIN, || {
        let figures = Figures::of(victim)?;
        let counted = REASONS.iter().map(|reason| figures.transport(reason)).sum();
        let now = (traffic.sent(at), counted, hostile::kernel_counts(at)?.drops);
        looks_alike = if now == last { looks_alike + 1 } else { 0 };
        last = now;
        ensure(looks_alike >= 5, || {
            format!("{now:?} changes, {attacked} attacked")
        })
    });
    last
}

/// At most one line per reason and second: as many as seconds, and the first.
fn assert_short(log: &str, lines_before: usize, span: Duration) {
    let mut by_reason: BTreeMap<&str, u64> = BTreeMap::new();
    for line in log.lines().skip(lines_before) {
        let reason = line.split_once("reason=").map_or("", |(_, rest)| {
            rest.split_whitespace().next().unwrap_or_default()
        });
        if !reason.is_empty() {
            *by_reason.entry(reason).or_default() += 1;
        }
    }
    stats::measured(&format!("log lines in {span:.1?}: {by_reason:?}"));
    assert!(!by_reason.is_empty(), "nothing was told of the attack");
    for (reason, lines) in by_reason {
        // The attack is looked at until its last packet is counted.
        let seconds = (span + COUNTED_WITHIN).as_secs() + 2;
        assert!(lines <= seconds, "{reason}: {lines} lines in {seconds} s");
    }
}

/// Registers at the first agent without a pause, and measures when the others answer.
struct Spreading {
    stop: Arc<AtomicBool>,
    work: thread::JoinHandle<Spans>,
}

impl Spreading {
    fn begin(agents: &[Agent]) -> Self {
        let mut https = agents.iter().map(|agent| Http::new(agent.spec().http));
        let here = https.next().expect("there are agents");
        let others: Vec<_> = https.collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = thread::spawn(move || {
            let mut spans = Spans::new();
            for port in 1..60_000 {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let begin = Instant::now();
                let body = json!({"Name": "spread", "Port": port});
                here.accept("/v1/agent/service/register", &body)
                    .expect("the victim takes registrations");
                let (_, span) = wait::since(begin, "the others answer", SPREAD_WITHIN, || {
                    others.iter().try_for_each(|other| {
                        let found = other.json("/v1/catalog/service/spread")?;
                        ensure(found[0]["ServicePort"] == port, || found.to_string())
                    })
                });
                spans.push(span);
            }
            spans
        });
        Self { stop, work }
    }

    fn end(self) -> Spans {
        self.stop.store(true, Ordering::Relaxed);
        self.work.join().expect("every registration spreads")
    }
}
