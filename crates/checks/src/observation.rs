//! How long a check that was critical has to succeed before that counts.
//!
//! A service that comes up again often passes its first check and falls over under its first traffic,
//! or is not warm yet. So a check may ask to be observed: it stays critical, and its instance out of
//! the answers, until it has succeeded for a while without a break. That is one change of an ordinary
//! status, made once by the owner. Weights that grow step by step would be a change of the record for
//! each step, or answers that hang on each agent's clock and wake blocking queries without a change.
//! `SuccessBeforePassing` counts results instead of time, and does not know reports of a TTL check.

use std::time::Duration;

use tidings_types::{Check, CheckStatus};

use crate::clock::RunTime;

/// Since when a check that is critical has succeeded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observation {
    begun: Option<RunTime>,
}

impl Observation {
    /// Takes what was found at `now`, while `in_force` is the status of the check's record. Returns how
    /// long it has to go on so; `None` if what was found counts.
    pub(crate) fn left(
        &mut self,
        check: &Check,
        in_force: CheckStatus,
        found: CheckStatus,
        now: RunTime,
    ) -> Option<Duration> {
        let counts = check.observe_ms == 0 || in_force != CheckStatus::Critical;
        if counts || found == CheckStatus::Critical {
            self.begun = None;
            return None;
        }
        let begun = *self.begun.get_or_insert(now);
        let left = begun.saturating_add(span(check)).saturating_sub(now);
        (!left.is_zero()).then_some(left)
    }

    /// When what was found counts, if nothing else is found until then.
    pub(crate) fn ends(&self, check: &Check) -> Option<RunTime> {
        self.begun.map(|begun| begun.saturating_add(span(check)))
    }

    /// Forgets what was found.
    pub(crate) fn reset(&mut self) {
        self.begun = None;
    }
}

fn span(check: &Check) -> Duration {
    Duration::from_millis(check.observe_ms.into())
}

/// What a check says that succeeds and does not count yet.
pub(crate) fn held(check: &Check, output: &str) -> String {
    let seconds = span(check).as_secs_f32();
    format!("it succeeds, and is observed for {seconds} s before that counts: {output}")
}

#[cfg(test)]
mod tests {
    use CheckStatus::{Critical, Passing, Warning};

    use super::*;

    /// The seconds left after each of the results, one a second, while the check is critical.
    fn left(observe_ms: u32, found: &[CheckStatus]) -> Vec<Option<u64>> {
        let check = Check {
            observe_ms,
            ..crate::tests::ttl_check(1_000)
        };
        let mut observation = Observation::default();
        let seconds = (0..).map(Duration::from_secs);
        let results = found.iter().zip(seconds);
        let left = results.map(|(&found, now)| observation.left(&check, Critical, found, now));
        left.map(|left| left.map(|left| left.as_secs())).collect()
    }

    #[test]
    fn only_success_without_a_break_counts() {
        assert_eq!(left(0, &[Passing, Critical]), [None, None]);
        assert_eq!(
            left(2_000, &[Passing, Warning, Passing, Passing]),
            [Some(2), Some(1), None, None]
        );
        assert_eq!(
            left(2_000, &[Passing, Critical, Passing, Passing, Passing]),
            [Some(2), None, Some(2), Some(1), None]
        );
    }

    #[test]
    fn who_was_not_critical_is_not_observed() {
        let check = Check {
            observe_ms: 2_000,
            ..crate::tests::ttl_check(1_000)
        };
        let mut observation = Observation::default();
        for in_force in [Passing, Warning] {
            let left = observation.left(&check, in_force, Passing, Duration::ZERO);
            assert_eq!(left, None);
        }
        assert_eq!(observation.ends(&check), None);
    }
}
