//! Why the disk cannot be used at all. Damage is no error: it ends in a [`Finding`](super::Finding).

use std::{io, path::PathBuf};

use tidings_types::NodeId;

/// The data directory cannot be used. Nothing was changed, except where a variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// The operating system refused.
    #[error(
        "cannot {action} {}: {source}; check that the disk works, has space left and lets this user write",
        path.display()
    )]
    Io {
        /// What was tried: a verb, as in "cannot write".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process holds the data directory.
    #[error(
        "the data directory {} is in use by another agent{}; stop that agent, or give this one its own --data-dir",
        dir.display(),
        match process { Some(id) => format!(" (process {id})"), None => String::new() }
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The other process, if it could be told.
        process: Option<u32>,
    },
    /// Neither copy of the identity can be read. A new one is never made in its place.
    #[error(
        "both copies of this node's identity are damaged: {} ({first_reason}) and {} ({second_reason}); \
         restore one of them from a backup, or, to go on as a new node without the registrations of \
         the old one, move the whole data directory away",
        first.display(),
        second.display()
    )]
    IdentityDamaged {
        /// The first copy.
        first: PathBuf,
        /// What is wrong with it.
        first_reason: String,
        /// The second copy.
        second: PathBuf,
        /// What is wrong with it.
        second_reason: String,
    },
    /// There is a feed, but neither copy of the identity that owns it.
    #[error(
        "{} exists, but the identity that owns it is missing ({} and {}); restore one of them from a \
         backup, or, to go on as a new node without these registrations, move the whole data \
         directory away",
        feed.display(),
        first.display(),
        second.display()
    )]
    IdentityMissing {
        /// The feed that was found.
        feed: PathBuf,
        /// Where the first copy should be.
        first: PathBuf,
        /// Where the second copy should be.
        second: PathBuf,
    },
    /// The two copies are sound and hold different keys.
    #[error(
        "{} and {} hold the keys of two different nodes; delete the one that does not belong here",
        first.display(),
        second.display()
    )]
    IdentitiesDiffer {
        /// The first copy.
        first: PathBuf,
        /// The second copy.
        second: PathBuf,
    },
    /// The identity that this node was to take over cannot be read.
    #[error(
        "{} is damaged ({reason}); it holds the new identity of a node whose data directory was copied, \
         and what was registered here last. Delete it to go on under the old identity, and register \
         those services again",
        path.display()
    )]
    SuccessorDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key that was handed in cannot be kept.
    #[error("a node key has between 1 and {max} bytes, this one has {bytes}")]
    KeySize {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A later version of this program wrote the file.
    #[error(
        "{} was written by a newer version (format {found}, this one knows {known}); start that version",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// No later epoch exists.
    #[error(
        "no epoch is left after {last}: a clock or a peer once named a time at the end of all epochs; \
         go on as a new node with an empty data directory"
    )]
    EpochsExhausted {
        /// The epoch that had to be exceeded.
        last: tidings_types::Epoch,
    },
    /// The feed on disk is another node's.
    #[error(
        "{} holds the registrations of node {found}, but this node is {owner}; restore the identity that \
         belongs to it, or move the file away",
        path.display()
    )]
    ForeignFeed {
        /// The file.
        path: PathBuf,
        /// Whose feed it holds.
        found: NodeId,
        /// Who asked for it.
        owner: NodeId,
    },
    /// The database cannot be opened for a reason that is not its content.
    #[error(
        "cannot open {}: {reason}; check that the disk works, has space left and lets this user write",
        path.display()
    )]
    Database {
        /// The file.
        path: PathBuf,
        /// What the store said.
        reason: String,
    },
}

impl DiskError {
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
