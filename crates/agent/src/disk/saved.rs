//! How a batch ended: saved, or not and why.

use std::path::PathBuf;

/// Called once per batch, in the order in which batches were handed in.
///
/// It runs on the store's own thread and must not block: it hands the word on, no more.
pub type OnSaved = Box<dyn Fn(Saved) + Send + Sync>;

/// The end of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The number that the caller gave the batch.
    pub batch: u64,
    /// Whether it is on disk.
    pub result: Result<(), SaveError>,
}

/// A batch is not known to be on disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// No space is left. In doubt: the next start may or may not find the batch.
    #[error("no space is left for {}; free some space on that disk and try again", path.display())]
    NoSpace {
        /// The database.
        path: PathBuf,
    },
    /// The disk is read-only. In doubt: the next start may or may not find the batch.
    #[error(
        "{} is on a disk that is read-only: it was mounted so, or the system made it so after an \
         error, of which its log tells; make it writable, or stop the agent to repair it; changes \
         are taken again once it works",
        path.display()
    )]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The disk or the store failed. In doubt: the next start may or may not find the batch.
    #[error(
        "{} could not be written: {reason}; check that disk, the system's log tells more; \
         changes are taken again once it works",
        path.display()
    )]
    Failed {
        /// The database.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A batch before this one failed, and this one builds on it. It was not tried.
    #[error("a change before this one could not be saved ({reason}); try again in a new epoch")]
    AfterFailure {
        /// Why the earlier one failed.
        reason: String,
    },
    /// The delta starts where the disk has not got to. Nothing was changed; a snapshot helps.
    #[error("the change starts beyond what is on disk; the whole feed must be saved first")]
    Gap,
    /// The transfer is of another feed than the store's. Nothing was changed.
    #[error("the change belongs to another node's feed; this is a fault of the program")]
    ForeignFeed,
    /// One row exceeds what a row may hold. Nothing was changed.
    #[error("a row of {bytes} bytes exceeds the limit of {max}; shorten the record")]
    RowTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// As many batches as may wait are waiting. Nothing was changed.
    #[error("too many changes are waiting for the disk; try again in a moment")]
    Busy,
    /// The store was closed. Nothing was changed.
    #[error("the disk was closed, the agent is shutting down")]
    Closed,
}
