//! Who is alive, what that means for the records of each node, and whether this agent is an island.
//!
//! The failure detector gives facts about members; nodes' own records say who left on purpose. From
//! both follows, per node, how its records are served. Nothing here is ever written into a record.
//!
//! *Island*: an agent that reaches at most half of the members it expects, that loses many at once, or
//! that hears so little that its failure detector doubts itself, takes the fault to be on its own side.
//! It goes on serving what the lost ones own, marked stale. One dead agent of three is no island: its
//! instances disappear. Nor does a host count twice that lost its disk and is another node since: of
//! the nodes that bear one name, no more than one is missed.

mod shown;

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    iter::Peekable,
    mem,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tidings_membership::{Member, State};
use tidings_types::{Departure, Liveness, MemberStatus, NodeId, Roster, Timestamp};

use crate::{
    Event, Node, Output,
    timers::{Timer, jittered},
    words::{Fate, Host, Words},
};

/// What was lost this long before an island began is taken for lost by the same fault: an agent that
/// is cut off may notice its peers one by one.
const FAULT_WINDOW: Duration = Duration::from_secs(60);
/// Losses closer together than this are taken for one fault. Twice the longest time that a small
/// cluster needs to notice all of a split.
const LOSS_WINDOW: Duration = Duration::from_secs(12);
/// How long a start may take to meet a peer before its loneliness means something.
const LOOK_AROUND: Duration = Duration::from_secs(3);
/// How often states that end by themselves are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The roster as this node keeps it.
#[derive(Debug)]
pub(crate) struct RosterState {
    me: NodeId,
    started: Timestamp,
    joined: bool,
    /// By node. All are looked at in every second, and few ever come or go.
    members: Vec<Tracked>,
    /// Nodes that this run has not met and does not await, while it matters.
    former: BTreeSet<NodeId>,
    /// Reachable members that bear this node's name.
    namesakes: BTreeSet<NodeId>,
    /// What nodes' own records said when it was last read.
    words: Arc<Words>,
    /// Nodes that may have said something since.
    unread: BTreeSet<NodeId>,
    island: bool,
    /// How many hosts were missed when that was decided.
    missed: usize,
    last_loss: Timestamp,
    /// Whether nothing but somebody's word can change it: everybody is alive, and nobody is missed.
    stands: bool,
    shown: Option<Arc<Roster>>,
    shown_at: Timestamp,
}

#[derive(Clone, Debug)]
struct Tracked {
    node: NodeId,
    addr: SocketAddr,
    /// Which of its lives is known.
    generation: u64,
    /// Whether it answers, whatever its own record says: a node that left and is back answers
    /// before its new record has arrived.
    answers: bool,
    status: MemberStatus,
    since: Timestamp,
    heard: Option<Timestamp>,
    /// Whether it was alive at any time of this run: only then can it be lost.
    was_alive: bool,
    /// Whether its host has come back as another node: then this one stays away.
    replaced: bool,
    shield: Shield,
}

/// Whether a lost member's records are still served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shield {
    /// Lost in the ordinary way, or not lost.
    None,
    /// Lost while this agent was an island, which it still is.
    Island,
    /// Lost in an island that has ended.
    Former,
}

impl Tracked {
    /// A member that has just come up.
    const fn of(member: &Member, now: Timestamp) -> Self {
        Self {
            node: member.node,
            addr: member.addr,
            generation: member.generation,
            answers: false,
            status: MemberStatus::Down,
            since: now,
            heard: None,
            was_alive: false,
            replaced: false,
            shield: Shield::None,
        }
    }
}

impl RosterState {
    pub(crate) fn new(me: NodeId, now: Timestamp) -> Self {
        Self {
            me,
            started: now,
            joined: false,
            members: Vec::new(),
            former: BTreeSet::new(),
            namesakes: BTreeSet::new(),
            words: Arc::default(),
            unread: BTreeSet::new(),
            island: false,
            missed: 0,
            last_loss: now,
            stands: false,
            shown: None,
            shown_at: now,
        }
    }

    /// Whether `node` answers.
    pub(crate) fn is_reachable(&self, node: NodeId) -> bool {
        self.find(node).is_some_and(|member| member.answers)
    }

    /// Where `node` is reached.
    pub(crate) fn addr(&self, node: NodeId) -> Option<SocketAddr> {
        self.find(node).map(|member| member.addr)
    }

    fn find(&self, node: NodeId) -> Option<&Tracked> {
        let place = self.members.binary_search_by_key(&node, |m| m.node).ok()?;
        Some(&self.members[place])
    }

