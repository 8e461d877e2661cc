//! A host's disk: what would be found again after a restart.
//!
//! It holds exactly what the agent's disk holds: the key (as the node's id), the last epoch, the
//! own feed made durable batch by batch, and replicas as they were saved.

use std::{collections::BTreeMap, net::SocketAddr};

use tidings_types::{Change, Delta, Epoch, FeedState, Key, NodeId, Slot, Snapshot, Transfer};

/// What is on a disk.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The identity.
    pub node: NodeId,
    /// The last epoch that was taken.
    pub epoch: Epoch,
    own: Option<StoredFeed>,
    replicas: BTreeMap<NodeId, StoredFeed>,
    members: Vec<(NodeId, SocketAddr)>,
}

#[derive(Clone, Debug)]
struct StoredFeed {
    state: FeedState,
    slots: BTreeMap<Key, Change>,
}

impl Disk {
    /// A disk with a key and nothing else.
    pub const fn new(node: NodeId) -> Self {
        Self {
            node,
            epoch: Epoch::ZERO,
            own: None,
            replicas: BTreeMap::new(),
            members: Vec::new(),
        }
    }

    /// Puts a batch of the own feed on disk: a change on top of what is there, or a whole feed in
    /// its place.
    ///
    /// # Errors
    /// The change builds on something that is not there: after a restart, a hole would be taken for
    /// removals.
    pub fn persist(&mut self, transfer: &Transfer) -> Result<(), String> {
        let delta = match transfer {
            Transfer::Delta(delta) => delta,
            Transfer::Snapshot(Snapshot { state, changes }) => {
                self.own = Some(StoredFeed::new(state, changes));
                return Ok(());
            }
        };
        match &mut self.own {
            Some(feed) => feed.join_delta(delta),
            None if delta.from.is_empty() => {
                self.own = Some(StoredFeed::new(&delta.state, &delta.changes));
                Ok(())
            }
            None => Err(format!(
                "a batch builds on {:?}, and there is no own feed on disk",
                delta.from
            )),
        }
    }

    /// Puts replicas and the member list on disk.
    ///
    /// # Errors
    /// As for [`Disk::persist`].
    pub fn save(
        &mut self,
        transfers: Vec<Transfer>,
        members: Vec<(NodeId, SocketAddr)>,
    ) -> Result<(), String> {
        self.members = members;
        transfers
            .into_iter()
            .try_for_each(|transfer| self.store(transfer))
    }

    /// Puts one feed's transfer on disk.
    fn store(&mut self, transfer: Transfer) -> Result<(), String> {
        let owner = transfer.state().owner;
        let held = if owner == self.node {
            &mut self.own
        } else {
            &mut self.replicas.remove(&owner)
        };
        let feed = match (held.take(), transfer) {
            (Some(mut feed), Transfer::Delta(delta)) => {
                feed.join_delta(&delta)?;
                feed
            }
            (Some(mut feed), Transfer::Snapshot(snapshot)) => {
                feed.join_snapshot(&snapshot);
                feed
            }
            (None, Transfer::Delta(delta)) if !delta.from.is_empty() => {
                return Err(format!(
                    "a save of {owner:?} builds on {:?}, which is not on disk",
                    delta.from
                ));
            }
            (None, Transfer::Delta(Delta { state, changes, .. }))
            | (None, Transfer::Snapshot(Snapshot { state, changes })) => {
                StoredFeed::new(&state, &changes)
            }
        };
        if owner == self.node {
            self.own = Some(feed);
        } else {
            self.replicas.insert(owner, feed);
        }
        Ok(())
    }

    /// The own feed as a start finds it.
    pub fn own(&self) -> Option<Snapshot> {
        self.own.as_ref().map(StoredFeed::snapshot)
    }

    /// The replicas as a start finds them.
    pub fn replicas(&self) -> Vec<Snapshot> {
        self.replicas.values().map(StoredFeed::snapshot).collect()
    }

    /// The members as a start finds them.
    pub fn members(&self) -> Vec<(NodeId, SocketAddr)> {
        self.members.clone()
    }
}

impl StoredFeed {
    fn new(state: &FeedState, changes: &[Change]) -> Self {
        let mut feed = Self {
            state: state.clone(),
            slots: changes.iter().map(|c| (c.key.clone(), c.clone())).collect(),
        };
        feed.settle(state);
        feed
    }

    fn join_delta(&mut self, delta: &Delta) -> Result<(), String> {
        if !self.state.lineage.covers(&delta.from) {
            return Err(format!(
                "a change of {:?} builds on {:?}, and the disk holds {:?}",
                self.state.owner, delta.from, self.state.lineage
            ));
        }
        self.take_uncovered(&delta.changes);
        self.settle(&delta.state);
        Ok(())
    }

