//! Replicas of other feeds, kept on disk so that a restart finds most of the registry there.
//!
//! Nothing waits for a save. What was saved is taken note of only when the disk says so; what was
//! not is part of the next save.

use std::{collections::BTreeMap, mem};

use tidings_types::{Lineage, NodeId, Transfer};

use crate::{
    Node, Output,
    timers::{Timer, jittered},
};

/// Saves on their way to the disk, and the positions that it is known to hold.
#[derive(Debug, Default)]
pub(crate) struct Saves {
    next: u64,
    /// The save that the disk has not answered, with the positions that it leads to.
    in_flight: Option<(u64, BTreeMap<NodeId, Lineage>)>,
    saved: BTreeMap<NodeId, Lineage>,
    /// The fingerprint at which the disk was found to have every feed whole.
    all_saved_at: Option<u128>,
    members: Vec<(NodeId, std::net::SocketAddr)>,
}

impl Saves {
    /// Takes note of what the disk had at the start.
    pub(crate) fn restored(&mut self, owner: NodeId, lineage: Lineage) {
        self.saved.insert(owner, lineage);
    }

    /// Takes note that what the disk has of a feed is wrong: it is saved whole again.
    pub(crate) fn forget(&mut self, owner: NodeId) {
        self.saved.remove(&owner);
        self.all_saved_at = None;
        if let Some((_, positions)) = &mut self.in_flight {
            positions.remove(&owner);
        }
    }
}

impl Node {
    /// Saves what changed since the last save, unless one is on its way.
    pub(crate) fn save(&mut self) {
        let period = jittered(self.config.save_every, &mut self.rng);
        self.timers.set(Timer::Save, self.now + period);
        if self.saves.in_flight.is_some() {
            return;
        }
        let transfers = self.unsaved();
        let members = self.membership.members().map(|m| (m.node, m.addr));
        if transfers.is_empty() && members.clone().eq(self.saves.members.iter().copied()) {
            return;
        }
        let members: Vec<_> = members.collect();
        let positions = transfers.iter().map(Transfer::state);
        let positions = positions.map(|state| (state.owner, state.lineage.clone()));
        let positions = positions.collect();
        let save = self.saves.next;
        self.saves.next += 1;
        self.saves.in_flight = Some((save, positions));
        self.saves.members.clone_from(&members);
        self.out.push_back(Output::Save {
            save,
            transfers,
            members,
        });
    }

    /// What the disk lacks of other nodes' feeds.
    fn unsaved(&mut self) -> Vec<Transfer> {
        let fingerprint = self.registry.fingerprint();
        if self.saves.all_saved_at == Some(fingerprint) {
            return Vec::new();
        }
        let saved = &self.saves.saved;
        let mut is_whole = true;
        let mut transfers = Vec::new();
        for (owner, _) in self.registry.items().filter(|&(owner, _)| owner != self.me) {
            // Mending a feed need not change it, and lets it be saved all the same.
            is_whole &= !self.registry.is_damaged(owner);
            let held = saved.get(&owner).unwrap_or(const { &Lineage::empty() });
            transfers.extend(self.registry.transfer(owner, held));
        }
        if is_whole && transfers.is_empty() {
            self.saves.all_saved_at = Some(fingerprint);
        }
        transfers
    }

    /// Saves at the next settling instead of at the next period.
    pub(crate) fn save_now(&mut self) {
        self.timers.set(Timer::Save, self.now);
    }

    /// The disk has answered a save.
    pub(crate) fn on_saved(&mut self, save: u64, kept: bool) {
        let Some((_, positions)) = self.saves.in_flight.take_if(|(number, _)| *number == save)
        else {
            return;
        };
        if kept {
            self.saves.saved.extend(positions);
        } else {
            mem::take(&mut self.saves.members);
        }
    }
}
