//! Why an instance is answered or not: what `explain` says is held to what HTTP and DNS hand out.
//! And what goes with it: writes that wait for other agents, and a host that is drained.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tidings_tests::{
    agent::Agent,
    binary, cluster,
    stage::{Needs, story},
    stats::Spans,
    wait::{self, ensure},
};

/// On loopback, with each write on disk at its owner first.
const HELD_WITHIN: Duration = Duration::from_millis(100);
/// Changes of records are everywhere in this time.
const WITHIN: Duration = Duration::from_secs(3);
/// A killed agent is taken to be down in this time.
const DOWN_WITHIN: Duration = Duration::from_secs(8);

#[test]
fn an_explanation_is_what_http_and_dns_do() {
    let name = "an_explanation_is_what_http_and_dns_do";
    story(name, Needs::Nothing, |stage| {
        let mut agents = cluster::start(cluster::specs(stage, 3));
        cluster::wait_until_one(&agents);
        for (port, agent) in (8081..).zip(&agents) {
            register(agent, port);
        }
        is_explained(&agents, "all are well", |told| codes(told).is_empty());

        let fail = "/v1/agent/check/fail/service:web?note=disk+full";
        agents[1].http().accept(fail, &Value::Null).unwrap();
        is_explained(&agents, "a check fails", |told| {
            codes(told) == [("n2".to_owned(), "check-critical".to_owned())]
        });
        let warn = "/v1/agent/check/warn/service:web";
        agents[1].http().accept(warn, &Value::Null).unwrap();
        is_explained(&agents, "a check warns", |told| {
            codes(told) == [("n2".to_owned(), "check-warning".to_owned())]
        });
        let deregister = "/v1/agent/service/deregister/web";
        agents[1].http().accept(deregister, &Value::Null).unwrap();
        is_explained(&agents, "it is deregistered", |told| {
            codes(told).is_empty() && told["removed"][0]["code"] == "deregistered"
        });
        let mut killed = agents.pop().unwrap();
        killed.kill();
        wait::until("the killed agent's is explained", DOWN_WITHIN, || {
            let told = explained(&agents[0])?;
            let is_it = codes(&told) == [("n3".to_owned(), "node-down".to_owned())];
            ensure(is_it, || told.to_string())?;
            ensure_true(&agents[0], &told)
        });
        let told = binary::run(&[
            "explain",
            "wbe",
            "--http",
            &agents[0].spec().http.to_string(),
        ]);
        assert_eq!(told.code, Some(4), "{told:?}");
        assert!(told.err.contains("did you mean web?"), "{told:?}");
    });
}

#[test]
fn a_write_waits_for_as_many_agents_as_it_asks_for() {
    let name = "a_write_waits_for_as_many_agents_as_it_asks_for";
    story(name, Needs::Nothing, |stage| {
        let agents = cluster::start(cluster::specs(stage, 3));
        cluster::wait_until_one(&agents);
        let mut took = Spans::new();
        for port in 1..=20 {
            let body = json!({"Name": "web", "Port": port});
            let path = "/v1/agent/service/register?ack=3&wait=30s";
            let begin = Instant::now();
            let answer = agents[0].http().accept(path, &body).unwrap();
            took.push(begin.elapsed());
            assert_eq!(answer.header("x-tidings-acked"), "3");
            // Whoever was waited for answers with it.
            for agent in &agents {
                let found = agent.http().json("/v1/health/service/web").unwrap();
                assert_eq!(found[0]["Service"]["Port"], port, "{}", agent.name());
            }
        }
        took.report("a write held by 3 of 3 agents", HELD_WITHIN);
        // More than there are: the write stands, and says how many hold it.
        let path = "/v1/agent/service/register?ack=4&wait=500ms";
        let body = json!({"Name": "web", "Port": 99});
        let answer = agents[0].http().accept(path, &body).unwrap();
        assert_eq!(answer.header("x-tidings-acked"), "3");
    });
}

