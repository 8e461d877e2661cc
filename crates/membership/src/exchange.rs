//! The member list as a whole, for one who joins.
//!
//! foca alone leaves holes: in a cluster of a thousand, one packet tells a newcomer of 27 members, and
//! some are not known to it minutes later. So a newcomer pulls a peer's whole list over a session.

use foca::{Incarnation, Member, Timer};
use tidings_types::Timestamp;

use crate::{
    MemberId, MemberState, Membership, State,
    timers::{Event, Slot},
};

impl Membership {
    /// This node's view, itself left out.
    pub fn snapshot(&self) -> Vec<MemberState> {
        self.members
            .rows()
            .map(|row| MemberState {
                id: row.id,
                incarnation: row.incarnation,
                state: row.state,
            })
            .collect()
    }

    /// Learns a peer's view.
    ///
    /// It may be old, and "down" is final in SWIM, so a member that is down there is at most a
    /// suspect here: one that this node takes for alive gets told and can refute; one that is new
    /// here goes down, for this node alone, unless it shows itself within the suspicion's time. And one
    /// that this node took for down while it was in doubt is alive if the peer says so.
    pub fn apply_snapshot(&mut self, now: Timestamp, snapshot: Vec<MemberState>) {
        let me = self.me().node;
        self.outbid(now, snapshot.iter().map(|member| member.id.canonical()));
        let mut room = self.config.members_max.saturating_sub(self.members.len());
        let (mut news, mut doubts) = (Vec::new(), Vec::new());
        for member in snapshot {
            let id = member.id.canonical();
            if id.node == me || !id.is_well_formed() {
                continue;
            }
            let is_new = self.members.get(id.node).is_none();
            if is_new && room == 0 {
                self.counters.updates_refused += 1;
                continue;
            }
            room -= usize::from(is_new);
            match member.state {
                State::Alive => {
                    if self.is_unfounded(id, member.incarnation) {
                        self.unlearn(now, id, member.incarnation);
                    }
                    news.push(Member::new(id, member.incarnation, State::Alive.into()));
                }
                state => {
                    let doubt = Member::new(id, member.incarnation, State::Suspect.into());
                    if is_new && state == State::Down {
                        let due = now + self.pace.suspicion;
                        let event = Event::Hearsay(id, member.incarnation);
                        self.timers.set(Slot::Hearsay(id.node), due, event);
                    }
                    if is_new {
                        news.push(doubt);
                    } else {
                        doubts.push(doubt);
                    }
                }
            }
        }
        self.drive(now, true, |swim, effects| {
            swim.apply_many(news.into_iter(), false, effects)
        });
        self.drive(now, true, |swim, effects| {
            swim.apply_many(doubts.into_iter(), true, effects)
        });
    }

    /// Makes foca forget what it holds against a member: nothing else lets a suspect be alive again in
    /// the same incarnation.
    pub(crate) fn unlearn(&mut self, now: Timestamp, id: MemberId, incarnation: Incarnation) {
        let down = Member::new(id, incarnation, State::Down.into());
        self.drive(now, true, |swim, effects| {
            swim.apply_many([down].into_iter(), false, &mut *effects)?;
            swim.handle_timer(Timer::RemoveDown(id), effects)
        });
    }

    /// Takes a member for down that only a peer's list vouched for, and that has not shown itself.
    pub(crate) fn believe_hearsay(
        &mut self,
        now: Timestamp,
        id: MemberId,
        incarnation: Incarnation,
    ) {
        let unheard = self.members.get(id.node).is_some_and(|row| {
            row.id == id && row.incarnation == incarnation && row.state == State::Suspect
        });
        if unheard {
            let down = Member::new(id, incarnation, State::Down.into());
            self.drive(now, true, |swim, effects| {
                swim.apply_many([down].into_iter(), false, effects)
            });
        }
    }
}
