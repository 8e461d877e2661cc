//! A8: an owner that is up keeps its own records: only a call or an override takes one away, and it
//! never holds itself for dead.

use tidings_types::{Key, Liveness, MemberStatus, Timestamp, Update, Version};

use super::{Checks, Violation};
use crate::{host::Host, workload::Call};

impl Checks {
    /// A node tells its own readers something of its own records, or of itself.
    pub(crate) fn keeps_its_own(
        &self,
        now: Timestamp,
        host: usize,
        state: &Host,
        update: &Update,
    ) -> Result<(), Violation> {
        let me = state.me();
        let text = match update {
            Update::Record {
                key, body: None, ..
            } if key.owner() == Some(me) && !self.may_vanish(host, key) => {
                format!("its own {key:?} is gone, and nobody asked for that")
            }
            Update::Roster(roster) if state.departing.is_none() => match roster.members.get(&me) {
                Some(own) if !is_well(own.status, own.liveness) => {
                    format!("it takes itself to be {:?}, {:?}", own.status, own.liveness)
                }
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        Err(Violation {
            invariant: "A8",
            at: now,
            host: Some(host),
            text,
        })
    }

    /// Whether the last call about a record ended it, or something else did that its owner obeys.
    fn may_vanish(&self, host: usize, key: &Key) -> bool {
        let history = &self.history;
        let last = history.calls_on(key).rfind(|(_, asked)| !asked.refused);
        let keeps = last.is_some_and(|(_, asked)| {
            asked.acked.is_some()
                && match (&asked.call, key) {
                    // A registration without a check drops the one that was there.
                    (Call::Register(_, _, check), Key::Check(..)) => check.is_some(),
                    (Call::Register(..) | Call::Check(..), _) => true,
                    _ => false,
                }
        });
        let is_overridden = || {
            let mut writes = history.writes_on(key);
            writes.any(|(_, write)| matches!(write.version(), Some(Version::Override(_))))
        };
        // Peers give back what a disk that was set back has lost, removals included; and who gives up a
        // copied key takes away what it wrote under it.
        !keeps || is_overridden() || history.has_setback(host) || self.copies
    }
}

fn is_well(status: MemberStatus, liveness: Liveness) -> bool {
    status == MemberStatus::Alive && liveness == Liveness::Live
}
