//! The author of the own feed.
//!
//! A change gets its dot when it is made, but nobody sees it before it is durable: it is *staged*,
//! then *taken* as a part of a batch on its way to the disk, and *committed* to the registry once
//! the disk has it. Only then do readers, sums and peers meet it. The writer itself has to count
//! what is staged, else two quick writes to one key would each believe to be the first; so it
//! answers its own question of what is in force.
//!
//! Several batches may be under way. They are committed in the order in which they were taken,
//! since each starts where the one before it ends.
//!
//! Moving the watermark or the floor, and restamping, bury what the owner has not got: after a
//! rollback of its disk this could be its own later removals. The caller must know that no alive
//! node is further in this feed than its owner, and that it is no island, before it calls
//! [`Writer::move_watermark`] or [`Writer::restamp`].

use std::{collections::BTreeMap, sync::Arc};

use tidings_types::{
    Body, Change, Delta, Dot, Entry, Epoch, FeedState, Hlc, Key, Lineage, NodeId, Slot,
    VectorClock, Version,
    limits::{FEED_RECORDS, LINEAGE_EPOCHS, LINEAGE_EPOCHS_WANTED, RECORD_BYTES},
};

use crate::{
    Applied, InForce, Registry, WriteError,
    feed::{Feed, sum_after},
    form::{Standing, fits},
    stamp::StampClock,
    value::{self, Candidate},
};

/// Slots of the own feed: records, and the tombstones, overrides and removal marks beside them.
pub const FEED_SLOTS: usize = 2 * FEED_RECORDS;
/// Removal marks that are kept before the watermark moves, if a quarter of the entries is less.
pub const MARKS_KEPT: usize = 64;
/// Entries that one call of [`Writer::restamp`] gives new dots.
pub const RESTAMP_ENTRIES: usize = 256;

/// Gives out dots and holds what is not durable yet.
#[derive(Clone, Debug)]
pub struct Writer {
    me: NodeId,
    epoch: Epoch,
    /// The last seq given out.
    written: u64,
    /// The last seq that is part of a batch.
    taken: u64,
    /// Per key the newest change that is not committed.
    pending: BTreeMap<Key, Standing>,
    /// What the changes staged since the last batch took the place of, in their order.
    replaced: Vec<(Key, Option<Standing>)>,
    /// Moves that are not committed, with their seqs.
    watermark: Option<(u64, Lineage)>,
    floor: Option<(u64, Epoch)>,
    clock: StampClock,
}

impl Writer {
    /// The author of `me`'s feed in the run `epoch`, which must be persisted and greater than
    /// every epoch that the feed has.
    pub fn new(me: NodeId, epoch: Epoch) -> Self {
        Self {
            me,
            epoch,
            written: 0,
            taken: 0,
            pending: BTreeMap::new(),
            replaced: Vec::new(),
            watermark: None,
            floor: None,
            clock: StampClock::default(),
        }
    }

    /// The present run.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether something was staged since the last batch was taken.
    pub const fn has_staged(&self) -> bool {
        self.written > self.taken
    }

