//! What is looked at, before it is judged.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde::Deserialize;

use super::dns;
use crate::api::{Api, Keyring, Status};

/// How long the agent may take to ask all others, and to resolve its seeds.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// Everything.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) status: Status,
    pub(super) setup: Setup,
    /// What each member said over a session; an error is why nobody was asked.
    pub(super) keyring: Result<Keyring, String>,
    /// The agent's figures without labels, by name.
    pub(super) figures: BTreeMap<String, f64>,
    /// DNS over UDP and TCP; `None` if it is answered on the agent's host alone, which is not this one.
    pub(super) dns: Option<[Result<(), String>; 2]>,
}

/// What the agent was set up with.
#[derive(Debug, Deserialize)]
pub(super) struct Setup {
    pub(super) dns: SocketAddr,
    pub(super) advertised: SocketAddr,
    pub(super) seeds: Vec<Seed>,
    pub(super) warnings: Vec<String>,
    pub(super) data: Option<Data>,
    pub(super) open_files: Option<u64>,
    pub(super) definitions_refused: Option<String>,
}

/// A seed, as the agent's host resolves it.
#[derive(Debug, Deserialize)]
pub(super) struct Seed {
    pub(super) seed: String,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) error: Option<String>,
    pub(super) members: Vec<String>,
    pub(super) answers: Vec<SeedAnswer>,
}

/// What answers at an address of a seed where no reachable member is.
#[derive(Debug, Deserialize)]
pub(super) struct SeedAnswer {
    pub(super) address: SocketAddr,
    pub(super) answer: AnswerKind,
    pub(super) detail: String,
}

/// Who is at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AnswerKind {
    Myself,
    Member,
    OtherKey,
    OtherCluster,
    Busy,
    Strange,
    Silent,
    NotAsked,
}

/// The data directory.
#[derive(Debug, Deserialize)]
pub(super) struct Data {
    pub(super) directory: String,
    pub(super) free_bytes: Option<u64>,
}

impl Facts {
    /// Asks the agent, and its name server.
    ///
    /// # Errors
    /// If no agent answers, or one of another version.
    pub(super) async fn gather(api: Api) -> anyhow::Result<Self> {
        let api = api.patient(ANSWER_WITHIN);
        let status: Status = api.get(&Api::STATUS).await?;
        let setup: Setup = api.get(&["v1", "tidings", "setup"]).await?;
        let keyring = api.get(&["v1", "tidings", "keyring"]).await;
        let figures = api.text(&["v1", "tidings", "metrics"]).await?;
        let dns = match api.seen_from_here(setup.dns).await {
            None => None,
            Some(at) => Some([dns::over_udp(at).await, dns::over_tcp(at).await]),
        };
        Ok(Self {
            status,
            setup,
            keyring: keyring.map_err(|error: anyhow::Error| error.to_string()),
            figures: without_labels(&figures),
            dns,
        })
    }

    /// One figure; 0 if the agent does not have it.
    pub(super) fn figure(&self, name: &str) -> f64 {
        self.figures.get(name).copied().unwrap_or_default()
    }
}

fn without_labels(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let figures = lines.filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    figures.collect()
}
