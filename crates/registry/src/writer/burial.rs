//! Moving the watermark and the floor: what lets a feed forget.
//!
//! Both bury what the owner has not got: after a rollback of its disk this could be its own later
//! removals, which it has yet to relearn. So the caller must know, before it calls either, that no
//! alive node is further in this feed than its owner, and that it is no island.
//!
//! A node that cannot be asked may still be further, in a run that the owner has forgotten the end of.
//! Marks may not go before what it holds is covered: one that is later than such a dot and was
//! forgotten would let its record come back, at one replica and not at another. So the floor rises to
//! the present run first, and the watermark moves in a feed of one run only.

use tidings_types::{
    Change, Dot, Epoch,
    limits::{LINEAGE_EPOCHS, LINEAGE_EPOCHS_WANTED},
};

use super::{FEED_BYTES_WRITTEN, FEED_SLOTS, Writer};
use crate::{Registry, feed::Feed};

/// Removal marks that are kept before the watermark moves, if a quarter of the entries is less.
pub const MARKS_KEPT: usize = 64;

/// What a feed may hold of its past before it lets go of some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeps {
    /// Removal marks, if a quarter of the entries is less.
    pub marks: usize,
    /// Runs in the lineage, two at least: half of them stay.
    pub runs: usize,
}

impl Default for Keeps {
    fn default() -> Self {
        Self {
            marks: MARKS_KEPT,
            runs: LINEAGE_EPOCHS_WANTED,
        }
    }
}

/// Entries that one call of [`Writer::restamp`] gives new dots.
pub const RESTAMP_ENTRIES: usize = 256;

impl Writer {
    /// Whether [`Writer::move_watermark`] or [`Writer::restamp`] has something to do.
    pub fn is_tidying_due(&self, registry: &Registry) -> bool {
        self.intact_feed(registry).is_some_and(|feed| {
            self.watermark.is_none() && self.has_many_marks(feed)
                || self.floor.is_none() && self.wanted_floor(feed).is_some()
        })
    }

    /// Whether the own feed must let something go, or its owner will soon be refused: it has used most
    /// of its slots, its bytes or its runs.
    pub fn must_forget(&self, registry: &Registry) -> bool {
        registry.feed(self.me).is_some_and(|feed| {
            feed.slot_count() > FEED_SLOTS / 4 * 3
                || feed.cost() > FEED_BYTES_WRITTEN / 4 * 3
                || feed.lineage().epochs() > LINEAGE_EPOCHS / 2
        })
    }

    /// Whether the own feed gives no cause for either, whatever is staged. It stays so while the
    /// registry's fingerprint does.
    pub fn is_tidy(&self, registry: &Registry) -> bool {
        let feed = self.intact_feed(registry);
        feed.is_some_and(|feed| !self.has_many_marks(feed) && !self.has_many_runs(feed))
    }

    /// Moves the watermark up to all that is committed, if that lets enough removal marks go.
    /// Only while the owner is no island and no alive node is further in its feed.
    pub fn move_watermark(&mut self, registry: &Registry) -> Option<Dot> {
        let feed = self.intact_feed(registry)?;
        if !self.has_many_marks(feed) || self.watermark.is_some() || !self.is_of_one_run(feed) {
            return None;
        }
        let position = feed.lineage().clone();
        let dot = self.take_dot();
        self.watermark = Some((dot.seq, position));
        Some(dot)
    }

    /// Shortens a lineage of more than [`Keeps::runs`] epochs by half, or to the present
    /// one if the watermark is to move: gives the entries of the older epochs new dots, at most
    /// [`RESTAMP_ENTRIES`] in one call, their versions unchanged since nobody wrote them anew; then
    /// raises the floor. The last dot
    /// staged, or `None` if there is nothing to do. Only while the owner is no island and no alive
    /// node is further in its feed.
    pub fn restamp(&mut self, registry: &Registry) -> Option<Dot> {
        let feed = self.intact_feed(registry)?;
        let floor = self.wanted_floor(feed).filter(|_| self.floor.is_none())?;
        let mut old = feed
            .below(floor)
            .filter(|standing| !standing.is_mark() && !self.pending.holds(&standing.change.key));
        // A lineage at its limit cannot take a dot of this run before the floor moves with it.
        let at_once = if self.check_epochs(registry).is_err() {
            usize::MAX
        } else {
            RESTAMP_ENTRIES
        };
        let batch: Vec<Change> = old
            .by_ref()
            .take(at_once)
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

    /// Where the floor ought to be, if not where it is.
    fn wanted_floor(&self, feed: &Feed) -> Option<Epoch> {
        if self.has_many_marks(feed) && !self.is_of_one_run(feed) {
            return Some(self.epoch);
        }
        let newest_first = feed.lineage().heads().rev().map(|(epoch, _)| epoch);
        let mut kept = newest_first.skip(self.keeps.runs / 2 - 1);
        self.has_many_runs(feed).then(|| kept.next()).flatten()
    }

    /// Whether every dot of the feed is of the present run.
    fn is_of_one_run(&self, feed: &Feed) -> bool {
        let mut heads = feed.lineage().heads();
        heads.all(|(epoch, _)| epoch == self.epoch)
    }

    /// A feed that has lost slots must not bury anything.
    fn intact_feed<'a>(&self, registry: &'a Registry) -> Option<&'a Feed> {
        registry.feed(self.me).filter(|feed| !feed.is_damaged())
    }

    fn has_many_marks(&self, feed: &Feed) -> bool {
        feed.marks() > self.keeps.marks.max(feed.entries() / 4)
    }

    fn has_many_runs(&self, feed: &Feed) -> bool {
        feed.lineage().epochs() > self.keeps.runs
    }
}
