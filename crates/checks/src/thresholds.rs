//! How many results in a row make a status.

use tidings_types::{Check, CheckStatus};

/// Counts results in a row. Passing and warning both count as success.
#[derive(Clone, Debug)]
pub(crate) struct Thresholds {
    before_passing: u32,
    before_warning: u32,
    before_critical: u32,
    successes: u32,
    failures: u32,
}

impl Thresholds {
    pub(crate) fn new(check: &Check) -> Self {
        let before_warning = match check.failures_before_warning {
            0 => check.failures_before_critical,
            stated => stated,
        };
        Self {
            before_passing: check.success_before_passing,
            before_warning,
            before_critical: check.failures_before_critical,
            successes: 0,
            failures: 0,
        }
    }

    /// Counts one result. Returns the status that it leads to, or `None` if the old one stays.
    pub(crate) fn count(&mut self, found: CheckStatus) -> Option<CheckStatus> {
        if found == CheckStatus::Critical {
            self.successes = 0;
            self.failures = self.failures.saturating_add(1);
            if self.failures >= self.before_critical {
                return Some(CheckStatus::Critical);
            }
            return (self.failures >= self.before_warning).then_some(CheckStatus::Warning);
        }
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        (self.successes >= self.before_passing).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use CheckStatus::{Critical, Passing, Warning};
    use proptest::prelude::*;

    use super::*;

    fn counted(limits: (u32, u32, u32), found: &[CheckStatus]) -> Vec<Option<CheckStatus>> {
        let (before_passing, before_warning, before_critical) = limits;
        let mut check = crate::tests::ttl_check(1_000);
        check.success_before_passing = before_passing;
        check.failures_before_warning = before_warning;
        check.failures_before_critical = before_critical;
        let mut thresholds = Thresholds::new(&check);
        found.iter().map(|&one| thresholds.count(one)).collect()
    }

    #[test]
    fn zero_and_one_mean_at_once() {
        for limit in [0, 1] {
            assert_eq!(
                counted((limit, 0, limit), &[Critical, Passing, Warning]),
                [Some(Critical), Some(Passing), Some(Warning)]
            );
        }
    }

    #[test]
    fn the_old_status_stays_until_enough_results_in_a_row() {
        assert_eq!(
            counted((2, 0, 3), &[Passing, Critical, Passing, Warning, Critical]),
            [None, None, None, Some(Warning), None]
        );
        assert_eq!(
            counted((0, 0, 3), &[Critical, Critical, Critical, Critical]),
            [None, None, Some(Critical), Some(Critical)]
        );
    }

    #[test]
    fn enough_failures_for_a_warning_warn_before_they_are_critical() {
        assert_eq!(
            counted((0, 2, 4), &[Critical, Critical, Critical, Critical]),
            [None, Some(Warning), Some(Warning), Some(Critical)]
        );
    }

    proptest! {
        #[test]
        fn the_results_in_a_row_alone_decide(
            limits in (0_u32..5, 0_u32..5, 0_u32..5),
            found in prop::collection::vec(prop::sample::select(vec![Passing, Warning, Critical]), 1..20),
        ) {
            let (before_passing, stated_warning, before_critical) = limits;
            let before_warning = if stated_warning == 0 { before_critical } else { stated_warning };
            let last = *found.last().unwrap();
            let alike = |one: &&CheckStatus| (**one == Critical) == (last == Critical);
            let row = u32::try_from(found.iter().rev().take_while(alike).count()).unwrap();
            let expected = match last {
                Critical if row >= before_critical => Some(Critical),
                Critical if row >= before_warning => Some(Warning),
                Passing | Warning if row >= before_passing => Some(last),
                _ => None,
            };
            prop_assert_eq!(counted(limits, &found).pop(), Some(expected));
        }
    }
}
