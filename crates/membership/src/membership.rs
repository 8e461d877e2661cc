//! The component itself: every call of its driver, and how one call passes through foca.

use std::{collections::VecDeque, fmt, net::SocketAddr, time::Duration};

use foca::{Foca, Incarnation, NoCustomBroadcast, Timer};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidings_types::{NodeId, Probe, Probes, Timestamp};

use crate::{
    Config, Counters, Member, MemberId, Output, PacketError, State,
    addresses::{Addresses, draw},
    codec::{Codec, Packet},
    effects::{Effects, Outgoing},
    id::canonical,
    local_health::{LocalHealth, Probing},
    members::{Members, Row},
    pace::Pace,
    timers::{Event, Timers},
};

/// Packets that wait for the driver. More come only if it does not drain them; they are dropped.
const OUTPUTS_MAX: usize = 8_192;
/// How often a peer's member list is worth pulling, at most.
const CONTACT_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) type Swim = Foca<MemberId, Codec, ChaCha8Rng, NoCustomBroadcast>;

/// The member list of one node, kept true by probing and gossip.
///
/// After each call, drain [`poll_output`](Self::poll_output) and wait until
/// [`poll_timeout`](Self::poll_timeout). Time never goes back between calls.
pub struct Membership {
    pub(crate) config: Config,
    pub(crate) swim: Swim,
    pub(crate) codec: Codec,
    pub(crate) pace: Pace,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) timers: Timers,
    pub(crate) members: Members,
    pub(crate) addresses: Addresses,
    outputs: VecDeque<Output>,
    members_changed: bool,
    /// A member list is worth pulling from the next peer that answers.
    pub(crate) contact_due: bool,
    last_contact: Option<Timestamp>,
    /// When foca last accepted a packet.
    pub(crate) last_accepted: Timestamp,
    pub(crate) last_outbid: Option<Timestamp>,
    /// The greatest generation known of this node that was not taken in this run, or 0.
    pub(crate) greatest_rival: u64,
    pub(crate) last_rejoin: Option<Timestamp>,
    pub(crate) last_sent_as: Option<(MemberId, Incarnation)>,
    pub(crate) probing: Option<Probing>,
    /// Empty between two calls of foca; kept for its room.
    effects: Effects,
    pub(crate) health: LocalHealth,
    left: bool,
    pub(crate) counters: Counters,
    pub(crate) probes: Probes,
}

impl Membership {
    /// A node that knows nobody yet.
    ///
    /// `me.generation` is greater than in every earlier run of this node. `seed` decides all random
    /// choices. Settings out of range are replaced by the nearest permitted ones; call
    /// [`Config::validate`] before to tell the operator.
    pub fn new(config: Config, me: MemberId, seed: u64, now: Timestamp) -> Self {
        let config = config.clamped();
        let me = me.canonical();
        let swim_rng = ChaCha8Rng::seed_from_u64(seed);
        let mut rng = swim_rng.clone();
        rng.set_stream(1); // foca's draws and ours must not depend on each other.
        let codec = Codec::new(me.node);
        let pace = Pace::of(&config, 1, 1);
        let mut membership = Self {
            swim: Foca::new(me, pace.foca(&config), swim_rng, codec),
            codec,
            pace,
            rng,
            timers: Timers::default(),
            members: Members::default(),
            addresses: Addresses::new(config.addresses_max),
            outputs: VecDeque::new(),
            members_changed: false,
            contact_due: true,
            last_contact: None,
            last_accepted: now,
            last_outbid: None,
            greatest_rival: 0,
            last_rejoin: None,
            last_sent_as: None,
            probing: None,
            effects: Effects::default(),
            health: LocalHealth::default(),
            left: false,
            counters: Counters::default(),
            probes: Probes::default(),
            config,
        };
        membership.start_watchdog(now);
        membership
    }

    /// This node's present identity. Its generation grows when the node has to rejoin.
    pub fn me(&self) -> MemberId {
        *self.swim.identity()
    }

