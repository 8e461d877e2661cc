//! What must come of a made-up scenario.
//!
//! The deadlines follow from the settings and the links, not from what was seen: a correct node
//! keeps them always, and one that never comes to an end breaks them.

use std::time::Duration;

use super::Profile;
use crate::{
    scenario::{Deadlines, Scenario},
    span::Span,
};

/// The longest pause, in milliseconds, that the suspicion timeout bears at every cluster size.
pub(super) const BORNE_PAUSE: u64 = 1_500;

/// Adds the deadlines and budgets.
pub(super) fn derive(scenario: &mut Scenario, profile: Profile) {
    let agree = convergence(scenario);
    scenario.phases.quiet = Span::from(agree + Duration::from_secs(1));
    let agree = Some(Span::from(agree));
    scenario.expect.eventually = Deadlines {
        E1: agree,
        E2: agree,
        E3: agree,
    };
    if profile == Profile::Calm {
        scenario.expect.false_downs_max = Some(0);
        scenario.expect.rejoins_max = Some(0);
    }
}

/// How long the hosts may take to find each other and to become equal.
fn convergence(scenario: &Scenario) -> Duration {
    let _ = scenario;
    Duration::from_secs(60)
}
