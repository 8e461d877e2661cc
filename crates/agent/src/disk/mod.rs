//! What an agent keeps across restarts, and what it does when the disk lost or altered some of it.
//!
//! Three things are kept in the data directory: the identity (a key, an epoch and a reservation;
//! losing it means becoming another node), the own feed (every acknowledged registration) and the
//! registry (replicas of other feeds, which peers can give again). Nothing read from disk is
//! believed without its checksum, and a damaged file never keeps an agent from starting: it is set
//! aside, named in a [`Finding`], and the peers give back what they hold.
//!
//! The one invariant: a batch that was reported as saved is found again by the next start, and no
//! record is ever found that was not saved.
//!
//! | Module | Holds |
//! |---|---|
//! | [`data_dir`] | [`DataDir`]: the directory, locked against a second agent |
//! | [`identity`] | [`Identity`]: key, epoch and index reservation, in two small files |
//! | [`feed_store`] | [`FeedStore`]: the own feed, durable at once, commits shared by waiting batches |
//! | [`registry_store`] | [`RegistryStore`]: the other feeds and the known members, disposable |
//! | [`saved`] | [`Saved`] and [`SaveError`]: how a batch ended |
//! | [`successor`] | [`Successor`]: the next identity, when another agent holds this one |
//! | [`finding`] | [`Finding`]: what was wrong on disk, for people |
//! | [`error`] | [`DiskError`]: why the disk cannot be used at all |
//! | `database` | one redb file: checked when opened, reopened after a failed commit |
//! | `commits` | how many commits a database has seen, kept beside it |
//! | `quarantine` | setting damaged files aside |
//! | `write_again` | what a failed sync left in memory, brought to the disk |
//! | `quiet` | catching the store's panics |
//! | `content` | all that a database holds, checked row by row |
//! | `feed_writer` | deltas and snapshots as changes of rows |
//! | `tables`, `rows`, `checksum` | rows as bytes |

pub mod data_dir;
pub mod error;
pub mod feed_store;
pub mod finding;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod identity;
pub mod registry_store;
pub mod saved;
pub mod successor;

mod checksum;
mod commits;
mod content;
mod database;
mod feed_writer;
#[cfg(test)]
mod power_cut;
mod quarantine;
mod quiet;
mod rows;
mod tables;
#[cfg(test)]
mod testing;
mod write_again;

pub use data_dir::DataDir;
pub use error::DiskError;
pub use feed_store::{FeedStore, OpenedFeed};
pub use finding::Finding;
pub use identity::Identity;
pub use registry_store::{OpenedRegistry, RegistryStore, Save};
pub use saved::{OnSaved, SaveError, Saved};
pub use successor::Successor;
