//! E4: what a dead owner had is gone from every answer once it was suspected for its time, and not
//! before.

use std::collections::BTreeMap;

use tidings_membership::Config;
use tidings_types::{Content, MemberStatus, NodeId, Timestamp};

use super::{Checks, Violation, whose};
use crate::host::Host;

/// When nodes died that nobody suspected at that moment.
#[derive(Debug, Default)]
pub(super) struct Deaths(BTreeMap<NodeId, Timestamp>);

impl Checks {
    /// A host's process was killed.
    pub(crate) fn killed(&mut self, now: Timestamp, host: usize, hosts: &[Host]) {
        let me = hosts[host].me();
        let is_trusted = hosts.iter().filter(|other| other.is_up()).all(|other| {
            let member = other.reads.roster().members.get(&me);
            member.is_none_or(|member| member.status == MemberStatus::Alive)
        });
        if is_trusted {
            self.deaths.0.insert(me, now);
        }
    }

    /// A node's process begins, or its life is judged in another way from now on.
    pub(crate) fn lives(&mut self, node: NodeId) {
        self.deaths.0.remove(&node);
    }

    /// A member is down in a host's view: it had the time to refute.
    pub(super) fn is_not_hasty(
        &self,
        now: Timestamp,
        host: usize,
        node: NodeId,
        hosts: &[Host],
    ) -> Result<(), Violation> {
        let least = Config::default().suspicion;
        match self.deaths.0.get(&node) {
            Some(&died) if now.since(died) < least => Err(Violation {
                invariant: "E4",
                at: now,
                host: Some(host),
                text: format!(
                    "it calls {} down {:?} after its death, without the {least:?} of a suspicion",
                    whose(node, hosts),
                    now.since(died)
                ),
            }),
            _ => Ok(()),
        }
    }
}

/// E4 at each of these hosts: no answer has an instance of a node that does not run, unless it says
/// itself that it is stale, by an island or for want of any other.
pub(crate) fn answers_without_the_dead(
    core: &[usize],
    hosts: &[Host],
) -> Result<(), (usize, String)> {
    let runs = |node| {
        hosts
            .iter()
            .any(|host| host.is_running() && host.me() == node)
    };
    for &host in core {
        let state = &hosts[host];
        for (key, shown) in state.reads.records() {
            let Some(owner) = key.owner().filter(|&owner| !runs(owner)) else {
                continue;
            };
            let Some(service) = shown.body.as_ref().and_then(Content::service) else {
                continue;
            };
            let answer = state.reads.serve(state.me(), service);
            let is_alone = answer.iter().all(|served| served.stale);
            let excused = is_alone || state.reads.roster().island;
            let served = answer.iter().find(|served| served.key == *key);
            if served.is_some_and(|served| !served.stale || !excused) {
                let whose = whose(owner, hosts);
                return Err((host, format!("it serves {key:?}, and {whose} is dead")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_without_a_suspicion_is_hasty_and_one_after_it_is_not() {
        let node = NodeId::from_bytes([1; 16]);
        let mut checks = Checks::default();
        checks
            .deaths
            .0
            .insert(node, Timestamp::from_micros(5_000_000));
        let judge = |checks: &Checks, at| {
            let at = Timestamp::from_micros(at);
            checks
                .is_not_hasty(at, 0, node, &[])
                .map_err(|v| v.invariant)
        };
        assert_eq!(judge(&checks, 6_900_000), Err("E4"));
        assert_eq!(judge(&checks, 7_000_000), Ok(()));
        checks.lives(node);
        assert_eq!(judge(&checks, 6_900_000), Ok(()));
    }
}
