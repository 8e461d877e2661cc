//! Clients that wait until enough agents hold what this node has written.
//!
//! A write is acknowledged once it is on the own disk, and nothing here changes that. Who wants to be
//! sure that it outlives this host asks afterwards how many agents hold it, and waits a while for it
//! to be enough. What counts is the own position of that moment, so that it may be told of by a write
//! of somebody else that went out together with it, and is never told too early.

use std::time::Duration;

use tidings_types::{Lineage, Outcome, Timestamp};

use crate::{CommandId, Node, timers::Timer};

/// Clients that may wait at once. A further one is told at once how many hold it at that moment.
pub const HOLDER_WAITS: usize = 1_024;

/// Those who wait.
#[derive(Debug, Default)]
pub(crate) struct Waits(Vec<Wait>);

#[derive(Debug)]
struct Wait {
    id: CommandId,
    /// What is to be held.
    position: Lineage,
    wanted: usize,
    /// Agents that hold it, this one included.
    holders: usize,
    until: Timestamp,
}

impl Waits {
    /// Whether anybody waits: so it is rarely, and then nothing has to be compared.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A peer that held `before` is known to hold `after`.
    pub(crate) fn note(&mut self, before: &Lineage, after: &Lineage) {
        for wait in &mut self.0 {
            let is_new = !before.covers(&wait.position) && after.covers(&wait.position);
            wait.holders += usize::from(is_new);
        }
    }

    /// Takes out who need not wait any longer.
    fn take_over(&mut self, now: Timestamp) -> Vec<Wait> {
        let is_over = |wait: &mut Wait| wait.holders >= wait.wanted || wait.until <= now;
        self.0.extract_if(.., is_over).collect()
    }

    fn next(&self) -> Option<Timestamp> {
        self.0.iter().map(|wait| wait.until).min()
    }
}

impl Node {
    /// Answers when `wanted` agents, this one included, hold what this node has written, or after
    /// `within`.
    pub(crate) fn await_holders(&mut self, id: CommandId, wanted: usize, within: Duration) {
        let position = self.registry.position(self.me).clone();
        let peers = self.roster.reachable_peers();
        let holds = |peer| self.peers.holds(peer).is_some_and(|h| h.covers(&position));
        let holders = 1 + peers.filter(|&(peer, _)| holds(peer)).count();
        let is_full = self.waits.0.len() >= HOLDER_WAITS;
        if holders < wanted && is_full {
            self.counters.holder_waits_refused += 1;
        }
        if holders >= wanted || is_full || within.is_zero() || self.depart.is_some() {
            return self.tell_holders(id, holders);
        }
        let until = self.now + within;
        self.waits.0.push(Wait {
            id,
            position,
            wanted,
            holders,
            until,
        });
        self.timers.set_by(Timer::Holders, until);
    }

    /// Answers those who have waited long enough, or have what they wait for.
    pub(crate) fn answer_waits(&mut self) {
        for wait in self.waits.take_over(self.now) {
            self.tell_holders(wait.id, wait.holders);
        }
    }

    /// The time of one of those who wait is up.
    pub(crate) fn on_holders_due(&mut self) {
        self.answer_waits();
        if let Some(next) = self.waits.next() {
            self.timers.set_by(Timer::Holders, next);
        }
    }

    /// This node goes: nobody waits any longer.
    pub(crate) fn end_waits(&mut self) {
        for wait in std::mem::take(&mut self.waits.0) {
            self.tell_holders(wait.id, wait.holders);
        }
    }

    fn tell_holders(&mut self, id: CommandId, holders: usize) {
        let outcome = Outcome {
            holders: Some(holders),
            ..Outcome::of(false)
        };
        self.reply(id, Ok(outcome));
    }
}
