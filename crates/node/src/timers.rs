//! The node's own timers: one slot per purpose.

use std::time::Duration;

use rand_chacha::{ChaCha8Rng, rand_core::Rng};
use tidings_types::Timestamp;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Look at the roster: states that end by themselves, the island's decay.
    Roster,
    /// Repair what has differed for too long.
    Repair,
    /// Tell peers in one rumor what was put off.
    Push,
    /// Ask again those who did not acknowledge a rumor.
    Acks,
    /// Save replicas.
    Save,
    /// Pull a random peer's member list.
    Members,
    /// Say the goodbye again, or end it.
    Depart,
    /// Try again what the disk refused of the own feed.
    Own,
    /// Settle for what is left of damaged replicas.
    Mend,
    /// Look whether everybody has heard that this identity is given up.
    Twin,
    /// Take old events away.
    Events,
    /// Answer those who have waited long enough for others to hold what was written.
    Holders,
}

const ALL: [Timer; 12] = [
    Timer::Roster,
    Timer::Repair,
    Timer::Push,
    Timer::Acks,
    Timer::Save,
    Timer::Members,
    Timer::Depart,
    Timer::Own,
    Timer::Mend,
    Timer::Twin,
    Timer::Events,
    Timer::Holders,
];

/// When each timer is due.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: [Option<Timestamp>; ALL.len()],
    /// The earliest of them, which every input asks for.
    next: Option<Timestamp>,
}

impl Timers {
    /// Sets the timer, whatever it was set to.
    pub(crate) fn set(&mut self, timer: Timer, at: Timestamp) {
        let was = self.due[timer as usize].replace(at);
        if was.is_some() && was == self.next {
            self.next = self.earliest();
        } else {
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
    }

    /// Sets the timer unless it is due earlier.
    pub(crate) fn set_by(&mut self, timer: Timer, at: Timestamp) {
        let due = &mut self.due[timer as usize];
        *due = Some(due.map_or(at, |earlier| earlier.min(at)));
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// Takes one timer that is due at `now`.
    pub(crate) fn take(&mut self, now: Timestamp) -> Option<Timer> {
        self.next.filter(|&next| next <= now)?;
        let timer = ALL
            .into_iter()
            .find(|&t| self.due[t as usize].is_some_and(|at| at <= now))?;
        self.due[timer as usize] = None;
        self.next = self.earliest();
        Some(timer)
    }

    /// When the next one is due.
    pub(crate) const fn next(&self) -> Option<Timestamp> {
        self.next
    }

    fn earliest(&self) -> Option<Timestamp> {
        self.due.iter().flatten().min().copied()
    }
}

/// `span` give or take a quarter: agents that started together must not act together for ever.
pub(crate) fn jittered(span: Duration, rng: &mut ChaCha8Rng) -> Duration {
    let share = rng.next_u32() % 513;
    span * (768 + share) / 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_once_and_in_time() {
        let at = Timestamp::from_micros;
        let mut timers = Timers::default();
        timers.set(Timer::Save, at(10));
        timers.set_by(Timer::Save, at(20));
        timers.set(Timer::Repair, at(5));
        assert_eq!(timers.next(), Some(at(5)));
        timers.set(Timer::Repair, at(7));
        assert_eq!(timers.next(), Some(at(7)));
        timers.set(Timer::Repair, at(5));
        assert_eq!(timers.take(at(4)), None);
        assert_eq!(timers.take(at(10)), Some(Timer::Repair));
        assert_eq!(timers.take(at(10)), Some(Timer::Save));
        assert_eq!(timers.take(at(10)), None);
        assert_eq!(timers.next(), None);
    }
}
