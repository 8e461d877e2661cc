//! What the node tells the read view.

use std::sync::Arc;

use crate::{
    CheckId, Content, Dot, Entry, Epoch, Hlc, Key, Lineage, NodeId, Roster, Timestamp, Version,
};

/// A change that readers must see. Applied in order, before any later reply is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// The value in force for a key changed.
    Record {
        /// The key.
        key: Key,
        /// The record, or `None` if the key has no live value any more.
        body: Option<Content>,
        /// The write that is in force; `None` if no feed holds the key.
        dot: Option<Dot>,
        /// What was beaten and was not known to the winner's writer, if anything was.
        conflict: Option<Arc<Conflict>>,
    },
    /// A check of this node said something new without changing its status. Not replicated.
    CheckOutput {
        /// The check.
        check: CheckId,
        /// What it said.
        output: String,
    },
    /// The membership view changed.
    Roster(Arc<Roster>),
    /// The node's own figures changed.
    Status(Box<Status>),
}

/// Writes to one shared key whose writers did not know of each other's, and that say something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The write in force: the greater stamp won.
    pub winner: Written,
    /// The greatest of those that it beat, greatest first; at most
    /// [`CONFLICTS_SHOWN`](crate::limits::CONFLICTS_SHOWN).
    pub beaten: Vec<Written>,
    /// How many it beat.
    pub count: usize,
}

/// What one of them said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The node at which it was written.
    pub by: NodeId,
    /// When, by the hybrid clock that decides.
    pub stamp: Hlc,
    /// The record, or `None` for its removal.
    pub body: Option<Content>,
}

impl Written {
    /// What `entry` says; `None` if it is under no shared key.
    pub fn of(entry: &Entry) -> Option<Self> {
        let Version::Shared(write) = &entry.version else {
            return None;
        };
        Some(Self {
            by: write.dot.node,
            stamp: write.stamp,
            body: entry.body.clone(),
        })
    }
}

/// The node's own figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// This run.
    pub epoch: Epoch,
    /// Equal on two agents exactly when their registries are.
    pub fingerprint: u128,
    /// Feeds held.
    pub feeds: usize,
    /// Entries held, over all feeds.
    pub entries: usize,
    /// Keys with a conflict.
    pub conflicts: usize,
    /// Own dots that no peer is known to hold.
    pub pending: u64,
    /// The position of the own feed that at least one peer is known to hold.
    pub synced: Lineage,
    /// Since when some reachable peer's fingerprint has differed from ours.
    pub differs_since: Option<Timestamp>,
    /// Records that were refused because of a limit, since the start.
    pub refused: u64,
}

/// Whether an own record is known to be held by a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// No peer is known to hold it yet.
    Pending,
    /// At least one peer holds it.
    Synced,
}

impl Status {
    /// Whether the own write `dot` is known to be held by a peer.
    pub fn sync(&self, dot: Dot) -> Sync {
        if self.synced.covers_its(dot) {
            Sync::Synced
        } else {
            Sync::Pending
        }
    }
}
