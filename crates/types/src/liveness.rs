//! What this agent knows of its members. Never written into records: it is laid over them when a
//! query is answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use crate::{NodeId, Timestamp};

/// A member's state in the roster. A node that is not in the roster is *unknown*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberStatus {
    /// Answers probes, directly or through others.
    Alive,
    /// Did not answer; still served until the suspicion ends.
    Suspect,
    /// Declared down.
    Down,
    /// Said goodbye, or was made to leave by an operator.
    Left,
    /// Said that it would be back.
    Restarting,
}

impl MemberStatus {
    /// The word for tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Left => "left",
            Self::Restarting => "restarting",
        }
    }

    /// Whether the member is taken to be reachable.
    pub const fn is_reachable(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

/// How the overlay treats what a node owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Liveness {
    /// Served.
    Live,
    /// Served after the live ones, marked with the age of the owner's last word.
    Stale,
    /// Served only while its service would otherwise have no instance at all: what is left of an
    /// island after its end.
    LastResort,
    /// Not served.
    Hidden,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    /// Where it is reached.
    pub addr: SocketAddr,
    /// What the failure detector says.
    pub status: MemberStatus,
    /// What that means for its records.
    pub liveness: Liveness,
    /// Since when it has that status.
    pub since: Timestamp,
    /// When its last packet came, directly; the start of this run if none did.
    pub heard: Timestamp,
    /// By how many milliseconds its wall clock is ahead of this node's, negative if it is behind;
    /// `None` if nothing came from it yet.
    pub ahead_ms: Option<i64>,
}

/// The membership view as state: the latest one replaces all before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// Every member that this run has met, this node included.
    pub members: BTreeMap<NodeId, RosterEntry>,
    /// How records of nodes that are not in `members` are treated, but for the `former` ones.
    pub unknown: Liveness,
    /// Nodes that this run has not met and does not await: they left, or their host is another node
    /// since. Nothing of them is served. Told while `unknown` ones are served, and empty else.
    pub former: BTreeSet<NodeId>,
    /// Members that are reachable, this node included.
    pub reachable: usize,
    /// Members that ought to be, this node included.
    pub expected: usize,
    /// Whether this agent takes itself to be cut off and serves what it last knew.
    pub island: bool,
}

impl Roster {
    /// A roster without members, before the node has published one.
    pub fn empty() -> Arc<Self> {
        Arc::new(Self {
            members: BTreeMap::new(),
            unknown: Liveness::Stale,
            former: BTreeSet::new(),
            reachable: 0,
            expected: 0,
            island: false,
        })
    }

    /// How the overlay treats what `node` owns.
    pub fn liveness(&self, node: NodeId) -> Liveness {
        match self.members.get(&node) {
            Some(member) => member.liveness,
            None if self.former.contains(&node) => Liveness::Hidden,
            None => self.unknown,
        }
    }
}
