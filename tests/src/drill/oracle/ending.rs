//! E1, E3, E4 and A1: how the drill ended.

use std::{collections::BTreeSet, time::Duration};

use super::Violation;
use crate::{
    drill::{
        answer::node_id,
        book::{Key, Service},
        history::{Look, Moment, seconds, who},
    },
    status::Status,
    wait::ensure,
};

/// What is seen when the faults are over.
#[derive(Clone, Debug)]
pub struct Ending {
    /// When the last fault was taken back.
    pub healed: Moment,
    /// E1 and E3: how long it took until all agents agreed and saw each other, and went on to.
    pub agreed: Result<Duration, (&'static str, String)>,
    /// The answers of all agents then.
    pub last: Vec<Look>,
    /// E4: how long it took until an agent that was killed was gone from all answers; `None` if that
    /// was not tried, since they had not agreed before.
    pub gone: Option<Result<Duration, (&'static str, String)>>,
    /// A1: agents that ended by themselves, and errors in their logs.
    pub crashes: Vec<(usize, Moment, String)>,
}

impl Ending {
    /// Adds what breaks the invariants.
    pub fn judge(&self, found: &mut Vec<Violation>) {
        let broken = [Some(&self.agreed), self.gone.as_ref()]
            .into_iter()
            .flatten();
        let broken = broken.filter_map(|result| result.as_ref().err());
        found.extend(broken.map(|(id, text)| Violation {
            id,
            at: self.healed,
            host: None,
            text: format!("all was well from {} on, but: {text}", seconds(self.healed)),
        }));
        found.extend(self.crashes.iter().map(|(host, at, text)| Violation {
            id: "A1",
            at: *at,
            host: Some(*host),
            text: text.clone(),
        }));
    }
}

/// E3: an agent sees exactly the agents that run, and does not take itself to be cut off.
///
/// # Errors
/// What it sees instead.
pub fn sees(status: &Status, running: &BTreeSet<u128>) -> Result<(), String> {
    let alive = status
        .members
        .iter()
        .filter(|member| member.status == "alive");
    let alive: BTreeSet<_> = alive
        .filter_map(|member| node_id(&member.node_id))
        .collect();
    ensure(
        alive == *running && status.reachable == running.len(),
        || {
            let members = status.members.iter().map(|member| {
                let id: String = member.node_id.chars().take(8).collect();
                format!("{} ({id}) {}", member.name, member.status)
            });
            format!(
                "{} reaches {}, not {}: {}",
                status.name,
                status.reachable,
                running.len(),
                members.collect::<Vec<_>>().join(", ")
            )
        },
    )?;
    ensure(!status.island, || {
        let (reachable, expected) = (status.reachable, status.expected);
        let name = &status.name;
        format!("{name} reaches all and takes itself to be cut off: {reachable} of {expected}")
    })
}

/// E4: no answer shows an instance of a node that does not run.
///
/// # Errors
/// The first that does.
pub fn ensure_gone(
    looks: &[Look],
    running: &BTreeSet<u128>,
    dead: Option<usize>,
) -> Result<(), String> {
    for look in looks {
        let shown = look
            .answer
            .as_ref()
            .map_err(|reason| format!("{}: {reason}", who(look.at)))?;
        for seen in &shown.seen {
            let owner = seen.key.map_or(Some(seen.call.host), Key::owner);
            let is_own = look.service != Service::Ext && owner.is_some();
            let is_dead =
                is_own && (owner == dead || seen.node.is_some_and(|node| !running.contains(&node)));
            ensure(!is_dead, || {
                format!(
                    "{} shows over {:?} the instance that {} registered, whose node is gone",
                    who(look.at),
                    look.way,
                    seen.call
                )
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{A, B, DB, MadeUp, WEB, node};
    use super::*;
    use crate::{drill::history::Act, status::Member};

    fn status(alive: &[u128], down: &[u128], island: bool) -> Status {
        let member = |id: &u128, status: &str| Member {
            name: "n".to_owned(),
            node_id: format!("{id:032x}"),
            status: status.to_owned(),
            liveness: "live".to_owned(),
        };
        let members = alive.iter().map(|id| member(id, "alive"));
        Status {
            name: "n1".to_owned(),
            node_id: String::new(),
            epoch: String::new(),
            fingerprint: String::new(),
            reachable: alive.len(),
            expected: alive.len() + down.len(),
            island,
            pending: 0,
            conflicts: 0,
            entries: 0,
            refused: 0,
            index: 0,
            members: members
                .chain(down.iter().map(|id| member(id, "down")))
                .collect(),
        }
    }

    #[test]
    fn who_runs_is_seen_and_nobody_else() {
        let running = BTreeSet::from([1, 2]);
        assert!(sees(&status(&[1, 2], &[3], false), &running).is_ok());
        assert!(sees(&status(&[1], &[2], false), &running).is_err());
        assert!(sees(&status(&[1, 2, 3], &[], false), &running).is_err());
        assert!(sees(&status(&[1, 3], &[], false), &running).is_err());
        assert!(sees(&status(&[1, 2], &[], true), &running).is_err());
    }

    #[test]
    fn instances_of_the_dead_are_gone() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        let db = made.done(A, DB, Act::Register, 10, 20);
        made.shows(B, WEB, &[one], 30, 31);
        made.shows_over_dns(B, DB, &[db], 30, 31);
        let all = BTreeSet::from([node(A), node(B)]);
        assert!(ensure_gone(&made.looks, &all, None).is_ok());
        assert!(ensure_gone(&made.looks, &all, Some(B)).is_ok());
        let rest = BTreeSet::from([node(B)]);
        assert!(ensure_gone(&made.looks[..1], &rest, None).is_err());
        assert!(ensure_gone(&made.looks[1..], &rest, Some(A)).is_err());
    }

    #[test]
    fn an_ending_that_is_not_one_breaks_what_it_says() {
        let well = Ending {
            healed: Moment::ZERO,
            agreed: Ok(Duration::ZERO),
            last: Vec::new(),
            gone: Some(Ok(Duration::ZERO)),
            crashes: Vec::new(),
        };
        let ids = |ending: Ending| {
            let mut found = Vec::new();
            ending.judge(&mut found);
            found
                .into_iter()
                .map(|violation| violation.id)
                .collect::<Vec<_>>()
        };
        let text = String::new;
        assert!(ids(well.clone()).is_empty());
        let agreed = Err(("E1", text()));
        assert_eq!(
            ids(Ending {
                agreed,
                ..well.clone()
            }),
            ["E1"]
        );
        let agreed = Err(("E3", text()));
        assert_eq!(
            ids(Ending {
                agreed,
                ..well.clone()
            }),
            ["E3"]
        );
        let gone = Some(Err(("E4", text())));
        assert_eq!(
            ids(Ending {
                gone,
                ..well.clone()
            }),
            ["E4"]
        );
        let crashes = vec![(0, Moment::ZERO, text())];
        assert_eq!(ids(Ending { crashes, ..well }), ["A1"]);
    }
}
