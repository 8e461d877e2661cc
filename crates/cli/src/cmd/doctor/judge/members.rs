//! Do the members hear each other, agree, and tell the same time?

use std::collections::BTreeSet;

use super::{
    super::{Finding, Level, facts::Facts},
    finding, ok,
};
use crate::{
    api::{Keyring, KeyringMember, Member},
    output::age,
};

/// Clocks that differ by more are a problem: stamps further ahead are not followed.
const CLOCK_MS: u64 = 500;
/// A difference that lasts longer is not the network's.
const DIFFERS_MS: u64 = 30_000;

/// Whether those who ought to be there are.
pub(super) fn reachable(facts: &Facts) -> Finding {
    const ABOUT: &str = "members";
    let status = &facts.status;
    let away: Vec<String> = status
        .members
        .iter()
        .filter(|member| member.status == "down")
        .map(|member| {
            format!(
                "{} at {}, for {}",
                member.name,
                member.address,
                age(member.since_ms)
            )
        })
        .collect();
    let (reachable, expected) = (status.reachable, status.expected);
    if status.island {
        return finding(
            ABOUT,
            Level::Problem,
            format!(
                "this agent is cut off: it reaches {reachable} of {expected}; down: {}",
                away.join("; ")
            ),
            "see that this host's network works and that UDP passes on the gossip port; what was last known \
             is served meanwhile, marked stale",
        );
    }
    if away.is_empty() {
        return ok(ABOUT, format!("{reachable} of {expected} are reachable"));
    }
    finding(
        ABOUT,
        Level::Warning,
        format!("down: {}", away.join("; ")),
        "start the agents there again; one that is gone for good is forgotten after three days, or at once by \
         `tidings force-leave NAME`",
    )
}

/// Whether all hold the same.
pub(super) fn agreement(facts: &Facts) -> Finding {
    const ABOUT: &str = "agreement";
    match facts.status.differs_for_ms {
        Some(ms) if ms > DIFFERS_MS => finding(
            ABOUT,
            Level::Problem,
            format!("some member has held something else for {}", age(ms)),
            "look in the logs of both for what they refuse, and below for sessions that fail",
        ),
        Some(_) => ok(ABOUT, "members are just being brought up to date"),
        None => ok(ABOUT, "all reachable members hold the same"),
    }
}

/// Whether packets of full size pass: a session begins with packets of 1,200 bytes that may not be cut,
/// as large as any datagram of an agent.
pub(super) fn sessions(facts: &Facts) -> Vec<Finding> {
    const ABOUT: &str = "packets";
    let keyring = match &facts.keyring {
        Ok(keyring) => keyring,
        Err(reason) => {
            let found = format!("the members could not be asked over sessions: {reason}");
            let remedy = "ask again; if it stays so, look in the agent's log";
            return vec![finding(ABOUT, Level::Unknown, found, remedy)];
        }
    };
    let others = others(facts, keyring);
    let failed = others.iter().filter(|member| !member.is_ok);
    let mut findings: Vec<_> = failed
        .map(|member| {
            finding(
                ABOUT,
                Level::Problem,
                format!(
                    "{} is alive by small packets, but no session with it works: {}",
                    member.name, member.outcome
                ),
                "see that packets of 1,228 bytes pass unfragmented in both directions (ping -M do -s 1200), \
                 mostly the MTU of a tunnel, and that no firewall stops QUIC",
            )
        })
        .collect();
    let passed = others.iter().filter(|member| member.is_ok).count();
    if passed > 0 {
        let found = format!(
            "packets of full size pass to {passed} of {} members",
            others.len()
        );
        findings.push(ok(ABOUT, found));
    }
    findings
}

fn others<'a>(facts: &Facts, keyring: &'a Keyring) -> Vec<&'a KeyringMember> {
    let members = keyring.members.iter();
    members
        .filter(|member| member.node_id != facts.status.node_id)
        .collect()
}

