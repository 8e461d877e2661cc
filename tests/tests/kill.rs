//! Agents end: killed, told to leave, told to restart. And they come back.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::json;
use tidings_tests::{
    agent::{Agent, Spec},
    cluster,
    stage::{Needs, Stage, story},
    stats::{Spans, times},
    wait::{self, ensure},
};

/// A killed agent's instances are gone from the others' answers in this time.
const DETECTED_WITHIN: Duration = Duration::from_secs(6);
/// Those of one that said goodbye, in this time.
const LEFT_WITHIN: Duration = Duration::from_millis(500);
/// A restarted agent's services are back everywhere in this time.
const BACK_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn a_killed_agent_is_noticed_and_comes_back_without_record_traffic() {
    let name = "a_killed_agent_is_noticed_and_comes_back_without_record_traffic";
    story(name, Needs::Nothing, |stage| {
        let mut agents = three(stage, &[]);
        let (mut detected, mut back) = (Spans::new(), Spans::new());
        for round in 0..times(20, 3) {
            let at = round % agents.len();
            let before = last_changes(&agents, at);
            let was = agents[at].status().unwrap();
            let repaired_before = repairs(&agents, at);
            let killed = agents[at].kill();
            let (_, span) = wait::since(killed, "its instances are gone", DETECTED_WITHIN, || {
                ensure_served(&agents, at, false)
            });
            detected.push(span);
            let begin = Instant::now();
            agents[at].restart();
            let (_, span) = wait::since(begin, "its services are back", BACK_WITHIN, || {
                ensure_served(&agents, at, true)?;
                cluster::ensure_one(&agents)
            });
            back.push(span);
            let is = agents[at].status().unwrap();
            assert_eq!(is.node_id, was.node_id);
            assert!(
                is.epoch > was.epoch,
                "{} is not above {}",
                is.epoch,
                was.epoch
            );
            assert_eq!(
                is.fingerprint, was.fingerprint,
                "nothing was registered since"
            );
            assert_eq!(before.len(), 6);
            assert_eq!(last_changes(&agents, at), before, "no record has moved");
            assert_eq!(repairs(&agents, at), repaired_before, "nobody had to pull");
            assert!(
                !agents[at].log().contains(REPAIRED),
                "nor had the one that is back"
            );
        }
        detected.report(
            "kill -9: its instances leave the others' answers",
            DETECTED_WITHIN,
        );
        back.report(
            "its services are back everywhere after a restart",
            BACK_WITHIN,
        );
    });
}

#[test]
fn an_agent_that_is_terminated_leaves_at_once() {
    let name = "an_agent_that_is_terminated_leaves_at_once";
    story(name, Needs::Nothing, |stage| {
        let mut agents = three(stage, &[]);
        let (mut left, mut back) = (Spans::new(), Spans::new());
        for round in 0..times(20, 3) {
            let at = round % agents.len();
            let signal = ["TERM", "INT"][round % 2];
            let told = agents[at].signal(signal);
            let (_, span) = wait::since(told, "its instances are gone", LEFT_WITHIN, || {
                ensure_served(&agents, at, false)
            });
            left.push(span);
            let (status, _) = agents[at].wait_until_it_ends();
            assert_eq!(status.code(), Some(0), "SIG{signal}: {status}");
            for other in others(&agents, at) {
                let left = other.status().unwrap();
                assert_eq!(left.member(agents[at].name()).unwrap().status, "left");
                left.ensure_reaches(2, 2).expect("who left is not expected");
            }
            let begin = Instant::now();
            agents[at].restart();
            let (_, span) = wait::since(begin, "its services are back", BACK_WITHIN, || {
                ensure_served(&agents, at, true)?;
                cluster::ensure_one(&agents)
            });
            back.push(span);
        }
        left.report(
            "SIGTERM: its instances leave the others' answers",
            LEFT_WITHIN,
        );
        back.report("who left is back everywhere after a restart", BACK_WITHIN);
    });
}

