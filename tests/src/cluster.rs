//! Several agents on loopback.

use std::time::Duration;

use crate::{
    agent::{Agent, Spec},
    answers,
    stage::Stage,
    wait,
};

/// Agents that start together are one cluster in this time.
pub const ONE_WITHIN: Duration = Duration::from_secs(3);

/// How an agent on loopback is started: a data directory of its own, free ports, no seeds.
pub fn spec(stage: &Stage, name: &str) -> Spec {
    Spec {
        name: name.to_owned(),
        namespace: None,
        gossip: stage.free_addr(),
        http: stage.free_addr(),
        dns: stage.free_addr(),
        join: Vec::new(),
        dir: stage.dir().to_owned(),
        key_file: None,
        log_level: "info".to_owned(),
        more: Vec::new(),
        is_dev: false,
        words: None,
        env: Vec::new(),
    }
}

/// How `count` agents on loopback are started that have each other for seeds.
pub fn specs(stage: &Stage, count: usize) -> Vec<Spec> {
    let names = (1..=count).map(|number| format!("n{number}"));
    let mut specs: Vec<_> = names.map(|name| spec(stage, &name)).collect();
    let seeds: Vec<_> = specs.iter().map(|spec| spec.gossip.to_string()).collect();
    for spec in &mut specs {
        spec.join.clone_from(&seeds);
    }
    specs
}

/// Starts agents at once and waits until they are one cluster.
///
/// # Panics
/// If they do not become one.
pub fn start(specs: Vec<Spec>) -> Vec<Agent> {
    let mut agents: Vec<_> = specs.into_iter().map(Agent::spawn).collect();
    for agent in &mut agents {
        agent.wait_until_it_answers();
    }
    wait_until_one(&agents);
    agents
}

/// Waits until each agent reaches all others and they all answer the same; returns how long that
/// took.
///
/// # Panics
/// If they do not come to that.
pub fn wait_until_one(agents: &[Agent]) -> Duration {
    let (_, span) = wait::until("the agents are one cluster", ONE_WITHIN, || {
        ensure_one(agents)
    });
    span
}

/// Expects each agent to reach all others and all to answer the same.
///
/// # Errors
/// The first difference.
pub fn ensure_one(agents: &[Agent]) -> Result<(), String> {
    for agent in agents {
        agent.status()?.ensure_reaches(agents.len(), agents.len())?;
    }
    answers::ensure_equal(agents)
}
