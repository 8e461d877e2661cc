//! `/v1/tidings/setup`: what the agent was set up with, and how that stands on its host now.
//!
//! Only the agent itself can look at these: whether the names of its seeds resolve where it runs, its
//! files, its limits. `tidings doctor` judges them.

use std::{net::SocketAddr, pin::Pin};

use serde::Serialize;

use crate::{
    reply::{self, Answer},
    request::Call,
};

/// What the agent was set up with.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    /// Where it answers HTTP.
    pub http: SocketAddr,
    /// Where it answers DNS, over UDP and TCP.
    pub dns: SocketAddr,
    /// Where other agents are told to reach it.
    pub advertised: SocketAddr,
    /// Its seeds, as they stand in its settings.
    pub seeds: Vec<SeedSetup>,
    /// What it said at its start, one sentence each: settings that are sound and may surprise.
    pub warnings: Vec<String>,
    /// Where it keeps its records; `None` in memory.
    pub data: Option<DataSetup>,
    /// How many files and connections it may have open; `None` without a limit.
    pub open_files: Option<u64>,
    /// Why what the definition files say is not what is registered; `None` if it is.
    pub definitions_refused: Option<String>,
}

/// A seed, resolved just now.
#[derive(Clone, Debug, Serialize)]
pub struct SeedSetup {
    /// As it was given.
    pub seed: String,
    /// What it stands for.
    pub addresses: Vec<SocketAddr>,
    /// Why it stands for nothing.
    pub error: Option<String>,
    /// The reachable members that are at one of these addresses; this agent may be among them.
    pub members: Vec<String>,
    /// What answers at those of its addresses where no reachable member is.
    pub answers: Vec<SeedAnswer>,
}

/// What a knock met at one address of a seed.
#[derive(Clone, Debug, Serialize)]
pub struct SeedAnswer {
    /// Where.
    pub address: SocketAddr,
    /// What.
    pub answer: SeedAnswerKind,
    /// More about it, in words; empty if there is no more.
    pub detail: String,
}

/// Who is at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedAnswerKind {
    /// This agent itself.
    Myself,
    /// An agent of this cluster under a key that both accept.
    Member,
    /// An agent under a cluster key that one of the two does not accept.
    OtherKey,
    /// An agent of another cluster.
    OtherCluster,
    /// Something that has no time now.
    Busy,
    /// Something that does not end the handshake as an agent of this version does.
    Strange,
    /// Nobody.
    Silent,
    /// It was not knocked there: the seeds have too many addresses.
    NotAsked,
}

/// The data directory.
#[derive(Clone, Debug, Serialize)]
pub struct DataSetup {
    /// Where it is.
    pub directory: String,
    /// Bytes that its file system has left for this agent; `None` if it does not say.
    pub free_bytes: Option<u64>,
}

/// What the agent says of its setup, once it has looked.
pub type SetupFuture = Pin<Box<dyn Future<Output = Setup> + Send>>;

/// What [`Hooks::knock`](crate::Hooks::knock) returns.
pub type KnockFuture = Pin<Box<dyn Future<Output = Vec<SeedAnswer>> + Send>>;

/// `GET /v1/tidings/setup`
pub(crate) async fn show(call: Call) -> Answer {
    call.check_scope()?;
    let setup = call.state.hooks().setup().await;
    Ok(reply::json(&call, &setup))
}
