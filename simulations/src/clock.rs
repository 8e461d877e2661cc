//! A host's wall clock, which may be wrong. The monotonic clock is the world's own time.

use tidings_types::Timestamp;

/// What every right clock shows at the start of a run, Unix milliseconds.
pub const START_MS: u64 = 1_763_000_000_000;

/// A wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock {
    offset_ms: i64,
    rate_ppm: i64,
    frozen: bool,
    /// When it began to go wrong.
    since: Timestamp,
}

impl WallClock {
    /// A clock that is wrong from `since` on.
    pub const fn wrong(offset_ms: i64, rate_ppm: i64, frozen: bool, since: Timestamp) -> Self {
        Self {
            offset_ms,
            rate_ppm,
            frozen,
            since,
        }
    }

    /// What it shows, Unix milliseconds.
    pub fn read(&self, now: Timestamp) -> u64 {
        let shown = if self.frozen {
            self.since.min(now)
        } else {
            now
        };
        let elapsed = i64::try_from(now.since(self.since).as_millis()).unwrap_or(i64::MAX);
        let drift = elapsed.saturating_mul(self.rate_ppm) / 1_000_000;
        let right = START_MS + shown.as_micros() / 1_000;
        right.saturating_add_signed(self.offset_ms.saturating_add(drift))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Timestamp = Timestamp::from_micros(3_600_000_000);

    #[test]
    fn a_clock_can_be_off_fast_or_frozen() {
        assert_eq!(WallClock::default().read(HOUR), START_MS + 3_600_000);
        let back = WallClock::wrong(-3_600_000, 0, false, Timestamp::ZERO);
        assert_eq!(back.read(HOUR), START_MS);
        let fast = WallClock::wrong(0, 1_000, false, Timestamp::ZERO);
        assert_eq!(fast.read(HOUR), START_MS + 3_603_600);
        let frozen = WallClock::wrong(0, 0, true, Timestamp::ZERO);
        assert_eq!(frozen.read(HOUR), START_MS);
    }
}
