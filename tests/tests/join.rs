//! Agents find each other, and what one is told the others answer.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use serde_json::json;
use tidings_tests::{
    agent::{Agent, Spec},
    binary,
    cluster::{self, ONE_WITHIN},
    stage::{Needs, Stage, story},
    stats::{Spans, times},
    wait::{self, ensure},
};

#[test]
fn agents_started_at_once_become_one_cluster_although_seeds_are_missing() {
    let name = "agents_started_at_once_become_one_cluster_although_seeds_are_missing";
    story(name, Needs::Namespaces, |stage| {
        stage.names(GOOD);
        let mut spans = Spans::new();
        for round in 0..times(20, 3) {
            // One name is right, one is wrong for ever, and one would resolve later.
            let specs = named(stage, round, &["good.test", "wrong.test", "late.test"]);
            let agents: Vec<_> = specs.into_iter().map(Agent::spawn).collect();
            let begin = Instant::now();
            let (_, span) = wait::since(begin, "the agents are one cluster", ONE_WITHIN, || {
                cluster::ensure_one(&agents)
            });
            spans.push(span);
        }
        spans.report("one cluster after the last of three starts", ONE_WITHIN);
    });
}

#[test]
fn names_that_resolve_late_are_tried_again() {
    let name = "names_that_resolve_late_are_tried_again";
    story(name, Needs::Namespaces, |stage| {
        stage.names(NONE);
        let specs = named(stage, 0, &["wrong.test", "late.test"]);
        let mut agents: Vec<_> = specs.into_iter().map(Agent::spawn).collect();
        for agent in &mut agents {
            agent.wait_until_it_answers();
        }
        let alone_until = Instant::now() + Duration::from_secs(times(10, 3));
        wait::throughout("each is alone and answers", alone_until, || {
            agents
                .iter()
                .try_for_each(|agent| agent.status()?.ensure_reaches(1, 1))
        });
        stage.names(LATE);
        let mut spans = Spans::new();
        spans.push(cluster::wait_until_one(&agents));
        spans.report("one cluster after the seed's name resolves", ONE_WITHIN);
        for agent in &agents {
            let log = agent.log();
            assert!(log.contains("resolves now"), "{}: {log}", agent.name());
        }
    });
}

#[test]
fn a_registration_at_one_is_answered_by_the_others() {
    let name = "a_registration_at_one_is_answered_by_the_others";
    story(name, Needs::Nothing, |stage| {
        let agents = cluster::start(cluster::specs(stage, 3));
        let target = Duration::from_millis(200);
        let mut spans = Spans::new();
        for round in 0..times(50, 10) {
            let (at, port) = (round % 3, 2_000 + u16::try_from(round).unwrap());
            let service = format!("service-{round}");
            let body = json!({"Name": service, "Port": port, "Tags": ["a"]});
            let begin = Instant::now();
            agents[at]
                .http()
                .accept("/v1/agent/service/register", &body)
                .unwrap();
            let (_, span) = wait::since(begin, "the others answer", target, || {
                let others = agents
                    .iter()
                    .filter(|agent| agent.name() != agents[at].name());
                others
                    .into_iter()
                    .try_for_each(|other| answers(other, &service, port))
            });
            spans.push(span);
        }
        spans.report(
            "a registration is answered by both others, HTTP and DNS",
            target,
        );
        cluster::wait_until_one(&agents);
    });
}

#[test]
fn agents_of_two_clusters_share_nothing_though_each_is_the_others_seed() {
    let name = "agents_of_two_clusters_share_nothing_though_each_is_the_others_seed";
    story(name, Needs::Nothing, |stage| {
        let mut specs = cluster::specs(stage, 2);
        for (spec, cluster) in specs.iter_mut().zip(["blue", "green"]) {
            spec.more = vec!["--cluster".to_owned(), cluster.to_owned()];
        }
        let agents: Vec<_> = specs.into_iter().map(Agent::start).collect();
        for (agent, port) in agents.iter().zip([1_001, 1_002]) {
            let body = json!({"Name": "web", "Port": port});
            let registered = agent.http().accept("/v1/agent/service/register", &body);
            registered.expect("an agent that is alone takes it");
        }
        let until = Instant::now() + Duration::from_secs(times(10, 4));
        wait::throughout("each keeps to itself", until, || {
            for (agent, port) in agents.iter().zip([1_001, 1_002]) {
                agent.status()?.ensure_reaches(1, 1)?;
                let ports = agent.dns().ports("web")?;
                ensure(ports == BTreeSet::from([port]), || format!("{ports:?}"))?;
            }
            Ok(())
        });
        for agent in &agents {
            let at = agent.spec().http.to_string();
            let found = binary::run(&["doctor", "--http", &at]);
            assert!(
                found.out.contains("an agent of another cluster answers"),
                "{found:?}"
            );
        }
    });
}

fn answers(agent: &Agent, service: &str, port: u16) -> Result<(), String> {
    let found = agent
        .http()
        .json(&format!("/v1/health/service/{service}?passing"))?;
    ensure(found[0]["Service"]["Port"] == port, || found.to_string())?;
    let ports = agent.dns().ports(service)?;
    ensure(ports.contains(&port), || format!("{ports:?}"))?;
    let addresses = agent.dns().addresses(service)?;
    ensure(addresses.contains(&Ipv4Addr::LOCALHOST), || {
        format!("{addresses:?}")
    })
}

/// Three agents on the usual gossip port of three loopback addresses, with the same seeds.
fn named(stage: &Stage, round: usize, seeds: &[&str]) -> Vec<Spec> {
    let agent = |number: u8| Spec {
        gossip: SocketAddr::from(([127, 0, 0, number], 8301)),
        join: seeds.iter().map(|seed| format!("{seed}:8301")).collect(),
        ..cluster::spec(stage, &format!("r{round}-n{number}"))
    };
    (1..=3).map(agent).collect()
}

const NONE: &str = "127.0.0.1 localhost\n";
const GOOD: &str = "127.0.0.1 localhost good.test\n";
const LATE: &str = "127.0.0.1 localhost\n127.0.0.2 late.test\n";
