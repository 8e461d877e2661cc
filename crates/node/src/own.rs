//! This node's own feed: relearning it, its watermark, and meeting a greater epoch of itself.
//!
//! The owner is one more replica of its own feed: after a rollback, damage or loss of its disk its
//! peers give it back what it once published. Two things must not be done before it has all of
//! that: moving the watermark and raising the floor, since they bury removals that it has yet to
//! relearn. So it asks every peer, once per run, how much of its feed they hold.

use std::{
    collections::{BTreeSet, VecDeque},
    net::SocketAddr,
};

use tidings_types::{Body, Command, Epoch, Key, Lineage, NodeId};
use tidings_wire::Request;

use crate::{CommandId, Event, Node, Output, exchange::Purpose};

/// Commands that wait for a new epoch; beyond, they are refused as busy.
const WAITING: usize = 1_024;
/// Peers that are asked at once how much they hold.
const ASKED_AT_ONCE: usize = 8;

/// The state of the own feed beyond its content.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// Commands that wait for a new epoch; `Some` from the asking until it is taken.
    waiting: Option<VecDeque<(CommandId, Command)>>,
    /// The greatest epoch met of this node, if it is above the present one.
    exceeded: Option<Epoch>,
    /// Peers that have said in this run how much they hold.
    asked: BTreeSet<NodeId>,
}

impl Own {
    /// Whether a new epoch is awaited: nothing may be written.
    pub(crate) const fn awaits_epoch(&self) -> bool {
        self.waiting.is_some()
    }

    /// Keeps a command until the new epoch is there; gives it back if too many wait.
    pub(crate) fn hold(&mut self, id: CommandId, command: Command) -> Result<(), CommandId> {
        match &mut self.waiting {
            Some(waiting) if waiting.len() < WAITING => {
                waiting.push_back((id, command));
                Ok(())
            }
            _ => Err(id),
        }
    }
}

impl Node {
    /// A peer holds a run of this node that is greater than the present one. What it holds is taken
    /// once this node has an epoch above it.
    pub(crate) fn on_epoch_exceeded(&mut self, epoch: Epoch) {
        if self.own.exceeded.is_none_or(|known| known < epoch) {
            self.own.exceeded = Some(epoch);
            self.out
                .push_back(Output::Event(Event::GreaterEpochMet { epoch }));
        }
        self.on_feed_settled();
    }

    /// Follows up what had to wait until no batch was on its way.
    pub(crate) fn on_feed_settled(&mut self) {
        if self.own.exceeded.is_some() && self.durable.is_idle() {
            self.take_epoch();
        }
    }

    /// Asks for an epoch above every one known of this node; until it is there nothing is written.
    pub(crate) fn take_epoch(&mut self) {
        if self.own.waiting.is_none() {
            self.own.waiting = Some(VecDeque::new());
            let above = self
                .own
                .exceeded
                .unwrap_or_default()
                .max(self.writer.epoch());
            self.out.push_back(Output::TakeEpoch { above });
        }
    }

    /// The new epoch is on disk.
    pub(crate) fn on_epoch_taken(&mut self, epoch: Epoch) {
        let Some(waiting) = self.own.waiting.take() else {
            return;
        };
        if self.own.exceeded.take_if(|met| *met < epoch).is_some() {
            // What no longer fits the feed was counted against its limits before; it is given up.
            let _ = self
                .writer
                .take_over(&mut self.registry, epoch, self.wall_ms);
        } else {
            self.writer.abandon(epoch);
            self.registry.set_own_epoch(epoch);
        }
        self.status_dirty = true;
        self.persist(None);
        self.reassert();
        for (id, command) in waiting {
            self.on_command(id, command);
        }
    }

    /// Registers this node's own record if it is not in force: it is the node's word that it is
    /// there, and an override of it is refused as long as it lives.
    pub(crate) fn reassert(&mut self) {
        if self.own.awaits_epoch() || self.depart.is_some() {
            return;
        }
        let key = Key::Node(self.me);
        let body = Body::Node(self.record());
        if let Ok(Some(_)) = self.writer.register(&self.registry, key, body) {
            self.persist(None);
        }
    }

    /// Moves the watermark and the floor when it is time and allowed.
    pub(crate) fn tidy_own_feed(&mut self) {
        if self.own.awaits_epoch() || !self.durable.is_idle() {
            return;
        }
        if !self.writer.is_tidying_due(&self.registry) || self.roster.is_island() {
            return;
        }
        let asked = &self.own.asked;
        let peers = self.roster.reachable_peers();
        let left: Vec<_> = peers.filter(|(peer, _)| !asked.contains(peer)).collect();
        if left.is_empty() {
            self.writer.move_watermark(&self.registry);
            self.writer.restamp(&self.registry);
            self.persist(None);
        }
        for (peer, addr) in left.into_iter().take(ASKED_AT_ONCE) {
            if !self.exchanges.is_asking_position(peer) {
                self.ask(
                    peer,
                    addr,
                    &Request::Positions(vec![self.me]),
                    Purpose::Positions,
                );
            }
        }
    }

    /// A peer said how much it holds.
    pub(crate) fn on_positions(
        &mut self,
        peer: NodeId,
        addr: SocketAddr,
        positions: &[(NodeId, Lineage)],
    ) {
        let own = positions.iter().find(|(owner, _)| *owner == self.me);
        match own {
            Some((_, held)) if self.registry.held(self.me).covers(held) => {
                self.own.asked.insert(peer);
            }
            Some(_) => self.pull(peer, addr, vec![self.me]),
            None => {}
        }
    }
}
