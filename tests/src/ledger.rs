//! What clients of a cluster of three were told, and what all agents must serve because of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    agent::Agent,
    wait::{self, ensure},
};

/// A restarted agent has from its peers what its disk lacks in this time.
pub const WHOLE_WITHIN: Duration = Duration::from_secs(5);

/// What is registered, by service: the node, the id and the port of each instance. And all ids that
/// were taken away for good.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    served: BTreeMap<&'static str, BTreeSet<(String, String, u64)>>,
    gone: BTreeSet<String>,
    turns: u64,
}

/// Instances of the first agent, which is the one that a story is about.
const INSTANCES: u64 = 150;
/// Instances of each other agent.
const OTHERS: u64 = 40;
/// Instances that come and go again: enough that the watermark moves, and that marks stand above it.
const GONE: u64 = 120;

impl Ledger {
    /// Registers some hundred instances with a check each, removes some, overrides some, and waits
    /// until all three agents serve what is left.
    ///
    /// # Panics
    /// If a call is refused.
    pub fn fill(agents: &[Agent]) -> Self {
        let mut ledger = Self::default();
        for (at, agent) in agents.iter().enumerate() {
            let count = if at == 0 { INSTANCES } else { OTHERS };
            (0..count).for_each(|n| ledger.register(agent, "web", &format!("web-{n}"), n + 1));
        }
        let first = &agents[0];
        for n in 0..GONE {
            let id = format!("gone-{n}");
            ledger.register(first, "gone", &id, n + 1);
            ledger.deregister(first, "gone", &id);
        }
        // Until then the others may not have heard that it is gone.
        ledger.wait_until_served(agents);
        wait::until("nobody serves what is gone", WHOLE_WITHIN, || {
            agents
                .iter()
                .try_for_each(|agent| ledger.ensure_gone(agent))
        });
        ledger.wait_until_whole(agents, Instant::now());
        for n in 0..6 {
            ledger.overrule(&agents[1], first, "web", &format!("web-{n}"));
            ledger.overrule(first, &agents[2], "web", &format!("web-{n}"));
        }
        for n in 0..20 {
            let (by, id) = (&agents[usize::from(n % 3 == 0)], format!("db-{n}"));
            let body = json!({"Node": "mainframe", "Address": "192.0.2.7", "SkipNodeUpdate": n > 0,
                "Service": {"ID": id, "Service": "db", "Port": 5_000 + n}});
            put(by, "/v1/catalog/register", &body);
            ledger.insert("db", "mainframe", &id, 5_000 + n);
            ledger.wait_until_served(agents);
        }
        for n in 0..4 {
            let id = format!("db-{n}");
            let body = json!({"Node": "mainframe", "ServiceID": id});
            put(&agents[1], "/v1/catalog/deregister", &body);
            ledger.remove("db", "mainframe", &id);
        }
        ledger.register(first, "turn", "toggle", 1);
        ledger.wait_until_whole(agents, Instant::now());
        ledger
    }

    /// Lets the first agent's clients change something, and waits until a peer has it and nobody serves
    /// what is gone: who has not heard of that yet still would when the first agent is stopped.
    ///
    /// # Panics
    /// If a call is refused.
    pub fn go_on(&mut self, agents: &[Agent]) {
        self.turns += 1;
        let first = &agents[0];
        self.remove("turn", first.name(), "turn");
        self.gone.remove("turn");
        self.register(first, "turn", "turn", 10 + self.turns % 50_000);
        if self.turns.is_multiple_of(2) {
            self.gone.remove("toggle");
            self.register(first, "turn", "toggle", 1);
        } else {
            self.deregister(first, "turn", "toggle");
        }
        wait::until("a peer has it", WHOLE_WITHIN, || {
            let pending = first.status()?.pending;
            ensure(pending == 0, || format!("{pending} changes wait"))?;
            agents.iter().try_for_each(|agent| self.ensure_gone(agent))
        });
    }