    fn join_snapshot(&mut self, snapshot: &Snapshot) {
        let given: BTreeMap<&Key, &Change> = snapshot.changes.iter().map(|c| (&c.key, c)).collect();
        let covers = &snapshot.state.lineage;
        self.slots.retain(|key, held| {
            given.contains_key(key) || !covers.covers_dot(held.epoch, held.seq)
        });
        self.take_uncovered(&snapshot.changes);
        self.settle(&snapshot.state);
    }

    fn take_uncovered(&mut self, changes: &[Change]) {
        for change in changes {
            let known = self.state.lineage.covers_dot(change.epoch, change.seq);
            let older = self
                .slots
                .get(&change.key)
                .is_some_and(|held| (held.epoch, held.seq) >= (change.epoch, change.seq));
            if !known && !older {
                self.slots.insert(change.key.clone(), change.clone());
            }
        }
    }

    /// Joins the positions and drops what watermark and floor leave out.
    fn settle(&mut self, state: &FeedState) {
        let mine = &mut self.state;
        let ahead = state.lineage.covers(&mine.lineage);
        mine.lineage.join(&state.lineage);
        mine.watermark.join(&state.watermark);
        for (&node, position) in &state.needs {
            mine.needs.entry(node).or_default().join(position);
        }
        if ahead {
            mine.sum = state.sum;
        }
        let (lineage, watermark) = (&mine.lineage, &mine.watermark);
        self.slots.retain(|_, held| {
            let buried = matches!(held.slot, Slot::RemovalMark)
                && watermark.covers_dot(held.epoch, held.seq);
            held.epoch >= lineage.floor() && !buried
        });
    }

    fn snapshot(&self) -> Snapshot {
        let mut changes: Vec<Change> = self.slots.values().cloned().collect();
        changes.sort_by_key(|change| (change.epoch, change.seq));
        Snapshot {
            state: self.state.clone(),
            changes,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_types::{CheckId, Lineage};

    use super::*;

    const ME: NodeId = NodeId::from_bytes([1; 16]);

    fn key(id: &str) -> Key {
        Key::Check(ME, CheckId::new(id).unwrap())
    }

    /// Removal marks alone are enough to see which change stands.
    fn delta(from: u64, upto: u64, keys: &[(u64, &str)]) -> Delta {
        let epoch = Epoch::from_bits(1);
        let change = |&(seq, id): &(u64, &str)| Change {
            epoch,
            seq,
            key: key(id),
            slot: Slot::RemovalMark,
        };
        Delta {
            from: Lineage::of(epoch, from),
            state: FeedState {
                owner: ME,
                lineage: Lineage::of(epoch, upto),
                watermark: Lineage::empty(),
                needs: BTreeMap::new(),
                sum: 0,
            },
            changes: keys.iter().map(change).collect(),
        }
    }

    fn batch(from: u64, upto: u64, keys: &[(u64, &str)]) -> Transfer {
        Transfer::Delta(delta(from, upto, keys))
    }

    #[test]
    fn batches_add_up_and_a_hole_is_refused() {
        let mut disk = Disk::new(ME);
        disk.persist(&batch(0, 2, &[(1, "a"), (2, "b")])).unwrap();
        disk.persist(&batch(2, 3, &[(3, "a")])).unwrap();
        let own = disk.own().unwrap();
        let seqs: Vec<_> = own.changes.iter().map(|c| c.seq).collect();
        assert_eq!(seqs, [2, 3]);
        assert!(disk.persist(&batch(4, 5, &[(5, "c")])).is_err());
    }

    #[test]
    fn a_whole_feed_takes_the_place_of_what_is_there() {
        let mut disk = Disk::new(ME);
        disk.persist(&batch(0, 2, &[(1, "a"), (2, "b")])).unwrap();
        let Delta { state, changes, .. } = delta(0, 9, &[(7, "c")]);
        disk.persist(&Transfer::Snapshot(Snapshot { state, changes }))
            .unwrap();
        let own = disk.own().unwrap();
        assert_eq!((own.changes.len(), own.changes[0].seq), (1, 7));
    }

    #[test]
    fn marks_below_the_watermark_are_dropped() {
        let mut disk = Disk::new(ME);
        disk.persist(&batch(0, 2, &[(1, "a"), (2, "b")])).unwrap();
        let mut tidy = delta(2, 3, &[]);
        tidy.state.watermark = Lineage::of(Epoch::from_bits(1), 1);
        disk.persist(&Transfer::Delta(tidy)).unwrap();
        assert_eq!(disk.own().unwrap().changes.len(), 1);
    }
}
