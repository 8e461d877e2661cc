//! A cluster key is replaced while the agents run, and nobody who registers notices.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tidings_tests::{
    agent::{Agent, Spec},
    binary::{self, Told},
    cluster,
    figures::Figures,
    http::Http,
    keys,
    stage::{Needs, Stage, story},
    stats::{self, Spans},
    wait::{self, ensure},
};

/// Who left for good is noticed in this time; an agent that is killed too.
const DETECTED_WITHIN: Duration = Duration::from_secs(6);
/// One step of a rotation, on all members.
const STEP_WITHIN: Duration = Duration::from_secs(1);
/// The members that are down are tried again each few seconds.
const TRIED_WITHIN: Duration = Duration::from_secs(6);
/// Registrations that each agent takes between two steps.
const BETWEEN_STEPS: usize = 40;

#[test]
fn a_key_is_replaced_under_registrations_and_the_old_one_is_refused() {
    let name = "a_key_is_replaced_under_registrations_and_the_old_one_is_refused";
    story(name, Needs::Nothing, |stage| {
        let old = keys::new_file(stage.dir(), "old");
        let new = keys::new_file(stage.dir(), "new");
        let mut agents = cluster::start(keyed(stage, 4, &old));
        let mut away = agents.pop().expect("there are four");
        away.kill();
        wait::until("the fourth is known to be down", DETECTED_WITHIN, || {
            agents
                .iter()
                .try_for_each(|agent| agent.status()?.ensure_reaches(3, 4))
        });
        let [old_id, new_id] = rotate(&agents, &old, &new);

        // The fourth comes back with the key that it had.
        away.restart();
        ensure_refused(&agents, &away, [&old_id, &new_id]);
        // With the new key file it is one of them again.
        away.kill();
        fs::copy(&new, away.spec().key_file.as_ref().unwrap()).unwrap();
        // And so is one that finds in its file what was changed while it ran.
        agents[0].kill();
        agents[0].restart();
        away.restart();
        agents.push(away);
        cluster::wait_until_one(&agents);
        for agent in &agents {
            assert_silent_on_keys(&agent.log(), &[&old, &new]);
        }
    });
}

#[test]
fn a_key_that_was_just_removed_is_not_asked_for_again() {
    let name = "a_key_that_was_just_removed_is_not_asked_for_again";
    story(name, Needs::Nothing, |stage| {
        let old = keys::new_file(stage.dir(), "old");
        let new = keys::new_file(stage.dir(), "new");
        let agents = cluster::start(keyed(stage, 3, &old));
        let old_id = key_ids(&agents[0]).remove(0);
        let done = |words: &[&str]| {
            let told = keyring(&agents[0], words);
            assert_eq!(told.code, Some(0), "{words:?}: {told:?}");
            told.out
        };
        done(&["add", &new.display().to_string()]);
        let new_id = key_ids(&agents[0]).remove(1);
        done(&["use", &new_id]);
        // The others may have been heard under the old one only.
        let told = done(&["remove", &old_id]);
        assert!(!told.contains("add it everywhere"), "{told}");
        assert_keys(&agents, &[&new_id]);
    });
}

