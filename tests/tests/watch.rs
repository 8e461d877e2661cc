//! `tidings watch`: nothing is missed while the agent that is asked is away.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tidings_tests::{
    agent::Agent,
    binary, cluster,
    stage::{Needs, story},
};

/// A change is told in this time.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// What changed while the agent was away is told in this time after its start.
const AGAIN_WITHIN: Duration = Duration::from_secs(30);

/// A command that goes on, and its lines.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn begin(agent: &Agent, words: &[&str]) -> Self {
        let http = agent.spec().http.to_string();
        let mut child = Command::new(binary::path())
            .args([&["watch", "--http", &http], words].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary can be run");
        let out = child.stdout.take().expect("it is a pipe");
        let out = BufReader::new(out);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// The next line: what happened, to which id.
    #[track_caller]
    fn next(&self, within: Duration) -> (String, String) {
        let line = self.lines.recv_timeout(within).expect("a line comes");
        let told: Value = serde_json::from_str(&line).expect("each line is one object");
        let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
        (text("change"), text("id"))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn register(agent: &Agent, id: &str, port: u16) {
    register_as(agent, "web", id, port);
}

fn register_as(agent: &Agent, service: &str, id: &str, port: u16) {
    let body = json!({"ID": id, "Name": service, "Port": port});
    let path = "/v1/agent/service/register";
    let registered = agent.http().accept(path, &body);
    registered.expect("it is registered");
}

fn deregister(agent: &Agent, id: &str) {
    let path = format!("/v1/agent/service/deregister/{id}");
    let gone = agent.http().accept(&path, &Value::Null);
    gone.expect("it is deregistered");
}

#[test]
fn every_change_is_told_also_those_while_the_agent_was_away() {
    let name = "every_change_is_told_also_those_while_the_agent_was_away";
    story(name, Needs::Nothing, |stage| {
        let mut agents = cluster::start(cluster::specs(stage, 2));
        cluster::wait_until_one(&agents);
        register(&agents[1], "a", 1);
        cluster::wait_until_one(&agents);
        let watching = Watching::begin(&agents[0], &["web", "--json"]);
        let is = |change: &str, id: &str, within| {
            assert_eq!(watching.next(within), (change.to_owned(), id.to_owned()));
        };
        is("added", "a", TOLD_WITHIN);
        register(&agents[1], "b", 2);
        is("added", "b", TOLD_WITHIN);
        register(&agents[1], "a", 3);
        is("changed", "a", TOLD_WITHIN);

        agents[0].kill();
        deregister(&agents[1], "b");
        register(&agents[1], "c", 4);
        agents[0].restart();
        // Killed, it may have forgotten all that is the peer's: that must not look like a removal.
        let mut missing = vec![("added", "c"), ("removed", "b")];
        while !missing.is_empty() {
            let (change, id) = watching.next(AGAIN_WITHIN);
            let told = (change.as_str(), id.as_str());
            assert!(missing.contains(&told) || change == "changed", "{told:?}");
            missing.retain(|awaited| *awaited != told);
        }
        deregister(&agents[1], "a");
        while watching.next(TOLD_WITHIN) != ("removed".to_owned(), "a".to_owned()) {}
    });
}

#[test]
fn without_names_new_services_appear_and_those_that_went_meanwhile_are_told() {
    let name = "without_names_new_services_appear_and_those_that_went_meanwhile_are_told";
    story(name, Needs::Nothing, |stage| {
        let mut agents = cluster::start(cluster::specs(stage, 2));
        register_as(&agents[1], "first", "a", 1);
        cluster::wait_until_one(&agents);
        let watching = Watching::begin(&agents[0], &["--json"]);
        let is = |change: &str, id: &str, within| {
            // The agents themselves are instances too.
            let told = std::iter::repeat_with(|| watching.next(within));
            let told = told.into_iter().find(|(_, id)| id != "consul");
            assert_eq!(told, Some((change.to_owned(), id.to_owned())));
        };
        is("added", "a", TOLD_WITHIN);
        register_as(&agents[1], "second", "b", 2);
        is("added", "b", TOLD_WITHIN);
        register_as(&agents[0], "third", "c", 3);
        is("added", "c", TOLD_WITHIN);
        deregister(&agents[1], "b");
        is("removed", "b", TOLD_WITHIN);

        agents[0].kill();
        deregister(&agents[1], "a");
        register_as(&agents[1], "fourth", "d", 4);
        agents[0].restart();
        // What the agent forgot by being killed is not told as gone; its own instance is still here.
        let mut missing = vec![("removed", "a"), ("added", "d")];
        while !missing.is_empty() {
            let (change, id) = watching.next(AGAIN_WITHIN);
            let told = (change.as_str(), id.as_str());
            let is_change = change == "changed" || id == "consul";
            assert!(missing.contains(&told) || is_change, "{told:?}");
            missing.retain(|awaited| *awaited != told);
        }
    });
}

#[test]
fn a_wrong_address_is_told_at_once() {
    let told = binary::run(&["watch", "web", "--http", "127.0.0.1:1"]);
    assert_eq!(told.code, Some(3), "{told:?}");
    assert!(told.err.contains("no agent answers"), "{told:?}");
}