#[test]
fn a_drained_host_is_out_of_the_answers_and_an_interrupted_drain_puts_it_back() {
    let name = "a_drained_host_is_out_of_the_answers_and_an_interrupted_drain_puts_it_back";
    story(name, Needs::Nothing, |stage| {
        let mut agents = cluster::start(cluster::specs(stage, 2));
        cluster::wait_until_one(&agents);
        for (port, agent) in (8081..).zip(&agents) {
            register(agent, port);
        }
        let drain = |more: &[&str]| {
            let http = agents[1].spec().http.to_string();
            Command::new(binary::path())
                .args([&["drain", "--http", &http], more].concat())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        answers(&agents[0], &[8081, 8082]);

        let interrupted = drain(&["--for", "1h", "--reason", "new kernel"]);
        answers(&agents[0], &[8081]);
        let told = explained(&agents[0]).unwrap();
        let reasons = &told["instances"][1]["reasons"];
        let text = "its node is in maintenance: new kernel";
        assert_eq!(reasons[0]["text"], text, "{told}");
        let script = format!("kill -INT {}", interrupted.id());
        let sent = Command::new("sh").args(["-c", &script]).status().unwrap();
        assert!(sent.success(), "{script}");
        let output = interrupted.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("back in the answers"), "{error}");
        answers(&agents[0], &[8081, 8082]);

        let drained = drain(&["--for", "1s"]).wait_with_output().unwrap();
        assert_eq!(drained.status.code(), Some(0), "{drained:?}");
        let (status, _) = agents[1].wait_until_it_ends();
        assert_eq!(status.code(), Some(0), "{status}");
        answers(&agents[0], &[8081]);

        // It stays out until somebody says otherwise.
        agents[1].restart();
        cluster::wait_until_one(&agents);
        answers(&agents[0], &[8081]);
        let http = agents[1].spec().http.to_string();
        let told = binary::run(&["drain", "--undo", "--http", &http]);
        assert_eq!(told.code, Some(0), "{told:?}");
        answers(&agents[0], &[8081, 8082]);
    });
}

fn register(agent: &Agent, port: u16) {
    let body = json!({"Name": "web", "Port": port, "Check": {"TTL": "10m", "Status": "passing"}});
    let registered = agent.http().accept("/v1/agent/service/register", &body);
    registered.expect("it is registered");
}

fn explained(agent: &Agent) -> Result<Value, String> {
    agent.http().json("/v1/tidings/explain/web")
}

/// Waits until every agent explains a state, truly.
#[track_caller]
fn is_explained(agents: &[Agent], what: &str, is_it: impl Fn(&Value) -> bool) {
    for agent in agents {
        wait::until(what, WITHIN, || {
            let told = explained(agent)?;
            ensure(is_it(&told), || told.to_string())?;
            ensure_true(agent, &told)
        });
    }
}

/// The nodes and codes of all reasons.
fn codes(told: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let instances = told["instances"].as_array().into_iter().flatten();
    let codes = instances.flat_map(|instance| {
        let reasons = instance["reasons"].as_array().into_iter().flatten();
        reasons.map(|reason| (text(&instance["node"]), text(&reason["code"])))
    });
    codes.collect()
}

/// Compares what `agent` told with what it hands out now.
fn ensure_true(agent: &Agent, told: &Value) -> Result<(), String> {
    let said = |door: &str| -> BTreeSet<u64> {
        let instances = told["instances"].as_array().into_iter().flatten();
        let through = instances.filter(|instance| instance[door] == true);
        through.filter_map(|i| i["port"].as_u64()).collect()
    };
    let listed = |query: &str| -> Result<BTreeSet<u64>, String> {
        let found = agent
            .http()
            .json(&format!("/v1/health/service/web{query}"))?;
        let found = found.as_array().into_iter().flatten();
        Ok(found
            .filter_map(|i| i["Service"]["Port"].as_u64())
            .collect())
    };
    let in_dns = agent.dns().ports("web")?.into_iter().map(u64::from);
    for (door, handed_out) in [
        ("in_health", listed("")?),
        ("in_passing", listed("?passing")?),
        ("in_dns", in_dns.collect()),
    ] {
        let said = said(door);
        ensure(said == handed_out, || {
            format!("{door}: {said:?} is said, {handed_out:?} is handed out")
        })?;
    }
    Ok(())
}

/// Waits until `agent` hands out exactly these ports, over HTTP and DNS.
#[track_caller]
fn answers(agent: &Agent, ports: &[u16]) {
    let ports: BTreeSet<u16> = ports.iter().copied().collect();
    wait::until("the answers are right", WITHIN, || {
        let found = agent.dns().ports("web")?;
        ensure(found == ports, || format!("DNS: {found:?}"))?;
        let found = agent.http().json("/v1/health/service/web?passing")?;
        let found = found.as_array().into_iter().flatten();
        let found = found.filter_map(|i| u16::try_from(i["Service"]["Port"].as_u64()?).ok());
        let found: BTreeSet<u16> = found.collect();
        ensure(found == ports, || format!("HTTP: {found:?}"))
    });
}