/// Whether all accept and use the same cluster key.
pub(super) fn keys(facts: &Facts) -> Vec<Finding> {
    const ABOUT: &str = "keys";
    let Ok(keyring) = &facts.keyring else {
        return Vec::new();
    };
    let asked: Vec<_> = keyring
        .members
        .iter()
        .filter(|member| member.is_ok)
        .collect();
    let mut findings = Vec::new();
    for key in keyring
        .keys
        .iter()
        .filter(|key| key.accepted_by < asked.len())
    {
        let lacking = asked
            .iter()
            .filter(|member| !member.accepts.contains(&key.id));
        let lacking: Vec<&str> = lacking.map(|member| member.name.as_str()).collect();
        let level = if key.in_use || key.sent_by > 0 {
            Level::Problem
        } else {
            Level::Warning
        };
        findings.push(finding(
            ABOUT,
            level,
            format!("the key {} is not accepted by {}", key.id, lacking.join(", ")),
            "`tidings keyring add FILE` gives it to all, or `tidings keyring remove` takes it from all",
        ));
    }
    let sent: BTreeSet<&String> = asked
        .iter()
        .filter_map(|member| member.heard_under.as_ref())
        .collect();
    let in_use = keyring
        .keys
        .iter()
        .filter(|key| key.in_use)
        .map(|key| &key.id);
    let sent: BTreeSet<&String> = sent.into_iter().chain(in_use).collect();
    if sent.len() > 1 {
        findings.push(finding(
            ABOUT,
            Level::Warning,
            format!("members send under {} different keys", sent.len()),
            "a change of keys is under way: finish it with `tidings keyring use` and `remove`",
        ));
    }
    if findings.is_empty() {
        findings.push(ok(
            ABOUT,
            "all members asked accept the same keys and send under one",
        ));
    }
    findings
}

/// Each clock that is off.
pub(super) fn clocks(facts: &Facts) -> Vec<Finding> {
    const ABOUT: &str = "clocks";
    let heard =
        |member: &&Member| member.status == "alive" && member.node_id != facts.status.node_id;
    let members: Vec<_> = facts.status.members.iter().filter(heard).collect();
    let known = members
        .iter()
        .filter(|member| member.clock_ahead_ms.is_some())
        .count();
    let off = members.iter().filter_map(|member| {
        let ahead = member.clock_ahead_ms.filter(|ahead| ahead.unsigned_abs() > CLOCK_MS)?;
        let word = if ahead > 0 { "ahead of" } else { "behind" };
        Some(finding(
            ABOUT,
            Level::Problem,
            format!("the clock of {} is {} {word} this agent's", member.name, age(ahead.unsigned_abs())),
            "set both hosts by one time server (chrony, systemd-timesyncd); until then the faster clock wins \
             writes to shared records that are made on both sides of a split",
        ))
    });
    let mut findings: Vec<_> = off.collect();
    if findings.is_empty() {
        let found = match (members.len(), known) {
            (0, _) => "no other member is heard, so no clock could be compared".to_owned(),
            (all, known) => format!("{known} of {all} clocks were compared and are right"),
        };
        findings.push(ok(ABOUT, found));
    }
    findings
}

/// Packets of those who do not belong here.
pub(super) fn strangers(facts: &Facts) -> Vec<Finding> {
    const ABOUT: &str = "strangers";
    [
        (
            ["tidings_transport_foreign_cluster_total", "tidings_transport_sessions_foreign_total"],
            "packets of another cluster came here",
            "an agent elsewhere has a seed or a remembered address that is this host: see its --join, and \
             --cluster of both",
        ),
        (
            ["tidings_transport_unknown_key_total", "tidings_transport_sessions_unknown_key_total"],
            "packets came here that were sealed under a key that is not accepted",
            "an agent of this cluster has another key file: compare `tidings keyring list --local` on both",
        ),
    ]
    .into_iter()
    .filter_map(|(figures, what, remedy)| {
        let count: f64 = figures.into_iter().map(|name| facts.figure(name)).sum();
        (count > 0.0).then(|| finding(ABOUT, Level::Warning, format!("{count} {what}"), remedy))
    })
    .collect()
}
