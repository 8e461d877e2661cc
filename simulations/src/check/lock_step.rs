//! B3: timers of different hosts do not go off together, or all would send at once for ever.

use std::time::Duration;

use tidings_types::Timestamp;

/// The timers of the quiet phase.
#[derive(Debug, Default)]
pub(crate) struct LockStep {
    /// The last one that went off, and at whom.
    last: Option<(Timestamp, usize)>,
    /// How often those of two hosts went off in the same microsecond.
    together: u64,
    all: u64,
}

impl LockStep {
    /// A timer of `host` goes off.
    pub(crate) fn timer(&mut self, now: Timestamp, host: usize) {
        let last = self.last.replace((now, host));
        self.all += 1;
        self.together += u64::from(last.is_some_and(|(at, who)| at == now && who != host));
    }

    /// Whether they met no more often than by chance, in a quiet phase of that length among so many
    /// hosts: of those some set a timer on the same packet of a third, and so at the same moment.
    pub(crate) fn is_kept_off(&self, quiet: Duration, hosts: usize) -> Result<(), String> {
        let Self { together, all, .. } = *self;
        // Timers at random meet too, the more of them the more often: that many times are chance.
        let micros = u64::try_from(quiet.as_micros()).unwrap_or(u64::MAX);
        let by_chance = all * all / (2 * micros).max(1);
        let same_packet = quiet.as_secs() * (hosts as u64).div_ceil(8);
        if together <= same_packet + 2 * by_chance {
            return Ok(());
        }
        Err(format!(
            "timers of two hosts went off in the same microsecond {together} times in {quiet:?}, {by_chance} of them by chance"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_that_meet_each_second_and_more_are_in_lock_step() {
        let quiet = Duration::from_secs(10);
        let mut apart = LockStep::default();
        let mut together = LockStep::default();
        for nth in 0..20 {
            for (host, later) in [(0, 0), (1, 1)] {
                let at = nth * 500_000;
                apart.timer(Timestamp::from_micros(at + later), host);
                together.timer(Timestamp::from_micros(at), host);
            }
        }
        assert_eq!(apart.is_kept_off(quiet, 2), Ok(()));
        assert!(together.is_kept_off(quiet, 2).is_err());
    }
}
