//! What the facts mean: from facts to findings, and nothing else.

mod host;
mod members;
mod seeds;

#[cfg(test)]
mod tests;

use super::{Finding, Level, facts::Facts};
use crate::output::age;

/// Every finding, what is in order included.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![agent(facts)];
    findings.extend(seeds::judge(facts));
    findings.push(seeds::advertised(facts));
    findings.extend(host::dns(facts));
    findings.push(members::reachable(facts));
    findings.push(members::agreement(facts));
    findings.extend(members::sessions(facts));
    findings.extend(members::keys(facts));
    findings.extend(members::clocks(facts));
    findings.extend(members::strangers(facts));
    findings.push(host::sends(facts));
    findings.extend(host::disk(facts));
    findings.push(host::open_files(facts));
    findings.push(host::definitions(facts));
    findings.extend(host::settings(facts));
    findings
}

fn agent(facts: &Facts) -> Finding {
    let status = &facts.status;
    let (name, version) = (&status.name, &status.version);
    ok(
        "agent",
        format!(
            "{name} answers: tidings {version}, up for {}",
            age(status.uptime_ms)
        ),
    )
}

fn ok(about: &'static str, found: impl Into<String>) -> Finding {
    finding(about, Level::Ok, found, "")
}

fn finding(
    about: &'static str,
    level: Level,
    found: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding {
        about,
        level,
        found: found.into(),
        remedy: remedy.into(),
    }
}
