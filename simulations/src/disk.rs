//! A host's disk: what would be found again after a restart.
//!
//! It holds exactly what the agent's disk holds: the key (as the node's id), the last epoch, the
//! own feed made durable batch by batch, and replicas as they were saved.

mod stored;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use tidings_types::{Body, Delta, Epoch, Key, Lineage, NodeId, Snapshot, Transfer};

use self::stored::StoredFeed;
use crate::random::{Stream, below};

/// What is on a disk.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The identity.
    pub node: NodeId,
    /// The last epoch that was taken.
    pub epoch: Epoch,
    own: Option<StoredFeed>,
    replicas: BTreeMap<NodeId, StoredFeed>,
    /// Feeds that have lost something since they were last saved whole.
    damaged: BTreeSet<NodeId>,
    members: Vec<(NodeId, SocketAddr)>,
    successor: Option<Successor>,
}

/// The key that a node takes at its next start, and what is registered under it then.
#[derive(Clone, Debug)]
struct Successor {
    node: NodeId,
    records: Vec<(Key, Body)>,
}

impl Disk {
    /// A disk with a key and nothing else.
    pub const fn new(node: NodeId) -> Self {
        Self {
            node,
            epoch: Epoch::ZERO,
            own: None,
            replicas: BTreeMap::new(),
            damaged: BTreeSet::new(),
            members: Vec::new(),
            successor: None,
        }
    }

    /// Puts a new key on disk with what moves to it.
    pub fn keep_successor(&mut self, node: NodeId, records: Vec<(Key, Body)>) {
        self.successor = Some(Successor { node, records });
    }

    /// Becomes the node that the last run decided to become, if it did; what moves along, until it
    /// is forgotten.
    pub fn succeed(&mut self) -> Option<Vec<(Key, Body)>> {
        let Successor { node, records } = self.successor.clone()?;
        if self.node != node {
            self.own = None;
            self.damaged.remove(&self.node);
            self.node = node;
        }
        Some(records)
    }

