//! A data directory that was copied: two agents with one identity become two nodes.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use serde_json::json;
use tidings_tests::{
    agent::Agent,
    cluster,
    stage::{Needs, story},
    stats::{Spans, times},
    wait::{self, ensure},
};

/// Two holders of one identity are two nodes in this time, and all that they registered is served.
const APART_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn an_agent_from_a_copied_directory_becomes_a_node_of_its_own() {
    let name = "an_agent_from_a_copied_directory_becomes_a_node_of_its_own";
    story(name, Needs::Nothing, |stage| {
        let mut apart = Spans::new();
        for round in 0..times(10, 2) {
            let mut specs = cluster::specs(stage, 3);
            for spec in &mut specs {
                spec.name = format!("{}-{round}", spec.name);
            }
            let mut agents = cluster::start(specs);
            register(&agents[0], "before");
            agents[0].kill();
            let mut copy = agents[0].spec().clone();
            copy.name = format!("copy-{round}");
            copy_dir(&agents[0].spec().data_dir(), &copy.data_dir());
            for addr in [&mut copy.gossip, &mut copy.http, &mut copy.dns] {
                *addr = stage.free_addr();
            }
            agents[0].restart();
            cluster::wait_until_one(&agents);
            register(&agents[0], "original");
            agents.push(Agent::start(copy));
            register(&agents[3], "copied");
            let (_, span) = wait::until("all is served once", APART_WITHIN, || {
                cluster::ensure_one(&agents)?;
                for agent in &agents {
                    ensure_served_once(agent)?;
                }
                ensure_apart(&agents)
            });
            apart.push(span);
            let gave_up = agents
                .iter()
                .filter(|a| a.log().contains("this one takes a new one"));
            let kept = agents.iter().filter(|a| a.log().contains("this one keeps"));
            assert_eq!((gave_up.count(), kept.count()), (1, 1), "both logs say why");
            // The new identity is on disk: a restart changes nothing.
            let before = ids(&agents).unwrap();
            for at in [0, 3] {
                agents[at].kill();
                agents[at].restart();
            }
            wait::until("all is as before", APART_WITHIN, || {
                cluster::ensure_one(&agents)?;
                for agent in &agents {
                    ensure_served_once(agent)?;
                }
                ensure(ids(&agents)? == before, || {
                    "the identities changed".to_owned()
                })
            });
        }
        apart.report(
            "a copied directory's agent is a node of its own",
            APART_WITHIN,
        );
    });
}

fn register(agent: &Agent, service: &str) {
    let body =
        json!({ "Name": service, "Port": 80, "Check": { "TTL": "1h", "Status": "passing" } });
    let path = "/v1/agent/service/register";
    // An agent that is about to take a new identity refuses what it would have to give up with the old.
    wait::until("it is taken", APART_WITHIN, || {
        let answer = agent.http().put(path, &body)?;
        let is_changing = answer.status == 503 && answer.body.contains("shutting down");
        assert!(is_changing || answer.status == 200, "{answer:?}");
        answer.success()
    });
}

fn ensure_served_once(agent: &Agent) -> Result<(), String> {
    for service in ["before", "original", "copied"] {
        let found = agent
            .http()
            .json(&format!("/v1/health/service/{service}?passing"))?;
        let count = found.as_array().map_or(0, Vec::len);
        ensure(count == 1, || {
            format!("{} serves {service} {count} times", agent.name())
        })?;
    }
    Ok(())
}

/// The two that began as one are two nodes, and each serves what was registered at it.
fn ensure_apart(agents: &[Agent]) -> Result<(), String> {
    let ids = ids(agents)?;
    ensure(
        ids.iter().collect::<BTreeSet<_>>().len() == agents.len(),
        || "two agents are one node".to_owned(),
    )?;
    for (at, service) in [(0, "original"), (3, "copied")] {
        let found = agents[1]
            .http()
            .json(&format!("/v1/health/service/{service}"))?;
        let node = found[0]["Node"]["Node"].as_str().unwrap_or_default();
        ensure(node == agents[at].name(), || {
            format!("{service} is on {node}")
        })?;
    }
    Ok(())
}

fn ids(agents: &[Agent]) -> Result<Vec<String>, String> {
    agents
        .iter()
        .map(|agent| Ok(agent.status()?.node_id))
        .collect()
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).expect("the story's directory takes a directory");
    for entry in fs::read_dir(from).expect("the data directory can be read") {
        let entry = entry.expect("so can its entries");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
    }
}
