//! Rare states: what a set of runs must have met before its silence means anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidings_node::Event;
use tidings_types::{Change, MemberStatus, NodeId, Probe, Probes, Timestamp, Version};

use super::Checks;
use crate::{host::Host, link::Network, scenario::EventName};

/// Renewals of all nodes within this count as one.
const AT_ONCE: Duration = Duration::from_secs(1);
/// A member that is back this soon after a verdict had its refutation on its way.
const CROSSED: Duration = Duration::from_secs(1);
/// How far a clock is behind a peer's that counts: an hour, less what a datagram takes on its way.
const HOUR_MS: i64 = 3_599_000;

/// What has to be remembered to recognise some of them.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// When each host last renewed its membership identity.
    renewed: BTreeMap<usize, Timestamp>,
    /// Since when a member is down in a host's view.
    down: BTreeMap<(usize, NodeId), Timestamp>,
    /// Hosts of which a session has broken, and that have repaired nothing since.
    broken: BTreeSet<usize>,
}

impl Checks {
    /// A node has met rare states.
    pub(crate) fn met(&mut self, now: Timestamp, host: usize, probes: Probes, hosts: &[Host]) {
        for probe in probes.iter() {
            if let Some(name) = name_of(probe) {
                self.saw(name);
            }
            if probe == Probe::IdentityRenewed {
                self.renewed(now, host, hosts);
            }
        }
    }

    /// A session that a host had opened broke.
    pub(crate) fn broke(&mut self, host: usize) {
        self.rare.broken.insert(host);
    }

    /// A node wrote a shared key: has another written it, whom it cannot have heard?
    pub(crate) fn look_for_split_writes(
        &mut self,
        host: usize,
        change: &Change,
        network: &Network,
    ) {
        let tidings_types::Slot::Entry(entry) = &change.slot else {
            return;
        };
        let Version::Shared(shared) = &entry.version else {
            return;
        };
        let is_apart = |other| !network.passes(host, other) || !network.passes(other, host);
        let unheard = self.history.writes_on(&change.key).any(|(dot, write)| {
            write.host != host && is_apart(write.host) && !shared.clock.covers(dot)
        });
        if unheard {
            self.saw(EventName::WrittenOnBothSides);
        }
    }

    pub(super) fn look_for_rare(
        &mut self,
        now: Timestamp,
        host: usize,
        event: &Event,
        hosts: &[Host],
    ) {
        match event {
            Event::Member { node, status } => self.member(now, (host, *node), *status, hosts),
            Event::Repaired { .. } if self.rare.broken.remove(&host) => {
                self.saw(EventName::ResumedAfterBreak);
            }
            Event::ClockOff { ahead_ms, .. } if *ahead_ms >= HOUR_MS => {
                self.saw(EventName::ClockBehindHour);
            }
            _ => {}
        }
    }

    fn member(
        &mut self,
        now: Timestamp,
        view: (usize, NodeId),
        status: MemberStatus,
        hosts: &[Host],
    ) {
        if status == MemberStatus::Down {
            self.rare.down.insert(view, now);
            if hosts.iter().any(|h| h.is_running() && h.me() == view.1) {
                self.saw(EventName::DeclaredDownWhileAlive);
            }
        } else if let Some(since) = self.rare.down.remove(&view)
            && now.since(since) <= CROSSED
        {
            self.saw(EventName::ExpiryRacedRenewal);
        }
    }

    /// A node took a new membership identity: has every other of its cluster done so just now?
    fn renewed(&mut self, now: Timestamp, host: usize, hosts: &[Host]) {
        self.rare.renewed.insert(host, now);
        let just_now = |host| {
            let at = self.rare.renewed.get(&host);
            at.is_some_and(|&at| now.since(at) <= AT_ONCE)
        };
        let cluster: Vec<usize> = (0..hosts.len())
            .filter(|&other| hosts[other].is_running())
            .filter(|&other| hosts[other].cluster == hosts[host].cluster)
            .collect();
        if cluster.len() > 1 && cluster.iter().copied().all(just_now) {
            self.saw(EventName::EveryNodeRenewed);
            self.rare.renewed.clear();
        }
    }
}

const fn name_of(probe: Probe) -> Option<EventName> {
    Some(match probe {
        Probe::SuspicionRefuted => EventName::SuspicionRefuted,
        Probe::IdentityRenewed => EventName::IdentityRenewed,
        Probe::WatchdogFired => EventName::WatchdogFired,
        Probe::TombstoneBeatLive => EventName::TombstoneBeatLive,
        Probe::LiveBeatTombstone => EventName::LiveBeatTombstone,
        Probe::NewsTooLarge => EventName::NewsTooLarge,
        Probe::GapClosed => EventName::GapClosed,
        _ => return None,
    })
}