#[test]
fn what_would_cut_members_off_is_refused_with_what_to_do_first() {
    let name = "what_would_cut_members_off_is_refused_with_what_to_do_first";
    story(name, Needs::Nothing, |stage| {
        let old = keys::new_file(stage.dir(), "old");
        let new = keys::new_file(stage.dir(), "new");
        let agents = cluster::start(keyed(stage, 3, &old));
        let old_id = key_ids(&agents[0]).remove(0);
        let refused = |words: &[&str], code: i32, parts: &[&str]| {
            let told = keyring(&agents[0], words);
            assert_eq!(told.code, Some(code), "{words:?}: {told:?}");
            for part in parts {
                assert!(told.err.contains(part), "{part} is not in {told:?}");
            }
            assert_silent_on_keys(&format!("{told:?}"), &[&old, &new]);
        };
        let new_path = new.display().to_string();
        let told = keyring(&agents[0], &["add", &new_path, "--local"]);
        assert_eq!(told.code, Some(0), "{told:?}");
        let new_id = key_ids(&agents[0]).remove(1);
        assert_eq!(key_ids(&agents[1]).len(), 2, "the whole list knows of it");

        refused(&["use", &new_id], 1, &["n2, n3 lack it", "keyring add"]);
        refused(&["remove", &old_id], 1, &["send under it", "keyring use"]);
        let local = ["remove", &old_id, "--local"];
        refused(&local, 1, &["sends under", "keyring use"]);
        refused(
            &["use", "0a0b0c0d", "--local"],
            1,
            &["no key 0a0b0c0d", &old_id],
        );
        refused(&["use", "nonsense"], 1, &["8 hexadecimal digits"]);
        refused(&["add", "/does/not/exist"], 2, &["/does/not/exist"]);
        let empty = stage.dir().join("empty.key");
        fs::write(&empty, "# nothing\n").unwrap();
        let empty = empty.display().to_string();
        refused(&["add", &empty], 1, &["no key", "tidings keygen"]);
        for spare in ["c", "d"] {
            let file = keys::new_file(stage.dir(), spare).display().to_string();
            let told = keyring(&agents[0], &["add", &file, "--local"]);
            assert_eq!(told.code, Some(0), "{told:?}");
        }
        let fifth = keys::new_file(stage.dir(), "e").display().to_string();
        refused(&["add", &fifth], 1, &["4 keys already", "remove one"]);
        assert_eq!(
            key_ids_local(&agents[1]),
            std::slice::from_ref(&old_id),
            "nor anywhere else"
        );

        // A member that cannot keep the change says so; the others have made it.
        let file = agents[2].spec().key_file.clone().unwrap();
        fs::write(&file, format!("{}\n", "ab".repeat(32))).unwrap();
        let told = keyring(&agents[1], &["add", &new_path]);
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(told.err.contains("not done on n3"), "{told:?}");
        assert!(told.out.contains("was changed since"), "{told:?}");
        assert_eq!(key_ids_local(&agents[1]), [old_id, new_id]);

        let unkeyed = Agent::start(cluster::spec(stage, "unkeyed"));
        let told = keyring(&unkeyed, &["add", &new_path]);
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(told.err.contains("--key-file"), "{told:?}");
    });
}

/// Replaces the key `old` by `new` while registrations go on; returns the ids of both.
fn rotate(agents: &[Agent], old: &Path, new: &Path) -> [String; 2] {
    let before: Vec<_> = agents.iter().map(figures).collect();
    let registrars: Vec<_> = agents.iter().map(Registrar::begin).collect();
    let mut steps = Spans::new();
    let mut step = |at: usize, words: &[&str]| {
        registrars.iter().for_each(|r| r.wait_for(BETWEEN_STEPS));
        let begin = Instant::now();
        let told = keyring(&agents[at], words);
        steps.push(begin.elapsed());
        assert_eq!(told.code, Some(0), "{words:?}: {told:?}");
        assert_silent_on_keys(&told.out, &[old, new]);
    };
    let old_id = key_ids(&agents[0]).remove(0);
    let new_path = new.display().to_string();
    step(0, &["add", &new_path]);
    let new_id = key_ids(&agents[1]).remove(1);
    assert_keys(agents, &[&old_id, &new_id]);
    step(1, &["use", &new_id]);
    assert_keys(agents, &[&new_id, &old_id]);
    wait::until("all are heard under the new key", STEP_WITHIN, || {
        agents.iter().try_for_each(|agent| {
            let key = &listed(agent)["keys"][0];
            let numbers = (&key["accepted_by"], &key["sent_by"]);
            ensure(numbers == (&json!(3), &json!(3)), || key.to_string())
        })
    });
    step(2, &["remove", &old_id]);
    assert_keys(agents, &[&new_id]);
    registrars.iter().for_each(|r| r.wait_for(BETWEEN_STEPS));
    steps.report("one step of a key rotation on three agents", STEP_WITHIN);
    ensure_none_lost(agents, registrars);
    for (agent, before) in agents.iter().zip(&before) {
        let now = figures(agent);
        for reason in ["unknown_key", "unverified", "sessions_unknown_key"] {
            let grown = now.transport(reason) - before.transport(reason);
            assert_eq!(grown, 0, "{}: {reason} during the rotation", agent.name());
        }
        let reached = agent
            .status()
            .and_then(|status| status.ensure_reaches(3, 4));
        assert_eq!(reached, Ok(()), "nobody lost sight of another");
    }
    [old_id, new_id]
}

