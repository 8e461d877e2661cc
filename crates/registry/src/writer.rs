//! The author of the own feed.
//!
//! A change gets its dot when it is made, but nobody sees it before it is durable: it is *staged*,
//! then *taken* as a part of a batch on its way to the disk, and *committed* to the registry once
//! the disk has it. Only then do readers, sums and peers meet it. The writer itself has to count
//! what is staged, else two quick writes to one key would each believe to be the first; so it
//! answers its own question of what is in force.

mod batch;
mod burial;
mod outbid;
mod pending;
mod runs;

pub use burial::{Keeps, MARKS_KEPT, RESTAMP_ENTRIES};
pub use outbid::SEQ_FOLLOWED;

use std::collections::{BTreeMap, BTreeSet};

use tidings_types::{
    Change, Content, Dot, Entry, Epoch, Hlc, Key, Lineage, NodeId, SharedWrite, Slot, VectorClock,
    Version,
    limits::{FEED_BYTES, FEED_RECORDS, LINEAGE_EPOCHS, RECORD_BYTES},
};

use self::pending::Pending;
use crate::{
    InForce, Registry, WriteError,
    feed::Feed,
    form::{Standing, fits},
    hash::Weighed,
    stamp::StampClock,
    value::{self, Candidate},
};

/// Slots of the own feed: records, and the tombstones, overrides and removal marks beside them.
pub const FEED_SLOTS: usize = 2 * FEED_RECORDS;
/// Bytes that the own feed may be charged for a record to be taken. The rest is for tombstones, and
/// for what a rolled-back owner wrote in a run that it forgot and did not write again.
pub const FEED_BYTES_WRITTEN: usize = FEED_BYTES / 12 * 11;

/// What a record may grow by in a full feed: its write has a later dot, and a word of it changed.
const STATUS_GROWTH: usize = 128;

/// Gives out dots and holds what is not durable yet.
#[derive(Clone, Debug)]
pub struct Writer {
    me: NodeId,
    epoch: Epoch,
    /// Epochs that this run left after failed saves, and has dots in.
    left: BTreeSet<Epoch>,
    /// The last seq given out.
    written: u64,
    /// The last seq that is part of a batch.
    taken: u64,
    /// Whether a batch of this epoch was committed.
    committed: bool,
    pending: Pending,
    /// Moves that are not committed, with their seqs.
    watermark: Option<(u64, Lineage)>,
    floor: Option<(u64, Epoch)>,
    keeps: Keeps,
    clock: StampClock,
    /// Removals of this run that were not asked of this node, but follow from an override.
    obeyed: BTreeMap<Key, Dot>,
}

impl Writer {
    /// The author of `me`'s feed in the run `epoch`, which must be persisted and greater than
    /// every epoch that the feed has.
    pub fn new(me: NodeId, epoch: Epoch) -> Self {
        Self {
            me,
            epoch,
            left: BTreeSet::new(),
            written: 0,
            taken: 0,
            committed: false,
            pending: Pending::default(),
            watermark: None,
            floor: None,
            keeps: Keeps::default(),
            clock: StampClock::default(),
            obeyed: BTreeMap::new(),
        }
    }