    /// Every member met in this run and not forgotten, without this node.
    ///
    /// The times last heard move without [`Output::MembersChanged`].
    pub fn members(&self) -> impl Iterator<Item = Member> + Clone + '_ {
        self.members.rows().map(|row| row.member())
    }

    /// How many members are not down, suspects included, without this node.
    pub fn alive(&self) -> usize {
        self.members.len() - self.members.down()
    }

    /// Up to `count` random members that are alive, topped up with suspects, none of `exclude`.
    pub fn peers(&mut self, count: usize, exclude: &[NodeId]) -> Vec<(NodeId, SocketAddr)> {
        let mut in_state = |state, count| {
            let mut fit: Vec<_> = self
                .members
                .rows()
                .filter(|row| row.shown() == state && !exclude.contains(&row.id.node))
                .map(|row| (row.id.node, row.id.addr))
                .collect();
            draw(&mut fit, count, &mut self.rng)
        };
        let mut peers = in_state(State::Alive, count);
        peers.extend(in_state(State::Suspect, count - peers.len()));
        peers
    }

    /// What happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The rare states met since the last time; none unless they are compiled in.
    pub fn take_probes(&mut self) -> Probes {
        self.probes.take()
    }

    /// The next thing to do, `None` when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        if std::mem::take(&mut self.members_changed) {
            return Some(Output::MembersChanged);
        }
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next; `None` after [`leave`](Self::leave).
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.next_due()
    }

    /// Takes a packet that `sender` sealed with the cluster's key and that came from `from`.
    pub fn handle_packet(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        sender: NodeId,
        bytes: &[u8],
    ) -> Result<(), PacketError> {
        if self.left {
            return Ok(());
        }
        self.members.heard(sender, now);
        let outcome = self.take_packet(now, canonical(from), sender, bytes);
        if outcome
            .as_ref()
            .is_err_and(|e| *e != PacketError::FromMyself)
        {
            self.counters.bad_packets += 1;
        }
        outcome
    }

    /// Does what is due. Earlier calls than [`poll_timeout`](Self::poll_timeout) asks for are harmless.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.forgive_stall(now);
        while let Some(event) = self.timers.pop_due(now) {
            match event {
                Event::Watchdog => self.watch(now),
                Event::Reannounce => self.reannounce(now),
                Event::Hearsay(id, incarnation) => self.believe_hearsay(now, id, incarnation),
                Event::Doubt(id, incarnation) => self.end_doubt(now, id, incarnation),
                Event::Foca(timer) => self.fire(now, timer),
            }
        }
    }

    /// The local host refused to send the last packet to `to`.
    ///
    /// No answer will come to it, so that a probe of that member fails unless others reach it: an
    /// unsent probe never counts as answered.
    pub fn send_failed(&mut self, _now: Timestamp, to: SocketAddr) {
        self.counters.send_errors += 1;
        if self
            .probing
            .is_some_and(|probing| probing.id.addr == canonical(to))
        {
            self.counters.probes_unsent += 1;
        }
    }

    /// Says goodbye: tells some peers, then falls silent for good.
    pub fn leave(&mut self, now: Timestamp) {
        if !self.left {
            self.drive(now, true, |swim, effects| swim.leave_cluster(effects));
            self.left = true;
            self.timers.clear();
        }
    }

    /// Takes a member for down that said goodbye, or that an operator made leave.
    pub fn mark_left(&mut self, now: Timestamp, node: NodeId) {
        if let Some(row) = self
            .members
            .get(node)
            .filter(|row| row.state != State::Down)
        {
            let down = foca::Member::new(row.id, row.incarnation, foca::State::Down);
            self.drive(now, true, |swim, effects| {
                swim.apply_many([down].into_iter(), true, effects)
            });
        }
    }

    /// Forgets a member that is down, its address included; returns whether it was.
    ///
    /// It is no longer retried, and an old packet about it may bring it back as news.
    pub fn forget(&mut self, now: Timestamp, node: NodeId) -> bool {
        let Some(&Row {
            id, incarnation, ..
        }) = self.members.get(node).filter(|row| row.is_down())
        else {
            return false;
        };
        self.unlearn(now, id, incarnation);
        self.members.remove(node);
        self.addresses.forget(id.addr);
        self.members_changed = true;
        true
    }

    /// Runs foca once and works off what it asked for. `dirty`: the member list may have changed
    /// without foca saying so.
    ///
    /// Returns foca's complaint about a packet; those about its own state heal by themselves.
    pub(crate) fn drive(
        &mut self,
        now: Timestamp,
        dirty: bool,
        act: impl FnOnce(&mut Swim, &mut Effects) -> Result<(), foca::Error>,
    ) -> Option<foca::Error> {
        let mut effects = std::mem::take(&mut self.effects);
        let complaint = act(&mut self.swim, &mut effects).err();
        if matches!(
            complaint,
            Some(
                foca::Error::IncompleteProbeCycle
                    | foca::Error::NotConnected
                    | foca::Error::Encode(_)
            )
        ) {
            self.counters.internal_errors += 1;
        }
        self.absorb(now, dirty, &mut effects);
        effects.clear();
        self.effects = effects;
        complaint
    }

    /// A periodic interval with its random variation.
    pub(crate) fn jittered(&mut self, interval: Duration) -> Duration {
        let jitter = u32::from(self.config.jitter_percent) * 1_000;
        let factor = 100_000 - jitter + self.rng.random_range(0..=2 * jitter);
        interval * factor / 100_000
    }

    fn take_packet(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        sender: NodeId,
        bytes: &[u8],
    ) -> Result<(), PacketError> {
        if bytes.len() > self.config.packet_bytes {
            return Err(PacketError::from(foca::Error::DataTooBig));
        }
        let packet = self.codec.decode_packet(bytes)?;
        let src = packet.header.src;
        if src.node == self.me().node {
            return Err(PacketError::FromMyself);
        }
        if src.node != sender {
            return Err(PacketError::SenderMismatch {
                sender,
                claimed: src.node,
            });
        }
        self.counters.address_mismatches += u64::from(src.addr != from);
        self.outbid(now, packet.updates.iter().map(|update| *update.id()));
        if self.rejoins_too_soon(now, &packet) {
            return Ok(());
        }
        let bytes = if self.can_afford(&packet)? {
            bytes
        } else {
            &bytes[..packet.header_bytes]
        };
        let alive = foca::Member::new(src, packet.header.src_incarnation, foca::State::Alive);
        let dirty = !self.members.knows(&alive)
            || packet
                .updates
                .iter()
                .any(|update| !self.members.knows(update));
        let complaint = self.drive(now, dirty, |swim, effects| swim.handle_data(bytes, effects));
        if dirty {
            self.members.heard(sender, now); // It may be a member only now.
        }
        self.tell_suspect(src);
        self.make_contact(now, src);
        complaint.map_or(Ok(()), |complaint| Err(complaint.into()))
    }

    /// Whether foca may see a packet's updates; without them it cannot overfill the list.
    fn can_afford(&mut self, packet: &Packet) -> Result<bool, PacketError> {
        let max = self.config.members_max;
        if self.members.len() + packet.updates.len() < max {
            return Ok(true);
        }
        if self.members.len() >= max && self.members.get(packet.header.src.node).is_none() {
            return Err(PacketError::Full { max });
        }
        self.counters.updates_refused += u64::try_from(packet.updates.len()).unwrap_or(u64::MAX);
        Ok(false)
    }

    fn fire(&mut self, now: Timestamp, timer: Timer<MemberId>) {
        if self.is_stale(&timer) {
            self.counters.stale_suspicions_dropped += 1;
            return;
        }
        if self.holds_verdict(now, &timer) {
            return;
        }
        let dirty = matches!(timer, Timer::ChangeSuspectToDown { .. });
        self.drive(now, dirty, |swim, effects| {
            swim.handle_timer(timer, effects)
        });
    }

    fn absorb(&mut self, now: Timestamp, dirty: bool, effects: &mut Effects) {
        self.note_probes(now, effects);
        for (timer, after) in effects.timers.drain(..) {
            let after = match timer {
                // Both by the same factor: the indirect stage comes before the next probe.
                Timer::ProbeRandomMember(_) => {
                    after * self.health.factor() * self.pace.probe_percent / 100
                }
                Timer::SendIndirectProbe { .. } => after * self.health.factor(),
                _ => after,
            };
            let after = if is_periodic(&timer) {
                self.jittered(after)
            } else {
                after
            };
            self.timers.set_foca(now + after, timer);
        }
        if effects.accepted {
            self.note_accepted(now);
            self.counters.packets_accepted += 1;
        }
        if dirty || effects.members_touched || effects.rejoined {
            self.read_members(now);
        }
        for packet in effects.packets.drain(..) {
            self.emit(packet);
        }
        if effects.rejoined {
            self.counters.rejoins += 1;
            self.probes.met(Probe::IdentityRenewed);
            self.last_rejoin = Some(now);
        }
        if effects.rejoined || effects.idle {
            self.contact_due = true;
            self.call_out(now);
        }
    }

    /// Takes over foca's member list.
    fn read_members(&mut self, now: Timestamp) {
        let me = self.me().node;
        let list = self.swim.iter_membership_state();
        let changes = self.members.update(now, me, list);
        self.counters.suspicions += changes.suspected;
        self.counters.suspicions_refuted += changes.refuted;
        self.counters.downs += changes.downs;
        if changes.refuted > 0 {
            self.probes.met(Probe::SuspicionRefuted);
        }
        for addr in changes.addresses {
            self.addresses.saw(addr, now);
        }
        for (id, incarnation) in changes.suspects {
            self.doubt(now, id, incarnation);
        }
        self.note_recovered(now, &changes.recovered);
        if changes.any {
            self.note_change(now);
        }
    }

    /// The member list is another one than before.
    pub(crate) fn note_change(&mut self, now: Timestamp) {
        self.members_changed = true;
        self.make_room(now);
        let pace = Pace::of(&self.config, self.alive() + 1, self.members.len() + 1);
        if pace != self.pace {
            self.pace = pace;
            if self.swim.set_config(pace.foca(&self.config)).is_err() {
                self.counters.internal_errors += 1;
            }
        }
    }

    /// Forgets those that are down for longest while there are too many.
    fn make_room(&mut self, now: Timestamp) {
        while self.members.down() > self.config.down_max
            || self.members.down() > 0 && self.members.len() >= self.config.members_max
        {
            let Some(node) = self.members.down_longest().map(|row| row.id.node) else {
                return;
            };
            self.counters.forgotten += 1;
            self.forget(now, node);
        }
    }

    pub(crate) fn emit(&mut self, packet: Outgoing) {
        let Outgoing { to, bytes, .. } = packet;
        // foca counts this node's former lives among the down members that it retries.
        if to.node == self.me().node || to.addr == self.me().addr {
            return;
        }
        if packet.turn_undead && self.would_wrong(&to) {
            self.counters.turn_undead_suppressed += 1;
            return;
        }
        self.queue(Output::Packet {
            to: to.addr,
            receiver: (!to.is_anyone()).then_some(to.node),
            bytes,
        });
    }

    fn make_contact(&mut self, now: Timestamp, peer: MemberId) {
        let recent = self
            .last_contact
            .is_some_and(|at| now.since(at) < CONTACT_INTERVAL);
        if !self.contact_due || recent {
            return;
        }
        let row = self.members.get(peer.node);
        if row.is_some_and(|row| row.state != State::Down) {
            self.contact_due = false;
            self.last_contact = Some(now);
            self.queue(Output::FirstContact {
                node: peer.node,
                addr: peer.addr,
            });
        }
    }

    fn queue(&mut self, output: Output) {
        if self.outputs.len() < OUTPUTS_MAX {
            self.outputs.push_back(output);
        } else {
            self.counters.outputs_dropped += 1;
        }
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("me", &self.me())
            .field("members", &self.members.len())
            .field("down", &self.members.down())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Nodes that start together would otherwise fire together for ever, and renew at the same instant.
const fn is_periodic(timer: &Timer<MemberId>) -> bool {
    matches!(
        timer,
        Timer::ProbeRandomMember(_)
            | Timer::PeriodicAnnounce(_)
            | Timer::PeriodicAnnounceDown(_)
            | Timer::PeriodicGossip(_)
    )
}