#[test]
fn an_agent_that_says_it_restarts_stays_served_as_stale() {
    let name = "an_agent_that_says_it_restarts_stays_served_as_stale";
    story(name, Needs::Nothing, |stage| {
        let mut agents = three(stage, &["--leave-on-terminate", "false"]);
        agents[0].terminate();
        let (status, _) = agents[0].wait_until_it_ends();
        assert_eq!(status.code(), Some(0), "{status}");
        let is_stale = |other: &Agent| {
            let member = other.status()?.member("n1")?.clone();
            let states = [member.status.as_str(), member.liveness.as_str()];
            ensure(states == ["restarting", "stale"], || format!("{member:?}"))?;
            let found = other.http().get("/v1/health/service/web?passing")?;
            let stale = found.header("x-tidings-stale");
            ensure(stale == "1", || {
                format!("{stale:?} instances are marked stale")
            })?;
            let ports = other.dns().ports("web")?;
            ensure(ports.len() == 3, || format!("DNS says {ports:?}"))
        };
        wait::until("it is served as stale", LEFT_WITHIN, || {
            others(&agents, 0).try_for_each(is_stale)
        });
        // Longer than a failure would take to be noticed.
        wait::throughout(
            "it is served as stale",
            Instant::now() + DETECTED_WITHIN,
            || others(&agents, 0).try_for_each(is_stale),
        );
        let begin = Instant::now();
        agents[0].restart();
        wait::since(begin, "it is back", BACK_WITHIN, || {
            cluster::ensure_one(&agents)
        });
    });
}

#[test]
fn a_data_directory_has_one_agent() {
    story("a_data_directory_has_one_agent", Needs::Nothing, |stage| {
        let first = Agent::start(cluster::spec(stage, "a"));
        let mut second = Agent::spawn(Spec {
            name: "a".to_owned(),
            dir: stage.dir().to_owned(),
            ..cluster::spec(stage, "a")
        });
        let (status, _) = second.wait_until_it_ends();
        assert_eq!(status.code(), Some(1), "{status}");
        let told = second.log();
        assert!(
            told.contains(&stage.dir().join("a").display().to_string()),
            "{told}"
        );
        first.status().unwrap();
    });
}

/// Three agents that are one cluster, each with an instance of `web`; long enough for each to have
/// saved what it knows of the others.
fn three(stage: &Stage, more: &[&str]) -> Vec<Agent> {
    let mut specs = cluster::specs(stage, 3);
    for spec in &mut specs {
        spec.more = more.iter().map(ToString::to_string).collect();
    }
    let agents = cluster::start(specs);
    for (at, agent) in agents.iter().enumerate() {
        let web = json!({"Name": "web", "Port": port(at)});
        agent
            .http()
            .accept("/v1/agent/service/register", &web)
            .expect("it answers");
    }
    cluster::wait_until_one(&agents);
    wait::throughout("all agree", Instant::now() + SAVED_WITHIN, || {
        cluster::ensure_one(&agents)
    });
    agents
}

/// Replicas are saved every second.
const SAVED_WITHIN: Duration = Duration::from_secs(2);

fn port(at: usize) -> u16 {
    1_000 + u16::try_from(at).expect("there are three")
}

fn others(agents: &[Agent], but: usize) -> impl Iterator<Item = &Agent> {
    agents
        .iter()
        .enumerate()
        .filter(move |(at, _)| *at != but)
        .map(|(_, agent)| agent)
}

/// Expects all others to serve the instance of `agents[at]`, or none of them to.
fn ensure_served(agents: &[Agent], at: usize, served: bool) -> Result<(), String> {
    for other in others(agents, at) {
        let found = other.http().json("/v1/health/service/web?passing")?;
        let mut found_ports = found.as_array().into_iter().flatten();
        let over_http = found_ports.any(|entry| entry["Service"]["Port"] == port(at));
        let over_dns = other.dns().ports("web")?.contains(&port(at));
        ensure(over_http == served && over_dns == served, || {
            format!(
                "{}: served over HTTP: {over_http}, over DNS: {over_dns}",
                other.name()
            )
        })?;
    }
    Ok(())
}

/// How often all agents but `agents[but]` pulled records from a peer.
fn repairs(agents: &[Agent], but: usize) -> usize {
    others(agents, but)
        .map(|agent| agent.log().matches(REPAIRED).count())
        .sum()
}

/// What an agent logs when it does.
const REPAIRED: &str = "repaired from a peer";

/// When each instance of `web` was last changed, in the numbers of each agent but `agents[but]`: one
/// that restarts numbers anew.
fn last_changes(agents: &[Agent], but: usize) -> BTreeMap<(String, String), u64> {
    let mut changes = BTreeMap::new();
    for agent in others(agents, but) {
        let found = agent
            .http()
            .json("/v1/catalog/service/web")
            .expect("it answers");
        for entry in found.as_array().into_iter().flatten() {
            let of = entry["Node"].to_string();
            let index = entry["ModifyIndex"].as_u64().unwrap_or_default();
            changes.insert((agent.name().to_owned(), of), index);
        }
    }
    changes
}