    /// The members that answer.
    pub(crate) fn reachable_peers(&self) -> impl Iterator<Item = (NodeId, SocketAddr)> + '_ {
        let reachable = self.members.iter().filter(|member| member.answers);
        reachable.map(|member| (member.node, member.addr))
    }

    /// When this run began.
    pub(crate) const fn started(&self) -> Timestamp {
        self.started
    }

    /// Whether those who can be met have been: a member list was pulled, or there was time enough.
    pub(crate) const fn is_settled(&self, now: Timestamp, stale_for: Duration) -> bool {
        self.joined || now.since(self.started).as_micros() >= stale_for.as_micros()
    }

    /// Whether this agent takes itself to be cut off.
    pub(crate) const fn is_island(&self) -> bool {
        self.island
    }

    /// Decides anew whether this agent is an island. `expected` counts every host that ought to be
    /// there, this one included; `in_doubt` is what the failure detector thinks of itself.
    fn judge(
        &mut self,
        now: Timestamp,
        words: &Words,
        expected: usize,
        in_doubt: bool,
        half_life: Duration,
    ) {
        // A suspect is not counted on: the decision must come before the first one is hidden.
        let alive = self.members.iter();
        let alive = 1 + alive.filter(|m| m.status == MemberStatus::Alive).count();
        let quiet = now.since(self.last_loss).as_micros();
        let halvings = u32::try_from(quiet / half_life.as_micros().max(1)).unwrap_or(u32::MAX);
        let decayed = |excess: usize| excess.checked_shr(halvings).unwrap_or(0);

        let missed = expected.saturating_sub(alive);
        let counted_on = alive + decayed(missed);
        // A goodbye is no fault: that fewer are left of the living brings back nobody whose fate is
        // decided. So an island begins only while somebody is lost.
        let loses = self.island || missed > self.missed || self.any_is_suspect();
        let cut_off = loses && 2 * alive <= counted_on;
        let lost = self.members.iter().filter(|m| self.is_loss(m, now));
        let lost = self.absent(words, lost.map(|m| m.node)).len();
        // Who is alone for good must not doubt for ever, and who expects nobody has nobody to miss.
        let in_doubt = in_doubt && halvings == 0 && expected > 1;
        let lost_many = decayed(lost) > tolerated_losses(expected);
        let knows = self.has_looked_around(now);
        let island = knows && (cut_off || lost_many || in_doubt);

        self.note_replaced(words);
        for member in &mut self.members {
            if member.status != MemberStatus::Down || member.replaced {
                member.shield = Shield::None;
            } else if island && now.since(member.since) <= FAULT_WINDOW {
                member.shield = Shield::Island;
            } else if !island && member.shield == Shield::Island {
                member.shield = Shield::Former;
            } else if island && member.shield == Shield::Former {
                member.shield = Shield::Island;
            }
        }
        self.island = island;
        self.missed = if knows { missed } else { 0 };
    }

    fn any_is_suspect(&self) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.status == MemberStatus::Suspect)
    }

    /// Whether there was time to meet somebody: every start begins alone.
    fn has_looked_around(&self, now: Timestamp) -> bool {
        self.joined || now.since(self.started) >= LOOK_AROUND
    }

    /// Whether the member's loss counts towards an island: it is fresh, or it made the present one.
    fn is_loss(&self, member: &Tracked, now: Timestamp) -> bool {
        member.status == MemberStatus::Down
            && member.was_alive
            && (now.since(member.since) <= LOSS_WINDOW
                || self.island && member.shield == Shield::Island)
    }

    /// The hosts of those of `nodes` that are not here. A host that lost its disk is another node of
    /// the same name since then: its former node is not missed, and of all its nodes one at most.
    fn absent<'a>(
        &self,
        words: &'a Words,
        nodes: impl Iterator<Item = NodeId>,
    ) -> BTreeSet<Host<'a>> {
        let hosts = nodes.filter(|&node| !self.is_here(node));
        let mut absent: BTreeSet<_> = hosts.map(|node| words.host(node)).collect();
        if absent.is_empty() {
            return absent;
        }
        for node in self.here() {
            absent.remove(&words.host(node));
        }
        absent
    }

    /// Who was seen to be replaced stays so when the host dies, until it answers itself.
    fn note_replaced(&mut self, words: &Words) {
        if self.all_are_here() {
            self.members.iter_mut().for_each(|m| m.replaced = false);
            return;
        }
        let here: BTreeSet<_> = self.here().map(|node| words.host(node)).collect();
        for member in &mut self.members {
            if member.status.is_reachable() {
                member.replaced = false;
            } else {
                member.replaced |= here.contains(&words.host(member.node));
            }
        }
    }

    /// Finds out who of those that this run has not met is not awaited. It matters while what they own
    /// is served.
    fn note_former(&mut self, now: Timestamp, words: &Words, stale_for: Duration) {
        self.former = match self.unknown(now, stale_for) {
            Liveness::Hidden => BTreeSet::new(),
            _ => words.former(|node| {
                let met = |member: &Tracked| member.was_alive;
                node == self.me || self.find(node).is_some_and(met)
            }),
        };
    }

    /// Whether every member is reachable: so it is nearly always, and then there is little to find out.
    fn all_are_here(&self) -> bool {
        self.members.iter().all(|m| m.status.is_reachable())
    }

    /// Whether all of the hosts that ought to be there are alive, and no more are known.
    fn is_whole(&self, expected: usize) -> bool {
        let mut members = self.members.iter();
        !self.island
            && expected == 1 + self.members.len()
            && members.all(|m| m.status == MemberStatus::Alive)
    }

    /// The nodes that are reachable, this one included.
    fn here(&self) -> impl Iterator<Item = NodeId> + '_ {
        let here = self.members.iter().filter(|m| m.status.is_reachable());
        here.map(|m| m.node).chain([self.me])
    }

    fn is_here(&self, node: NodeId) -> bool {
        let is_here = |member: &Tracked| member.status.is_reachable();
        node == self.me || self.find(node).is_some_and(is_here)
    }

    fn liveness(&self, member: &Tracked, now: Timestamp, stale_for: Duration) -> Liveness {
        match member.status {
            MemberStatus::Alive | MemberStatus::Suspect => Liveness::Live,
            MemberStatus::Left => Liveness::Hidden,
            _ if member.replaced => Liveness::Hidden,
            _ if !member.was_alive && self.former.contains(&member.node) => Liveness::Hidden,
            MemberStatus::Restarting if now.since(member.since) < stale_for => Liveness::Stale,
            // Known by hearsay only: no more than a node that is not in the roster.
            _ if !member.was_alive => self.unknown(now, stale_for),
            MemberStatus::Restarting | MemberStatus::Down => match member.shield {
                Shield::None => Liveness::Hidden,
                Shield::Island => Liveness::Stale,
                Shield::Former => Liveness::LastResort,
            },
        }
    }

    fn unknown(&self, now: Timestamp, stale_for: Duration) -> Liveness {
        if !self.is_settled(now, stale_for) || self.island {
            Liveness::Stale
        } else {
            Liveness::Hidden
        }
    }
}

