//! Damaged feeds that nobody can mend.
//!
//! A feed that lost slots on the disk is not passed on until a copy of all that it had covered has
//! come. There may be none: the owner is gone for good, or has lost the same changes itself. So after
//! a while, with peers that could have given one, what is left is all there is. Two replicas that
//! settled so may differ at one position; they find that as any two do and unite, and whoever meets
//! the owner's copy, or a whole one, takes what it lacks from that.

use std::time::Duration;

use tidings_types::NodeId;

use crate::{Event, Node, Output, timers::Timer};

/// How long a whole copy is waited for after a start, and again while nobody can be asked: twice as long
/// as a pull of the largest feed should take.
const MENDED_WITHIN: Duration = Duration::from_secs(10);

impl Node {
    /// Waits for whole copies of the replicas that the disk had lost some of.
    pub(crate) fn await_mending(&mut self) {
        if self.registry.damaged().any(|owner| owner != self.me) {
            self.timers.set(Timer::Mend, self.now + MENDED_WITHIN);
        }
    }

    /// Settles for what is left of damaged replicas, if there was anybody to ask.
    pub(crate) fn on_mend_due(&mut self) {
        let is_alone = self.roster.is_island() || self.roster.reachable_peers().next().is_none();
        let is_due = |owner: &NodeId| {
            *owner != self.me && !is_alone && !self.exchanges.is_pulling(self.now, *owner)
        };
        let settled: Vec<NodeId> = self.registry.damaged().filter(is_due).collect();
        for owner in settled {
            self.registry.accept_damage(owner);
            self.saves.forget(owner);
            self.out
                .push_back(Output::Event(Event::DamageAccepted { owner }));
        }
        self.await_mending();
    }

    /// Settles for what is left of the own feed, which the owner's word makes right.
    pub(crate) fn accept_own_damage(&mut self) {
        let is_early = self.now.since(self.roster.started()) < MENDED_WITHIN;
        if is_early || self.exchanges.is_pulling(self.now, self.me) {
            return;
        }
        let owner = self.me;
        self.registry.accept_damage(owner);
        self.out
            .push_back(Output::Event(Event::DamageAccepted { owner }));
        self.on_relearned();
    }
}
