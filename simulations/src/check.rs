//! The invariants, each in its own checker with its own words.
//!
//! *Always* is judged with each event or each second, *eventually* from a deadline in the quiet phase
//! on, a *budget* over a whole run.
//!
//! | Id | Says | Where |
//! |---|---|---|
//! | A1 | no panic, no endless outputs, no timer that stands still | `steps` |
//! | A2 | merging is lawful; equal fingerprints mean equal content, and nothing else does | `laws`, `agreement` |
//! | A3 | at one agent a record never goes back while its process lives | `monotonic` |
//! | A4 | a client reads its own writes, from the answer on | `answers` |
//! | A5 | what was deregistered is not served again, restarts included | `monotonic` |
//! | A6 | each served record was written by its owner, and asked for by a client | `origin`, `lies` |
//! | A7 | a dot is never used twice, grows, and is seen by nobody before it is durable | `origin` |
//! | A8 | an owner that is up keeps its own records, and never holds itself for dead | `lease` |
//! | A9 | an agent that is up answers, whatever the network does | `answers` |
//! | A10 | every datagram fits, and can be decoded | `fits` |
//! | A11 | what an agent holds stays under caps that have names, whatever a liar sends | `bounds`, `lies` |
//! | E1 | all running agents come to hold the same | `agreement` |
//! | E2 | nothing acknowledged is lost | `survival` |
//! | E3 | each running agent sees exactly the running agents | `agreement` |
//! | E4 | a dead owner's instances leave every answer, and not before a suspicion's time | `dead` |
//! | E5 | where nothing is asked, nobody talks about records, and nobody is suspected | `quiescence` |
//! | E6 | what is published adds up to what is in force, deletions included | `watch` |
//! | E7 | nothing of one cluster is ever seen in another | `apart` |
//! | E8 | an agent goes on looking for others, often while it hears nobody | `calls` |
//! | B1 | while nothing goes wrong, readers are behind by little | `staleness` |
//! | B2 | healthy nodes are not called down, nor made to rejoin | `accusations` |
//! | B3 | quiet is cheap, a heal costs what differed, no storm is long; timers do not go off together | `traffic`, `lock_step` |
//! | B4 | a change costs about one copy per node, a heal few sessions | `work` |
//! | M1 | one file gives one trace, in every process and build | [`meta`](crate::meta) |
//! | M2 | a set of runs meets every rare state and each kind of fault alone | [`explore`](crate::explore) |
//!
//! The budgets B1, B3 and B4 are figures, which [`figures`](crate::figures) holds against what a
//! scenario permits.
//!
//! Rare states that a set of runs must have met are noted in `rare`.
//!
//! Among honest hosts no change is refused and no two copies differ. What a dishonest host makes up
//! may be shown for a while: A6 gives it five seconds, since its owner is there to be asked.

mod accusations;
mod agreement;
mod answers;
mod apart;
mod bounds;
mod calls;
mod dead;
mod fits;
mod laws;
mod lease;
mod lies;
mod lock_step;
mod monotonic;
mod origin;
mod quiescence;
mod rare;
mod staleness;
mod steps;
mod survival;
mod traffic;
mod watch;
mod work;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use tidings_node::Event;
use tidings_types::{Epoch, Key, MemberStatus, NodeId, Timestamp};

