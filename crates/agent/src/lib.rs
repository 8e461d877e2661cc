//! The agent: a driver around the node, with a network, a disk and front doors.
//!
//! Everything that one agent decides is in [`tidings_node`]; everything here carries decisions out.
//! [`Settings::check`] turns what an operator wrote into something sound, [`Agent::start`] runs it.
//!
//! The one rule: whoever touches the outside world does it in a task or thread of its own, and the
//! driver alone touches the node.
//!
//! | Module | Holds |
//! |---|---|
//! | [`settings`], [`keys`], [`seeds`], `cluster` | what can be set, and what follows from it |
//! | [`agent`], [`error`] | [`Agent`]: started whole or not at all, stopped in order |
//! | `keyring` | cluster keys changed while the agent runs, here or on all members |
//! | `wiring`, `supervisor` | the parts put together; their tasks watched and ended |
//! | `driver` | the loop that owns the node |
//! | [`transport`] | one UDP port for datagrams and sessions |
//! | [`disk`], `storage`, `index` | what is kept across restarts, and the numbers taken from it |
//! | [`certificates`], `reload` | the certificate of HTTPS; what is read anew while the agent runs |
//! | `definitions` | services and checks that definition files hold |
//! | `looks` | whether a look at files found something new |
//! | `doors`, `check_results` | sockets of HTTP and DNS; what checks find |
//! | `clock`, `watchdog` | the clocks; a driver that stands still |
//! | `log_events`, `log_limit` | the node's events as log lines; how often the log speaks of one thing |
//! | `metrics` | what the parts count, for monitoring |

pub mod agent;
pub mod certificates;
mod check_results;
mod clock;
mod cluster;
mod definitions;
pub mod disk;
mod doors;
mod driver;
pub mod error;
mod index;
mod inheritance;
mod keyring;
pub mod keys;
mod log_events;
mod log_limit;
mod looks;
mod metrics;
mod reload;
pub mod seeds;
pub mod settings;
mod setup;
mod storage;
mod supervisor;
pub mod transport;
mod watchdog;
mod wiring;

pub use agent::{Addresses, Agent, Stop};
pub use certificates::{CERTIFICATE_FILE_BYTES_MAX, CertificateError, CertificateFiles};
pub use cluster::{ClusterNameError, id_of as cluster_id};
#[cfg(feature = "fuzzing")]
pub use definitions::fuzzing as definition_fuzzing;
pub use definitions::{DEFINITION_FILE_BYTES_MAX, DEFINITION_FILES_MAX, DefinitionFileError};
pub use error::StartError;
pub use keys::{KeyFileError, Keys};
pub use seeds::{Seed, SeedError};
pub use settings::{
    DNS_PORT, GOSSIP_PORT, HTTP_PORT, HTTPS_PORT, Options, Settings, SettingsError, host_name,
};
pub use tidings_http::{LogLine, LogTap};
