//! The sans-IO state machine: everything one agent decides.
//!
//! A [`Node`] knows no clock, socket, file, thread or global randomness. Its driver hands it
//! [`Input`]s and carries out its [`Output`]s; the agent is one driver, the simulator another, and
//! both run exactly this code.
//!
//! # The law of the loop
//!
//! 1. One [`Node::handle`], which changes the state once.
//! 2. [`Node::poll_output`] until it returns `None`. No second `handle` before that.
//! 3. Wait for the next input, at most until [`Node::poll_timeout`]; then go to 1 (a timeout is
//!    handled as [`Input::Timeout`]).
//!
//! Outputs are carried out in order. In particular each [`Output::Publish`] is applied to the read
//! view before a later [`Output::Reply`] is released, so that a client reads its own writes.
//!
//! # Durable before visible
//!
//! A change that this node makes is staged, handed out as [`Output::Persist`], and seen by nobody
//! until [`Input::Persisted`]: no reader, no peer, no fingerprint, no acknowledgement.
//!
//! | Module | Decides |
//! |---|---|
//! | [`input`], [`output`], [`event`], [`config`] | the seam |
//! | `node` | the dispatch: which module handles an input |
//! | `commands`, `catalog` | what a client's command changes |
//! | `calls` | calls that took no dot, and records that others took away |
//! | `durable` | what waits for the disk, and what follows once it is there |
//! | `rumor` | how new dots travel, and who is known to hold them |
//! | `holders` | clients that wait until enough agents hold what was written |
//! | `reconcile` | how gossip's gaps are found and repaired |
//! | `exchange` | requests in both directions, bounded |
//! | `patience` | how much is taken of each node, and when it may be given more |
//! | `publish`, `save` | what readers and the disk are told |
//! | `roster` | who is alive, and whether this agent is an island |
//! | `words` | what nodes say of themselves that the roster needs |
//! | `own` | this node's own feed: relearning it, its watermark, a greater epoch of itself |
//! | `mend` | damaged feeds that nobody can mend |
//! | `skew` | how far the peers' clocks are off |
//! | `clone` | two live holders of one identity |
//! | `depart` | the goodbye |

mod calls;
mod catalog;
mod clone;
mod commands;
pub mod config;
mod depart;
mod durable;
pub mod event;
mod exchange;
mod fired;
mod holders;
pub mod input;
mod mend;
mod node;
mod outbox;
pub mod output;
mod own;
mod patience;
mod peers;
mod publish;
mod reconcile;
mod roster;
mod rumor;
mod save;
mod skew;
mod timers;
mod words;

pub use clone::registrations;
pub use config::Config;
pub use durable::{BATCHES_WAITING, REPLIES_WAITING};
pub use event::{Counters, Event};
pub use exchange::REQUESTS_OPEN;
pub use holders::HOLDER_WAITS;
pub use input::{Boot, CommandId, Exchange, Input};
pub use node::Node;
pub use output::Output;

/// Mechanisms of the design that this crate has, by the names under which the simulator waits for
/// those that are to come.
pub const MECHANISMS: &[&str] = &[];
