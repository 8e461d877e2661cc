//! What was acknowledged survives `kill -9`, at whatever moment it strikes.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tidings_tests::{
    agent::Agent,
    cluster,
    http::{Http, runtime},
    random::Random,
    stage::{Needs, story},
    stats::{Spans, measured, times},
    wait::{self, ensure},
};

/// Connections that register at once.
const WRITERS: usize = 8;
/// Instances that each of them registers again and again, so that most writes are changes.
const INSTANCES: usize = 40;
/// Registrations are served by everybody in this time after a restart.
const SERVED_WITHIN: Duration = Duration::from_secs(2);
/// A kill comes this long after the writers began, at most and at least.
const KILL_MS: (u64, u64) = (20, 400);
/// One that is aimed at a commit strikes this long after its begin, in microseconds.
const INTO_COMMIT_US: (u64, u64) = (0, 150);

#[test]
fn acknowledged_registrations_survive_kills_at_any_moment() {
    let name = "acknowledged_registrations_survive_kills_at_any_moment";
    story(name, Needs::Nothing, |stage| {
        let mut specs = cluster::specs(stage, 3);
        specs[0].log_level = "info,tidings::disk=trace".to_owned();
        let mut agents = cluster::start(specs);
        let kills = times(50, 10);
        let mut random = Random::of_the_moment();
        let mut written = Written::default();
        let (mut in_commit, mut awaited, mut acknowledged) = (0, 0, 0);
        let mut served = Spans::new();
        for kill in 0..kills {
            let life = live_and_die(&mut agents[0], kill % 5 > 0, &mut random, &mut written);
            awaited += usize::from(life.in_flight > 0);
            acknowledged += life.acknowledged;
            let struck = is_in_commit(&agents[0].log()).expect("the agent tells of its commits");
            in_commit += usize::from(struck);
            let begin = Instant::now();
            agents[0].restart();
            let (_, span) = wait::since(begin, "all of it is served", SERVED_WITHIN, || {
                agents
                    .iter()
                    .try_for_each(|agent| written.ensure_served(agent))?;
                cluster::ensure_one(&agents)
            });
            served.push(span);
        }
        served.report(
            "acknowledged registrations are served by all after a kill",
            SERVED_WITHIN,
        );
        measured(&format!(
            "kills n={kills} in_commit={in_commit} with a request in flight={awaited} acknowledged={acknowledged} seed={}",
            random.seed()
        ));
        assert!(acknowledged > kills * WRITERS, "the writers hardly wrote");
        // A kill may fall between an answer to all writers and their next requests.
        assert!(
            awaited * 5 >= kills * 4,
            "only {awaited} of {kills} kills struck while a request was in flight"
        );
        // Three of five: otherwise the kills would not have tried the moments that matter. Of a few
        // kills chance may leave fewer.
        assert!(
            in_commit >= times(30, 3),
            "{in_commit} of {kills} kills fell into a commit"
        );
    });
}

/// The last value of each instance that was acknowledged, and the one that was last tried.
#[derive(Debug, Default)]
struct Written(BTreeMap<String, (u64, u64)>);

impl Written {
    /// Expects `agent` to serve at least what was acknowledged, and nothing that was never written.
    fn ensure_served(&self, agent: &Agent) -> Result<(), String> {
        let found = agent.http().json("/v1/health/service/load?passing")?;
        let served: BTreeMap<&str, u64> = found
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let value = entry["Service"]["Meta"]["value"].as_str()?.parse().ok()?;
                Some((entry["Service"]["ID"].as_str()?, value))
            })
            .collect();
        for (id, (acknowledged, tried)) in &self.0 {
            let value = served.get(id.as_str()).copied().unwrap_or_default();
            ensure((*acknowledged..=*tried).contains(&value), || {
                format!(
                    "{} serves {id} with {value}; {acknowledged} was acknowledged, {tried} tried",
                    agent.name()
                )
            })?;
        }
        ensure(served.keys().all(|id| self.0.contains_key(*id)), || {
            format!("{} serves what nobody wrote", agent.name())
        })
    }
}

