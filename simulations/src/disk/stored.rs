//! One feed on a disk, and how batches and snapshots change it.

use std::collections::BTreeMap;

use tidings_types::{Change, Delta, FeedState, Key, Slot, Snapshot};

/// A feed as a disk has it.
#[derive(Clone, Debug)]
pub(super) struct StoredFeed {
    pub(super) state: FeedState,
    pub(super) slots: BTreeMap<Key, Change>,
}

impl StoredFeed {
    pub(super) fn new(state: &FeedState, changes: &[Change]) -> Self {
        let mut feed = Self {
            state: state.clone(),
            slots: changes.iter().map(|c| (c.key.clone(), c.clone())).collect(),
        };
        feed.settle(state);
        feed
    }

    pub(super) fn join_delta(&mut self, delta: &Delta) -> Result<(), String> {
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

    pub(super) fn take_uncovered(&mut self, changes: &[Change]) {
        for change in changes {
            let known = self
                .state
                .lineage
                .covers_dot(change.place.epoch, change.place.seq);
            let older = self
                .slots
                .get(&change.key)
                .is_some_and(|held| held.place >= change.place);
            if !known && !older {
                self.slots.insert(change.key.clone(), change.clone());
            }
        }
    }

    /// Joins the positions and drops what watermark and floor leave out.
    pub(super) fn settle(&mut self, state: &FeedState) {
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
                && watermark.covers_dot(held.place.epoch, held.place.seq);
            held.place.epoch >= lineage.floor() && !buried
        });
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut changes: Vec<Change> = self.slots.values().cloned().collect();
        changes.sort_by_key(|change| change.place);
        Snapshot {
            state: self.state.clone(),
            changes,
        }
    }
}