    /// Whether something is staged or on its way to the disk.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty() || self.watermark.is_some() || self.floor.is_some()
    }

    /// The value in force, staged writes counted.
    pub fn in_force<'a>(&'a self, registry: &'a Registry, key: &Key) -> Option<InForce<'a>> {
        value::in_force(self.candidates(registry, key))
    }

    /// Registers an owner key of this node. `None` if the value in force is equal already; it may
    /// still be on its way to the disk ([`InForce::dot`] tells).
    ///
    /// # Errors
    /// [`WriteError`] if key or body are wrong or the feed is full; nothing was staged.
    pub fn register(
        &mut self,
        registry: &Registry,
        key: Key,
        body: Body,
    ) -> Result<Option<Dot>, WriteError> {
        if key.owner() != Some(self.me) {
            return Err(WriteError::NotOwned(Box::new(key)));
        }
        if !fits(&key, &body) {
            return Err(WriteError::Kind(Box::new(key)));
        }
        let equal = |entry: &Entry| entry.body.as_deref() == Some(&body);
        if self
            .in_force(registry, &key)
            .is_some_and(|value| equal(value.entry))
        {
            return Ok(None);
        }
        self.check_room(registry, &key, true)?;
        let entry = Entry {
            version: Version::Owner(self.next_dot()),
            body: Some(Arc::new(body)),
        };
        self.stage(registry, key, Slot::Entry(entry)).map(Some)
    }

    /// Takes an own owner key out of the feed, whether its entry is in force or was overridden.
    /// `None` if the feed has no entry for it.
    ///
    /// # Errors
    /// [`WriteError::NotOwned`], [`WriteError::TooManyEpochs`]; nothing was staged.
    pub fn deregister(
        &mut self,
        registry: &Registry,
        key: &Key,
    ) -> Result<Option<Dot>, WriteError> {
        if key.owner() != Some(self.me) {
            return Err(WriteError::NotOwned(Box::new(key.clone())));
        }
        if !matches!(self.own_slot(registry, key), Some(Slot::Entry(_))) {
            return Ok(None);
        }
        self.check_epochs(registry)?;
        Ok(Some(self.put(registry, key.clone(), Slot::RemovalMark)))
    }

    /// Writes a shared key; a tombstone if there is no body. Always takes a dot, and beats
    /// everything that this node has seen of the key, whatever the clocks say.
    ///
    /// # Errors
    /// [`WriteError`] if key or body are wrong, the feed is full or no stamp is left; nothing was
    /// staged.
    pub fn write_shared(
        &mut self,
        registry: &Registry,
        wall_ms: u64,
        key: Key,
        body: Option<Body>,
    ) -> Result<Dot, WriteError> {
        if !key.is_shared() {
            return Err(WriteError::NotShared(Box::new(key)));
        }
        if body.as_ref().is_some_and(|body| !fits(&key, body)) {
            return Err(WriteError::Kind(Box::new(key)));
        }
        self.check_room(registry, &key, body.is_some())?;
        let in_force = self
            .in_force(registry, &key)
            .map(|value| stamp_of(value.entry));
        let stamp = self
            .clock
            .next(wall_ms, in_force)
            .ok_or(WriteError::StampsExhausted)?;
        let version = Version::Shared {
            stamp,
            dot: self.next_dot(),
            clock: self.everything_seen(registry, &key),
        };
        let body = body.map(Arc::new);
        let dot = self.stage(registry, key, Slot::Entry(Entry { version, body }))?;
        self.clock.observe(stamp, wall_ms);
        Ok(dot)
    }

    /// Overrides another node's record: a tombstone that beats the registration in force here, and
    /// none after it. `None` if nothing live is in force.
    ///
    /// # Errors
    /// [`WriteError`] if the key is not another node's or the feed is full; nothing was staged.
    pub fn overrule(&mut self, registry: &Registry, key: &Key) -> Result<Option<Dot>, WriteError> {
        if key.owner().is_none_or(|owner| owner == self.me) {
            return Err(WriteError::NotForeign(Box::new(key.clone())));
        }
        let live = self
            .in_force(registry, key)
            .filter(|value| value.entry.body.is_some())
            .map(|value| value.entry.version.dot());
        let Some(seen) = live else {
            return Ok(None);
        };
        self.check_room(registry, key, false)?;
        let version = Version::Override(seen);
        let tombstone = Slot::Entry(Entry {
            version,
            body: None,
        });
        self.stage(registry, key.clone(), tombstone).map(Some)
    }

    /// Follows the stamp of a received write, unless it is more than
    /// [`ADOPTION_MS`](crate::ADOPTION_MS) ahead of the wall clock. Whether it was: to be counted
    /// and reported.
    pub fn observe(&mut self, stamp: Hlc, wall_ms: u64) -> bool {
        self.clock.observe(stamp, wall_ms)
    }

    /// Takes back everything staged since the last batch was taken: a command that fails half-way
    /// leaves nothing behind. Its seqs were seen by nobody and are given out again.
    pub fn discard_staged(&mut self) {
        while let Some((key, replaced)) = self.replaced.pop() {
            match replaced {
                Some(standing) => self.pending.insert(key, standing),
                None => self.pending.remove(&key),
            };
        }
        self.watermark.take_if(|(seq, _)| *seq > self.taken);
        self.floor.take_if(|(seq, _)| *seq > self.taken);
        self.written = self.taken;
    }

    /// Whether [`Writer::move_watermark`] or [`Writer::restamp`] has something to do.
    pub fn is_tidying_due(&self, registry: &Registry) -> bool {
        self.intact_feed(registry).is_some_and(|feed| {
            self.watermark.is_none() && has_many_marks(feed)
                || self.floor.is_none() && has_many_epochs(feed)
        })
    }

    /// Moves the watermark up to all that is committed, if that lets enough removal marks go.
    /// See the module's last paragraph for when this may be called.
    pub fn move_watermark(&mut self, registry: &Registry) -> Option<Dot> {
        let feed = self.intact_feed(registry)?;
        if !has_many_marks(feed) || self.watermark.is_some() {
            return None;
        }
        let position = feed.lineage().clone();
        let dot = self.take_dot();
        self.watermark = Some((dot.seq, position));
        Some(dot)
    }

    /// Shortens a lineage of more than
    /// [`LINEAGE_EPOCHS_WANTED`](tidings_types::limits::LINEAGE_EPOCHS_WANTED) epochs by half:
    /// gives the entries of the oldest epochs new dots, at most [`RESTAMP_ENTRIES`] in one call,
    /// their versions unchanged since nobody wrote them anew; then raises the floor. The last dot
    /// staged, or `None` if there is nothing to do. See the module's last paragraph for when this
    /// may be called.
    pub fn restamp(&mut self, registry: &Registry) -> Option<Dot> {
        let feed = self.intact_feed(registry)?;
        if !has_many_epochs(feed) || self.floor.is_some() {
            return None;
        }
        let kept = feed
            .lineage()
            .heads()
            .rev()
            .nth(LINEAGE_EPOCHS_WANTED / 2 - 1);
        let (floor, _) = kept.expect("more epochs than are kept");
        let mut old = feed.below(floor).filter(|standing| {
            !standing.is_mark() && !self.pending.contains_key(&standing.change.key)
        });
        let batch: Vec<Change> = old
            .by_ref()
            .take(RESTAMP_ENTRIES)
            .map(|s| s.change.clone())
            .collect();
        let done = old.next().is_none();
        let last = batch
            .into_iter()
            .map(|change| self.put(registry, change.key, change.slot))
            .last();
        if !done {
            return last;
        }
        let dot = self.take_dot();
        self.floor = Some((dot.seq, floor));
        Some(dot)
    }

    /// Everything staged since the last call, as one delta of the own feed, to be made durable.
    pub fn take_batch(&mut self, registry: &Registry) -> Option<Delta> {
        if !self.has_staged() {
            return None;
        }
        self.replaced.clear();
        let held = registry.lineage(self.me);
        let from = self.position(&held, self.taken);
        let lineage = self.position(&held, self.written);
        let empty = Feed::new(self.me);
        let feed = registry.feed(self.me).unwrap_or(&empty);
        let mut watermark = feed.watermark().clone();
        let moved = self.watermark.as_ref().map(|(_, position)| position);
        moved
            .into_iter()
            .for_each(|position| watermark.join(position));
        let floor = self.floor.map(|(_, floor)| floor);
        let sum = sum_after(feed, &self.pending, moved, floor);
        let mut changes: Vec<Change> = self
            .pending
            .values()
            .filter(|standing| standing.change.seq > self.taken)
            .map(|standing| standing.change.clone())
            .collect();
        changes.sort_by_key(|change| change.seq);
        self.taken = self.written;
        let state = FeedState {
            owner: self.me,
            lineage,
            watermark,
            needs: feed.state().needs,
            sum,
        };
        Some(Delta {
            from,
            state,
            changes,
        })
    }

    /// Makes a batch visible that is durable now. Batches are committed in the order in which they
    /// were taken; one of an abandoned epoch changes nothing.
    pub fn commit(&mut self, registry: &mut Registry, batch: Delta) -> Applied {
        assert_eq!(
            batch.state.owner, self.me,
            "a writer commits its own batches"
        );
        let upto = batch.state.lineage.head(self.epoch);
        if upto == 0 {
            return Applied::default();
        }
        registry.set_own_epoch(self.epoch);
        let applied = registry.adopt(batch);
        self.pending
            .retain(|_, standing| standing.change.seq > upto);
        self.watermark.take_if(|(seq, _)| *seq <= upto);
        self.floor.take_if(|(seq, _)| *seq <= upto);
        applied
    }

    /// After a failed save: drops everything that is staged or under way, and goes on in a new
    /// epoch, which must be persisted and greater than the present one.
    pub fn abandon(&mut self, epoch: Epoch) {
        assert!(epoch > self.epoch, "epochs grow");
        *self = Self {
            clock: self.clock.clone(),
            ..Self::new(self.me, epoch)
        };
    }

    /// Takes an epoch above a greater one that the own feed turned out to have
    /// ([`Rejected::EpochExceeded`](crate::Rejected::EpochExceeded)), and stages again, as new
    /// writes, what this run wrote and nobody has beaten since: its calls came last. Call it before
    /// the greater epoch is applied, which then finds these changes above it.
    ///
    /// # Errors
    /// The first [`WriteError`] of a shared key that cannot be written again; the rest is staged.
    pub fn take_over(
        &mut self,
        registry: &mut Registry,
        epoch: Epoch,
        wall_ms: u64,
    ) -> Result<(), WriteError> {
        let written = self.written_in_this_run(registry);
        self.abandon(epoch);
        registry.set_own_epoch(epoch);
        let mut outcome = Ok(());
        for (key, slot) in written {
            let again = self.write_again(registry, wall_ms, key, slot);
            outcome = outcome.and_then(|()| again.map(drop));
        }
        outcome
    }

    /// Per key the last write of this run; restamps are no writes.
    fn written_in_this_run(&self, registry: &Registry) -> Vec<(Key, Slot)> {
        let committed = registry
            .changes(self.me)
            .filter(|change| change.epoch == self.epoch && !self.pending.contains_key(&change.key));
        let pending = self.pending.values().map(|standing| &standing.change);
        let mut written: Vec<&Change> = committed.chain(pending).collect();
        written.retain(|change| !is_restamp(change) && self.stands(registry, change));
        written.sort_by_key(|change| change.seq);
        let slots = written
            .into_iter()
            .map(|change| (change.key.clone(), change.slot.clone()));
        slots.collect()
    }

    /// Whether an own change is in force, or removes.
    fn stands(&self, registry: &Registry, change: &Change) -> bool {
        let in_force = self.in_force(registry, &change.key);
        matches!(change.slot, Slot::RemovalMark)
            || in_force.is_some_and(|value| value.dot == change.dot(self.me))
    }

    fn write_again(
        &mut self,
        registry: &Registry,
        wall_ms: u64,
        key: Key,
        slot: Slot,
    ) -> Result<Dot, WriteError> {
        let Slot::Entry(Entry { version, body }) = slot else {
            return Ok(self.put(registry, key, Slot::RemovalMark));
        };
        let version = match version {
            Version::Owner(_) => Version::Owner(self.next_dot()),
            Version::Override(seen) => Version::Override(seen),
            Version::Shared { .. } => {
                let body = body.map(Arc::unwrap_or_clone);
                return self.write_shared(registry, wall_ms, key, body);
            }
        };
        Ok(self.put(registry, key, Slot::Entry(Entry { version, body })))
    }

    /// The own position once everything up to `seq` of this run is committed.
    fn position(&self, held: &Lineage, seq: u64) -> Lineage {
        let mut position = held.clone();
        if let Some((_, floor)) = self.floor.filter(|&(moved, _)| moved <= seq) {
            position.raise_floor(floor);
        }
        position.advance(self.epoch, seq);
        position
    }

    /// The clock of a write that has seen every entry of the key.
    fn everything_seen(&self, registry: &Registry, key: &Key) -> VectorClock {
        let mut seen = VectorClock::empty();
        for candidate in self.candidates(registry, key) {
            if let Version::Shared { dot, clock, .. } = &candidate.entry.version {
                seen.join(clock);
                seen.insert(*dot);
            }
        }
        seen
    }

    /// The entries of all feeds for a key, with the pending one in place of the own one.
    fn candidates<'a>(
        &'a self,
        registry: &'a Registry,
        key: &Key,
    ) -> impl Iterator<Item = Candidate<'a>> + Clone {
        let pending = self.pending.get(key);
        let committed = registry
            .candidates(key)
            .filter(move |candidate| pending.is_none() || candidate.holder != self.me);
        let own = pending.and_then(|standing| match &standing.change.slot {
            Slot::Entry(entry) => Some(Candidate {
                holder: self.me,
                dot: standing.change.dot(self.me),
                entry,
            }),
            Slot::RemovalMark => None,
        });
        committed.chain(own)
    }

    fn own_slot<'a>(&'a self, registry: &'a Registry, key: &Key) -> Option<&'a Slot> {
        let pending = self.pending.get(key).map(|standing| &standing.change);
        let change = pending.or_else(|| registry.slot(self.me, key))?;
        Some(&change.slot)
    }

    /// A feed that has lost slots must not bury anything.
    fn intact_feed<'a>(&self, registry: &'a Registry) -> Option<&'a Feed> {
        registry.feed(self.me).filter(|feed| !feed.is_damaged())
    }

    /// Records have their limit; tombstones and overrides may go beyond it, so that a full feed
    /// can still delete.
    fn check_room(&self, registry: &Registry, key: &Key, record: bool) -> Result<(), WriteError> {
        self.check_epochs(registry)?;
        let own = self.own_slot(registry, key);
        let (entries, slots) = registry
            .feed(self.me)
            .map_or((0, 0), |feed| (feed.entries(), feed.slot_count()));
        let near = slots + self.pending.len() >= FEED_RECORDS;
        let new_entry = !matches!(own, Some(Slot::Entry(_)));
        if !near || !new_entry {
            return Ok(());
        }
        let added = |counts: fn(&Slot) -> bool| {
            let keys = self.pending.iter().filter(|(_, s)| counts(&s.change.slot));
            keys.filter(|(key, _)| !registry.slot(self.me, key).is_some_and(|c| counts(&c.slot)))
                .count()
        };
        let records_full = entries + added(|slot| matches!(slot, Slot::Entry(_))) >= FEED_RECORDS;
        let slots_full = own.is_none() && slots + added(|_| true) >= FEED_SLOTS;
        if record && records_full || slots_full {
            return Err(WriteError::FeedFull);
        }
        Ok(())
    }

    /// A position with more epochs than its limit could not be sent to anybody.
    fn check_epochs(&self, registry: &Registry) -> Result<(), WriteError> {
        let full = registry.feed(self.me).is_some_and(|feed| {
            feed.lineage().epochs() >= LINEAGE_EPOCHS && feed.lineage().head(self.epoch) == 0
        });
        if full && self.floor.is_none() {
            return Err(WriteError::TooManyEpochs);
        }
        Ok(())
    }

    /// Stages a change of the caller's making, if its record is not too large.
    fn stage(&mut self, registry: &Registry, key: Key, slot: Slot) -> Result<Dot, WriteError> {
        let weighed = registry.hasher().slot(self.next_dot(), &key, &slot);
        if weighed.bytes > RECORD_BYTES {
            let bytes = weighed.bytes;
            return Err(WriteError::TooLarge { bytes });
        }
        Ok(self.put_hashed(key, slot, weighed.hash))
    }

    /// Stages a change whose record is known to be small enough.
    fn put(&mut self, registry: &Registry, key: Key, slot: Slot) -> Dot {
        let hash = registry.hasher().slot(self.next_dot(), &key, &slot).hash;
        self.put_hashed(key, slot, hash)
    }

    fn put_hashed(&mut self, key: Key, slot: Slot, hash: u128) -> Dot {
        let dot = self.take_dot();
        let change = Change {
            epoch: dot.epoch,
            seq: dot.seq,
            key: key.clone(),
            slot,
        };
        let replaced = self.pending.insert(key.clone(), Standing { change, hash });
        self.replaced.push((key, replaced));
        dot
    }

    const fn next_dot(&self) -> Dot {
        Dot {
            epoch: self.epoch,
            seq: self.written + 1,
            node: self.me,
        }
    }

    const fn take_dot(&mut self) -> Dot {
        self.written += 1;
        Dot {
            epoch: self.epoch,
            seq: self.written,
            node: self.me,
        }
    }
}

fn has_many_marks(feed: &Feed) -> bool {
    feed.marks() > MARKS_KEPT.max(feed.entries() / 4)
}

fn has_many_epochs(feed: &Feed) -> bool {
    feed.lineage().epochs() > LINEAGE_EPOCHS_WANTED
}

fn is_restamp(change: &Change) -> bool {
    match &change.slot {
        Slot::Entry(Entry {
            version: Version::Owner(dot) | Version::Shared { dot, .. },
            ..
        }) => (dot.epoch, dot.seq) != (change.epoch, change.seq),
        Slot::Entry(_) | Slot::RemovalMark => false,
    }
}

const fn stamp_of(entry: &Entry) -> Hlc {
    match entry.version {
        Version::Shared { stamp, .. } => stamp,
        Version::Owner(_) | Version::Override(_) => Hlc::from_bits(0),
    }
}

#[cfg(test)]
mod tests;
