//! Deltas that came before what they build on.
//!
//! They wait here until the gap below them is closed, and nothing else sees them: no reader, no
//! sum, no position, no disk. A full buffer refuses the newcomer, whoever it is about, since the
//! gap is asked for anyway and what waits longest is nearest to its turn.

use std::collections::BTreeMap;

use tidings_types::{Lineage, NodeId};

use crate::form::Checked;

/// Deltas of one feed that wait.
pub const AHEAD_DELTAS_PER_FEED: usize = 64;
/// Bytes of one feed's deltas that wait.
pub const AHEAD_BYTES_PER_FEED: usize = 1 << 20;
/// Bytes of all deltas that wait.
pub const AHEAD_BYTES: usize = 32 << 20;

#[derive(Clone, Debug, Default)]
pub(crate) struct Ahead {
    waiting: BTreeMap<NodeId, Vec<Waiting>>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Waiting {
    from: Lineage,
    delta: Checked,
    bytes: usize,
}

impl Ahead {
    /// Keeps a delta that starts at `from`; whether it is kept now, or was before.
    pub(crate) fn keep(&mut self, from: Lineage, delta: Checked) -> bool {
        let bytes = weight(&from, &delta);
        let queue = self.waiting.entry(delta.state.owner).or_default();
        let known = queue
            .iter()
            .any(|other| other.from == from && other.delta.state == delta.state);
        let queued: usize = queue.iter().map(|other| other.bytes).sum();
        let fits = queue.len() < AHEAD_DELTAS_PER_FEED
            && queued + bytes <= AHEAD_BYTES_PER_FEED
            && self.bytes + bytes <= AHEAD_BYTES;
        if !known && fits {
            self.bytes += bytes;
            queue.push(Waiting { from, delta, bytes });
        } else if queue.is_empty() {
            self.waiting.remove(&delta.state.owner);
        }
        known || fits
    }

    /// A delta of `owner` that a replica at `lineage` can apply and has not; forgets those that it
    /// no longer needs.
    pub(crate) fn take_ready(&mut self, owner: NodeId, lineage: &Lineage) -> Option<Checked> {
        let queue = self.waiting.get_mut(&owner)?;
        let before: usize = queue.iter().map(|waiting| waiting.bytes).sum();
        queue.retain(|waiting| !lineage.covers(&waiting.delta.state.lineage));
        let ready = queue
            .iter()
            .position(|waiting| lineage.covers(&waiting.from))
            .map(|at| queue.remove(at).delta);
        self.bytes -= before - queue.iter().map(|waiting| waiting.bytes).sum::<usize>();
        if queue.is_empty() {
            self.waiting.remove(&owner);
        }
        ready
    }

    pub(crate) fn waits(&self, owner: NodeId) -> bool {
        self.waiting.contains_key(&owner)
    }

    pub(crate) fn deltas(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What a delta costs in memory, roughly and never less than its share of the bookkeeping.
fn weight(from: &Lineage, delta: &Checked) -> usize {
    let epochs = from.epochs() + delta.state.lineage.epochs() + delta.state.watermark.epochs();
    BOOKKEEPING_BYTES + epochs * EPOCH_BYTES + delta.cost
}

const BOOKKEEPING_BYTES: usize = 512;
const EPOCH_BYTES: usize = 32;
