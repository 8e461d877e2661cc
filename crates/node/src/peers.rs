//! What is known of each peer's registry.

use std::collections::{BTreeMap, btree_map};

use tidings_types::{Lineage, NodeId, Timestamp, limits::FEEDS};

use crate::{roster::RosterState, skew::Skew};

/// What this node has learnt of its peers' registries from their datagrams.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    known: BTreeMap<NodeId, Peer>,
}

/// One peer.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// Whether its fingerprint was seen since it was last found alive.
    pub(crate) met: bool,
    /// Since when its fingerprint has differed from ours; `None` while they are equal.
    pub(crate) differs_since: Option<Timestamp>,
    /// Until when news in flight may be all that differs.
    pub(crate) excused_until: Timestamp,
    /// How much of this node's feed it is known to hold.
    pub(crate) holds: Lineage,
    /// How far its clock is off.
    pub(crate) skew: Option<Skew>,
    /// Whether a repair from it is on its way.
    pub(crate) repairing: bool,
    /// No repair before this.
    pub(crate) repair_at: Timestamp,
}

impl Peer {
    /// By how many milliseconds its clock is ahead, if a datagram of its has come.
    pub(crate) fn ahead_ms(&self) -> Option<i64> {
        self.skew.map(|skew| skew.ahead_ms())
    }
}

impl Peers {
    /// What is known of `node`; `None` if so many peers are known that it cannot be remembered.
    pub(crate) fn entry(&mut self, node: NodeId) -> Option<&mut Peer> {
        if self.known.len() >= FEEDS && !self.known.contains_key(&node) {
            return None;
        }
        Some(self.known.entry(node).or_default())
    }

    /// What is known of `node`, if anything is.
    pub(crate) fn get_mut(&mut self, node: NodeId) -> Option<&mut Peer> {
        self.known.get_mut(&node)
    }

    /// All of them, in order of their ids.
    pub(crate) fn in_order(&self) -> btree_map::Iter<'_, NodeId, Peer> {
        self.known.iter()
    }

    /// How much of this node's feed `node` is known to hold.
    pub(crate) fn holds(&self, node: NodeId) -> Option<&Lineage> {
        self.known.get(&node).map(|peer| &peer.holds)
    }

    /// The reachable peers that differ without an excuse and may be asked for a repair now. Whoever
    /// was not asked for longest is first, so that peers with which no repair helps keep nobody
    /// from the others.
    pub(crate) fn to_repair(&self, now: Timestamp, roster: &RosterState) -> Vec<NodeId> {
        let mut due: Vec<(Timestamp, Timestamp, NodeId)> = self
            .known
            .iter()
            .filter(|(_, peer)| !peer.repairing && peer.repair_at <= now)
            .filter(|(_, peer)| peer.excused_until <= now)
            .filter_map(|(&node, peer)| Some((peer.repair_at, peer.differs_since?, node)))
            .filter(|&(_, _, node)| roster.is_reachable(node))
            .collect();
        due.sort_unstable();
        due.into_iter().map(|(_, _, node)| node).collect()
    }

    /// Since when the longest differing reachable peer has differed.
    pub(crate) fn differs_since(&self, roster: &RosterState) -> Option<Timestamp> {
        // Few differ, so that few are looked up.
        let differing = self.known.iter();
        let differing = differing.filter_map(|(&node, peer)| Some((node, peer.differs_since?)));
        differing
            .filter(|&(node, _)| roster.is_reachable(node))
            .map(|(_, since)| since)
            .min()
    }

    /// Whether any peer differs.
    pub(crate) fn any_differs(&self) -> bool {
        self.known.values().any(|peer| peer.differs_since.is_some())
    }
}
