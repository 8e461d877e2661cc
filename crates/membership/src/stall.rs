//! Guard: time that this process slept through is not held against its peers.
//!
//! After a pause (a stopped process, a suspended machine, an overloaded host) the answers to the last
//! probe wait unread while the timers of probe and suspicion are all due. Taken in that order, a
//! healthy member is suspected or declared down by a sick one. So when the timers come late, those
//! that lead to a verdict get the lost time back, once each.

use tidings_types::Timestamp;

use crate::Membership;

impl Membership {
    pub(crate) fn forgive_stall(&mut self, now: Timestamp) {
        let late = self
            .timers
            .next_due()
            .map(|due| now.since(due))
            .unwrap_or_default();
        if late > self.config.probe_rtt / 2 {
            self.counters.stalls += 1;
            self.note_slowness();
            self.timers.postpone_verdicts(late);
        }
    }
}
