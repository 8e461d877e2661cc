//! The deterministic world that runs the core through faults.
//!
//! A scenario is a TOML file. It becomes a [`Plan`], every part of it concrete, and a
//! [`World`] runs the plan: hosts with their nodes, disks and clocks, links that lose
//! and delay, one heap of events, no real time and no real network. The same plan gives the same
//! run, to the last packet, in every process and build; a changed fault leaves every other draw as
//! it was.
//!
//! The nodes are exactly those that the agent drives. What the simulator cannot see is the shell:
//! sockets, QUIC, files, the front doors.
//!
//! | Module | Holds |
//! |---|---|
//! | [`scenario`], [`span`] | the file format |
//! | [`swarm`] | scenarios that a seed makes up |
//! | [`plan`], [`workload`] | a scenario made concrete |
//! | [`world`], `host`, `intake`, `session` | the loop, and one host's driver |
//! | [`link`], [`disk`], [`clock`] | what can go wrong around a node |
//! | `forgery` | what a dishonest driver sends instead |
//! | [`heap`], [`random`] | order and chance, both repeatable |
//! | [`mechanism`] | what the core is designed to have and may not have yet |
//! | [`reads`], [`history`], [`check`] | what readers see, what is true, and what must hold |
//! | `mutant`, `mutants` | guards taken away, to see whether a run notices |
//! | [`trace`], [`meta`] | the proof that a run is repeatable |
//! | [`recording`], [`page`] | what happened in a run, taken down and drawn |
//! | [`explore`] | many of them, and what they found |
//! | [`shrink`] | a failing one made small |
//! | [`mod@bench`] | how fast all this is |
//! | [`report`], [`figures`] | what came of a run, and what it cost |
//! | [`catalogue`], [`commit`] | where scenarios are; which source this is |

pub mod bench;
pub mod catalogue;
pub mod check;
pub mod clock;
pub mod commit;
pub mod disk;
pub mod explore;
pub mod figures;
mod forgery;
pub mod heap;
pub mod history;
mod host;
mod intake;
pub mod link;
pub mod mechanism;
pub mod meta;
mod mutant;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod page;
pub mod plan;
pub mod random;
pub mod reads;
pub mod recording;
pub mod report;
pub mod scenario;
mod session;
pub mod shrink;
pub mod span;
pub mod swarm;
pub mod trace;
pub mod workload;
pub mod world;

pub use mutant::Mutant;
pub use plan::Plan;
pub use recording::Recording;
pub use report::{Report, Verdict};
pub use scenario::Scenario;
pub use world::World;