fn ensure_none_lost(agents: &[Agent], registrars: Vec<Registrar>) {
    let acknowledged: Vec<_> = registrars.into_iter().map(Registrar::end).collect();
    let taken: usize = acknowledged.iter().map(|done| done.taken).sum();
    let (_, span) = wait::until("no registration is lost", STEP_WITHIN, || {
        acknowledged
            .iter()
            .try_for_each(|done| done.ensure_at(agents))
    });
    stats::measured(&format!(
        "registrations during a key rotation: taken n={taken} refused 0 lost 0, all at all agents \
         {span:.1?} after the last"
    ));
}

/// Expects `away`, which has only the old key, to be refused, and both sides to say which key the
/// other lacks.
fn ensure_refused(agents: &[Agent], away: &Agent, [old_id, new_id]: [&str; 2]) {
    wait::until("both sides tell of the key", TRIED_WITHIN, || {
        let gossip = away.spec().gossip.to_string();
        let told = agents.iter().any(|agent| {
            let log = agent.log();
            let mut lines = log.lines().filter(|line| line.contains(&gossip));
            lines.any(|line| line.contains("unknown_key") && line.contains(old_id))
        });
        ensure(told, || "none of the three names its key".to_owned())?;
        let log = away.log();
        let mut lines = log.lines().filter(|line| line.contains("unknown_key"));
        ensure(lines.any(|line| line.contains(new_id)), || {
            format!("the fourth does not name ours: {log}")
        })?;
        // By packet or by session, whichever came first; figures are told once a second.
        let now = figures(away);
        let counted = now.transport("unknown_key") + now.transport("sessions_unknown_key");
        ensure(counted > 0, || "the fourth counts none of it".to_owned())
    });
    let status = away.status().expect("it answers all the same");
    assert_eq!(status.reachable, 1);
    for agent in agents {
        let reached = agent
            .status()
            .and_then(|status| status.ensure_reaches(3, 4));
        assert_eq!(reached, Ok(()));
    }
}

fn figures(agent: &Agent) -> Figures {
    Figures::of(agent).expect("it answers")
}

/// Agents that each have a copy of a key file.
fn keyed(stage: &Stage, count: usize, file: &Path) -> Vec<Spec> {
    let specs = cluster::specs(stage, count).into_iter();
    let keyed = specs.map(|spec| Spec {
        key_file: Some(keys::copy(file, &spec.name)),
        ..spec
    });
    keyed.collect()
}

fn keyring(agent: &Agent, words: &[&str]) -> Told {
    let http = agent.spec().http.to_string();
    let words = [&["keyring"], words, &["--http", &http]].concat();
    binary::run(&words)
}

fn listed(agent: &Agent) -> Value {
    let told = agent.http().json("/v1/tidings/keyring");
    told.expect("it answers")
}

fn key_ids(agent: &Agent) -> Vec<String> {
    ids(&listed(agent)["keys"])
}

/// The keys that the agent itself accepts, the one that it sends under first.
fn key_ids_local(agent: &Agent) -> Vec<String> {
    let told = agent.http().json("/v1/tidings/keyring?local");
    let told = told.expect("it answers");
    let accepts = told["members"][0]["accepts"].as_array().cloned();
    let accepts = accepts.expect("the agent itself is listed first");
    accepts
        .iter()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect()
}

