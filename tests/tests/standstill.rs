//! One of five agents stands still under load, as on a host that was suspended: SIGSTOP, SIGCONT.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tidings_tests::{
    agent::Agent,
    cluster,
    figures::Figures,
    http::{Http, runtime},
    stage::{Needs, story},
    stats::{Spans, measured, times},
    wait::{self, ensure},
};
use tokio::{task::JoinHandle, time::sleep};

const AGENTS: usize = 5;
/// An agent that goes on is whole in this time.
const WHOLE_WITHIN: Duration = Duration::from_secs(5);
/// One that stands still has left the others' answers in this time.
const GONE_WITHIN: Duration = Duration::from_secs(6);
/// Instances that each writer registers again and again.
const INSTANCES: u64 = 20;
/// The pause between two registrations of a writer.
const PACE: Duration = Duration::from_millis(10);
/// Each agent has an instance whose client is heard more often than this.
const TTL: &str = "4s";
const RENEWED_EVERY: Duration = Duration::from_millis(500);

#[test]
fn an_agent_that_stood_still_accuses_nobody_and_is_whole_at_once() {
    let name = "an_agent_that_stood_still_accuses_nobody_and_is_whole_at_once";
    story(name, Needs::Nothing, |stage| {
        let agents = cluster::start(cluster::specs(stage, AGENTS));
        for (at, agent) in agents.iter().enumerate() {
            let check = json!({"TTL": TTL, "Status": "passing"});
            let body = json!({"Name": "web", "Port": port(at), "Check": check});
            let taken = agent.http().accept("/v1/agent/service/register", &body);
            taken.expect("it takes registrations");
        }
        cluster::wait_until_one(&agents);
        let load = Load::on(&agents);
        let (mut gone, mut whole) = (Spans::new(), Spans::new());
        let pauses: &[u64] = times(&[10, 30, 60, 10, 30, 60], &[10]);
        for (round, &seconds) in pauses.iter().enumerate() {
            let at = round % AGENTS;
            let (left, back) = stand_still(&agents, at, Duration::from_secs(seconds), &load);
            gone.push(left);
            whole.push(back);
        }
        gone.report("who stands still leaves the others' answers", GONE_WITHIN);
        whole.report("whole again after standing still", WHOLE_WITHIN);
        let written = load.end();
        measured(&format!(
            "standing still for {pauses:?} s, registrations meanwhile: {written}"
        ));
        cluster::wait_until_one(&agents);
    });
}

/// Lets `agents[at]` stand still for `pause`; returns how soon it left the others' answers, and how
/// soon it was whole after it went on.
fn stand_still(agents: &[Agent], at: usize, pause: Duration, load: &Load) -> (Duration, Duration) {
    let before: Vec<_> = agents.iter().map(figures).collect();
    let log_before = agents[at].log().len();
    load.excuse(at, true);
    let stopped = agents[at].signal("STOP");
    let others = || (0..AGENTS).filter(|&other| other != at);
    let expected: BTreeSet<u16> = others().map(port).collect();
    let (_, left) = wait::since(
        stopped,
        "it leaves the others' answers",
        GONE_WITHIN,
        || others().try_for_each(|other| ensure_web(&agents[other], &expected)),
    );
    wait::throughout("the others trust each other", stopped + pause, || {
        others().try_for_each(|other| {
            agents[other].status()?.ensure_reaches(AGENTS - 1, AGENTS)?;
            ensure_web(&agents[other], &expected)
        })
    });
    let acknowledged = load.acknowledged();
    let goes_on = agents[at].signal("CONT");
    let all: BTreeSet<u16> = (0..AGENTS).map(port).collect();
    let (_, back) = wait::since(goes_on, "it is whole", WHOLE_WITHIN, || {
        for agent in agents {
            agent.status()?.ensure_reaches(AGENTS, AGENTS)?;
            ensure_web(agent, &all)?;
        }
        ensure_served(&agents[at], &acknowledged)
    });
    load.excuse(at, false);
    wait::throughout("all is well", goes_on + WHOLE_WITHIN, || {
        agents.iter().try_for_each(|agent| {
            agent.status()?.ensure_reaches(AGENTS, AGENTS)?;
            ensure_web(agent, &all)
        })
    });
    for (of, agent) in agents.iter().enumerate() {
        let more = |name| figures(agent).count(name) - before[of].count(name);
        let accused = more("tidings_membership_downs_total");
        assert_eq!(accused, u64::from(of != at), "accused by {}", agent.name());
        let expired = more("tidings_checks_expirations_total");
        assert_eq!(expired, 0, "TTLs expired at {}", agent.name());
    }
    let log = agents[at].log().split_off(log_before);
    assert!(log.contains("this process stood still"), "{log}");
    (left, back)
}

