//! What waits for the disk, and what follows once it is there.
//!
//! Each command's changes are one batch. A batch's replies are held until it is on disk, and until
//! then nobody sees its dots: they stand in no feed, no fingerprint and no rumor. A command that
//! changes nothing is answered when everything staged before it is on disk, since what it equals
//! may be among that. Only a report on a check that stands as it did waits for nothing: it comes
//! again and again, and must not pile up behind a disk that hangs.

use std::collections::VecDeque;

use tidings_types::{Delta, FeedState, Key, Lineage, Outcome, Refusal, Transfer};

use crate::{CommandId, Event, Node, Output};

/// Batches that may wait for the disk; beyond, commands are refused as busy.
pub const BATCHES_WAITING: usize = 1_024;
/// Commands that may wait for them, likewise. A client that has gone has left its command behind.
pub const REPLIES_WAITING: usize = 16_384;

/// The batches on their way to the disk.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    next: u64,
    in_flight: VecDeque<Batch>,
    /// Whether the disk refused a batch and has taken none since.
    refusing: bool,
    /// How much of the own feed is on disk.
    on_disk: Lineage,
    /// Replies whose batches are on disk, held until what they found in force is so again.
    held: Vec<(CommandId, Outcome)>,
    /// Replies that wait, here or with the batches on their way.
    replies: usize,
}

#[derive(Debug)]
struct Batch {
    number: u64,
    content: Content,
    replies: Vec<(CommandId, Outcome)>,
}

#[derive(Debug)]
enum Content {
    /// What this node wrote: seen by nobody yet.
    Written(Delta),
    /// What peers gave back, up to here: seen already.
    Relearned(Lineage),
}

impl Durable {
    /// Whether no batch is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether another batch may be begun.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < BATCHES_WAITING && self.replies < REPLIES_WAITING
    }

    /// Whether something that peers gave back is on its way.
    fn holds_relearned(&self) -> bool {
        let mut batches = self.in_flight.iter();
        batches.any(|batch| matches!(batch.content, Content::Relearned(_)))
    }
}

impl Node {
    /// Hands out what is staged as one batch; `reply` is released when it is on disk.
    pub(crate) fn persist(&mut self, reply: Option<(CommandId, Outcome)>) {
        self.calls.keep_noted();
        if let Some(delta) = self.writer.take_batch(&self.registry) {
            if self.own.take_relearned() {
                // The batch builds on what the disk has refused so far.
                self.persist_relearned();
            }
            let transfer = Transfer::Delta(delta.clone());
            self.begin_batch(transfer, Content::Written(delta), reply);
        } else if let Some((id, outcome)) = reply {
            match self.durable.in_flight.back_mut() {
                Some(batch) => {
                    batch.replies.push((id, outcome));
                    self.durable.replies += 1;
                }
                None => self.reply(id, Ok(outcome)),
            }
        }
    }

    /// Whether the value in force of an own key is on disk, unless the disk has refused it.
    pub(crate) fn is_on_disk(&self, key: &Key) -> bool {
        !self.is_pending(key) && !self.durable.holds_relearned()
    }

    /// Hands out the own feed, some of which peers gave back. Nothing may be on its way: what is there
    /// would be replaced.
    pub(crate) fn persist_relearned(&mut self) {
        debug_assert!(self.durable.is_idle(), "no batch is on its way");
        let whole = self.registry.snapshot(self.me).map(Transfer::Snapshot);
        if let Some(transfer) = whole.or_else(|| self.beyond_disk().map(Transfer::Delta)) {
            let content = Content::Relearned(transfer.state().lineage.clone());
            self.begin_batch(transfer, content, None);
        }
    }

    /// What a damaged own feed has that is not on disk. Handed in whole the disk would take it for a
    /// whole one; what came back of what the disk has lost is asked for again after a restart.
    fn beyond_disk(&self) -> Option<Delta> {
        let from = self.durable.on_disk.clone();
        let state = self.registry.state(self.me)?;
        if from.is_empty() || from.covers(&state.lineage) {
            return None;
        }
        let changes = self.registry.changes(self.me);
        let changes =
            changes.filter(|change| !from.covers_dot(change.place.epoch, change.place.seq));
        Some(Delta {
            changes: changes.cloned().collect(),
            from,
            state,
        })
    }

    /// The disk has this much of the own feed.
    pub(crate) fn saved_up_to(&mut self, position: &Lineage) {
        self.durable.on_disk.join(position);
    }

    fn begin_batch(
        &mut self,
        transfer: Transfer,
        content: Content,
        reply: Option<(CommandId, Outcome)>,
    ) {
        let number = self.durable.next;
        self.durable.next += 1;
        self.durable.replies += usize::from(reply.is_some());
        self.out.push_back(Output::Persist {
            batch: number,
            transfer: Box::new(transfer),
        });
        self.durable.in_flight.push_back(Batch {
            number,
            content,
            replies: reply.into_iter().collect(),
        });
    }

    /// The disk has spoken of `number`.
    pub(crate) fn on_persisted(&mut self, number: u64, result: Result<(), String>) {
        match result {
            Ok(()) => {
                if std::mem::take(&mut self.durable.refusing) {
                    self.out.push_back(Output::Event(Event::PersistedAgain));
                }
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
        let (Content::Written(Delta {
            state: FeedState { lineage, .. },
            ..
        })
        | Content::Relearned(lineage)) = &batch.content;
        self.saved_up_to(lineage);
        if let Content::Written(delta) = &batch.content {
            let applied = self.writer.commit(&mut self.registry, delta.clone());
            self.publish(applied.touched);
        }
        // What peers gave back may have undone what a command found in force and did not write.
        let held = self.own.has_relearned();
        for reply in batch.replies {
            if held {
                self.durable.held.push(reply);
            } else {
                self.answer(reply);
            }
        }
        if let Content::Written(mut delta) = batch.content {
            // What was mended since the batch was taken is not in the sum that it foretold.
            let now = self.registry.state(self.me);
            let now = now.filter(|now| now.lineage == delta.state.lineage);
            delta.state = now.unwrap_or(delta.state);
            self.push_own(delta);
        }
    }

    /// Lets go of the replies that were held: they wait for what is on its way by now.
    pub(crate) fn release_replies(&mut self) {
        for reply in std::mem::take(&mut self.durable.held) {
            match self.durable.in_flight.back_mut() {
                Some(batch) => batch.replies.push(reply),
                None => self.answer(reply),
            }
        }
    }

    fn answer(&mut self, (id, outcome): (CommandId, Outcome)) {
        self.durable.replies -= 1;
        self.reply(id, Ok(outcome));
    }

    /// The batch and all after it are in doubt: they may be found again after a restart, so their
    /// dots are given up and the next write begins a new epoch.
    fn on_persist_failed(&mut self, number: u64, reason: &str) {
        self.counters.batches_failed += 1;
        self.durable.refusing = true;
        let doubtful = self
            .durable
            .in_flight
            .iter()
            .take_while(|batch| batch.number < number)
            .count();
        for batch in self.durable.in_flight.split_off(doubtful) {
            if matches!(batch.content, Content::Relearned(_)) {
                self.own.relearned();
            }
            self.durable.replies -= batch.replies.len();
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
        self.on_disk_refused(reason);
    }

    /// Answers a command.
    pub(crate) fn reply(&mut self, id: CommandId, result: Result<Outcome, Refusal>) {
        self.out.push_back(Output::Reply { id, result });
    }
}