/// Losses within one window that are taken for the others' fault: in a cluster of three one, in a
/// hundred fifteen.
fn tolerated_losses(expected: usize) -> usize {
    (expected / 3).min(3).max(expected * 15 / 100).max(1)
}

impl Node {
    /// A member list was pulled: who is not in the roster now is not there.
    pub(crate) fn on_joined(&mut self) {
        self.roster.joined = true;
        self.refresh_roster();
    }

    /// Reads the membership anew and publishes the roster if it changed.
    pub(crate) fn refresh_roster(&mut self) {
        let (now, stale_for) = (self.now, self.config.stale_for);
        if self.roster.unknown(now, stale_for) != Liveness::Hidden {
            self.read_words();
        }
        let words = Arc::clone(&self.roster.words);
        self.track(&words.fates);
        let expected = self.expected(&words);

        let was_island = self.roster.island;
        let (in_doubt, half_life) = (self.membership.is_in_doubt(), self.config.island_half_life);
        self.roster
            .judge(now, &words, expected, in_doubt, half_life);
        self.roster.note_former(now, &words, stale_for);
        self.roster.stands =
            self.roster.is_whole(expected) && self.roster.is_settled(now, stale_for) && !in_doubt;
        let roster = self.describe_roster(expected);
        if was_island != roster.island {
            self.out.push_back(Output::Event(Event::Island {
                entered: roster.island,
                reachable: roster.reachable,
                expected,
                in_doubt,
            }));
        }
        self.show_roster(roster);
        self.note_namesakes(&words.named_alike);
        self.look_again();
    }

    /// Some states end by themselves. In a whole cluster there are none.
    pub(crate) fn on_roster_due(&mut self) {
        if self.roster.stands && !self.membership.is_in_doubt() && !self.is_hearing_due() {
            self.look_again();
        } else {
            self.refresh_roster();
        }
    }

    fn look_again(&mut self) {
        let again = jittered(LOOK_EVERY, &mut self.rng);
        self.timers.set(Timer::Roster, self.now + again);
    }

    /// How many hosts ought to be there, this one included.
    fn expected(&self, words: &Words) -> usize {
        let state = &self.roster;
        let ought = words.fates.iter().filter(|(_, fate)| fate.counts);
        let mut ought = ought.map(|(&node, _)| node).filter(|node| *node != self.me);
        // Both are in order, so that neither has to be looked up in the other.
        let mut members = state.members.iter();
        let mut is_member = |node| members.any(|member| member.node == node);
        if state.all_are_here() && ought.clone().all(&mut is_member) {
            return 1 + state.members.len();
        }
        let is_gone = |node: &NodeId| {
            let member = state.find(*node);
            member.is_some_and(|member| member.status == MemberStatus::Left)
        };
        let ought: BTreeSet<NodeId> = ought
            .by_ref()
            .chain(state.members.iter().map(|member| member.node))
            .filter(|node| *node != self.me && !is_gone(node))
            .collect();
        let here = ought.iter().filter(|&&node| state.is_here(node));
        1 + here.count() + state.absent(words, ought.iter().copied()).len()
    }

