//! The node's events as log lines.

use std::{collections::BTreeMap, time::Duration};

use tidings_node::Event;
use tidings_types::{MemberStatus, NodeId, Timestamp};
use tidings_view::View;

/// Lines of one span, at most: a peer that misbehaves must not fill the disk with them.
const LINES: u32 = 50;
/// The span.
const SPAN: Duration = Duration::from_secs(1);
/// Peers of which it is remembered when a refusal of theirs was told.
const PEERS: usize = 256;

/// Writes events to the log, a bounded number per second.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    since: Timestamp,
    lines: u32,
    left_out: u64,
    /// Left out in earlier spans.
    left_out_before: u64,
    refusals: Refusals,
}

/// One refusal of each peer is told in a span: one that means ill can make hundreds.
#[derive(Debug, Default)]
struct Refusals {
    told: BTreeMap<NodeId, Told>,
    held_back: u64,
}

#[derive(Debug)]
struct Told {
    at: Timestamp,
    held_back: u64,
}

impl Refusals {
    /// How many of `peer` were held back since the last one that was told; `None` if this one is too.
    fn admit(&mut self, peer: NodeId, now: Timestamp) -> Option<u64> {
        if self.told.len() >= PEERS && !self.told.contains_key(&peer) {
            self.told.retain(|_, told| now.since(told.at) < SPAN);
        }
        let is_full = self.told.len() >= PEERS;
        match self.told.get_mut(&peer) {
            Some(told) if now.since(told.at) >= SPAN => {
                told.at = now;
                Some(std::mem::take(&mut told.held_back))
            }
            None if !is_full => {
                let told = Told {
                    at: now,
                    held_back: 0,
                };
                self.told.insert(peer, told);
                Some(0)
            }
            told => {
                self.held_back += 1;
                if let Some(told) = told {
                    told.held_back += 1;
                }
                None
            }
        }
    }
}

impl EventLog {
    /// Writes `event`, unless there were too many just now. Nodes are called by name where the
    /// name is known.
    pub(crate) fn write(&mut self, now: Timestamp, event: &Event, view: &View) {
        if let Event::Refused { peer, reason } = event {
            if let Some(more) = self.refusals.admit(*peer, now)
                && self.admits(now)
            {
                let peer = name(*peer, view);
                tracing::warn!(%peer, %reason, more, "refused a peer's change");
            }
        } else if self.admits(now) {
            log_event(event, view);
        }
    }

    /// How many events were left out since the start.
    pub(crate) const fn left_out(&self) -> u64 {
        self.left_out_before + self.left_out + self.refusals.held_back
    }

    fn admits(&mut self, now: Timestamp) -> bool {
        if now.since(self.since) >= SPAN {
            if self.left_out > 0 {
                tracing::warn!(events = self.left_out, "too many events to log them all");
            }
            *self = Self {
                since: now,
                lines: 0,
                left_out: 0,
                left_out_before: self.left_out_before + self.left_out,
                refusals: std::mem::take(&mut self.refusals),
            };
        }
        let admitted = self.lines < LINES;
        if admitted {
            self.lines += 1;
        } else {
            self.left_out += 1;
        }
        admitted
    }
}

fn log_event(event: &Event, view: &View) {
    match event {
        Event::Member { node, status } => log_member(*node, *status, view),
        Event::Island {
            entered: true,
            in_doubt: true,
            ..
        } => tracing::warn!(
            "no member answers: cut off, it seems; what they last said is served on, marked stale"
        ),
        Event::Island {
            entered: true,
            reachable,
            expected,
            ..
        } => tracing::warn!(
            reachable,
            expected,
            "cut off from most of the cluster: what it last said is served on, marked stale"
        ),
        Event::Island {
            entered: false,
            reachable,
            expected,
            ..
        } => tracing::info!(reachable, expected, "no longer cut off"),
        Event::Repaired { peer, feeds } => {
            tracing::info!(peer = %name(*peer, view), feeds, "repaired from a peer");
        }
        Event::Relearned { peer, records } => tracing::warn!(
            peer = %name(*peer, view),
            records,
            "a peer gave back what this node had once written and its disk no longer has"
        ),
        Event::Overridden { key } => {
            tracing::warn!(
                ?key,
                "an operator took this registration away on another agent"
            );
        }
        Event::Alarm { owner, peer } => tracing::error!(
            owner = %name(*owner, view),
            peer = %name(*peer, view),
            "two replicas of a feed differed at one position; they were joined"
        ),
        Event::DamageAccepted { owner } => tracing::warn!(
            owner = %name(*owner, view),
            "no peer has a whole copy of what this agent's disk lost of the owner's records: what is \
             left of them is kept"
        ),
        Event::ClockAhead { dot, ahead_ms } => tracing::warn!(
            peer = %name(dot.node, view),
            ahead_ms,
            "a peer's clock is ahead: of writes made at once its write wins; set its clock"
        ),
        Event::NotPersisted { reason } => tracing::error!(
            %reason,
            "the disk refused a change; registrations are refused until it takes them again"
        ),
        Event::PersistedAgain => {
            tracing::info!("the disk takes changes again: nothing that was acknowledged is lost");
        }
        other => log_set_up(other, view),
    }
}

