//! What must come of a made-up scenario.
//!
//! The deadlines follow from the settings and the links, not from what was seen: a correct node
//! keeps them always, and one that never comes to an end breaks them.

use std::time::Duration;

use tidings_membership::Config;

use super::Profile;
use crate::{
    scenario::{Deadlines, DiskFate, Fault, Hosts, Scenario},
    span::Span,
    world::SPREADS,
};

/// The longest pause, in milliseconds, that the suspicion timeout bears at every cluster size.
pub(super) const BORNE_PAUSE: u64 = 1_500;

/// Adds the deadlines and budgets.
pub(super) fn derive(scenario: &mut Scenario, profile: Profile) {
    let agree = convergence(scenario);
    let found = agree.max(detection(scenario));
    // Long enough to judge a difference that begins when there should be none any more.
    scenario.phases.quiet = Span::from(found.max(agree + SPREADS) + Duration::from_secs(1));
    let agree = Some(Span::from(agree));
    scenario.expect.eventually = Deadlines {
        E1: agree,
        E2: agree,
        E3: Some(Span::from(found)),
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

/// How long a member that is gone may be taken for alive by the only one that remembers it.
///
/// SWIM probes its members in rounds, each in another order, so that a member may have to wait for
/// almost two of them; then it is suspected, and only then does everybody hear of it. A host that
/// lost its disk leaves one behind. Where most members are gone, most probes fail: a host takes itself
/// for sick then, and stretches its periods.
fn detection(scenario: &Scenario) -> Duration {
    let reborn: usize = scenario.fault.iter().map(identities_lost).sum();
    let members = u32::try_from(scenario.nodes + reborn).unwrap_or(u32::MAX);
    let period = Config::default().probe_period;
    let stretch = if reborn < scenario.nodes { 1 } else { STRETCH };
    period.saturating_mul(members.saturating_mul(2 * stretch)) + SUSPECTED
}

/// How much a host that doubts itself is slower on average until those that are gone are declared so.
const STRETCH: u32 = 2;

/// Longer than any suspicion lasts, and than the news of its end travels.
const SUSPECTED: Duration = Duration::from_secs(15);

fn identities_lost(fault: &Fault) -> usize {
    let (Fault::Crash { node, restart, .. } | Fault::Depart { node, restart, .. }) = fault else {
        return 0;
    };
    let hosts = match node {
        Hosts::One(_) => 1,
        Hosts::Many(hosts) => hosts.len(),
        Hosts::Group(_) => unreachable!("made-up scenarios have no groups"),
    };
    let is_lost = restart
        .as_ref()
        .is_some_and(|restart| matches!(restart.disk, DiskFate::Lost | DiskFate::Copied));
    if is_lost { hosts } else { 0 }
}

/// How long the hosts may take to find each other and to become equal.
fn convergence(scenario: &Scenario) -> Duration {
    let link = scenario.links.default;
    if link.loss > LOSS || link.bursts.is_some() || !scenario.links.path.is_empty() {
        BAD_LINKS
    } else {
        GOOD_LINKS
    }
}
