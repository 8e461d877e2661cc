//! The HTTP API: Consul's agent, catalog, health and status endpoints over the read view, and
//! tidings' own under `/v1/tidings/`.
//!
//! Reads are answered from the [`View`](tidings_view::View) alone; writes become
//! [`Command`](tidings_types::Command)s to the node. Nothing here decides anything about the
//! registry. What tidings cannot do truthfully (locks, sessions, compare-and-set) is refused with
//! 501 and the reason, never answered with something that looks like success.
//!
//! One rule beside Consul's: what is answered while the agent is cut off says so, in the headers
//! `X-Tidings-Island`, `X-Tidings-Reachable` and `X-Tidings-Stale`, and in the output of each stale
//! node's `serfHealth`. A stale node's `serfHealth` passes all the same: under `?passing` an island
//! must go on answering with what it last knew.
//!
//! | Module | Holds |
//! |---|---|
//! | [`server`] | [`serve`]: connections and their limits |
//! | [`tls`] | [`serve_tls`]: handshakes, and certificates that are replaced meanwhile |
//! | [`state`] | [`HttpState`]: what the endpoints answer from |
//! | `routes` | which path and method is which endpoint |
//! | `front` | what is refused or sent elsewhere before any endpoint |
//! | `request`, `reply`, `failure`, `compress` | the way in and the ways out |
//! | `blocking` | `index` and `wait` |
//! | `ack` | `ack`: writes that wait until enough agents hold them |
//! | `filtering` | `filter` |
//! | `pieces` | answers of `health/service`, put together from what is encoded once |
//! | `objects`, `aggregate` | the JSON objects that several endpoints share; health in one word |
//! | `json_in`, `duration` | Go's reading of JSON and of durations |
//! | `definition` | service and check definitions as clients write them |
//! | `agent`, `agent_service`, `agent_check`, `agent_health`, `maintenance`, `member` | `/v1/agent/` |
//! | `catalog`, `catalog_write` | `/v1/catalog/` |
//! | `health` | `/v1/health/` |
//! | [`metrics`], `figures` | [`Metrics`]: figures for monitoring; what this server counts |
//! | `event`, `status`, `coordinate` | `/v1/event/`, `/v1/status/`, `/v1/coordinate/` |
//! | `tidings`, `batch`, `conflicts`, `explain`, `http_sd`, `keyring`, `setup`, `watch` | `/v1/tidings/` |
//! | `monitor`, `stream` | the log, and other answers that go on |
//! | `refusals` | what is refused, and in which words |

mod ack;
mod agent;
mod agent_check;
mod agent_health;
mod agent_service;
mod aggregate;
mod batch;
mod blocking;
mod catalog;
mod catalog_write;
mod compress;
mod conflicts;
mod coordinate;
mod definition;
mod duration;
mod event;
mod explain;
mod failure;
mod figures;
mod filtering;
mod front;
mod health;
mod http_sd;
mod json_in;
mod keyring;
mod log_tap;
mod maintenance;
mod member;
pub mod metrics;
mod monitor;
mod objects;
mod pieces;
mod refusals;
mod reply;
mod request;
mod routes;
pub mod server;
mod setup;
pub mod state;
mod status;
mod stream;
mod tidings;
pub mod tls;
mod watch;
mod whole;

#[cfg(test)]
mod tests;

pub use definition::{DefinitionError, Definitions, ServiceDefinition};
pub use keyring::{
    KeyringCall, KeyringFuture, KeyringKey, KeyringMember, KeyringRefusal, KeyringReport,
};
pub use log_tap::{LogLine, LogTap};
pub use metrics::Metrics;
pub use routes::router;
pub use server::{serve, serve_tls};
pub use setup::{
    DataSetup, KnockFuture, SeedAnswer, SeedAnswerKind, SeedSetup, Setup, SetupFuture,
};
pub use state::{AgentInfo, Defined, Hooks, HttpState, Limits, ReloadFuture};
pub use tls::Tls;
