//! A6 and A11 where a driver is dishonest: honest peers are never blamed, what was made up is put
//! right in time, and what it costs is bounded.

use std::time::Duration;

use tidings_registry::{AHEAD_BYTES, FEED_SLOTS_ACCEPTED};
use tidings_types::{Key, NodeId, Timestamp, limits::LINEAGE_EPOCHS};

use super::{Checks, Violation, whose};
use crate::{host::Host, scenario::EventName};

/// How long something that nobody wrote may be shown while its owner can be asked.
const PUT_RIGHT: Duration = Duration::from_secs(5);

impl Checks {
    /// Two copies of a feed differ at one position.
    pub(super) fn alarm(
        &mut self,
        now: Timestamp,
        host: usize,
        (owner, peer): (NodeId, NodeId),
        hosts: &[Host],
    ) -> Result<(), Violation> {
        if !self.liars.is_empty() {
            self.name_liar(peer, hosts);
            return Ok(());
        }
        // Two that settled for what was left of a damaged feed need not have had the same left.
        if self.damage_accepted.contains(&owner) {
            return Ok(());
        }
        let text = format!(
            "the feed of {} has another content at {} though both stand at one position",
            whose(owner, hosts),
            whose(peer, hosts)
        );
        Err(Violation {
            invariant: "A2",
            at: now,
            host: Some(host),
            text,
        })
    }

    /// A change is refused, and its giver named.
    pub(super) fn refused(
        &mut self,
        now: Timestamp,
        host: usize,
        peer: NodeId,
        reason: &str,
        hosts: &[Host],
    ) -> Result<(), Violation> {
        if self.name_liar(peer, hosts) || relays_forgery(host, peer, hosts) {
            return Ok(());
        }
        let text = format!(
            "it refuses what an honest peer, {}, sends: {reason}",
            whose(peer, hosts)
        );
        Err(Violation {
            invariant: "A6",
            at: now,
            host: Some(host),
            text,
        })
    }

    /// Takes note if `peer` is a liar; whether it is.
    fn name_liar(&mut self, peer: NodeId, hosts: &[Host]) -> bool {
        let is_liar = self.liars.iter().any(|&liar| hosts[liar].me() == peer);
        if is_liar {
            self.saw(EventName::LiarNamed);
        }
        is_liar
    }

    /// A host shows a key with something that nobody wrote.
    pub(super) fn lie_shown(&mut self, now: Timestamp, host: usize, key: &Key) {
        self.saw(EventName::LieShown);
        self.lies_shown.entry((host, key.clone())).or_insert(now);
    }

    /// A host shows a key with what was written, or with nothing.
    pub(super) fn truth_shown(&mut self, host: usize, key: &Key) {
        if !self.lies_shown.is_empty() {
            self.lies_shown.remove(&(host, key.clone()));
        }
    }

    /// A host's process has ended.
    pub(crate) fn stopped(&mut self, host: usize) {
        self.lies_shown.retain(|(shown, _), _| *shown != host);
    }

    /// A6 among liars: what nobody wrote is not shown for long.
    pub(crate) fn lies_are_put_right(&self, now: Timestamp) -> Result<(), Violation> {
        let overdue = self
            .lies_shown
            .iter()
            .find(|(_, since)| now.since(**since) > PUT_RIGHT);
        match overdue {
            None => Ok(()),
            Some(((host, key), since)) => Err(Violation {
                invariant: "A6",
                at: now,
                host: Some(*host),
                text: format!("it has shown since {since} what nobody wrote for {key:?}"),
            }),
        }
    }

    /// A11: what honest agents hold because of liars stays within its limits.
    pub(crate) fn liars_cost_little(
        &self,
        now: Timestamp,
        hosts: &[Host],
    ) -> Result<(), Violation> {
        if self.liars.is_empty() {
            return Ok(());
        }
        for (host, state) in hosts.iter().enumerate() {
            let Some(node) = state.node.as_ref().filter(|_| !self.liars.contains(&host)) else {
                continue;
            };
            let registry = node.registry();
            let too_large = registry.owners().find(|&owner| {
                registry.lineage(owner).epochs() > LINEAGE_EPOCHS
                    || registry.changes(owner).count() > FEED_SLOTS_ACCEPTED
            });
            let (_, ahead) = registry.ahead();
            if too_large.is_some() || ahead > AHEAD_BYTES || registry.feeds() > 2 * hosts.len() {
                let text = format!(
                    "it holds too much: {ahead} bytes ahead, {} feeds, {too_large:?}",
                    registry.feeds()
                );
                return Err(Violation {
                    invariant: "A11",
                    at: now,
                    host: Some(host),
                    text,
                });
            }
        }
        Ok(())
    }
}

/// Whether `peer` holds changes of the host's own feed that the host never made: it took them from
/// a liar, and gives them on in good faith.
fn relays_forgery(host: usize, peer: NodeId, hosts: &[Host]) -> bool {
    let me = hosts[host].me();
    let held = |state: &Host| Some(state.node.as_ref()?.registry().lineage(me));
    let relay = hosts.iter().find(|state| state.me() == peer);
    match (relay.and_then(held), held(&hosts[host])) {
        (Some(theirs), Some(own)) => !own.covers(&theirs),
        _ => false,
    }
}