fn figures(agent: &Agent) -> Figures {
    Figures::of(agent).expect("it answers")
}

fn port(at: usize) -> u16 {
    1_000 + u16::try_from(at).expect("there are five")
}

/// Expects `agent` to serve, with their checks passing, exactly the instances on these ports.
fn ensure_web(agent: &Agent, ports: &BTreeSet<u16>) -> Result<(), String> {
    let found = agent.http().json("/v1/health/service/web?passing")?;
    let served = found.as_array().into_iter().flatten();
    let served = served.filter_map(|entry| entry["Service"]["Port"].as_u64()?.try_into().ok());
    let served: BTreeSet<u16> = served.collect();
    ensure(served == *ports, || {
        format!("{} serves {served:?}, not {ports:?}", agent.name())
    })
}

/// Expects `agent` to serve of each instance at least what was acknowledged.
fn ensure_served(agent: &Agent, acknowledged: &BTreeMap<String, u64>) -> Result<(), String> {
    let found = agent.http().json("/v1/health/service/load?passing")?;
    let served = found.as_array().into_iter().flatten().filter_map(|entry| {
        let value = entry["Service"]["Meta"]["value"].as_str()?.parse().ok()?;
        Some((entry["Service"]["ID"].as_str()?, value))
    });
    let served: BTreeMap<&str, u64> = served.collect();
    for (id, least) in acknowledged {
        let value = served.get(id.as_str()).copied().unwrap_or_default();
        ensure(value >= *least, || {
            format!("{} serves {id} with {value}, not {least}", agent.name())
        })?;
    }
    Ok(())
}

/// At each agent a client that registers and one that renews a TTL, until the end.
struct Load {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    /// Agents that need not answer.
    excused: [AtomicBool; AGENTS],
    /// The greatest value of each instance that was acknowledged.
    acknowledged: Mutex<BTreeMap<String, u64>>,
    taken: AtomicU64,
}

impl Load {
    fn on(agents: &[Agent]) -> Self {
        let shared = Arc::new(Shared::default());
        let mut tasks = Vec::new();
        for (at, agent) in agents.iter().enumerate() {
            let http = || Http::new(agent.spec().http);
            tasks.push(runtime().spawn(write(Arc::clone(&shared), at, http())));
            tasks.push(runtime().spawn(renew(Arc::clone(&shared), at, http())));
        }
        Self { shared, tasks }
    }

    /// Whether `agents[at]` need not answer.
    fn excuse(&self, at: usize, is_excused: bool) {
        self.shared.excused[at].store(is_excused, Ordering::SeqCst);
    }

    fn acknowledged(&self) -> BTreeMap<String, u64> {
        self.shared.lock().clone()
    }

    /// Ends the load; returns how many registrations were acknowledged.
    fn end(self) -> u64 {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            let ended = runtime().block_on(task);
            ended.expect("every call was answered, but those of an agent that stood still");
        }
        self.shared.taken.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.acknowledged.lock().expect("no client panics with it")
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }

    /// Calls, and expects an answer unless the agent is excused; whether it came.
    async fn call(&self, at: usize, http: &Http, path: &str, body: &Value) -> bool {
        let was_excused = self.excused[at].load(Ordering::SeqCst);
        let answer = http.put_async(path, body).await.and_then(|a| a.success());
        let is_excused = was_excused || self.excused[at].load(Ordering::SeqCst);
        assert!(answer.is_ok() || is_excused, "{answer:?}");
        answer.is_ok()
    }
}

async fn write(shared: Arc<Shared>, at: usize, http: Http) {
    let mut value = 0;
    while shared.goes_on() {
        value += 1;
        let id = format!("load-{at}-{}", value % INSTANCES);
        let meta = json!({"value": value.to_string()});
        let body = json!({"Name": "load", "ID": id, "Port": 1, "Meta": meta});
        let path = "/v1/agent/service/register";
        if shared.call(at, &http, path, &body).await {
            shared.lock().insert(id, value);
            shared.taken.fetch_add(1, Ordering::SeqCst);
        }
        sleep(PACE).await;
    }
}

async fn renew(shared: Arc<Shared>, at: usize, http: Http) {
    while shared.goes_on() {
        let path = "/v1/agent/check/pass/service:web";
        shared.call(at, &http, path, &json!({})).await;
        sleep(RENEWED_EVERY).await;
    }
}
