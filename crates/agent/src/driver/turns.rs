//! How long the loop's turns take: for so long no packet is looked at and nothing is written.

use std::time::{Duration, Instant};

/// A turn that takes longer is counted: a peer's probe waits half a second for its answer, and whoever
/// registers something should not notice what else there is to do.
const SLOW: Duration = Duration::from_millis(50);

/// The turns since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    slow: u64,
    longest: Duration,
}

impl Turns {
    /// A turn that began then is over.
    pub(super) fn took(&mut self, began: Instant) {
        self.note(began.elapsed());
    }

    fn note(&mut self, span: Duration) {
        self.slow += u64::from(span > SLOW);
        self.longest = self.longest.max(span);
    }

    /// How many took longer than 50 ms.
    pub(super) const fn slow(self) -> u64 {
        self.slow
    }

    /// The longest, milliseconds.
    pub(super) fn longest_ms(self) -> u64 {
        u64::try_from(self.longest.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_turns_are_counted_and_the_longest_is_kept() {
        let mut turns = Turns::default();
        for ms in [1, 51, 50, 70, 2] {
            turns.note(Duration::from_millis(ms));
        }
        assert_eq!((turns.slow(), turns.longest_ms()), (2, 70));
    }
}
