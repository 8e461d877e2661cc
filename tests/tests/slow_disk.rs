//! A disk that takes its time, or hangs: writes wait for it, and nothing else does. Reads go on, no
//! peer accuses the agent, it accuses nobody, and what waits is bounded and answered in the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tidings_tests::{
    agent::Agent,
    calls::Calls,
    cluster,
    faults::{Disk, Fault},
    figures::Figures,
    http::Http,
    ledger::{Ledger, WHOLE_WITHIN},
    reads::Reads,
    stage::{Needs, story},
    stats::{Spans, measured, times},
    wait::{self, ensure},
};

/// What each sync takes on a slow disk.
const SYNC: Duration = Duration::from_millis(300);
/// A registration is acknowledged in the time of this many of them: it may come during a commit,
/// and a commit is one.
const SYNCS: u32 = 3;
/// How long a disk hangs.
const HANG: Duration = Duration::from_secs(10);
/// What waited for a disk is answered in this time after it goes on.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// A client that waits for a disk that hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Reads do not wait for a disk.
const READ_WITHIN: Duration = Duration::from_millis(200);
/// Registrations at once, more than may wait, and as many as may.
const FLOOD: usize = 2_000;
const WAITING: usize = 1_024;
/// The service whose client is heard more often than this.
const BEATEN: &str = "beaten";
const TTL: &str = "3s";
const BEAT_EVERY: Duration = Duration::from_millis(500);

#[test]
fn a_slow_disk_holds_up_writes_and_nothing_else() {
    let name = "a_slow_disk_holds_up_writes_and_nothing_else";
    story(name, Needs::Nothing, |stage| {
        let mut specs = cluster::specs(stage, 3);
        let mut disk = Disk::under(stage, &mut specs[0]);
        let mut agents = cluster::start(specs);
        let mut ledger = Ledger::fill(&agents);
        let mut calls = Calls::default();
        let heart = Heart::of(&agents[0]);
        let before: Vec<_> = agents.iter().map(figures).collect();
        let reads = Reads::of(&agents[0], BEATEN);

        disk.set(Fault::Slow(SYNC));
        write_slowly(&agents, &mut calls);
        hang(&agents, &mut disk, &mut calls);
        let read = reads.end();
        let mut reading = Spans::new();
        reading.push(read.slowest);
        reading.report(
            &format!("slowest of {} reads on a slow disk", read.answers),
            READ_WITHIN,
        );
        // These share a client, and maybe a core, with the flood: that they are answered must do.
        let reads = Reads::of(&agents[0], BEATEN);
        flood(&agents, &mut disk, &mut calls);
        let read = reads.end();
        measured(&format!("reads beside a flood of writes: {read:?}"));
        measured(&format!("heartbeats on a slow disk: {}", heart.end()));
        for (agent, before) in agents.iter().zip(&before) {
            let more = |name| figures(agent).count(name) - before.count(name);
            assert_eq!(
                more("tidings_membership_downs_total"),
                0,
                "{}",
                agent.name()
            );
            assert_eq!(more("tidings_checks_expirations_total"), 0);
            assert_eq!(more("tidings_node_batches_failed_total"), 0);
        }
        ensure_told(&agents[0].log());
        ledger.go_on(&agents);
        ensure_whole(&agents, &calls, &ledger);
        agents[0].kill();
        disk.lose_power();
        agents[0].restart();
        ensure_whole(&agents, &calls, &ledger);
    });
}

/// Registers one after the other, and then some at once, which share commits.
fn write_slowly(agents: &[Agent], calls: &mut Calls) {
    let mut acknowledged = Spans::new();
    for _ in 0..times(50, 10) {
        let begin = Instant::now();
        calls.register(&agents[0]).expect("a slow disk takes it");
        acknowledged.push(begin.elapsed());
    }
    acknowledged.report(
        "a registration is acknowledged on a disk whose syncs take 300 ms",
        SYNC * SYNCS,
    );
    let begin = Instant::now();
    let asked = calls.register_at_once(&agents[0], 200, PATIENCE);
    assert_eq!(calls.settle(asked), Vec::<String>::new());
    let mut shared = Spans::new();
    shared.push(begin.elapsed());
    shared.report(
        "200 registrations at once share its syncs",
        SYNC * SYNCS * 2,
    );
}

