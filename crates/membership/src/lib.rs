//! Who is in the cluster and who answers: foca's SWIM as a component without IO, with the guards
//! that foca alone lacks.
//!
//! [`Membership`] is driven like every core component: call one of its methods with the current
//! time, drain [`Membership::poll_output`] until it returns `None`, then wait until
//! [`Membership::poll_timeout`]. It knows no clock, no socket and no global randomness: equal seeds
//! and equal calls give equal outputs.
//!
//! What it does not do: it seals no packets (the driver does), carries no records, and says nothing
//! of who owns them. A foca identity changes whenever a node has to rejoin; a [`NodeId`] does not.
//!
//! | Module | Holds |
//! |---|---|
//! | [`membership`] | [`Membership`], the component; every call of its driver |
//! | [`output`] | [`Output`], [`PacketError`], [`Counters`]: what comes out of it |
//! | [`id`] | [`MemberId`]: a node's identity within one run, as foca sees it |
//! | [`config`] | [`Config`]: every interval, fan-out and limit |
//! | [`members`] | [`Member`], [`MemberState`]: the member list as state |
//! | [`glance`] | [`Glance`]: what a packet says, for those who only watch |
//! | `codec` | packets to bytes and back, under hard limits |
//! | `effects` | collects what foca asks for while it runs |
//! | `timers` | foca's timers and ours, in one ordered queue |
//! | `pace` | what follows the size of the cluster |
//! | `addresses` | every address ever seen, bounded |
//! | `watchdog` | guard: announces that never stop, because foca falls silent when it is alone |
//! | `suspicion` | guard: suspicions that were refuted must not end in a forced rejoin |
//! | `local_health` | guard: a node whose own probes fail accuses nobody |
//! | `buddy` | guard: a suspect that speaks is told, so that it can refute |
//! | `stall` | guard: time that this process slept through is not held against its peers |
//! | `rejoin` | guard: who is told again and again that it is down rejoins at a bounded pace |
//! | `outbid` | guard: a node whose disk and clock went back must still get in |
//! | `exchange` | the member list as a whole, for one who joins |
//! | `bare` | foca without all of this, for comparison; only where the feature asks for it |
//!
//! SWIM: Das, Gupta, Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group
//! Membership Protocol", 2002.
//!
//! [`NodeId`]: tidings_types::NodeId

mod addresses;
#[cfg(feature = "bare")]
pub mod bare;
mod buddy;
mod codec;
pub mod config;
mod effects;
mod exchange;
pub mod glance;
pub mod id;
mod local_health;
pub mod members;
pub mod membership;
mod outbid;
pub mod output;
mod pace;
mod rejoin;
mod stall;
mod suspicion;
mod timers;
mod watchdog;

pub use config::{Config, ConfigError};
pub use glance::{Glance, Purpose};
pub use id::MemberId;
pub use members::{Member, MemberState, State};
pub use membership::Membership;
pub use output::{Counters, Output, PacketError};

#[cfg(feature = "mutants")]
pub use config::Mutants;

/// Mechanisms of the design that this crate has, by the names under which the simulator waits for
/// those that are to come.
pub const MECHANISMS: &[&str] = &["buddy"];

#[cfg(test)]
mod tests;
