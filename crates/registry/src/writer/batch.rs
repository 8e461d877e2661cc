//! From staged to durable to visible: batches.
//!
//! Several may be under way. They are committed in the order in which they were taken, since each
//! starts where the one before it ends. A batch foretells the feed's sum at its end, because it
//! goes to the disk, and later to peers, as it is.

use tidings_types::{Change, Delta, FeedState, Key, Lineage};

use super::Writer;
use crate::{
    Applied, Registry,
    feed::Feed,
    form::{Standing, trust},
};

impl Writer {
    /// Everything staged since the last call, as one delta of the own feed, to be made durable.
    pub fn take_batch(&mut self, registry: &Registry) -> Option<Delta> {
        if !self.has_staged() {
            return None;
        }
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
        let count = || self.pending.sum_counted(feed, moved, floor);
        let sum = if moved.is_some() || floor.is_some() {
            let sum = count();
            self.pending.foretell_nothing();
            sum
        } else {
            let sum = self.pending.sum_with_staged(feed).unwrap_or_else(count);
            debug_assert_eq!(sum, count(), "what is kept up to date is what is there");
            self.pending.foretell(feed, sum);
            sum
        };
        let changes = self.pending.take_staged();
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
        self.committed = true;
        let Delta {
            from,
            state,
            changes,
        } = batch;
        let keys: Vec<Key> = changes.iter().map(|change| change.key.clone()).collect();
        let foretold = state.sum;
        let weighed = changes
            .into_iter()
            .map(|change| self.weighed(registry, change));
        let batch = trust(state, weighed.collect());
        let applied = registry.join_delta(from, batch);
        let sum = registry.feed(self.me).map_or(0, Feed::sum);
        self.pending.commit(&keys, upto, (sum, foretold));
        self.watermark.take_if(|(seq, _)| *seq <= upto);
        if let Some((_, floor)) = self.floor.take_if(|(seq, _)| *seq <= upto) {
            self.left = self.left.split_off(&floor);
        }
        applied
    }

    /// The change with what was counted of it when it was staged, unless it was replaced since.
    fn weighed(&self, registry: &Registry, change: Change) -> Standing {
        let staged = self.pending.get(&change.key);
        match staged.filter(|staged| staged.change.place == change.place) {
            Some(&Standing { hash, cost, .. }) => Standing { change, hash, cost },
            None => {
                let dot = change.dot(self.me);
                let weighed = registry.hasher().slot(dot, &change.key, &change.slot);
                Standing::new(change, weighed)
            }
        }
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
}
