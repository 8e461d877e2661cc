//! The member list as state: foca's list, with times.

use std::{collections::BTreeMap, net::SocketAddr};

use bincode::{Decode, Encode};
use foca::Incarnation;
use serde::{Deserialize, Serialize};
use tidings_types::{NodeId, Timestamp};

use crate::MemberId;

/// What the failure detector says of a member.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
pub enum State {
    /// Answers probes, directly or through others.
    Alive,
    /// Did not answer, and has not refuted yet.
    Suspect,
    /// Declared down, or said goodbye.
    Down,
}

/// One member of this node's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Who.
    pub node: NodeId,
    /// Where its packets go.
    pub addr: SocketAddr,
    /// Which of its lives; see [`MemberId::generation`].
    pub generation: u64,
    /// What the failure detector says.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// When its last packet came, directly; `None` if none did in this run.
    pub heard: Option<Timestamp>,
}

/// One member as it travels in a member list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemberState {
    /// Who, in which life.
    pub id: MemberId,
    /// How often it has refuted a suspicion in this life.
    pub incarnation: u16,
    /// What the giver's failure detector says.
    pub state: State,
}

/// A copy of foca's list that can be looked up, with times.
///
/// foca tells neither that a member became suspect nor since when anything holds, and finds members
/// by scanning. So the list is compared with the copy after every call that may have changed it.
#[derive(Debug, Default)]
pub(crate) struct Members {
    rows: BTreeMap<NodeId, Row>,
    /// How many are down.
    down: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) id: MemberId,
    pub(crate) incarnation: Incarnation,
    /// What foca says.
    pub(crate) state: State,
    pub(crate) since: Timestamp,
    heard: Option<Timestamp>,
    /// Since when this node takes the suspect for down without telling others.
    condemned: Option<Timestamp>,
    /// When the last probe of it began that it did not answer.
    pub(crate) failed: Option<Timestamp>,
}

/// What a comparison found.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) any: bool,
    pub(crate) suspected: u64,
    pub(crate) refuted: u64,
    pub(crate) downs: u64,
    pub(crate) addresses: Vec<SocketAddr>,
    /// Who was taken for less than alive, and is alive.
    pub(crate) recovered: Vec<NodeId>,
    /// Whose suspicion is new here.
    pub(crate) suspects: Vec<(MemberId, Incarnation)>,
}

impl Members {
    /// Takes over foca's list, `me` left out: foca keeps this node's former lives in it.
    pub(crate) fn update<'a>(
        &mut self,
        now: Timestamp,
        me: NodeId,
        list: impl Iterator<Item = &'a foca::Member<MemberId>>,
    ) -> Changes {
        let mut changes = Changes::default();
        for member in list.filter(|member| member.id().node != me) {
            let state = State::from(member.state());
            let known = self.rows.get(&member.id().node).copied();
            let was = known.map(|row| row.state);
            let is_same_suspicion = known.is_some_and(|row| {
                (row.state, state) == (State::Suspect, State::Suspect)
                    && row.id == *member.id()
                    && row.incarnation == member.incarnation()
            });
            let row = Row {
                id: *member.id(),
                incarnation: member.incarnation(),
                state,
                since: known
                    .filter(|row| row.state == state)
                    .map_or(now, |row| row.since),
                heard: known.and_then(|row| row.heard),
                condemned: known
                    .filter(|_| is_same_suspicion)
                    .and_then(|row| row.condemned),
                failed: known
                    .filter(|row| row.id == *member.id())
                    .and_then(|row| row.failed),
            };
            if state == State::Alive && was.is_some_and(|was| was != State::Alive) {
                changes.recovered.push(row.id.node);
            }
            if state == State::Suspect && !is_same_suspicion {
                changes.suspects.push((row.id, row.incarnation));
            }
            if was != Some(state) {
                changes.suspected += u64::from(state == State::Suspect);
                changes.refuted += u64::from(was == Some(State::Suspect) && state == State::Alive);
            }
            let (was_down, is_down) = (known.is_some_and(|row| row.is_down()), row.is_down());
            changes.downs += u64::from(is_down && !was_down);
            self.down += usize::from(is_down);
            self.down -= usize::from(was_down);
            if known.map(|row| row.id.addr) != Some(row.id.addr) {
                changes.addresses.push(row.id.addr);
            }
            changes.any |= known.map(|row| row.shown()) != Some(row.shown())
                || known.map(|row| row.id) != Some(row.id);
            self.rows.insert(row.id.node, row);
        }
        changes
    }

    /// Whether foca would learn nothing from this update.
    pub(crate) fn knows(&self, update: &foca::Member<MemberId>) -> bool {
        self.rows.get(&update.id().node).is_some_and(|row| {
            row.id == *update.id()
                && row.incarnation == update.incarnation()
                && row.state == State::from(update.state())
        })
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<&Row> {
        self.rows.get(&node)
    }

    pub(crate) fn heard(&mut self, node: NodeId, now: Timestamp) {
        if let Some(row) = self.rows.get_mut(&node) {
            row.heard = Some(now);
        }
    }

    pub(crate) fn remove(&mut self, node: NodeId) {
        if let Some(row) = self.rows.remove(&node) {
            self.down -= usize::from(row.is_down());
        }
    }

    /// Takes note of a probe without an answer.
    pub(crate) fn failed(&mut self, id: MemberId, began: Timestamp) {
        if let Some(row) = self.rows.get_mut(&id.node).filter(|row| row.id == id) {
            row.failed = Some(began);
        }
    }

    /// Takes a suspect for down; whether it was not before.
    pub(crate) fn condemn(&mut self, node: NodeId, now: Timestamp) -> bool {
        let row = self.rows.get_mut(&node).filter(|row| !row.is_down());
        let is_new = row.map(|row| row.condemned = Some(now)).is_some();
        self.down += usize::from(is_new);
        is_new
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> + Clone {
        self.rows.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) const fn down(&self) -> usize {
        self.down
    }

    /// The member that is down for longest.
    pub(crate) fn down_longest(&self) -> Option<&Row> {
        self.rows
            .values()
            .filter(|row| row.is_down())
            .min_by_key(|row| (row.shown_since(), row.id.node))
    }
}

impl Row {
    /// What this node goes by: a suspect whose time is over is down for it, whatever it tells others.
    pub(crate) const fn shown(&self) -> State {
        if self.condemned.is_some() {
            State::Down
        } else {
            self.state
        }
    }

    pub(crate) const fn is_down(&self) -> bool {
        matches!(self.shown(), State::Down)
    }

    const fn shown_since(&self) -> Timestamp {
        match self.condemned {
            Some(at) => at,
            None => self.since,
        }
    }

    pub(crate) const fn member(&self) -> Member {
        Member {
            node: self.id.node,
            addr: self.id.addr,
            generation: self.id.generation,
            state: self.shown(),
            since: self.shown_since(),
            heard: self.heard,
        }
    }
}

impl From<foca::State> for State {
    fn from(state: foca::State) -> Self {
        match state {
            foca::State::Alive => Self::Alive,
            foca::State::Suspect => Self::Suspect,
            foca::State::Down => Self::Down,
        }
    }
}

impl From<State> for foca::State {
    fn from(state: State) -> Self {
        match state {
            State::Alive => Self::Alive,
            State::Suspect => Self::Suspect,
            State::Down => Self::Down,
        }
    }
}