pub(crate) use self::{
    accusations::too_many,
    agreement::{agree, disagreement, sees_its_cluster},
    dead::answers_without_the_dead,
    lock_step::LockStep,
    monotonic::Floors,
    quiescence::{suspicion, talk},
    steps::{OUTPUTS, has_no_end, moves_on, panicked},
    traffic::Traffic,
};
pub use self::{staleness::Staleness, work::Told};
use crate::{
    history::History,
    host::Host,
    link::Network,
    plan::Plan,
    scenario::{Cluster, EventName},
};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its id.
    pub invariant: &'static str,
    /// When it was found out.
    pub at: Timestamp,
    /// At which host, if at one.
    pub host: Option<usize>,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} broken at {}", self.invariant, self.at)?;
        if let Some(host) = self.host {
            write!(f, " on n{host}")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// Every checker with what it has seen.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    history: History,
    /// Of each host, the epoch that its process took last.
    epochs: BTreeMap<usize, Epoch>,
    /// Whose member each node is.
    clusters: BTreeMap<NodeId, Cluster>,
    sick: BTreeSet<usize>,
    liars: BTreeSet<usize>,
    /// Owners of feeds of which somebody settled for what damage had left.
    damage_accepted: BTreeSet<NodeId>,
    /// Whether two hosts hold one key at some time.
    copies: bool,
    /// Where something is shown that nobody wrote, and since when.
    lies_shown: BTreeMap<(usize, Key), Timestamp>,
    seen: BTreeMap<EventName, u64>,
    rare: rare::Rare,
    laws: laws::Judged,
    calls: calls::Calls,
    deaths: dead::Deaths,
    traffic: Traffic,
    false_downs: u64,
    /// Datagrams sent.
    datagrams: u64,
}

impl Checks {
    /// Checkers that have seen nothing yet.
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            sick: plan.sick.clone(),
            liars: plan.liars.clone(),
            damage_accepted: BTreeSet::new(),
            copies: plan.copies,
            ..Self::default()
        }
    }

    /// Everything that was asked for and written.
    pub(crate) const fn history(&self) -> &History {
        &self.history
    }

    /// Everything that was asked for and written, to add to it.
    pub(crate) const fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// The bytes that were sent.
    pub(crate) const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The bytes that were sent, to add to them.
    pub(crate) const fn traffic_mut(&mut self) -> &mut Traffic {
        &mut self.traffic
    }

    /// How often something happened that a scenario may ask for.
    pub(crate) fn seen(&self, name: EventName) -> u64 {
        self.seen.get(&name).copied().unwrap_or(0)
    }

    /// How often each event was seen, by name.
    pub(crate) fn all_seen(&self) -> BTreeMap<&'static str, u64> {
        let count = |&name: &EventName| (name.as_str(), self.seen(name));
        EventName::ALL.iter().map(count).collect()
    }

    /// Something happened that a scenario may ask for.
    pub(crate) fn saw(&mut self, name: EventName) {
        *self.seen.entry(name).or_default() += 1;
    }

    /// A node says something about itself.
    pub(crate) fn event(
        &mut self,
        now: Timestamp,
        host: usize,
        event: &Event,
        hosts: &[Host],
        network: &Network,
    ) -> Result<(), Violation> {
        if let Some(name) = name_of(event) {
            self.saw(name);
        }
        self.look_for_rare(now, host, event, hosts);
        match event {
            Event::Member {
                node,
                status: MemberStatus::Down,
            } => {
                self.accused(host, *node, hosts, network);
                self.is_not_hasty(now, host, *node, hosts)
            }
            Event::DamageAccepted { owner } => {
                self.damage_accepted.insert(*owner);
                Ok(())
            }
            Event::Alarm { owner, peer } => self.alarm(now, host, (*owner, *peer), hosts),
            Event::Refused { peer, reason } => self.refused(now, host, *peer, reason, hosts),
            _ => Ok(()),
        }
    }
}

/// The host of a node, for people.
fn whose(node: NodeId, hosts: &[Host]) -> String {
    hosts
        .iter()
        .position(|host| host.me() == node)
        .map_or_else(|| format!("{node:?}"), |host| format!("n{host}"))
}

const fn name_of(event: &Event) -> Option<EventName> {
    Some(match event {
        Event::Member {
            status: MemberStatus::Down,
            ..
        } => EventName::MemberDown,
        Event::Island { entered: true, .. } => EventName::Island,
        Event::Repaired { .. } => EventName::Repaired,
        Event::Overridden { .. } => EventName::Overridden,
        Event::Refused { .. } => EventName::Refused,
        Event::Alarm { .. } => EventName::Alarm,
        Event::ClockAhead { .. } => EventName::ClockAhead,
        Event::GreaterEpochMet { .. } => EventName::GreaterEpochMet,
        Event::NotPersisted { .. } => EventName::NotPersisted,
        Event::Cloned { .. } => EventName::Cloned,
        _ => return None,
    })
}