/// The disk hangs: what is asked for waits, is not refused, and is answered when it goes on.
fn hang(agents: &[Agent], disk: &mut Disk, calls: &mut Calls) {
    disk.set(Fault::Slow(PATIENCE));
    let asked = calls.register_at_once(&agents[0], 40, PATIENCE);
    let end = Instant::now() + HANG;
    wait::throughout("everybody trusts everybody", end, || {
        agents
            .iter()
            .try_for_each(|agent| agent.status()?.ensure_reaches(3, 3))
    });
    assert_eq!(asked.answered(), 0, "nothing is acknowledged unsaved");
    let waiting = figures(&agents[0]);
    assert!(waiting.count("tidings_disk_batches_waiting") >= 40);
    assert!(waiting.count("tidings_disk_oldest_batch_seconds") >= HANG.as_secs() - 2);
    disk.set(Fault::None);
    let mut answered = Spans::new();
    let (_, span) = wait::until("what waited is answered", ANSWERED_WITHIN, || {
        ensure(asked.answered() == 40, || asked.answered().to_string())
    });
    answered.push(span);
    assert_eq!(calls.settle(asked), Vec::<String>::new());
    answered.report(
        "what waited for a disk that hung is answered",
        ANSWERED_WITHIN,
    );
}

/// More is asked of a disk that hangs than may wait: the rest is refused at once, in words.
fn flood(agents: &[Agent], disk: &mut Disk, calls: &mut Calls) {
    disk.set(Fault::Slow(PATIENCE));
    let asked = calls.register_at_once(&agents[0], FLOOD, PATIENCE);
    wait::until("what may not wait is refused", ANSWERED_WITHIN, || {
        let (waiting, answered) = (FLOOD - asked.answered(), asked.answered());
        ensure(answered > 0 && waiting <= WAITING, || {
            format!("{waiting} wait, {answered} are answered")
        })
    });
    wait::until("the figures say so", ANSWERED_WITHIN, || {
        let waiting = figures(&agents[0]).count("tidings_disk_batches_waiting");
        ensure(waiting == WAITING as u64, || {
            format!("{waiting} batches wait")
        })
    });
    disk.set(Fault::None);
    let refusals = calls.settle(asked);
    assert_eq!(refusals.len(), FLOOD - WAITING);
    let told = |text: &String| text.contains("too many registrations are waiting for the disk");
    assert!(refusals.iter().all(told), "{:?}", refusals.first());
}

fn ensure_told(log: &str) {
    for told in ["the disk does not answer", "the disk answers again"] {
        assert!(log.contains(told), "{told}: {log}");
    }
}

fn ensure_whole(agents: &[Agent], calls: &Calls, ledger: &Ledger) {
    ledger.wait_until_whole(agents, Instant::now());
    wait::until("what was acknowledged is served", WHOLE_WITHIN, || {
        agents
            .iter()
            .try_for_each(|agent| calls.ensure_served(agent))
    });
}

fn figures(agent: &Agent) -> Figures {
    Figures::of(agent).expect("it answers")
}

/// A client that says again and again that its service is well, and waits for each answer.
struct Heart {
    over: Arc<AtomicBool>,
    client: JoinHandle<Result<usize, String>>,
}

impl Heart {
    fn of(agent: &Agent) -> Self {
        let check = json!({"CheckID": BEATEN, "TTL": TTL, "Status": "passing"});
        let body = json!({"Name": BEATEN, "Port": 1, "Check": check});
        let taken = agent.http().accept("/v1/agent/service/register", &body);
        taken.expect("the disk is well");
        let over = Arc::new(AtomicBool::new(false));
        let (until, http) = (Arc::clone(&over), Http::new(agent.spec().http));
        let client = thread::spawn(move || {
            let mut beats = 0;
            while !until.load(Ordering::SeqCst) {
                let path = format!("/v1/agent/check/pass/{BEATEN}");
                let answer = http.put(&path, &Value::Null)?;
                // Its time starts anew whatever becomes of the report.
                ensure([200, 429, 503].contains(&answer.status), || answer.body)?;
                beats += 1;
                thread::sleep(BEAT_EVERY);
            }
            Ok(beats)
        });
        Self { over, client }
    }

    fn end(self) -> usize {
        self.over.store(true, Ordering::SeqCst);
        let beats = self.client.join().expect("a client does not panic");
        beats.unwrap_or_else(|reason| panic!("heartbeats wait for the disk: {reason}"))
    }
}