    /// Lets go of the past earlier, or later. A feed of one run is never shortened.
    #[must_use]
    pub fn with_keeps(mut self, keeps: Keeps) -> Self {
        self.keeps = Keeps {
            runs: keeps.runs.max(2),
            ..keeps
        };
        self
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
        body: impl Into<Content>,
    ) -> Result<Option<Dot>, WriteError> {
        if key.owner() != Some(self.me) {
            return Err(WriteError::NotOwned(Box::new(key)));
        }
        let body = body.into();
        if !fits(&key, body.kind()) {
            return Err(WriteError::Kind(Box::new(key)));
        }
        let equal = |entry: &Entry| entry.body.as_ref() == Some(&body);
        if self
            .in_force(registry, &key)
            .is_some_and(|value| equal(value.entry))
        {
            return Ok(None);
        }
        self.check_room(registry, &key, true)?;
        let entry = Entry {
            version: Version::Owner(self.next_dot().into()),
            body: Some(body),
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

    /// Takes an own record out of the feed that another node's override has beaten, so that it stays
    /// away though that override should be forgotten here. `None` if none has: a call that came
    /// since is greater. It is no call of this node's clients, so [`Writer::take_over`] does not
    /// repeat it.
    ///
    /// # Errors
    /// [`WriteError::NotOwned`], [`WriteError::TooManyEpochs`]; nothing was staged.
    pub fn obey(&mut self, registry: &Registry, key: &Key) -> Result<Option<Dot>, WriteError> {
        let overridden = self
            .in_force(registry, key)
            .is_some_and(|value| matches!(value.entry.version, Version::Override(_)));
        if !overridden {
            return Ok(None);
        }
        let dot = self.deregister(registry, key)?;
        if let Some(dot) = dot {
            if self.obeyed.len() >= FEED_SLOTS {
                let stands = |key: &Key, dot: &Dot| {
                    let slot = registry.slot(self.me, key);
                    slot.is_some_and(|change| change.dot(self.me) == *dot)
                };
                self.obeyed.retain(|key, dot| stands(key, dot));
            }
            self.obeyed.insert(key.clone(), dot);
        }
        Ok(dot)
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
        body: Option<Content>,
    ) -> Result<Dot, WriteError> {
        if !key.is_shared() {
            return Err(WriteError::NotShared(Box::new(key)));
        }
        if body.as_ref().is_some_and(|body| !fits(&key, body.kind())) {
            return Err(WriteError::Kind(Box::new(key)));
        }
        self.check_room(registry, &key, body.is_some())?;
        let in_force = self
            .in_force(registry, &key)
            .map(|value| stamp_of(value.entry));
        let stamp = registry
            .stamp_by_wall(wall_ms)
            .or_else(|| self.clock.next(wall_ms, in_force))
            .ok_or(WriteError::StampsExhausted)?;
        let version = Version::Shared(Box::new(SharedWrite {
            stamp,
            dot: self.next_dot(),
            clock: self.everything_seen(registry, &key),
        }));
        let dot = self.stage(registry, key, Slot::Entry(Entry { version, body }))?;
        self.clock.observe(stamp, wall_ms);
        Ok(dot)
    }

    /// Overrides another node's record: a tombstone that beats the registration known here, and none
    /// after it. `None` if there is none, or if this node has overridden it already. That another node
    /// has is not enough: its override may not be on this disk yet, and what is acknowledged outlasts a
    /// crash.
    ///
    /// # Errors
    /// [`WriteError`] if the key is not another node's or the feed is full; nothing was staged.
    pub fn overrule(&mut self, registry: &Registry, key: &Key) -> Result<Option<Dot>, WriteError> {
        if key.owner().is_none_or(|owner| owner == self.me) {
            return Err(WriteError::NotForeign(Box::new(key.clone())));
        }
        let Some(found) = self.in_force(registry, key) else {
            return Ok(None);
        };
        let version = Version::Override(found.entry.version.place());
        let own = self.own_slot(registry, key);
        if matches!(own, Some(Slot::Entry(entry)) if entry.version == version) {
            return Ok(None);
        }
        self.check_room(registry, key, false)?;
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
        self.pending.discard_staged();
        self.watermark.take_if(|(seq, _)| *seq > self.taken);
        self.floor.take_if(|(seq, _)| *seq > self.taken);
        self.written = self.taken;
    }

    /// The clock of a write that has seen every entry of the key.
    fn everything_seen(&self, registry: &Registry, key: &Key) -> VectorClock {
        let mut seen = VectorClock::empty();
        for candidate in self.candidates(registry, key) {
            if let Version::Shared(write) = &candidate.entry.version {
                seen.join(&write.clock);
                seen.insert(write.dot);
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
        let is_entry = |slot: &Slot| matches!(slot, Slot::Entry(_));
        let (mut entries, mut slots) = (entries, slots);
        for (key, standing) in self.pending.iter() {
            let replaced = registry.slot(self.me, key).map(|change| &change.slot);
            slots += usize::from(replaced.is_none());
            entries += usize::from(is_entry(&standing.change.slot));
            entries -= usize::from(replaced.is_some_and(is_entry));
        }
        let records_full = entries >= FEED_RECORDS;
        let slots_full = own.is_none() && slots >= FEED_SLOTS;
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
        let cost = weighed.cost;
        let growth = cost.saturating_sub(self.cost_under(registry, &key));
        // The rest is for what a full feed must not prevent: removals, and the changes of a status.
        let limit = match &slot {
            Slot::Entry(entry) if entry.body.is_some() && growth > STATUS_GROWTH => {
                FEED_BYTES_WRITTEN
            }
            _ => FEED_BYTES,
        };
        // A feed above the limit, joined of two runs, still takes what does not make it grow.
        if growth > 0 && self.cost_with(registry, &key, cost) > limit {
            return Err(WriteError::FeedTooLarge);
        }
        Ok(self.put_hashed(key, slot, weighed))
    }

    /// Bytes that the own feed is charged at most once a slot of that cost stands under `key`. What it
    /// replaces is looked up only where it matters.
    fn cost_with(&self, registry: &Registry, key: &Key, cost: usize) -> usize {
        let feed = registry.feed(self.me);
        let committed = feed.map_or(0, Feed::cost);
        let at_most = committed + self.pending.cost() + cost;
        if at_most <= FEED_BYTES_WRITTEN {
            return at_most;
        }
        let replaced = |key: &Key| {
            feed.and_then(|feed| feed.standing(key))
                .map_or(0, |s| s.cost)
        };
        let pending = self.pending.iter().filter(|(other, _)| *other != key);
        pending.fold(committed + cost - replaced(key), |sum, (key, standing)| {
            sum + standing.cost - replaced(key)
        })
    }

    /// What is charged for what stands under `key`, staged or committed.
    fn cost_under(&self, registry: &Registry, key: &Key) -> usize {
        let committed = || registry.feed(self.me)?.standing(key);
        let standing = self.pending.get(key).or_else(committed);
        standing.map_or(0, |standing| standing.cost)
    }

    /// Stages a change whose record is known to be small enough.
    fn put(&mut self, registry: &Registry, key: Key, slot: Slot) -> Dot {
        let weighed = registry.hasher().slot(self.next_dot(), &key, &slot);
        self.put_hashed(key, slot, weighed)
    }

    fn put_hashed(&mut self, key: Key, slot: Slot, weighed: Weighed) -> Dot {
        let dot = self.take_dot();
        let change = Change {
            place: dot.into(),
            key,
            slot,
        };
        self.pending.stage(Standing::new(change, weighed));
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

fn stamp_of(entry: &Entry) -> Hlc {
    match &entry.version {
        Version::Shared(write) => write.stamp,
        Version::Owner(_) | Version::Override(_) => Hlc::from_bits(0),
    }
}

#[cfg(test)]
mod tests;
