//! What readers are told after the registry changed.

use std::{collections::BTreeSet, sync::Arc};

use tidings_registry::InForce;
use tidings_types::{Conflict, Key, Status, Update, Version, Written};

use crate::{Node, Output};

impl Node {
    /// Publishes the value in force of each key, and takes note of what other nodes' writes mean
    /// for this one.
    pub(crate) fn publish(&mut self, touched: BTreeSet<Key>) {
        for key in &touched {
            self.heed(key);
        }
        let mut of_nodes = false;
        for key in &touched {
            if let Key::Node(node) = key {
                self.on_word(*node);
                of_nodes = true;
            }
        }
        self.out.show(touched);
        if of_nodes {
            self.on_node_record();
        }
        self.status_dirty = true;
    }

    /// What readers see of a key.
    pub(crate) fn in_force(&self, key: Key) -> Update {
        let in_force = self.registry.in_force(&key);
        Update::Record {
            body: in_force.as_ref().and_then(|found| found.entry.body.clone()),
            dot: in_force.as_ref().map(|found| found.dot),
            conflict: in_force.and_then(|found| self.conflict(&key, found)),
            key,
        }
    }

    fn conflict(&self, key: &Key, found: InForce<'_>) -> Option<Arc<Conflict>> {
        if found.conflicts == 0 {
            return None;
        }
        let beaten = self.registry.conflicts(key).into_iter();
        Some(Arc::new(Conflict {
            winner: Written::of(found.entry)?,
            beaten: beaten.filter_map(|(_, entry)| Written::of(entry)).collect(),
            count: found.conflicts,
        }))
    }

    /// Takes note of what the write in force of a key means for this node.
    fn heed(&mut self, key: &Key) {
        let in_force = self.registry.in_force(key);
        match in_force.map(|found| found.entry.version.clone()) {
            Some(Version::Shared(write)) => self.observe(write.stamp, write.dot),
            Some(Version::Override(seen)) if key.owner() == Some(self.me) => {
                if seen.epoch > self.writer.epoch() {
                    // It names a run that this node has forgotten. No call of this one would be
                    // greater.
                    self.on_epoch_exceeded(seen.epoch);
                }
                self.on_overridden(key, seen);
            }
            _ => {}
        }
    }

    /// Publishes the node's figures if they may have changed.
    pub(crate) fn publish_status(&mut self) {
        if !std::mem::take(&mut self.status_dirty) {
            return;
        }
        let own = self.registry.position(self.me);
        let pending = own
            .heads()
            .map(|(epoch, head)| head.saturating_sub(self.synced.head(epoch)));
        let status = Status {
            epoch: self.writer.epoch(),
            fingerprint: self.registry.fingerprint(),
            feeds: self.registry.feeds(),
            entries: self.registry.entries(),
            conflicts: self.registry.conflicted(),
            pending: pending.sum(),
            synced: self.synced.clone(),
            differs_since: self.peers.differs_since(&self.roster),
            refused: self.counters.changes_refused + self.counters.commands_refused,
        };
        if self.published_status.as_ref() != Some(&status) {
            self.published_status = Some(status.clone());
            self.out
                .push_back(Output::Publish(Update::Status(Box::new(status))));
        }
    }
}
