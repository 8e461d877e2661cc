//! A host's clocks, which may be wrong: the wall clock in every way, the monotonic one in its speed.

use std::time::Duration;

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

/// A monotonic clock: it begins at zero with each process, and never goes back.
#[derive(Clone, Copy, Debug, Default)]
pub struct MonotonicClock {
    /// A moment of the world, and what the clock showed then.
    at: (Timestamp, Timestamp),
    rate_ppm: i64,
}

impl MonotonicClock {
    /// Begins at zero, with the speed that it has.
    pub const fn start(&mut self, now: Timestamp) {
        self.at = (now, Timestamp::ZERO);
    }

    /// Goes fast by that much from now on.
    pub fn turn(&mut self, now: Timestamp, rate_ppm: i64) {
        self.at = (now, self.read(now));
        self.rate_ppm = rate_ppm;
    }

    /// What it shows.
    pub fn read(&self, now: Timestamp) -> Timestamp {
        let (world, shown) = self.at;
        shown + Duration::from_micros(scaled(now.since(world), self.speed(), MILLION))
    }

    /// When it will show `due`, at the earliest now.
    pub fn shows(&self, due: Timestamp) -> Timestamp {
        let (world, shown) = self.at;
        let micros = scaled(due.since(shown), MILLION, self.speed());
        let mut at = world + Duration::from_micros(micros);
        // Rounding may leave it a moment short.
        while self.read(at) < due {
            at = at + Duration::from_micros(1);
        }
        at
    }

    fn speed(&self) -> u64 {
        MILLION.saturating_add_signed(self.rate_ppm)
    }
}

const MILLION: u64 = 1_000_000;

/// So many times as long, in microseconds.
fn scaled(span: Duration, times: u64, of: u64) -> u64 {
    // Nearly every clock is right, and a division of such width takes as long as a small event.
    if times == of {
        return u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    }
    let micros = span.as_micros() * u128::from(times) / u128::from(of);
    u64::try_from(micros).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Timestamp = Timestamp::from_micros(3_600_000_000);

    #[test]
    fn a_monotonic_clock_changes_its_speed_and_never_jumps() {
        let at = Timestamp::from_micros;
        let mut clock = MonotonicClock::default();
        clock.start(at(1_000));
        assert_eq!(clock.read(at(1_500)), at(500));
        assert_eq!(clock.shows(at(700)), at(1_700));
        clock.turn(at(2_000), 500_000);
        assert_eq!(clock.read(at(2_000)), at(1_000));
        assert_eq!(clock.read(at(4_000)), at(4_000));
        for due in [1_001, 1_500, 3_333, 9_999] {
            let when = clock.shows(at(due));
            assert!(clock.read(when) >= at(due));
            assert!(clock.read(Timestamp::from_micros(when.as_micros() - 1)) < at(due));
        }
        clock.turn(at(4_000), 0);
        assert_eq!(clock.read(at(5_000)), at(5_000));
    }

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
