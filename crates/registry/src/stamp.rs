//! The hybrid logical clock of the own writes to shared keys.
//!
//! A stamp has to exceed everything that its writer has seen of the key; it should also be near the
//! wall clock, so that of concurrent writes the later one tends to win. The first is law and is met
//! per key, from the value in force. The second is kept by adopting only stamps that are close to
//! the own clock: one node with a wild clock then spoils the keys that it wrote, and no others.

use tidings_types::Hlc;

/// Milliseconds that a stamp may be ahead of the own wall clock and still be adopted.
pub const ADOPTION_MS: u64 = 500;

#[derive(Clone, Debug, Default)]
pub(crate) struct StampClock {
    latest: Hlc,
}

impl StampClock {
    /// The stamp of a write that follows `in_force`, or `None` if it would be malformed.
    pub(crate) fn next(&self, wall_ms: u64, in_force: Option<Hlc>) -> Option<Hlc> {
        let seen = in_force.map_or(self.latest, |stamp| stamp.max(self.latest));
        let stamp = Hlc::from_unix_ms(wall_ms).max(seen.next());
        stamp.is_well_formed().then_some(stamp)
    }

    /// Adopts a stamp, unless it is too far ahead. Whether it was too far ahead.
    pub(crate) fn observe(&mut self, stamp: Hlc, wall_ms: u64) -> bool {
        let too_far = stamp.unix_ms() > wall_ms.saturating_add(ADOPTION_MS);
        if !too_far {
            self.latest = self.latest.max(stamp);
        }
        too_far
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_exceeds_what_was_seen_and_follows_the_wall_clock() {
        let clock = StampClock::default();
        let wall = Hlc::from_unix_ms(1_000);
        assert_eq!(clock.next(1_000, None), Some(wall));
        assert_eq!(clock.next(1_000, Some(wall)), Some(wall.next()));
        assert_eq!(
            clock.next(2_000, Some(wall)),
            Some(Hlc::from_unix_ms(2_000))
        );
    }

    #[test]
    fn a_wild_stamp_is_exceeded_but_not_adopted() {
        let mut clock = StampClock::default();
        let wild = Hlc::from_unix_ms(1_501);
        assert!(clock.observe(wild, 1_000));
        assert_eq!(clock.next(1_000, Some(wild)), Some(wild.next()));
        assert_eq!(clock.next(1_000, None), Some(Hlc::from_unix_ms(1_000)));
        let near = Hlc::from_unix_ms(1_500);
        assert!(!clock.observe(near, 1_000));
        assert_eq!(clock.next(1_000, None), Some(near.next()));
    }

    #[test]
    fn nothing_follows_the_last_stamp() {
        let last = Hlc::from_unix_ms(u64::MAX);
        assert_eq!(StampClock::default().next(0, Some(last)), None);
    }
}
