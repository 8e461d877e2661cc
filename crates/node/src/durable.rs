//! What waits for the disk, and what follows once it is there.
//!
//! Each command's changes are one batch. A batch's replies are held until it is on disk, and until
//! then nobody sees its dots: they stand in no feed, no fingerprint and no rumor. A command that
//! changes nothing is answered when everything staged before it is on disk, since what it equals
//! may be among that.

use std::collections::VecDeque;

use tidings_types::{Delta, Outcome, Refusal};

use crate::{CommandId, Event, Node, Output};

/// Batches that may wait for the disk; beyond, commands are refused as busy.
pub(crate) const BATCHES: usize = 1_024;

/// The batches on their way to the disk.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    next: u64,
    in_flight: VecDeque<Batch>,
}

#[derive(Debug)]
struct Batch {
    number: u64,
    delta: Delta,
    replies: Vec<(CommandId, Outcome)>,
}

impl Durable {
    /// Whether no batch is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether another batch may be begun.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < BATCHES
    }
}

impl Node {
    /// Hands out what is staged as one batch; `reply` is released when it is on disk.
    pub(crate) fn persist(&mut self, reply: Option<(CommandId, Outcome)>) {
        if let Some(delta) = self.writer.take_batch(&self.registry) {
            let number = self.durable.next;
            self.durable.next += 1;
            self.out.push_back(Output::Persist {
                batch: number,
                delta: delta.clone(),
            });
            let batch = Batch {
                number,
                delta,
                replies: reply.into_iter().collect(),
            };
            self.durable.in_flight.push_back(batch);
        } else if let Some((id, outcome)) = reply {
            match self.durable.in_flight.back_mut() {
                Some(batch) => batch.replies.push((id, outcome)),
                None => self.reply(id, Ok(outcome)),
            }
        }
    }

    /// The disk has spoken of `number`.
    pub(crate) fn on_persisted(&mut self, number: u64, result: Result<(), String>) {
        match result {
            Ok(()) => {
                while self
                    .durable
                    .in_flight
                    .front()
                    .is_some_and(|batch| batch.number <= number)
                {
                    if let Some(batch) = self.durable.in_flight.pop_front() {
                        self.on_durable(batch);
                    }
                }
                self.on_feed_settled();
            }
            Err(reason) => self.on_persist_failed(number, &reason),
        }
    }

    /// Applied, published, answered, and only then sent: in this order.
    fn on_durable(&mut self, batch: Batch) {
        let applied = self.writer.commit(&mut self.registry, batch.delta.clone());
        self.publish(&applied.touched);
        for (id, outcome) in batch.replies {
            self.reply(id, Ok(outcome));
        }
        self.push_own(batch.delta);
    }

    /// The batch and all after it are in doubt: they may be found again after a restart, so their
    /// dots are given up and the next write begins a new epoch.
    fn on_persist_failed(&mut self, number: u64, reason: &str) {
        self.counters.batches_failed += 1;
        let doubtful = self
            .durable
            .in_flight
            .iter()
            .take_while(|batch| batch.number < number)
            .count();
        for batch in self.durable.in_flight.split_off(doubtful) {
            for (id, _) in batch.replies {
                self.reply(
                    id,
                    Err(Refusal::NotSaved {
                        reason: reason.to_owned(),
                    }),
                );
            }
        }
        self.out.push_back(Output::Event(Event::NotPersisted {
            reason: reason.to_owned(),
        }));
        self.take_epoch();
    }

    /// Answers a command.
    pub(crate) fn reply(&mut self, id: CommandId, result: Result<Outcome, Refusal>) {
        self.out.push_back(Output::Reply { id, result });
    }
}
