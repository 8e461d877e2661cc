//! What must come of a made-up scenario.
//!
//! The deadlines follow from the settings and the links, not from what was seen: a correct node
//! keeps them always, and one that never comes to an end breaks them.

use std::time::Duration;

use super::Profile;
use crate::{
    scenario::{Deadlines, Hosts, Scenario},
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
        ..Deadlines::default()
    };
    if profile == Profile::Deaf {
        scenario.expect.sick = Some(Hosts::One(scenario.nodes - 1));
        scenario.expect.rejoins_max = Some(0);
        scenario.expect.false_downs_max = Some(0);
    }
    if profile == Profile::Calm {
        scenario.expect.false_downs_max = Some(0);
        scenario.expect.rejoins_max = Some(0);
    }
}

/// Three times the longest period in which everybody is announced to again, whatever went wrong.
const GOOD_LINKS: Duration = Duration::from_secs(30);
/// The same where a period can pass without effect: its packets may be lost.
const BAD_LINKS: Duration = Duration::from_secs(50);
/// Loss that costs no period.
const LOSS: f64 = 0.05;

/// How long the hosts may take to find each other and to become equal.
fn convergence(scenario: &Scenario) -> Duration {
    let link = scenario.links.default;
    if link.loss > LOSS || link.bursts.is_some() || !scenario.links.path.is_empty() {
        BAD_LINKS
    } else {
        GOOD_LINKS
    }
}