    /// Everything stands under the new key.
    pub fn forget_successor(&mut self) {
        self.successor = None;
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
                self.damaged.remove(&self.node);
                return Ok(());
            }
        };
        match &mut self.own {
            Some(feed) => feed.join_delta(delta),
            None if delta.from.is_empty() => {
                self.own = Some(StoredFeed::new(&delta.state, &delta.changes));
                self.damaged.remove(&self.node);
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

    /// Puts one replica's transfer on disk: a change on top of what is there, or a whole feed in its
    /// place.
    fn store(&mut self, transfer: Transfer) -> Result<(), String> {
        let owner = transfer.state().owner;
        match (self.replicas.get_mut(&owner), transfer) {
            (Some(feed), Transfer::Delta(delta)) => return feed.join_delta(&delta),
            (None, Transfer::Delta(delta)) if !delta.from.is_empty() => {
                return Err(format!(
                    "a save of {owner:?} builds on {:?}, which is not on disk",
                    delta.from
                ));
            }
            (_, Transfer::Delta(Delta { state, changes, .. }))
            | (_, Transfer::Snapshot(Snapshot { state, changes })) => {
                self.replicas
                    .insert(owner, StoredFeed::new(&state, &changes));
                self.damaged.remove(&owner);
            }
        }
        Ok(())
    }

    /// Puts the first `kept` changes of a save on disk and no more, and marks the feed in which it
    /// breaks off as damaged. Returns how many feeds are damaged by it: one or none.
    pub fn tear(&mut self, save: Vec<Transfer>, mut kept: u64) -> u64 {
        for mut transfer in save {
            let owner = transfer.state().owner;
            let (Transfer::Delta(Delta { changes, .. })
            | Transfer::Snapshot(Snapshot { changes, .. })) = &mut transfer;
            let all = changes.len() as u64;
            changes.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
            let is_torn = kept < all;
            kept = kept.saturating_sub(all);
            if self.store(transfer).is_ok() && is_torn {
                self.damaged.insert(owner);
                return 1;
            }
        }
        0
    }

    /// Takes the file with the replicas and the members away.
    pub fn set_registry_aside(&mut self) {
        self.replicas.clear();
        self.damaged.retain(|owner| *owner == self.node);
        self.members.clear();
    }

    /// Takes the file with the own feed away; whether there was anything in it.
    pub fn set_own_aside(&mut self) -> bool {
        self.damaged.insert(self.node);
        self.own.take().is_some()
    }

    /// Takes some of the newest rows of the own feed away, as `draw` says; whether it had any.
    pub fn damage_own(&mut self, draw: u64) -> bool {
        let Some(own) = &mut self.own else {
            return false;
        };
        let mut newest: Vec<_> = own
            .slots
            .values()
            .map(|c| (c.place, c.key.clone()))
            .collect();
        newest.sort_unstable();
        let rows = newest.len();
        let gone = usize::try_from(draw % (rows as u64).max(1)).unwrap_or(0) + 1;
        for (_, key) in newest.into_iter().rev().take(gone) {
            own.slots.remove(&key);
        }
        self.damaged.insert(self.node);
        rows > 0
    }

    /// Holds of others' feeds what `image` does.
    pub fn forget_replicas_since(&mut self, image: &Self) {
        self.replicas = image.replicas.clone();
        // Under an earlier key the own feed was another's.
        self.replicas.remove(&self.node);
        self.members = image.members.clone();
        self.damaged.retain(|owner| *owner == self.node);
        let others = image.damaged.iter().filter(|owner| **owner != self.node);
        self.damaged.extend(others);
    }

    /// Holds of its own feed what `image` does. The epoch stands in a file of its own.
    pub fn forget_own_since(&mut self, image: &Self) {
        let is_same = image.node == self.node;
        self.own = image.own.clone().filter(|_| is_same);
    }

    /// Flips a bit in a row of about every second feed, as the draws of `nth` say. A checksum finds it
    /// out: the row is left out and its feed marked. Whether the own feed is one of them.
    pub fn flip_bits(&mut self, draws: Stream, nth: u64) -> bool {
        let own = self.own.as_mut().map(|own| (self.node, own));
        let replicas = self.replicas.iter_mut().map(|(&owner, feed)| (owner, feed));
        for (part, (owner, feed)) in (0..).step_by(2).zip(own.into_iter().chain(replicas)) {
            let rows = feed.slots.len() as u64;
            if rows > 0 && draws.part(nth, part).is_multiple_of(2) {
                let hit = usize::try_from(below(draws.part(nth, part + 1), rows)).unwrap_or(0);
                let key = feed.slots.keys().nth(hit).cloned();
                key.iter().for_each(|key| drop(feed.slots.remove(key)));
                self.damaged.insert(owner);
            }
        }
        self.is_own_damaged()
    }

    /// How far a replica is on disk.
    pub fn lineage(&self, owner: NodeId) -> Lineage {
        let feed = self.replicas.get(&owner);
        feed.map_or_else(Lineage::empty, |feed| feed.state.lineage.clone())
    }

    /// Whether the own feed has lost something.
    pub fn is_own_damaged(&self) -> bool {
        self.damaged.contains(&self.node)
    }

    /// Whether any feed has lost something.
    pub fn has_damage(&self) -> bool {
        !self.damaged.is_empty()
    }

    /// The own feed as a start finds it.
    pub fn own(&self) -> Option<Snapshot> {
        self.own.as_ref().map(StoredFeed::snapshot)
    }

    /// The replicas as a start finds them, and whether each has lost something.
    pub fn replicas(&self) -> Vec<(Snapshot, bool)> {
        let replica =
            |(owner, feed): (&NodeId, &StoredFeed)| (feed.snapshot(), self.damaged.contains(owner));
        self.replicas.iter().map(replica).collect()
    }

    /// The members as a start finds them.
    pub fn members(&self) -> Vec<(NodeId, SocketAddr)> {
        self.members.clone()
    }
}

#[cfg(test)]
mod tests {
    use tidings_types::{Change, CheckId, FeedState, Lineage, Place, Slot};

    use super::*;

    const ME: NodeId = NodeId::from_bytes([1; 16]);

    fn key(id: &str) -> Key {
        Key::Check(ME, CheckId::new(id).unwrap())
    }

    /// Removal marks alone are enough to see which change stands.
    fn delta(from: u64, upto: u64, keys: &[(u64, &str)]) -> Delta {
        let epoch = Epoch::from_bits(1);
        let change = |&(seq, id): &(u64, &str)| Change {
            place: Place { epoch, seq },
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
        let seqs: Vec<_> = own.changes.iter().map(|c| c.place.seq).collect();
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
        assert_eq!((own.changes.len(), own.changes[0].place.seq), (1, 7));
    }

    #[test]
    fn a_torn_save_leaves_one_feed_damaged_until_it_is_saved_whole() {
        let other = NodeId::from_bytes([2; 16]);
        let of_other = |from, upto, keys: &[(u64, &str)]| {
            let mut delta = delta(from, upto, keys);
            delta.state.owner = other;
            Transfer::Delta(delta)
        };
        let mut disk = Disk::new(ME);
        disk.save(vec![of_other(0, 1, &[(1, "a")])], Vec::new())
            .unwrap();
        let torn = disk.tear(vec![of_other(1, 3, &[(2, "b"), (3, "c")])], 1);
        let (feed, damaged) = disk.replicas().remove(0);
        assert_eq!((torn, feed.changes.len(), damaged), (1, 2, true));
        assert_eq!(disk.lineage(other), feed.state.lineage);
        let Delta { state, changes, .. } = delta(0, 3, &[(1, "a"), (2, "b"), (3, "c")]);
        let state = FeedState {
            owner: other,
            ..state
        };
        let whole = Transfer::Snapshot(Snapshot { state, changes });
        disk.save(vec![whole], Vec::new()).unwrap();
        assert!(!disk.replicas()[0].1);
    }

    #[test]
    fn a_damaged_own_feed_stays_marked_until_it_is_written_whole() {
        let mut disk = Disk::new(ME);
        disk.persist(&batch(0, 2, &[(1, "a"), (2, "b")])).unwrap();
        assert!(disk.damage_own(0) && disk.is_own_damaged());
        assert_eq!(disk.own().unwrap().changes.len(), 1);
        disk.persist(&batch(2, 3, &[(3, "c")])).unwrap();
        assert!(disk.is_own_damaged());
        let Delta { state, changes, .. } = delta(0, 3, &[(1, "a"), (2, "b"), (3, "c")]);
        disk.persist(&Transfer::Snapshot(Snapshot { state, changes }))
            .unwrap();
        assert!(!disk.is_own_damaged());
    }

    #[test]
    fn a_flipped_bit_costs_a_row_of_a_feed_that_is_marked() {
        let mut disk = Disk::new(ME);
        disk.persist(&batch(0, 2, &[(1, "a"), (2, "b")])).unwrap();
        let draws = Stream::new(1, "flip");
        let run = (0..).find(|&nth| disk.clone().flip_bits(draws, nth));
        assert!(disk.flip_bits(draws, run.unwrap()) && disk.is_own_damaged());
        assert_eq!(disk.own().unwrap().changes.len(), 1);
    }

    #[test]
    fn a_stale_disk_keeps_the_own_feed_and_an_unsynced_one_the_others() {
        let other = NodeId::from_bytes([2; 16]);
        let (mut own, mut others) = (delta(0, 1, &[(1, "a")]), delta(0, 1, &[(1, "a")]));
        own.state.owner = ME;
        others.state.owner = other;
        let image = Disk::new(ME);
        let mut disk = image.clone();
        disk.persist(&Transfer::Delta(own)).unwrap();
        disk.save(vec![Transfer::Delta(others)], Vec::new())
            .unwrap();
        let (mut stale, mut unsynced) = (disk.clone(), disk);
        stale.forget_replicas_since(&image);
        unsynced.forget_own_since(&image);
        assert!(stale.own().is_some() && stale.replicas().is_empty());
        assert!(unsynced.own().is_none() && unsynced.replicas().len() == 1);
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
