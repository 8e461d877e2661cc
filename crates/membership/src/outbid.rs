//! Guard: a node whose disk and clock both went back still gets in.
//!
//! Its generation is then smaller than one that its peers remember as down, and however often they
//! tell it so, adding one does not help. So whenever it meets its own id with a greater generation,
//! it takes one above that. Records do not depend on it: their epochs are another matter.

use std::time::Duration;

use tidings_types::Timestamp;

use crate::{MemberId, Membership};

/// How often a node outbids itself, at most: two clones of one node would otherwise do it for ever
/// at the network's speed.
const OUTBID_INTERVAL: Duration = Duration::from_secs(1);

impl Membership {
    /// Takes a generation above `generation` if this node's own is not greater already; if it has only
    /// just taken one, as soon as it may and hears of anybody.
    pub fn exceed_generation(&mut self, now: Timestamp, generation: u64) {
        let me = self.me();
        let above = |generation: u64| MemberId {
            generation: generation.saturating_add(1),
            ..me
        };
        // Nothing could follow a generation at the end of time: no honest peer has met one.
        if above(generation).is_well_formed() {
            self.greatest_rival = self.greatest_rival.max(generation);
        }
        let next = above(self.greatest_rival);
        let recent = self
            .last_outbid
            .is_some_and(|at| now.since(at) < OUTBID_INTERVAL);
        if me.generation >= next.generation || recent {
            return;
        }
        self.last_outbid = Some(now);
        self.counters.outbids += 1;
        self.drive(now, true, |swim, effects| {
            swim.change_identity(next, effects)
        });
        self.contact_due = true;
        self.call_out(now);
    }

    /// Outbids the greatest life of this node that is known or among `ids`, if it is not the present
    /// one.
    pub(crate) fn outbid(&mut self, now: Timestamp, ids: impl Iterator<Item = MemberId>) {
        let me = self.me();
        let rivals = ids.filter(|id| id.node == me.node && *id > me);
        let met = rivals.map(|id| id.generation).max();
        let known = Some(self.greatest_rival).filter(|known| *known >= me.generation);
        if let Some(generation) = met.max(known) {
            self.exceed_generation(now, generation);
        }
    }
}
