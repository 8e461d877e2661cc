//! A feed's content on its way: what one node publishes, as changes, deltas and snapshots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Content, Dot, Key, Lineage, NodeId, Place, Version};

/// What a feed holds for one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// The feed's owner wrote this.
    Entry(Entry),
    /// The feed's owner took its entry away; dropped once the watermark covers the mark's dot.
    RemovalMark,
}

/// One write, as a feed holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place among the writes to its key.
    pub version: Version,
    /// The record, or `None` for a tombstone.
    pub body: Option<Content>,
}

/// Of one key, the greatest change in a feed: the slot and the dot that put it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where it stands in its feed.
    pub place: Place,
    /// What it is about.
    pub key: Key,
    /// What stands there now.
    pub slot: Slot,
}

impl Change {
    /// The change's dot, given whose feed it is in.
    pub const fn dot(&self, owner: NodeId) -> Dot {
        self.place.of(owner)
    }
}

/// Positions that a replica must hold before it may take a removal; empty until yields and
/// collections exist.
pub type Needs = BTreeMap<NodeId, Lineage>;

/// A position of one feed with everything that belongs to it but is no slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedState {
    /// Whose feed.
    pub owner: NodeId,
    /// How far the content goes.
    pub lineage: Lineage,
    /// Removal marks that this covers were dropped.
    pub watermark: Lineage,
    /// What a replica must hold of other feeds to hold this one.
    pub needs: Needs,
    /// The content sum at this position, to check a repair against.
    pub sum: u128,
}

/// What changed in a feed between two positions.
///
/// Applied by whoever covers `from`; then covers `from` joined with the state's lineage. Seqs in
/// between that no longer stand are covered too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// What the receiver must hold.
    pub from: Lineage,
    /// What the giver holds.
    pub state: FeedState,
    /// The slots in between, in dot order.
    pub changes: Vec<Change>,
}

/// A whole feed, for a replica that is behind the giver's watermark.
///
/// Joined in one step: what only the replica holds goes iff the snapshot's lineage covers its dot,
/// what only the snapshot holds comes iff the replica's lineage does not cover it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What the giver holds.
    pub state: FeedState,
    /// Every slot, in dot order.
    pub changes: Vec<Change>,
}

/// What a giver hands out for one feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transfer {
    /// To a replica that covers the giver's watermark.
    Delta(Delta),
    /// To any other.
    Snapshot(Snapshot),
}

impl Transfer {
    /// Whose feed, and how far.
    pub const fn state(&self) -> &FeedState {
        match self {
            Self::Delta(delta) => &delta.state,
            Self::Snapshot(snapshot) => &snapshot.state,
        }
    }
}
