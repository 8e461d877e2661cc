//! The concurrent read view and the command handle to the node.
//!
//! Queries never enter the node: the driver applies each [`Update`](tidings_types::Update) to the
//! [`ViewWriter`], and HTTP, DNS and the check runners read the [`View`]. There is one writer and
//! any number of readers; a reader takes a shard of a concurrent map or one atomic pointer, never a
//! lock of its own, and nothing is held across an await.
//!
//! Records and liveness are kept apart. What records say is joined when a record changes; whether
//! an owner is live is looked up in the [`Overlay`] when a query is answered, so a liveness fact
//! rewrites nothing and a healed partition leaves no trace.
//!
//! The one invariant: an index is read before the data that it stands for, and written after it. A
//! reader may see data newer than its index (and is woken once more than needed), never older.
//!
//! | Module | Holds |
//! |---|---|
//! | [`command`] | [`Commands`] and [`CommandReceiver`]: the way to the node |
//! | [`consul`] | [`CONSUL`]: the agents themselves, as Consul's clients look for servers |
//! | [`events`] | [`EventView`]: the last events of all nodes |
//! | [`joined`] | [`Service`], [`InstanceView`], [`NodeFacts`], [`CheckView`]: what a query reads |
//! | [`memo`] | [`Made`]: what a front door made of an instance and its node |
//! | [`overlay`] | [`Overlay`], [`Standing`], [`Listed`]: liveness, laid over at query time |
//! | [`removed`] | [`Removed`]: instances that went, to tell why one is missing |
//! | [`view`] | [`View`]: the queries |
//! | [`watch`] | [`Watch`]: what a blocking query waits for |
//! | [`writer`] | [`ViewWriter`]: applies updates, numbers changes, wakes waiters |

mod batch;
pub mod command;
pub mod consul;
pub mod events;
pub mod joined;
mod keyed;
pub mod memo;
pub mod overlay;
pub mod removed;
mod shared;
mod slot;
pub mod view;
pub mod watch;
pub mod writer;

#[cfg(test)]
mod tests;

pub use command::{CommandReceiver, Commands, Reply, Request, commands};
pub use consul::CONSUL;
pub use events::EventView;
pub use joined::{AWAITED, CheckView, InstanceView, NodeFacts, NodeKey, Origin, Service};
pub use memo::Made;
pub use overlay::{Listed, Overlay, SerfHealth, Standing};
pub use removed::{REMOVED_KEPT, Removed};
pub use view::{ListedCheck, NodeView, View};
pub use watch::Watch;
pub use writer::{ViewSettings, ViewWriter, channel};
