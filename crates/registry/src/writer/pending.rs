//! What the writer has given dots and nobody has seen yet.
//!
//! With a slow disk a thousand changes wait here while commands go on coming. So what each command has to
//! know of all of them is kept up to date instead of being counted again: what they cost, and the sum
//! that the feed will have.

use std::collections::{BTreeMap, BTreeSet, btree_map::Values};

use tidings_types::{Change, Epoch, Key, Lineage};

use crate::{feed::Feed, form::Standing};

/// Per key the newest change that is not committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    changes: BTreeMap<Key, Standing>,
    cost: usize,
    /// What the changes staged since the last batch took the place of, in their order.
    replaced: Vec<(Key, Option<Standing>)>,
    foretold: Option<Foretold>,
}

/// The feed's sum once everything that was taken is committed.
#[derive(Clone, Copy, Debug)]
struct Foretold {
    /// The sum that the feed has now. If it has another one, this tells nothing.
    now: u128,
    then: u128,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Standing> {
        self.changes.get(key)
    }

    pub(super) fn holds(&self, key: &Key) -> bool {
        self.changes.contains_key(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Standing)> {
        self.changes.iter()
    }

    pub(super) fn values(&self) -> Values<'_, Key, Standing> {
        self.changes.values()
    }

    /// What the feed is charged for all of them.
    pub(super) const fn cost(&self) -> usize {
        self.cost
    }

    /// Adds a change that is newer than all others.
    pub(super) fn stage(&mut self, standing: Standing) {
        let key = standing.change.key.clone();
        let replaced = self.put(standing);
        self.replaced.push((key, replaced));
    }

    /// Takes back what was staged since the last batch.
    pub(super) fn discard_staged(&mut self) {
        while let Some((key, replaced)) = self.replaced.pop() {
            match replaced {
                Some(standing) => drop(self.put(standing)),
                None => drop(self.remove(&key)),
            }
        }
    }

    /// What was staged since the last call, each key once, in the order of the dots.
    pub(super) fn take_staged(&mut self) -> Vec<Change> {
        let staged = std::mem::take(&mut self.replaced).into_iter();
        let mut staged: Vec<&Change> = staged
            .filter_map(|(key, _)| self.changes.get(&key).map(|standing| &standing.change))
            .collect();
        staged.sort_by_key(|change| change.place.seq);
        staged.dedup_by_key(|change| change.place.seq);
        staged.into_iter().cloned().collect()
    }

    /// Foretells the sum that `feed` will have once everything is committed, if what was taken before was
    /// foretold and nothing else has changed the feed since. Call it before [`Pending::take_staged`].
    pub(super) fn sum_with_staged(&self, feed: &Feed) -> Option<u128> {
        let before = self.foretold.filter(|told| told.now == feed.sum())?;
        let mut sum = before.then;
        let mut seen = BTreeSet::new();
        for (key, replaced) in &self.replaced {
            // Of two changes of one key the first took the place of what was there before.
            if seen.insert(key) {
                let old = replaced.as_ref().or_else(|| feed.standing(key));
                let new = self.changes.get(key);
                sum = sum
                    .wrapping_sub(old.map_or(0, |standing| standing.hash))
                    .wrapping_add(new.map_or(0, |standing| standing.hash));
            }
        }
        Some(sum)
    }

    /// The sum that `feed` will have once everything is committed and its `watermark` and `floor` have
    /// moved, counted from the beginning.
    ///
    /// What is pending is the owner's newest, so each replaces what stands under its key and none is
    /// covered by the watermark.
    pub(super) fn sum_counted(
        &self,
        feed: &Feed,
        watermark: Option<&Lineage>,
        floor: Option<Epoch>,
    ) -> u128 {
        let mut sum = feed.sum();
        for (key, standing) in &self.changes {
            let replaced = feed.standing(key).map_or(0, |held| held.hash);
            sum = sum.wrapping_sub(replaced).wrapping_add(standing.hash);
        }
        let floor = floor.unwrap_or(Epoch::ZERO);
        let buried = watermark
            .into_iter()
            .flat_map(|watermark| feed.buried(watermark));
        let above = buried.filter(|standing| standing.change.place.epoch >= floor);
        above
            .chain(feed.below(floor))
            .filter(|standing| !self.holds(&standing.change.key))
            .fold(sum, |sum, standing| sum.wrapping_sub(standing.hash))
    }

    /// Takes note of the sum that `feed` will have.
    pub(super) fn foretell(&mut self, feed: &Feed, then: u128) {
        self.foretold = Some(Foretold {
            now: feed.sum(),
            then,
        });
    }

    /// Takes note that the sum cannot be foretold by what is staged alone.
    pub(super) const fn foretell_nothing(&mut self) {
        self.foretold = None;
    }

    /// These changes are in the feed now, which has come to `sum` by them alone if that is
    /// `expected`.
    pub(super) fn commit(&mut self, keys: &[Key], upto: u64, (sum, expected): (u128, u128)) {
        for key in keys {
            let is_old = |standing: &&Standing| standing.change.place.seq <= upto;
            if self.changes.get(key).filter(is_old).is_some() {
                self.remove(key);
            }
        }
        for (_, replaced) in &mut self.replaced {
            replaced.take_if(|standing| standing.change.place.seq <= upto);
        }
        let told = self.foretold.filter(|_| sum == expected);
        self.foretold = told.map(|told| Foretold { now: sum, ..told });
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn put(&mut self, standing: Standing) -> Option<Standing> {
        self.cost += standing.cost;
        let replaced = self.changes.insert(standing.change.key.clone(), standing);
        self.cost -= replaced.as_ref().map_or(0, |standing| standing.cost);
        replaced
    }

    fn remove(&mut self, key: &Key) -> Option<Standing> {
        let removed = self.changes.remove(key);
        self.cost -= removed.as_ref().map_or(0, |standing| standing.cost);
        removed
    }
}
