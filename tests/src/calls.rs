//! Registrations that may be refused, and what must be served because of those that were not.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::{agent::Agent, http::Http, wait::ensure};

/// What one agent's clients were told, each about an instance of its own.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    kept: BTreeSet<String>,
    refused: BTreeSet<String>,
}

/// Ids that there are, a prime number, and how far apart they are tried.
const IDS: usize = 99_991;
const SCATTER: usize = 37_397;
/// The service of all these instances.
pub const SERVICE: &str = "tried";

impl Calls {
    /// Registers one more instance.
    ///
    /// # Errors
    /// The refusal, as the client reads it.
    pub fn register(&mut self, agent: &Agent) -> Result<(), String> {
        let id = self.id(0);
        let told = agent
            .http()
            .accept("/v1/agent/service/register", &body(&id));
        self.note(id, told.map(drop))
    }

    /// Registers `count` more instances at once; returns the refusals. Clients wait for `patience`.
    ///
    /// # Panics
    /// If a client waited for nothing.
    pub fn register_at_once(
        &mut self,
        agent: &Agent,
        count: usize,
        patience: Duration,
    ) -> InFlight {
        let http = Http::waiting(agent.spec().http, patience);
        let asked = (0..count).map(|more| {
            let id = self.id(more);
            let http = http.clone();
            crate::http::runtime().spawn(async move {
                let told = http
                    .put_async("/v1/agent/service/register", &body(&id))
                    .await;
                (id, told.and_then(crate::http::Answer::success).map(drop))
            })
        });
        InFlight(asked.collect())
    }

    /// Waits for the answers to `asked`; returns the refusals.
    ///
    /// # Panics
    /// If a client panics.
    pub fn settle(&mut self, asked: InFlight) -> Vec<String> {
        let told = asked.0.into_iter().map(|client| {
            let told = crate::http::runtime().block_on(client);
            told.expect("a client does not panic")
        });
        let told: Vec<_> = told.collect();
        let noted = told.into_iter().map(|(id, told)| self.note(id, told));
        noted.filter_map(Result::err).collect()
    }

    /// The instances that were acknowledged.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// The instances that were refused.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// Expects `agent` to serve all that was acknowledged, and nothing that nobody asked for. What
    /// was refused was in doubt: it may be there or not.
    ///
    /// # Errors
    /// The first difference.
    pub fn ensure_served(&self, agent: &Agent) -> Result<(), String> {
        let path = format!("/v1/health/service/{SERVICE}");
        let found = agent.http().json(&path)?;
        let id = |entry: &Value| entry["Service"]["ID"].as_str().map(str::to_owned);
        let served: BTreeSet<_> = found
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(id)
            .collect();
        let lost = self.kept.difference(&served).next();
        let strange = served
            .iter()
            .find(|id| !self.kept.contains(*id) && !self.refused.contains(*id));
        ensure(lost.is_none() && strange.is_none(), || {
            format!("{} lacks {lost:?}, has {strange:?}", agent.name())
        })
    }

    /// The id of the instance that is tried after `more` others. Ids come in no order, so that they
    /// get anywhere into what stores keep in order.
    fn id(&self, more: usize) -> String {
        let number = self.kept.len() + self.refused.len() + more;
        format!("try-{:05}", number * SCATTER % IDS)
    }

    fn note(&mut self, id: String, told: Result<(), String>) -> Result<(), String> {
        let noted = if told.is_ok() {
            &mut self.kept
        } else {
            &mut self.refused
        };
        noted.insert(id);
        told
    }
}

/// Registrations that wait for their answers.
#[derive(Debug)]
pub struct InFlight(Vec<tokio::task::JoinHandle<(String, Result<(), String>)>>);

impl InFlight {
    /// How many are answered.
    pub fn answered(&self) -> usize {
        self.0.iter().filter(|client| client.is_finished()).count()
    }
}

fn body(id: &str) -> Value {
    json!({"Name": SERVICE, "ID": id, "Port": 1, "Meta": {"text": "x".repeat(500)}})
}
