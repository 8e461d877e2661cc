//! A2, E1 and E3: agents with equal fingerprints show the same; once links work all come to hold the
//! same; and each sees exactly those that run.

use std::collections::{BTreeMap, BTreeSet};

use tidings_types::{Key, NodeId, Timestamp};

use super::{Checks, Violation, whose};
use crate::host::Host;

/// Differences that a failure text names.
const NAMED: usize = 3;

impl Checks {
    /// A2: two agents with equal fingerprints show the same.
    pub(crate) fn equal_fingerprints_mean_equal_content(
        &self,
        now: Timestamp,
        hosts: &[Host],
    ) -> Result<(), Violation> {
        let mut by_fingerprint: BTreeMap<u128, usize> = BTreeMap::new();
        for (host, state) in hosts.iter().enumerate().filter(|(_, state)| state.is_up()) {
            let Some(fingerprint) = fingerprint(state) else {
                continue;
            };
            let first = *by_fingerprint.entry(fingerprint).or_insert(host);
            if hosts[first].reads.content() != state.reads.content() {
                let text = format!(
                    "its fingerprint is n{first}'s, and it shows something else: {}",
                    differences(&hosts[first], state, hosts)
                );
                return Err(Violation {
                    invariant: "A2",
                    at: now,
                    host: Some(host),
                    text,
                });
            }
        }
        Ok(())
    }
}

/// E1: whether these hosts have equal fingerprints and show the same.
pub(crate) fn agree(core: &[usize], hosts: &[Host]) -> bool {
    core.windows(2).all(|pair| {
        let (a, b) = (&hosts[pair[0]], &hosts[pair[1]]);
        fingerprint(a) == fingerprint(b) && a.reads.content() == b.reads.content()
    })
}

/// What keeps two of these hosts apart, in words.
pub(crate) fn disagreement(core: &[usize], hosts: &[Host]) -> String {
    for pair in core.windows(2) {
        let (a, b) = (&hosts[pair[0]], &hosts[pair[1]]);
        if !agree(pair, hosts) {
            return format!(
                "n{} and n{}: {}",
                pair[0],
                pair[1],
                differences(a, b, hosts)
            );
        }
    }
    "none".to_owned()
}

/// E3: each of these hosts sees exactly the running hosts of its cluster as reachable, and is no
/// island. A dishonest host is a member as well. If there are `outsiders`, whom a fault that never ends
/// keeps apart, they may be seen or not.
pub(crate) fn sees_its_cluster(
    core: &[usize],
    outsiders: bool,
    hosts: &[Host],
) -> Result<(), (usize, String)> {
    let Some(&first) = core.first() else {
        return Ok(());
    };
    let cluster = hosts[first].cluster;
    let expected: BTreeSet<NodeId> = hosts
        .iter()
        .filter(|state| state.is_running() && state.cluster == cluster)
        .map(Host::me)
        .collect();
    for &host in core {
        let roster = hosts[host].reads.roster();
        let reachable = roster
            .members
            .iter()
            .filter(|(_, member)| member.status.is_reachable());
        let seen: BTreeSet<NodeId> = reachable.clone().map(|(&node, _)| node).collect();
        let name = |nodes: Vec<&NodeId>| {
            nodes
                .into_iter()
                .map(|&node| whose(node, hosts))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let required: BTreeSet<NodeId> = if outsiders {
            core.iter().map(|&host| hosts[host].me()).collect()
        } else {
            expected.clone()
        };
        if !seen.is_subset(&expected) || !seen.is_superset(&required) {
            let missing = name(required.difference(&seen).collect());
            let surplus = name(seen.difference(&expected).collect());
            return Err((
                host,
                format!("of the running nodes it misses [{missing}], and it sees [{surplus}] too"),
            ));
        }
        let addrs: BTreeSet<_> = reachable.map(|(_, member)| member.addr).collect();
        if addrs.len() != seen.len() {
            return Err((host, "it sees two members at one address".to_owned()));
        }
        if roster.reachable != seen.len() {
            let (counted, there) = (roster.reachable, seen.len());
            return Err((host, format!("it counts {counted} reachable of {there}")));
        }
    }
    Ok(())
}

fn fingerprint(state: &Host) -> Option<u128> {
    state
        .node
        .as_ref()
        .map(|node| node.registry().fingerprint())
}

/// The first few differences between two hosts, in words.
fn differences(a: &Host, b: &Host, hosts: &[Host]) -> String {
    let keys: BTreeSet<&Key> = a
        .reads
        .records()
        .keys()
        .chain(b.reads.records().keys())
        .collect();
    let shown = |state: &Host, key: &Key| match state.reads.record(key) {
        None => "nothing".to_owned(),
        Some(shown) => format!(
            "{} at {:?}, {} conflicts",
            if shown.body.is_some() {
                "a record"
            } else {
                "a tombstone"
            },
            shown.dot,
            shown.conflicts
        ),
    };
    let mut found: Vec<String> = keys
        .into_iter()
        .filter(|key| a.reads.record(key) != b.reads.record(key))
        .map(|key| format!("{key:?} is {} against {}", shown(a, key), shown(b, key)))
        .take(NAMED)
        .collect();
    if let (Some(x), Some(y)) = (&a.node, &b.node) {
        let owners: BTreeSet<NodeId> = x.registry().owners().chain(y.registry().owners()).collect();
        let apart = owners
            .into_iter()
            .filter(|&owner| x.registry().item(owner) != y.registry().item(owner))
            .map(|owner| {
                let (p, q) = (x.registry().lineage(owner), y.registry().lineage(owner));
                format!("the feed of {} at {p:?} against {q:?}", whose(owner, hosts))
            });
        found.extend(apart.take(NAMED));
    }
    found.join("; ")
}
