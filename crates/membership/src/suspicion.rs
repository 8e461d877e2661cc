//! Guard: a suspicion that was refuted has no consequences.
//!
//! When foca's suspicion timer fires, it tells the suspect that it is down even if the suspect has
//! refuted meanwhile, and the healthy suspect then renews its identity: every lost packet ends in a
//! rejoin. It also compares addresses and incarnations only, so that an old timer can hit a member's
//! new life.

use foca::Timer;

use crate::{MemberId, Membership, State};

impl Membership {
    /// Whether this is the timer of a suspicion that no longer stands, of exactly that identity.
    pub(crate) fn is_stale(&self, timer: &Timer<MemberId>) -> bool {
        let Timer::ChangeSuspectToDown {
            member_id,
            incarnation,
            ..
        } = timer
        else {
            return false;
        };
        let stands = self.members.get(member_id.node).is_some_and(|row| {
            row.id == *member_id && row.state == State::Suspect && row.incarnation == *incarnation
        });
        !stands && self.config.has_turn_undead_filter()
    }

    /// Whether telling `member` that it is down would be wrong: in this node's view it is not, and
    /// no later life of it is known.
    pub(crate) fn would_wrong(&self, member: &MemberId) -> bool {
        let is_up = self
            .members
            .get(member.node)
            .is_some_and(|row| row.id == *member && row.state != State::Down);
        is_up && self.config.has_turn_undead_filter()
    }
}
