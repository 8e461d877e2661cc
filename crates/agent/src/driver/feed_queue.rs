//! Batches of the own feed on their way to the disk.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

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
    /// Batches that the store has taken and not answered.
    in_flight: VecDeque<InFlight>,
    failed: Option<Epoch>,
    /// How long the disk has been silent when it was last said that it is.
    told_silent: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    batch: u64,
    /// The run that it belongs to.
    run: Epoch,
    since: Instant,
}

/// What is to be said of how soon the disk answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// It has not answered for so long.
    Goes(Duration),
    /// It answers again after such a time, at least.
    Ended(Duration),
}

impl FeedQueue {
    pub(crate) const fn new(store: FeedStore, run: Epoch) -> Self {
        Self {
            store,
            run,
            in_flight: VecDeque::new(),
            failed: None,
            told_silent: None,
        }
    }

    /// How many batches the store has taken and not answered.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How long the oldest of them has waited.
    pub(super) fn oldest(&self, now: Instant) -> Duration {
        let oldest = self.in_flight.front();
        oldest.map_or(Duration::ZERO, |oldest| now.duration_since(oldest.since))
    }

    /// Whether there is something to say of a disk that hangs: after a while, each time that the
    /// wait has doubled, and when it is over.
    pub(super) fn silence(&mut self, now: Instant) -> Option<Silence> {
        let oldest = self.oldest(now);
        match self.told_silent {
            Some(told) if oldest < told => {
                self.told_silent = None;
                Some(Silence::Ended(told))
            }
            told => {
                let due = told.map_or(SILENT_AFTER, |told| told * 2);
                (oldest >= due).then(|| {
                    self.told_silent = Some(Duration::from_secs(oldest.as_secs()));
                    Silence::Goes(oldest)
                })
            }
        }
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
        self.in_flight.push_back(InFlight {
            batch,
            run: self.run,
            since: Instant::now(),
        });
        let error = self.store.persist(batch, self.run, transfer).err()?;
        self.in_flight.pop_back();
        self.fail(batch, self.run, error.to_string())
    }

    /// What the store's word on a batch means to the node.
    pub(super) fn on_saved(&mut self, saved: Saved) -> Option<Input> {
        let batch = saved.batch;
        let run = match self.in_flight.iter().position(|waits| waits.batch == batch) {
            Some(at) => self.in_flight.remove(at).map_or(self.run, |done| done.run),
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

/// A disk that has not answered for this long is worth a line in the log.
const SILENT_AFTER: Duration = Duration::from_secs(3);

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
    fn a_disk_that_hangs_is_told_of_ever_more_rarely_and_when_it_answers() {
        let mut queue = queue();
        assert!(queue.persist(0, transfer(ME)).is_none());
        let begin = Instant::now();
        let mut said = |second| queue.silence(begin + Duration::from_secs(second));
        let goes: Vec<_> = (0..30).filter(|&second| said(second).is_some()).collect();
        assert_eq!(goes, [3, 6, 12, 24]);
        queue.on_saved(Saved {
            batch: 0,
            result: Ok(()),
        });
        let now = begin + Duration::from_secs(31);
        assert!(matches!(queue.silence(now), Some(Silence::Ended(_))));
        assert_eq!(queue.silence(now), None);
    }

    #[test]
    fn a_batch_that_the_store_does_not_take_has_failed() {
        let mut queue = queue();
        let foreign = NodeId::from_bytes([2; 16]);
        assert!(is_error(queue.persist(0, transfer(foreign))));
        assert!(queue.in_flight.is_empty());
    }
}
