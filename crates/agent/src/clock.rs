//! The clocks that the node is told.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidings_types::Timestamp;

/// The driver's monotonic clock, from the start of this run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Timestamp {
        Timestamp::ZERO + self.start.elapsed()
    }

    /// When `at` comes, for timers.
    pub(crate) fn instant(self, at: Timestamp) -> tokio::time::Instant {
        (self.start + at.since(Timestamp::ZERO).min(FAR)).into()
    }
}

/// The wall clock in Unix milliseconds; 0 if it stands before 1970.
pub(crate) fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

/// Later than any timer waits for, and small enough to be added to any instant.
const FAR: Duration = Duration::from_secs(100 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_without_end_is_no_overflow() {
        let clock = Clock::start();
        let far = clock.instant(Timestamp::from_micros(u64::MAX));
        assert!(far > tokio::time::Instant::now());
        assert!(clock.instant(clock.now()) <= tokio::time::Instant::now());
    }
}