fn ids(keys: &Value) -> Vec<String> {
    let keys = keys.as_array().expect("a list of keys");
    keys.iter()
        .filter_map(|key| key["id"].as_str().map(str::to_owned))
        .collect()
}

/// Expects each of `agents` to accept exactly these keys, and to say so of all of them.
fn assert_keys(agents: &[Agent], ids: &[&str]) {
    for agent in agents {
        assert_eq!(key_ids_local(agent), ids, "{}", agent.name());
        let listed = listed(agent);
        let members = listed["members"].as_array().expect("a list of members");
        assert_eq!(members.len(), agents.len());
        for member in members {
            assert_eq!(member["accepts"], json!(ids), "{member}");
        }
    }
}

fn assert_silent_on_keys(text: &str, files: &[&Path]) {
    for file in files {
        let digits = keys::digits(file);
        assert!(!text.contains(&digits[..16]), "a key stands in {text}");
    }
}

/// Registers services at one agent without a pause, each again and again with another port.
struct Registrar {
    name: String,
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicUsize>,
    work: thread::JoinHandle<BTreeMap<String, u64>>,
}

/// What an agent has acknowledged last, by service.
struct Acknowledged {
    name: String,
    taken: usize,
    ports: BTreeMap<String, u64>,
}

/// Services of one registrar.
const SERVICES: usize = 20;

impl Registrar {
    fn begin(agent: &Agent) -> Self {
        let (stop, taken) = (Arc::default(), Arc::default());
        let work = {
            let (stop, taken) = (Arc::clone(&stop), Arc::clone(&taken));
            let (name, http) = (agent.name().to_owned(), Http::new(agent.spec().http));
            thread::spawn(move || register(&name, &http, &stop, &taken))
        };
        Self {
            name: agent.name().to_owned(),
            stop,
            taken,
            work,
        }
    }

    /// Waits until `more` were taken.
    fn wait_for(&self, more: usize) {
        let wanted = self.taken.load(Ordering::Relaxed) + more;
        let what = format!("{} takes registrations", self.name);
        wait::until(&what, Duration::from_secs(2), || {
            let taken = self.taken.load(Ordering::Relaxed);
            ensure(taken >= wanted && !self.work.is_finished(), || {
                format!("{taken} of {wanted} were taken")
            })
        });
    }

    fn end(self) -> Acknowledged {
        self.stop.store(true, Ordering::Relaxed);
        let ports = self.work.join().expect("no registration is refused");
        Acknowledged {
            name: self.name,
            taken: self.taken.load(Ordering::Relaxed),
            ports,
        }
    }
}

fn register(
    name: &str,
    http: &Http,
    stop: &AtomicBool,
    taken: &AtomicUsize,
) -> BTreeMap<String, u64> {
    let mut ports = BTreeMap::new();
    for port in 1..60_000_u64 {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let service = format!("{name}-{}", port % SERVICES as u64);
        let body = json!({"Name": service, "Port": port});
        http.accept("/v1/agent/service/register", &body)
            .unwrap_or_else(|error| panic!("{name} refused a registration: {error}"));
        ports.insert(service, port);
        taken.fetch_add(1, Ordering::Relaxed);
    }
    ports
}

impl Acknowledged {
    /// Expects all agents to answer with what was acknowledged last.
    fn ensure_at(&self, agents: &[Agent]) -> Result<(), String> {
        for agent in agents {
            for (service, port) in &self.ports {
                let found = agent
                    .http()
                    .json(&format!("/v1/catalog/service/{service}"))?;
                ensure(found[0]["ServicePort"] == *port, || {
                    format!(
                        "{} of {}: {port} was acknowledged, {} answers {}",
                        service,
                        self.name,
                        agent.name(),
                        found[0]["ServicePort"]
                    )
                })?;
            }
        }
        Ok(())
    }
}