    /// Waits until all agents hold the same and serve exactly what they must; returns how long that
    /// took since `begin`. Meanwhile nobody but the first agent may serve what is gone: its disk may
    /// be older than that.
    ///
    /// # Panics
    /// If they do not come to that.
    pub fn wait_until_whole(&self, agents: &[Agent], begin: Instant) -> Duration {
        let (_, span) = wait::since(begin, "all is whole", WHOLE_WITHIN, || {
            for agent in &agents[1..] {
                let gone = self.ensure_gone(agent);
                gone.unwrap_or_else(|back| panic!("resurrected: {back}"));
            }
            let mut prints = BTreeSet::new();
            for agent in agents {
                let status = agent.status()?;
                status.ensure_reaches(agents.len(), agents.len())?;
                prints.insert(status.fingerprint);
            }
            ensure(prints.len() == 1, || format!("{prints:?} differ"))?;
            self.ensure_served(agents)
        });
        span
    }

    fn wait_until_served(&self, agents: &[Agent]) {
        wait::until("all serve it", WHOLE_WITHIN, || self.ensure_served(agents));
    }

    /// Expects all agents to serve exactly what they must.
    ///
    /// # Errors
    /// The first difference.
    pub fn ensure_served(&self, agents: &[Agent]) -> Result<(), String> {
        for agent in agents {
            for (service, expected) in &self.served {
                let served = served(agent, service)?;
                let missing = expected.difference(&served).next();
                let strange = served.difference(expected).next();
                ensure(missing.is_none() && strange.is_none(), || {
                    format!(
                        "{} serves of {service} {} of {}, lacks {missing:?}, has {strange:?}",
                        agent.name(),
                        served.len(),
                        expected.len()
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Expects `agent` to serve nothing that was taken away. No answer is no offence.
    fn ensure_gone(&self, agent: &Agent) -> Result<(), String> {
        for service in ["gone", "turn"] {
            let served = served(agent, service).unwrap_or_default();
            let back = served.iter().find(|(_, id, _)| self.gone.contains(id));
            ensure(back.is_none(), || {
                format!("{} serves {back:?}", agent.name())
            })?;
        }
        Ok(())
    }

    fn register(&mut self, agent: &Agent, service: &'static str, id: &str, port: u64) {
        let check = json!({"CheckID": format!("check-{id}"), "TTL": "10h", "Status": "passing"});
        let body = json!({"Name": service, "ID": id, "Port": port, "Check": check,
            "Meta": {"release": "2026.11", "rack": "r7"}, "Tags": ["primary"]});
        put(agent, "/v1/agent/service/register", &body);
        self.insert(service, agent.name(), id, port);
    }

    fn deregister(&mut self, agent: &Agent, service: &'static str, id: &str) {
        let path = format!("/v1/agent/service/deregister/{id}");
        put(agent, &path, &Value::Null);
        self.remove(service, agent.name(), id);
        self.gone.insert(id.to_owned());
    }

    /// `by` takes away what `owner` has registered.
    fn overrule(&mut self, by: &Agent, owner: &Agent, service: &'static str, id: &str) {
        let body = json!({"Node": owner.name(), "ServiceID": id});
        put(by, "/v1/catalog/deregister", &body);
        self.remove(service, owner.name(), id);
    }

    fn insert(&mut self, service: &'static str, node: &str, id: &str, port: u64) {
        let instances = self.served.entry(service).or_default();
        instances.insert((node.to_owned(), id.to_owned(), port));
    }

    fn remove(&mut self, service: &'static str, node: &str, id: &str) {
        let instances = self.served.entry(service).or_default();
        instances.retain(|(on, of, _)| (on.as_str(), of.as_str()) != (node, id));
    }
}

fn put(agent: &Agent, path: &str, body: &Value) {
    let accepted = agent.http().accept(path, body);
    accepted.unwrap_or_else(|refused| panic!("{} refuses {path}: {refused}", agent.name()));
}

fn served(agent: &Agent, service: &str) -> Result<BTreeSet<(String, String, u64)>, String> {
    let found = agent
        .http()
        .json(&format!("/v1/health/service/{service}?passing"))?;
    let instances = found.as_array().into_iter().flatten().map(|entry| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (node, instance) = (&entry["Node"]["Node"], &entry["Service"]);
        let port = instance["Port"].as_u64().unwrap_or_default();
        (text(node), text(&instance["ID"]), port)
    });
    Ok(instances.collect())
}
