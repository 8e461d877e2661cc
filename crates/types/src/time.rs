//! Time as the core sees it: a number that somebody hands in.

use std::{fmt, ops::Add, ops::Sub, time::Duration};

use serde::{Deserialize, Serialize};

/// A reading of the driver's monotonic clock, in microseconds since an arbitrary start.
///
/// Comparable within one process only; it never leaves the node.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The driver's start.
    pub const ZERO: Self = Self(0);

    /// A reading of `micros` microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the driver's start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time that passed since `earlier`, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A hybrid logical clock stamp: Unix milliseconds in the upper 48 bits, a counter below.
///
/// Orders writes to shared keys. A stamp extends causality: a writer's next stamp is greater than
/// every stamp it has seen for the key (Kulkarni et al., "Logical Physical Clocks", 2014).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Hlc(u64);

impl Hlc {
    const COUNTER_BITS: u32 = 16;
    /// Stamps from 2200-01-01 on are malformed: no honest clock is that far ahead.
    pub const END: Self = Self(7_258_118_400_000 << Self::COUNTER_BITS);

    /// The first stamp of the millisecond `unix_ms`, cut at the last valid stamp.
    pub fn from_unix_ms(unix_ms: u64) -> Self {
        let bits = unix_ms
            .checked_shl(Self::COUNTER_BITS)
            .filter(|b| b >> Self::COUNTER_BITS == unix_ms);
        Self(bits.unwrap_or(u64::MAX)).min(Self(Self::END.0 - 1))
    }

    /// The stamp with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The wall-clock part, Unix milliseconds.
    pub const fn unix_ms(self) -> u64 {
        self.0 >> Self::COUNTER_BITS
    }

    /// The next stamp: one count later, rolling over into the millisecond when the counter is full.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Whether the stamp lies before the year 2200.
    pub const fn is_well_formed(self) -> bool {
        self.0 < Self::END.0
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}+{}",
            self.unix_ms(),
            self.0 & ((1 << Self::COUNTER_BITS) - 1)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_keeps_its_millisecond_and_grows() {
        let stamp = Hlc::from_unix_ms(1_763_000_000_123);
        assert_eq!(stamp.unix_ms(), 1_763_000_000_123);
        assert!(stamp.next() > stamp);
        assert!(Hlc::from_unix_ms(u64::MAX).is_well_formed());
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        let end = Timestamp::from_micros(u64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Timestamp::ZERO - Duration::from_secs(1), Timestamp::ZERO);
        assert_eq!(Timestamp::ZERO.since(end), Duration::ZERO);
    }
}
