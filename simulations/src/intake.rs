//! What has reached a host and waits for its driver.
//!
//! The agent's transport hands datagrams and requests to the driver through one bounded queue. A
//! datagram that finds it full is dropped, whatever it says; a request waits for a place, and gets
//! the next one. The driver looks at its timers before it looks at the queue, and gives the disk,
//! sessions and clients their turns between at most 64 of the queue's events, so that these do not
//! wait for it here.

use std::time::Duration;

use tidings_types::Timestamp;

use crate::scenario::Inbox;

/// The inbox of one process.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// Datagrams and requests that wait.
    waiting: u32,
    /// When the driver will have handled them.
    free_at: Timestamp,
    /// When it will have handled everything that it is late with.
    late_until: Timestamp,
}

impl Intake {
    /// Takes in a datagram, or a request that may wait for its place; returns when the driver gets
    /// to it, or `None` if a datagram found no place.
    pub(crate) fn take_in(
        &mut self,
        now: Timestamp,
        inbox: Inbox,
        may_wait: bool,
    ) -> Option<Timestamp> {
        if self.waiting >= inbox.places && !may_wait {
            return None;
        }
        self.waiting += 1;
        self.free_at = self.free_at.max(now) + Duration::from_secs(1) / inbox.per_second;
        Some(self.free_at)
    }

    /// The driver has got to one of them.
    pub(crate) const fn taken_out(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// When the driver is done with something that it got to at `at`, if it is `late` with
    /// everything. Nothing overtakes what came before it.
    pub(crate) fn delay(&mut self, at: Timestamp, late: Duration) -> Timestamp {
        self.late_until = self.late_until.max(at + late);
        self.late_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INBOX: Inbox = Inbox {
        places: 2,
        per_second: 10,
    };

    fn ms(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    #[test]
    fn a_full_inbox_drops_datagrams_and_keeps_requests() {
        let mut intake = Intake::default();
        assert_eq!(intake.take_in(ms(0), INBOX, false), Some(ms(100)));
        assert_eq!(intake.take_in(ms(0), INBOX, false), Some(ms(200)));
        assert_eq!(intake.take_in(ms(50), INBOX, false), None);
        assert_eq!(intake.take_in(ms(50), INBOX, true), Some(ms(300)));
        intake.taken_out();
        intake.taken_out();
        assert_eq!(intake.take_in(ms(200), INBOX, false), Some(ms(400)));
    }

    #[test]
    fn who_was_late_lets_nothing_overtake() {
        let mut intake = Intake::default();
        let half = Duration::from_millis(500);
        assert_eq!(intake.delay(ms(100), half), ms(600));
        assert_eq!(intake.delay(ms(200), Duration::ZERO), ms(600));
        assert_eq!(intake.delay(ms(700), Duration::ZERO), ms(700));
    }
}