/// What happened between a start and its kill.
struct Life {
    acknowledged: usize,
    in_flight: usize,
}

/// Lets the writers loose on `agent` and kills it at a random moment; with `aim`, in the first
/// commit that begins after that.
fn live_and_die(agent: &mut Agent, aim: bool, random: &mut Random, written: &mut Written) -> Life {
    let killed = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let first = written
        .0
        .values()
        .map(|(_, tried)| *tried)
        .max()
        .unwrap_or_default()
        + 1;
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let writer = Writer {
                number,
                http: Http::new(agent.spec().http),
                killed: Arc::clone(&killed),
                acknowledged: Arc::clone(&acknowledged),
            };
            runtime().spawn(writer.write(first))
        })
        .collect();
    wait::until("the writers write", SERVED_WITHIN, || {
        ensure(acknowledged.load(Ordering::SeqCst) > 0, || {
            "no answer yet".to_owned()
        })
    });
    // The moment of a kill is no state to wait for.
    thread::sleep(Duration::from_millis(random.between(KILL_MS)));
    if aim {
        wait_for_a_commit(&agent.log_path());
        let moment = Instant::now() + Duration::from_micros(random.between(INTO_COMMIT_US));
        while Instant::now() < moment {}
    }
    // Only after the signal: with a group commit all writers may be answered at once, and what
    // they send next is in flight when the kill strikes.
    agent.kill_and(|| killed.store(true, Ordering::SeqCst));
    let mut life = Life {
        acknowledged: acknowledged.load(Ordering::SeqCst),
        in_flight: 0,
    };
    for writer in writers {
        let told = runtime().block_on(writer).expect("a writer does not panic");
        life.in_flight += usize::from(told.was_in_flight);
        for (id, (acknowledged, tried)) in told.written {
            let known = written.0.entry(id).or_default();
            *known = (known.0.max(acknowledged), known.1.max(tried));
        }
    }
    life
}

/// One connection that registers as fast as it is answered.
struct Writer {
    number: usize,
    http: Http,
    killed: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
}

/// What a writer has to tell.
struct Told {
    written: BTreeMap<String, (u64, u64)>,
    /// Whether its last request was sent before the kill and not answered.
    was_in_flight: bool,
}

impl Writer {
    async fn write(self, first: u64) -> Told {
        let mut written = BTreeMap::new();
        for (step, value) in (first..).enumerate() {
            let id = format!("load-{}-{}", self.number, step % INSTANCES);
            let body =
                json!({"Name": "load", "ID": id, "Port": 1, "Meta": {"value": value.to_string()}});
            let last: &mut (u64, u64) = written.entry(id).or_default();
            last.1 = value;
            let was_alive = !self.killed.load(Ordering::SeqCst);
            let answer = self
                .http
                .put_async("/v1/agent/service/register", &body)
                .await;
            match answer {
                Ok(answer) if answer.status == 200 => {
                    last.0 = value;
                    self.acknowledged.fetch_add(1, Ordering::SeqCst);
                }
                Ok(answer) => panic!("refused: {} {}", answer.status, answer.body),
                Err(_) => {
                    return Told {
                        written,
                        was_in_flight: was_alive,
                    };
                }
            }
        }
        unreachable!("numbers do not end")
    }
}

/// Waits until the log at `path` tells that a commit has begun.
fn wait_for_a_commit(path: &Path) {
    let mut log = File::open(path).expect("the agent logs");
    log.seek(SeekFrom::End(0)).expect("a file has an end");
    let deadline = Instant::now() + SERVED_WITHIN;
    let mut news = Vec::new();
    while Instant::now() < deadline {
        news.clear();
        log.read_to_end(&mut news).expect("the log can be read");
        if is_in_commit(&String::from_utf8_lossy(&news)) == Some(true) {
            return;
        }
    }
    panic!("no commit began although {WRITERS} connections write");
}

/// Whether the last thing that the disk began was not ended; `None` if `log` tells of nothing.
fn is_in_commit(log: &str) -> Option<bool> {
    log.lines().rev().find_map(|line| {
        let begins = line.contains("commit begin");
        (begins || line.contains("commit end")).then_some(begins)
    })
}
