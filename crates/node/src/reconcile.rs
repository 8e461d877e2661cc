//! How gossip's gaps are found and repaired.
//!
//! Each datagram carries its sender's fingerprint. Equal ones mean equal registries, and that the
//! peer holds all that this node has published. Different ones are explained by news in flight for
//! a moment; after that the peer is asked for its heads, and for what this node lacks of the feeds
//! that differ. Both sides do so, each pulls what it lacks.

use std::{mem, net::SocketAddr, time::Duration};

use tidings_registry::{Applied, Giver, Rejected};
use tidings_types::{Key, NodeId, Transfer};
use tidings_wire::{Head, Request};

use crate::{
    Event, Node, Output,
    exchange::Purpose,
    timers::{Timer, jittered},
};

/// Peers that are asked for their heads at once.
const AT_ONCE: usize = 3;
/// The pause between two repairs from one peer.
const PAUSE: Duration = Duration::from_millis(500);

/// What is said of an owner whose oldest runs are forgotten.
const OVERRUN: &str = "its feed has more runs than one may have, so the oldest are forgotten";

/// What became of a transfer that was pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It changed something here.
    News {
        /// Whether the feed stands further now; else its content was put right.
        advanced: bool,
    },
    /// It was known already, or cannot be taken yet.
    Nothing,
    /// No replica anywhere could hold it.
    Refused,
}

impl Node {
    /// A proven peer's fingerprint came.
    pub(crate) fn on_fingerprint(&mut self, sender: NodeId, fingerprint: u128) {
        let (now, span) = (self.now, self.config.repair_after);
        let ours = self.registry.fingerprint();
        let Some(peer) = self.peers.entry(sender) else {
            return;
        };
        if fingerprint == ours {
            peer.met = true;
            self.status_dirty |= peer.differs_since.take().is_some();
            // So it is with nearly every datagram, and nearly always it is known.
            let own = self.registry.position(self.me);
            if peer.holds != *own || !self.synced.covers(own) {
                let own = own.clone();
                self.on_ack(sender, &own);
            }
        } else if peer.differs_since.is_none() {
            // At first contact, and after a split, nothing is in flight that could explain it.
            peer.excused_until = if peer.met { now + span } else { now };
            peer.met = true;
            peer.differs_since = Some(now);
            self.status_dirty = true;
            self.timers.set_by(Timer::Repair, peer.excused_until);
        }
    }

    /// A peer answers that did not: whatever differs between the two is no news in flight.
    pub(crate) fn on_back(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(node) {
            peer.met = peer.differs_since.is_some();
            peer.excused_until = self.now;
            self.timers.set_by(Timer::Repair, self.now);
        }
    }

    /// Asks those peers that have differed for too long.
    pub(crate) fn on_repair_due(&mut self) {
        let due = self.peers.to_repair(self.now, &self.roster);
        let room = AT_ONCE.saturating_sub(self.exchanges.reconciling());
        for peer in due.into_iter().take(room) {
            self.reconcile(peer);
        }
        if self.peers.any_differs() {
            let pause = jittered(PAUSE, &mut self.rng);
            self.timers.set_by(Timer::Repair, self.now + pause);
        }
    }

    fn reconcile(&mut self, peer: NodeId) {
        let Some(addr) = self.roster.addr(peer) else {
            return;
        };
        if self.ask(peer, addr, &Request::Heads, Purpose::Heads) {
            self.counters.reconciliations += 1;
            if let Some(known) = self.peers.get_mut(peer) {
                known.repairing = true;
            }
        }
    }

    /// A peer's heads came: pull the feeds that differ.
    pub(crate) fn on_heads(&mut self, peer: NodeId, addr: SocketAddr, heads: Vec<Head>) {
        // A peer is rarely heard in a large cluster. Without this it would be asked again and again for
        // what the heads have just shown to be equal.
        let items = heads.iter().map(|head| head.item);
        self.on_fingerprint(peer, items.fold(0, u128::wrapping_add));
        let differs = |head: &Head| self.registry.item(head.owner) != Some(head.item);
        let owners: Vec<NodeId> = heads
            .iter()
            .filter(|h| differs(h))
            .map(|h| h.owner)
            .collect();
        self.pull(peer, addr, owners);
    }

    /// The peer's heads are dealt with, or did not come.
    pub(crate) fn on_reconciled(&mut self, peer: NodeId) {
        let pause = jittered(PAUSE, &mut self.rng);
        if let Some(known) = self.peers.get_mut(peer) {
            known.repairing = false;
            known.repair_at = self.now + pause;
        }
    }

