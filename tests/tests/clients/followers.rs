//! Programs that follow a service with a client library, as users write them: they see what is
//! registered at other agents, and go on when all other agents are dead.
//!
//! Each program stands in `tests/clients` and does the same through its library: `register`,
//! `deregister`, `ask` once, `follow` for ever.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use tidings_tests::{
    agent::Agent,
    cluster,
    programs::{self, Running},
    stage::{Needs, Stage, story},
    stats::Spans,
    wait::{self, ensure},
};

/// What is registered or deregistered at one agent is seen by who follows at another in this time,
/// with the start of the program that calls.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
/// One that has lost all its peers knows it in this time.
const ALONE_WITHIN: Duration = Duration::from_secs(10);
/// An interpreter takes its time to start.
const CALLED_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn py_consul() {
    follow_and_survive("py_consul", || {
        let mut command = Command::new(programs::fetched("venv/bin/python")?);
        command
            .arg(programs::kept("py-consul/user.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Some(command)
    });
}

#[test]
fn node_consul() {
    follow_and_survive("node_consul", || {
        let mut command = Command::new("node");
        command
            .arg(programs::kept("node-consul/user.js"))
            .env("NODE_PATH", programs::fetched("node-consul/node_modules")?);
        Some(command)
    });
}

#[test]
fn rs_consul() {
    follow_and_survive("rs_consul", || {
        let program = programs::fetched("rs-consul/debug/tidings-rs-consul-user")?;
        Some(Command::new(program))
    });
}

/// The story of one client, which `start` begins to call.
fn follow_and_survive(client: &str, start: impl Fn() -> Option<Command>) {
    let name = format!("followers::{client}");
    story(&name, Needs::Nothing, |stage| {
        let Some(_) = start() else { return };
        let mut agents = cluster::start(cluster::specs(stage, 3));
        let user = User {
            stage,
            start: &|| start().expect("it was there before"),
        };
        user.call(&agents[1], &["register", "web-2", "8082"]);
        let mut follower = user.follow(&agents[2]);
        let (mut seen, mut alone) = (Spans::new(), Spans::new());
        let mut change = |at: &Agent, words: &[&str], shown: &[&str], spans: &mut Spans| {
            let begin = Instant::now();
            user.call(at, words);
            let what = format!("{words:?} is seen");
            let (_, span) = wait::since(begin, &what, SEEN_WITHIN, || {
                follower.ensure_running()?;
                ensure_shown(&follower, shown)
            });
            spans.push(span);
        };
        let (two, three) = ("web-2:8082", "web-3:8083");
        let register = ["register", "web-1", "8081"];
        change(&agents[0], &register, &["web-1:8081", two], &mut seen);
        let register = ["register", "web-3", "8083"];
        change(
            &agents[2],
            &register,
            &["web-1:8081", two, three],
            &mut seen,
        );
        change(
            &agents[0],
            &["deregister", "web-1"],
            &[two, three],
            &mut seen,
        );

        agents[0].kill();
        let killed = agents[1].kill();
        user.ensure_told(&agents[2], &[two, three]);
        let register = ["register", "web-4", "8084"];
        change(
            &agents[2],
            &register,
            &[two, three, "web-4:8084"],
            &mut alone,
        );
        wait::since(killed, "it knows that it is alone", ALONE_WITHIN, || {
            let status = agents[2].status()?;
            ensure(status.island, || {
                format!("it reaches {} members", status.reachable)
            })
        });
        // Nobody says that what the dead held is gone: it is served on, marked as stale.
        user.ensure_told(&agents[2], &[two, three, "web-4:8084"]);
        change(
            &agents[2],
            &["deregister", "web-4"],
            &[two, three],
            &mut alone,
        );
        user.ensure_told(&agents[2], &[two, three]);
        ensure_never_gone(&follower, three);

        let what = format!("{client}: a change at another agent is seen");
        seen.report(&what, SEEN_WITHIN);
        let what = format!("{client}: one at the last agent alive is seen");
        alone.report(&what, SEEN_WITHIN);
    });
}

/// Who uses the client.
struct User<'a> {
    stage: &'a Stage,
    start: &'a dyn Fn() -> Command,
}

impl User<'_> {
    fn words(&self, agent: &Agent, words: &[&str]) -> Command {
        let mut command = (self.start)();
        command.arg(agent.spec().http.to_string()).args(words);
        command
    }

    fn call(&self, agent: &Agent, words: &[&str]) -> String {
        let name = words.join("-");
        programs::run(
            self.stage,
            &name,
            CALLED_WITHIN,
            &mut self.words(agent, words),
        )
    }

    /// Begins to follow, and waits until what is there is shown.
    fn follow(&self, agent: &Agent) -> Running {
        let mut command = self.words(agent, &["follow"]);
        let mut follower = Running::start(self.stage, "follow", &mut command);
        wait::since(Instant::now(), "it follows", CALLED_WITHIN / 10, || {
            follower.ensure_running()?;
            ensure_shown(&follower, &["web-2:8082"])
        });
        follower
    }

    fn ensure_told(&self, agent: &Agent, wanted: &[&str]) {
        let told = self.call(agent, &["ask"]);
        assert_eq!(parsed(&told), wanted, "asked once");
    }
}

/// Expects the follower's last line to show the instances `wanted`.
fn ensure_shown(follower: &Running, wanted: &[&str]) -> Result<(), String> {
    let lines = follower.lines();
    let last = lines.last().map(String::as_str).unwrap_or("[]");
    ensure(parsed(last) == wanted, || {
        format!("it shows {last}; its log: {}", follower.log())
    })
}

/// Expects the instance to be shown in each line from its first on.
fn ensure_never_gone(follower: &Running, instance: &str) {
    let lines = follower.lines();
    let mut since = lines.iter().skip_while(|line| !line.contains(instance));
    assert!(
        since.all(|line| line.contains(instance)),
        "{instance} was gone for a while: {lines:?}"
    );
}

fn parsed(line: &str) -> Vec<String> {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
}
