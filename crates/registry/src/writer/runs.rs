//! Leaving an epoch: after a failed save, or because the feed has a greater one.

use tidings_types::{Body, Change, Content, Dot, Entry, Epoch, Key, Slot, Version};

use super::Writer;
use crate::{Registry, WriteError};

impl Writer {
    /// After a failed save, once all before it is committed: drops what is staged or under way. A
    /// new epoch must follow before the next write, since the disk may hold these dots.
    pub fn give_up(&mut self) {
        self.pending.clear();
        self.watermark = None;
        self.floor = None;
        self.taken = self.written;
    }

    /// After a failed save: drops everything that is staged or under way, and goes on in a new
    /// epoch, which must be persisted and greater than the present one.
    pub fn abandon(&mut self, epoch: Epoch) {
        assert!(epoch > self.epoch, "epochs grow");
        let mut left = std::mem::take(&mut self.left);
        if self.committed {
            left.insert(self.epoch);
        }
        *self = Self {
            clock: self.clock.clone(),
            obeyed: std::mem::take(&mut self.obeyed),
            left,
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
        self.left.clear();
        registry.set_own_epoch(epoch);
        let mut outcome = Ok(());
        for (key, slot) in written {
            let again = self.write_again(registry, wall_ms, key, slot);
            outcome = outcome.and_then(|()| again.map(drop));
        }
        outcome
    }

    /// The own instances and checks that this run registered and that still stand.
    pub fn registered_in_this_run(&self, registry: &Registry) -> Vec<(Key, Body)> {
        let written = self.written_in_this_run(registry).into_iter();
        written
            .filter_map(|(key, slot)| match (&key, slot) {
                (Key::Instance(..) | Key::Check(..), Slot::Entry(entry)) => {
                    Some((key, entry.body?.body()))
                }
                _ => None,
            })
            .collect()
    }

    /// The own record that stands under a key since before this run.
    pub fn inherited(&self, registry: &Registry, key: &Key) -> Option<Content> {
        match &registry.slot(self.me, key)?.slot {
            Slot::Entry(Entry {
                version: Version::Owner(dot),
                body,
            }) if !self.is_of_this_run(dot.epoch) => body.clone(),
            _ => None,
        }
    }

    fn is_of_this_run(&self, epoch: Epoch) -> bool {
        epoch == self.epoch || self.left.contains(&epoch)
    }

    /// Per key the last write of this run; restamps are no writes, nor is what obeys an override.
    fn written_in_this_run(&self, registry: &Registry) -> Vec<(Key, Slot)> {
        let committed = registry
            .changes(self.me)
            .filter(|change| self.is_of_this_run(change.place.epoch))
            .filter(|change| !self.pending.holds(&change.key));
        let pending = self.pending.values().map(|standing| &standing.change);
        let mut written: Vec<&Change> = committed.chain(pending).collect();
        written.retain(|change| {
            let obeys = self.obeyed.get(&change.key) == Some(&change.dot(self.me));
            !obeys && !is_restamp(change) && self.stands(registry, change)
        });
        written.sort_by_key(|change| change.place);
        let slots = written
            .into_iter()
            .map(|change| (change.key.clone(), change.slot.clone()));
        slots.collect()
    }

    /// Whether an own change is in force, or removes, or was beaten only by an override that names a
    /// greater run: whoever wrote that had not seen this change, which came last.
    fn stands(&self, registry: &Registry, change: &Change) -> bool {
        if matches!(change.slot, Slot::RemovalMark) {
            return true;
        }
        self.in_force(registry, &change.key).is_some_and(|value| {
            let version = &value.entry.version;
            value.dot == change.dot(self.me)
                || matches!(version, Version::Override(seen) if seen.epoch > self.epoch)
        })
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
            Version::Owner(_) => Version::Owner(self.next_dot().into()),
            Version::Override(seen) => Version::Override(seen),
            Version::Shared(_) => {
                return self.write_shared(registry, wall_ms, key, body);
            }
        };
        Ok(self.put(registry, key, Slot::Entry(Entry { version, body })))
    }
}

fn is_restamp(change: &Change) -> bool {
    match &change.slot {
        Slot::Entry(Entry {
            version: version @ (Version::Owner(_) | Version::Shared(_)),
            ..
        }) => version.place() != change.place,
        Slot::Entry(_) | Slot::RemovalMark => false,
    }
}