    /// A pull is over.
    pub(crate) fn on_pulled(&mut self, peer: NodeId, advanced: usize) {
        if advanced > 0 {
            self.out.push_back(Output::Event(Event::Repaired {
                peer,
                feeds: advanced,
            }));
        }
    }

    /// Joins a transfer that was pulled.
    pub(crate) fn take(&mut self, peer: NodeId, transfer: Transfer) -> Taken {
        let owner = transfer.state().owner;
        if owner != peer && self.differs_at_one_position(&transfer) && self.ask_owner(owner) {
            return Taken::Nothing;
        }
        let was_damaged = self.registry.is_damaged(owner);
        let joined = match transfer {
            Transfer::Snapshot(snapshot) => {
                if owner == peer {
                    self.exchanges.alarmed.remove(&owner);
                }
                let giver = if owner == peer {
                    Giver::Owner
                } else {
                    Giver::Peer
                };
                self.registry.repair(snapshot, giver)
            }
            delta @ Transfer::Delta(_) => self.registry.apply(delta),
        };
        let has_changed = joined
            .as_ref()
            .is_ok_and(|applied| !applied.touched.is_empty());
        let is_foul = joined.as_ref().is_err_and(Rejected::is_malformed);
        let applied = self.on_joined_transfer(peer, owner, joined);
        if owner == self.me && was_damaged && !self.registry.is_damaged(owner) {
            self.on_relearned();
        }
        match applied {
            Some(Applied { advanced: true, .. }) => Taken::News { advanced: true },
            Some(_) if has_changed => {
                // The disk has this position with the content that was just put right.
                self.saves.forget(owner);
                Taken::News { advanced: false }
            }
            None if is_foul => Taken::Refused,
            Some(_) | None => Taken::Nothing,
        }
    }

    /// Whether this is another content at the position that is held here.
    fn differs_at_one_position(&self, transfer: &Transfer) -> bool {
        let given = transfer.state();
        self.registry.state(given.owner).is_some_and(|held| {
            held.lineage == given.lineage
                && held.sum != given.sum
                && !self.registry.is_damaged(given.owner)
        })
    }

    /// Asks a feed's owner for its copy, which is right. Whether it is being asked: without it, what
    /// either side has is kept.
    pub(crate) fn ask_owner(&mut self, owner: NodeId) -> bool {
        let addr = self.roster.addr(owner);
        let Some(addr) = addr.filter(|_| self.roster.is_reachable(owner)) else {
            return false;
        };
        self.exchanges.is_pulling_from(self.now, owner, owner)
            || self.pull(owner, addr, vec![owner])
    }

    /// Follows up a transfer that was applied, or refused. What it touched is published and not returned.
    pub(crate) fn on_joined_transfer(
        &mut self,
        peer: NodeId,
        owner: NodeId,
        joined: Result<Applied, Rejected>,
    ) -> Option<Applied> {
        match joined {
            Ok(mut applied) => {
                if applied.alarm.is_some() {
                    self.counters.alarms += 1;
                    self.out
                        .push_back(Output::Event(Event::Alarm { owner, peer }));
                    self.exchanges.alarmed.insert(owner);
                    self.ask_owner(owner);
                }
                if applied.overrun {
                    self.on_refused(owner, OVERRUN);
                }
                if applied.advanced {
                    self.on_word(owner);
                }
                let touched = mem::take(&mut applied.touched);
                let records = touched.len();
                let is_mine = touched.contains(&Key::Node(self.me));
                self.publish(touched);
                if owner == self.me && (applied.advanced || records > 0) {
                    self.out
                        .push_back(Output::Event(Event::Relearned { peer, records }));
                    self.on_relearned();
                }
                if is_mine {
                    self.reassert();
                }
                Some(applied)
            }
            Err(Rejected::EpochExceeded { epoch }) => {
                self.on_epoch_exceeded(epoch);
                None
            }
            Err(rejected @ Rejected::ForgedDot { seq, .. }) => {
                self.on_refused(peer, &rejected.to_string());
                self.outbid(seq);
                None
            }
            Err(rejected) => {
                self.on_refused(peer, &rejected.to_string());
                None
            }
        }
    }

    /// A peer's change was malformed or a lie: nothing was taken.
    pub(crate) fn on_refused(&mut self, peer: NodeId, reason: &str) {
        self.counters.changes_refused += 1;
        self.status_dirty = true;
        self.out.push_back(Output::Event(Event::Refused {
            peer,
            reason: reason.to_owned(),
        }));
    }
}