/// What a person has set up wrongly: names, clocks, data directories.
fn log_set_up(event: &Event, view: &View) {
    match event {
        Event::NameShared { peer } => tracing::warn!(
            id = %peer,
            addr = view.roster().members.get(peer).map(|member| member.addr.to_string()),
            "another agent bears this one's name; whoever asks by name gets one of the two: give each \
             its own --name"
        ),
        Event::ClockOff { peer, ahead_ms } => tracing::warn!(
            peer = %name(*peer, view),
            ahead_ms,
            "a peer's clock differs from this one's by more than 500 ms; set both by one time server"
        ),
        Event::GreaterEpochMet { epoch } => tracing::warn!(
            ?epoch,
            "met a later run of this node: its disk was rolled back or copied; going on above it"
        ),
        Event::Cloned { yields: true } => tracing::warn!(
            "another agent runs with this node's key: the data directory was copied; that one keeps the \
             identity, this one takes a new one, with what was registered here since it started"
        ),
        Event::Cloned { yields: false } => tracing::warn!(
            "another agent runs with this node's key: the data directory was copied; this one keeps the \
             identity, that one takes a new one; never start two agents from one data directory"
        ),
        other => tracing::info!(event = ?other, "something happened"),
    }
}

fn log_member(node: NodeId, status: MemberStatus, view: &View) {
    let name = name(node, view);
    let addr = view
        .roster()
        .members
        .get(&node)
        .map(|member| member.addr.to_string());
    let (addr, status_word) = (addr.unwrap_or_default(), status.as_str());
    match status {
        MemberStatus::Alive | MemberStatus::Left | MemberStatus::Restarting => {
            tracing::info!(node = %name, addr, "member is {status_word}");
        }
        MemberStatus::Suspect => {
            tracing::info!(node = %name, addr, "member does not answer; suspected");
        }
        MemberStatus::Down => tracing::warn!(node = %name, addr, "member is down"),
    }
}

/// What people call `node`; its id until its record is here, and whole: it may be all that is ever
/// known of a member that means ill.
fn name(node: NodeId, view: &View) -> String {
    view.name_of_agent(node).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_events_is_cut_and_the_next_second_is_heard() {
        let mut log = EventLog::default();
        let start = Timestamp::ZERO + SPAN;
        let admitted = (0..LINES + 10).filter(|_| log.admits(start)).count();
        assert_eq!(u32::try_from(admitted), Ok(LINES));
        assert_eq!(log.left_out, 10);
        assert!(log.admits(start + SPAN));
    }

    #[test]
    fn a_peer_s_refusals_are_told_once_a_second_and_counted() {
        let (mut refusals, start) = (Refusals::default(), Timestamp::ZERO + SPAN);
        let peer = |n: u16| {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&n.to_be_bytes());
            NodeId::from_bytes(bytes)
        };
        assert_eq!(refusals.admit(peer(1), start), Some(0));
        assert_eq!(refusals.admit(peer(2), start), Some(0));
        for _ in 0..100 {
            assert_eq!(refusals.admit(peer(1), start + SPAN / 2), None);
        }
        assert_eq!(refusals.admit(peer(1), start + SPAN), Some(100));
        assert_eq!(refusals.held_back, 100);
        for n in 0..1_000 {
            refusals.admit(peer(n), start + SPAN);
        }
        assert_eq!(refusals.told.len(), PEERS);
    }
}