    /// Says once of each reachable member that it bears this node's name: people and clients that ask
    /// by name get one of the two.
    fn note_namesakes(&mut self, named_alike: &[NodeId]) {
        let named = named_alike.iter().copied();
        let present: BTreeSet<NodeId> = named
            .filter(|&node| node != self.me && self.roster.is_reachable(node))
            .collect();
        for &peer in present.difference(&self.roster.namesakes) {
            self.counters.names_shared += 1;
            self.out
                .push_back(Output::Event(Event::NameShared { peer }));
        }
        self.roster.namesakes = present;
    }

    /// The record of some node changed.
    pub(crate) fn on_node_record(&mut self) {
        self.read_words();
        self.refresh_roster();
    }

    /// The feed of `node` changed, or what others say of it.
    pub(crate) fn on_word(&mut self, node: NodeId) {
        self.roster.unread.insert(node);
    }

    /// Reads what nodes' own records say, as far as it may have changed: who joins a large cluster gets
    /// one record after another.
    pub(crate) fn read_words(&mut self) {
        let unread = mem::take(&mut self.roster.unread);
        let mut words = mem::take(&mut self.roster.words);
        self.reread_words(Arc::make_mut(&mut words), unread.into_iter());
        self.roster.words = words;
    }

    /// Brings the tracked members up to date with the failure detector and the nodes' own words.
    fn track(&mut self, known: &BTreeMap<NodeId, Fate>) {
        let now = self.now;
        let mut back = Vec::new();
        // Members, tracked ones and fates are all in order of the nodes.
        let mut known = known.iter().peekable();
        let mut place = 0;
        for member in self.membership.members() {
            let fate = seek(&mut known, member.node).copied().unwrap_or_default();
            let tracked = kept(&mut self.roster.members, place, &member, now);
            place += 1;
            tracked.addr = member.addr;
            tracked.heard = member.heard;
            tracked.was_alive |= member.state == State::Alive;
            let state = match member.state {
                // Taken over from a peer's list, where it may be down for days.
                State::Suspect if !tracked.was_alive => State::Down,
                state => state,
            };
            let status = status(state, fate);
            let answers = state != State::Down;
            // A life that ended unnoticed may have taken news with it that it never sent.
            let is_another_life = member.generation != tracked.generation;
            if answers && (!tracked.answers || is_another_life) {
                back.push(member.node);
            }
            tracked.answers = answers;
            tracked.generation = member.generation;
            if tracked.status == status {
                continue;
            }
            if status == MemberStatus::Down && tracked.was_alive {
                self.roster.last_loss = now;
            }
            tracked.status = status;
            tracked.since = now;
            self.out.push_back(Output::Event(Event::Member {
                node: member.node,
                status,
            }));
        }
        self.roster.members.truncate(place);
        back.into_iter().for_each(|node| self.on_back(node));
    }
}

/// What is kept of `member`, where `place` have come before it; those that are not in this list any
/// more go.
fn kept<'a>(
    members: &'a mut Vec<Tracked>,
    place: usize,
    member: &Member,
    now: Timestamp,
) -> &'a mut Tracked {
    let rest = members[place..].iter();
    let gone = rest.take_while(|m| m.node < member.node).count();
    members.drain(place..place + gone);
    if members.get(place).is_none_or(|m| m.node != member.node) {
        members.insert(place, Tracked::of(member, now));
    }
    &mut members[place]
}

/// What is said of `node`, where all that comes before it is of no use any more.
fn seek<'a, T>(
    in_order: &mut Peekable<btree_map::Iter<'a, NodeId, T>>,
    node: NodeId,
) -> Option<&'a T> {
    while in_order.next_if(|(at, _)| **at < node).is_some() {}
    let found = in_order.next_if(|(at, _)| **at == node);
    found.map(|(_, said)| said)
}

fn status(state: State, fate: Fate) -> MemberStatus {
    match (fate.departure, state) {
        (Some(Departure::Left), _) => MemberStatus::Left,
        (Some(Departure::Restarting), _) => MemberStatus::Restarting,
        (None, State::Alive) => MemberStatus::Alive,
        (None, State::Suspect) => MemberStatus::Suspect,
        (None, State::Down) if fate.evicted => MemberStatus::Left,
        (None, State::Down) => MemberStatus::Down,
    }
}
