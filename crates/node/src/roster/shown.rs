//! The roster as readers get it.
//!
//! What changes how a record is served is shown at once. When each member was last heard is not worth
//! a new roster whenever one is: that costs each node as much as it has members.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tidings_types::{Liveness, MemberStatus, NodeId, Roster, RosterEntry, Timestamp, Update};

use super::{Tracked, seek};
use crate::{Node, Output, peers::Peer};

/// How often readers are told when members were last heard, for each so many of them: in a large
/// cluster a member is heard directly only once in many seconds anyway.
const HEARING_EVERY: Duration = Duration::from_secs(1);
const HEARING_MEMBERS: u32 = 8;

impl Node {
    pub(super) fn describe_roster(&self, expected: usize) -> Roster {
        let (now, stale_for) = (self.now, self.config.stale_for);
        let state = &self.roster;
        let mut peers = self.peers.in_order().peekable();
        let mut entry = |member: &Tracked| RosterEntry {
            addr: member.addr,
            status: member.status,
            liveness: state.liveness(member, now, stale_for),
            since: member.since,
            heard: member.heard.unwrap_or(state.started),
            ahead_ms: seek(&mut peers, member.node).and_then(Peer::ahead_ms),
        };
        let members = state.members.iter();
        let mut members: BTreeMap<NodeId, RosterEntry> =
            members.map(|member| (member.node, entry(member))).collect();
        members.insert(state.me, self.own_roster_entry());
        let reachable = members.values().filter(|m| m.status.is_reachable());
        Roster {
            reachable: reachable.count(),
            members,
            unknown: state.unknown(now, stale_for),
            former: state.former.clone(),
            expected,
            island: state.island,
        }
    }

    /// Shows the roster at once if it changed; when each member was last heard follows in time.
    pub(super) fn show_roster(&mut self, roster: Roster) {
        let hearing_due = self.is_hearing_due();
        let state = &mut self.roster;
        let changed = match state.shown.as_deref() {
            Some(last) if hearing_due => *last != roster,
            Some(last) => differs(last, &roster),
            None => true,
        };
        if changed {
            let roster = Arc::new(roster);
            state.shown = Some(Arc::clone(&roster));
            state.shown_at = self.now;
            self.out.push_back(Output::Publish(Update::Roster(roster)));
        }
    }

    /// Whether readers are to be told when each member was last heard.
    pub(super) fn is_hearing_due(&self) -> bool {
        let members = u32::try_from(self.roster.members.len()).unwrap_or(u32::MAX);
        let every = HEARING_EVERY * (members / HEARING_MEMBERS).max(1);
        self.now.since(self.roster.shown_at) >= every
    }

    fn own_roster_entry(&self) -> RosterEntry {
        RosterEntry {
            addr: self.addr,
            status: MemberStatus::Alive,
            liveness: Liveness::Live,
            since: self.roster.started,
            heard: self.roster.started,
            ahead_ms: Some(0),
        }
    }
}

/// Whether readers must be told at once: when a live member was last heard, and what its clock read
/// then, is no news.
fn differs(last: &Roster, next: &Roster) -> bool {
    let silent = |entry: &RosterEntry| RosterEntry {
        heard: Timestamp::ZERO,
        ahead_ms: None,
        ..entry.clone()
    };
    last.unknown != next.unknown
        || last.former != next.former
        || last.expected != next.expected
        || last.island != next.island
        || !last
            .members
            .iter()
            .map(|(node, entry)| (node, silent(entry)))
            .eq(next
                .members
                .iter()
                .map(|(node, entry)| (node, silent(entry))))
}
