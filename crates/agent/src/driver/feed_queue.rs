//! Batches of the own feed on their way to the disk.

use std::collections::VecDeque;

use tidings_node::Input;
use tidings_types::{Epoch, Transfer};

use crate::disk::{FeedStore, Saved};

/// Hands batches to the store and tells the node what became of them.
///
/// When a batch fails, the store fails each later one of the same run as well. The node gave all
/// of them up with the first word, so the others are not told.
#[derive(Debug)]
pub(crate) struct FeedQueue {
    store: FeedStore,
    run: Epoch,
    /// Batches that the store has taken and not answered, with the run that they belong to.
    in_flight: VecDeque<(u64, Epoch)>,
    failed: Option<Epoch>,
}

impl FeedQueue {
    pub(crate) const fn new(store: FeedStore, run: Epoch) -> Self {
        Self {
            store,
            run,
            in_flight: VecDeque::new(),
            failed: None,
        }
    }

    /// How many batches the store has taken and not answered.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The run to which new batches belong.
    pub(super) const fn run(&self) -> Epoch {
        self.run
    }

    /// From now on batches belong to `run`.
    pub(super) const fn begin_run(&mut self, run: Epoch) {
        self.run = run;
    }

    /// Queues a batch; what comes back is an input that says that it failed.
    pub(super) fn persist(&mut self, batch: u64, transfer: Transfer) -> Option<Input> {
        self.in_flight.push_back((batch, self.run));
        let error = self.store.persist(batch, self.run, transfer).err()?;
        self.in_flight.pop_back();
        self.fail(batch, self.run, error.to_string())
    }

    /// What the store's word on a batch means to the node.
    pub(super) fn on_saved(&mut self, saved: Saved) -> Option<Input> {
        let batch = saved.batch;
        let run = match self.in_flight.iter().position(|&(b, _)| b == batch) {
            Some(at) => self.in_flight.remove(at).map_or(self.run, |(_, run)| run),
            None => self.run,
        };
        match saved.result {
            Ok(()) => Some(Input::Persisted {
                batch,
                result: Ok(()),
            }),
            Err(error) => self.fail(batch, run, error.to_string()),
        }
    }

    fn fail(&mut self, batch: u64, run: Epoch, reason: String) -> Option<Input> {
        if self.failed == Some(run) {
            return None;
        }
        self.failed = Some(run);
        Some(Input::Persisted {
            batch,
            result: Err(reason),
        })
    }
}

#[cfg(test)]
mod tests {
    use tidings_types::{FeedState, Lineage, NodeId, Snapshot};

    use super::*;
    use crate::disk::SaveError;

    const ME: NodeId = NodeId::from_bytes([1; 16]);

    fn queue() -> FeedQueue {
        let store = FeedStore::in_memory(ME, Box::new(|_| {}));
        FeedQueue::new(store, Epoch::from_bits(1))
    }

    fn transfer(owner: NodeId) -> Transfer {
        let state = FeedState {
            owner,
            lineage: Lineage::empty(),
            watermark: Lineage::empty(),
            needs: Default::default(),
            sum: 0,
        };
        Transfer::Snapshot(Snapshot {
            state,
            changes: Vec::new(),
        })
    }

    fn failed(batch: u64) -> Saved {
        Saved {
            batch,
            result: Err(SaveError::Gap),
        }
    }

    fn is_error(input: Option<Input>) -> bool {
        matches!(input, Some(Input::Persisted { result: Err(_), .. }))
    }

    #[test]
    fn of_one_run_only_the_first_failure_is_told() {
        let mut queue = queue();
        for batch in 0..3 {
            assert!(queue.persist(batch, transfer(ME)).is_none());
        }
        assert!(is_error(queue.on_saved(failed(0))));
        queue.begin_run(Epoch::from_bits(2));
        assert!(queue.persist(3, transfer(ME)).is_none());
        assert!(queue.on_saved(failed(1)).is_none());
        assert!(queue.on_saved(failed(2)).is_none());
        assert!(is_error(queue.on_saved(failed(3))), "a new run fails anew");
    }

    #[test]
    fn a_batch_that_the_store_does_not_take_has_failed() {
        let mut queue = queue();
        let foreign = NodeId::from_bytes([2; 16]);
        assert!(is_error(queue.persist(0, transfer(foreign))));
        assert!(queue.in_flight.is_empty());
    }
}
