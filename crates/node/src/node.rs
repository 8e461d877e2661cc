//! The node itself: its parts, and which of them an input concerns.

use std::{net::SocketAddr, time::Duration};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng},
};
use tidings_membership::{MemberId, Membership};
use tidings_registry::{Registry, Writer};
use tidings_types::{Dot, Hlc, Lineage, NodeId, Probes, Status, Timestamp};
use tidings_wire::{Datagram, Request, datagram};

use crate::{
    Boot, Config, Counters, Event, Input, Output,
    calls::Calls,
    clone::Twin,
    depart::Goodbye,
    durable::Durable,
    exchange::{Exchanges, Purpose},
    holders::Waits,
    outbox::{Next, Outbox},
    own::Own,
    patience::Patience,
    peers::Peers,
    roster::RosterState,
    rumor::{Gaps, Pushes, Unacked},
    save::Saves,
    timers::{Timer, Timers, jittered},
};

/// How soon a member list is asked for again that did not come.
const MEMBERS_AGAIN: Duration = Duration::from_secs(1);

/// One agent's decisions. See the [crate documentation](crate) for how to drive it.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: Config,
    pub(crate) me: NodeId,
    pub(crate) addr: SocketAddr,
    pub(crate) now: Timestamp,
    pub(crate) wall_ms: u64,
    /// When the wall clock was read.
    wall_at: Timestamp,
    pub(crate) rng: ChaCha8Rng,

    pub(crate) registry: Registry,
    pub(crate) writer: Writer,
    pub(crate) membership: Membership,
    pub(crate) roster: RosterState,
    pub(crate) peers: Peers,
    pub(crate) exchanges: Exchanges,
    pub(crate) durable: Durable,
    pub(crate) own: Own,
    pub(crate) calls: Calls,
    pub(crate) unacked: Unacked,
    pub(crate) waits: Waits,
    pub(crate) pushes: Pushes,
    pub(crate) gaps: Gaps,
    pub(crate) patience: Patience,
    pub(crate) saves: Saves,
    pub(crate) depart: Option<Goodbye>,
    pub(crate) twin: Twin,
    /// The position of the own feed that at least one peer is known to hold.
    pub(crate) synced: Lineage,

    pub(crate) timers: Timers,
    pub(crate) counters: Counters,
    pub(crate) probes: Probes,
    pub(crate) status_dirty: bool,
    pub(crate) published_status: Option<Status>,
    pub(crate) out: Outbox,
}

impl Node {
    /// A node that starts at `now`. Its first outputs publish what its disk had.
    pub fn new(config: Config, boot: Boot, now: Timestamp) -> Self {
        #[cfg(feature = "mutants")]
        let boot = config.spoil(boot);
        let mut rng = ChaCha8Rng::seed_from_u64(boot.seed);
        let me = MemberId {
            node: boot.node,
            addr: boot.addr,
            generation: boot.epoch.bits(),
        };
        let (seed, start) = (rng.next_u64(), rng.next_u64());
        let mut membership = Membership::new(config.membership.clone(), me, seed, now);
        membership.add_known(now, boot.members.iter().copied());
        let mut node = Self {
            me: boot.node,
            addr: boot.addr,
            now,
            wall_ms: boot.wall_ms,
            wall_at: now,
            rng,
            registry: Registry::new(boot.node, boot.cluster),
            writer: Writer::new(boot.node, boot.epoch).with_keeps(config.keeps),
            membership,
            roster: RosterState::new(boot.node, now),
            peers: Peers::default(),
            exchanges: Exchanges::default(),
            durable: Durable::default(),
            own: Own::default(),
            calls: Calls::default(),
            unacked: Unacked::default(),
            waits: Waits::default(),
            pushes: Pushes::default(),
            gaps: Gaps::default(),
            patience: Patience::default(),
            saves: Saves::default(),
            depart: None,
            twin: Twin::new(start),
            synced: Lineage::empty(),
            timers: Timers::default(),
            counters: Counters::default(),
            probes: Probes::default(),
            status_dirty: true,
            published_status: None,
            out: Outbox::default(),
            config,
        };
        node.restore(boot);
        node.start();
        node
    }

    /// Takes over what the disk had. What is malformed there is left out and relearned from peers.
    fn restore(&mut self, boot: Boot) {
        #[cfg(feature = "mutants")]
        self.registry.set_mutants(self.config.mutants);
        self.registry.set_own_epoch(boot.epoch);
        let own = boot.own.map(|snapshot| (snapshot, boot.own_damaged));
        for (snapshot, damaged) in own.into_iter().chain(boot.replicas) {
            let (owner, lineage) = (snapshot.state.owner, snapshot.state.lineage.clone());
            match self.registry.restore(snapshot, damaged) {
                // A damaged replica is saved whole once it is whole again.
                Ok(()) if self.registry.is_damaged(owner) => {}
                Ok(()) => self.saves.restored(owner, lineage),
                Err(rejected) => self.on_refused(self.me, &rejected.to_string()),
            }
        }
        self.saved_up_to(&self.registry.lineage(self.me));
    }

    fn start(&mut self) {
        let owners: Vec<_> = self.registry.owners().collect();
        owners.into_iter().for_each(|owner| self.on_word(owner));
        self.read_words();
        self.refresh_roster();
        let keys = self.registry.keys().cloned().collect();
        self.publish(keys);
        self.check_epoch();
        self.reassert();
        self.await_mending();
        self.watch_events();
        self.timers
            .set(Timer::Save, self.now + self.config.save_every);
        let members_every = jittered(self.config.members_every, &mut self.rng);
        self.timers.set(Timer::Members, self.now + members_every);
        self.settle();
    }

    /// Takes one input. All outputs of the last one must have been polled.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        debug_assert!(
            self.out.is_empty(),
            "every output is polled before the next input"
        );
        self.now = self.now.max(now);
        match input {
            Input::Timeout => {}
            Input::WallClock(unix_ms) => (self.wall_ms, self.wall_at) = (unix_ms, self.now),
            Input::Seeds(addrs) => self.membership.set_seeds(self.now, addrs),
            Input::Datagram {
                from,
                sender,
                payload,
            } => self.on_datagram(from, sender, &payload),
            Input::OldRun {
                from,
                sender,
                newest,
            } => self.on_old_run(from, sender, newest),
            Input::OwnId { from } => self.on_own_id(from),
            Input::SendFailed { to } => self.membership.send_failed(self.now, to),
            Input::Request {
                exchange,
                from,
                frame,
            } => self.on_request(exchange, from, &frame),
            Input::Response { exchange, frame } => self.on_response(exchange, &frame),
            Input::Finished { exchange, complete } => self.on_finished(exchange, complete),
            Input::Command { id, command } => self.on_command(id, *command),
            Input::Persisted { batch, result } => self.on_persisted(batch, result),
            Input::Saved { save, kept } => self.on_saved(save, kept),
            Input::EpochTaken(epoch) => self.on_epoch_taken(epoch),
            Input::IdentityKept(result) => self.on_identity_kept(result),
        }
        self.run_timers();
        self.settle();
    }

    /// The next thing to do; `None` when there is nothing left.
    pub fn poll_output(&mut self) -> Option<Output> {
        Some(match self.out.pop_front()? {
            Next::Output(output) => output,
            Next::Show(key) => Output::Publish(self.in_force(key)),
        })
    }

    /// When to hand in [`Input::Timeout`], at the latest.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        [self.timers.next(), self.membership.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The replicated data, for drivers that check or show it.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The node's figures.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The membership layer's figures.
    pub fn membership_counters(&self) -> tidings_membership::Counters {
        self.membership.counters()
    }

    /// The rare states met since the last time; none unless they are compiled in.
    pub fn take_probes(&mut self) -> Probes {
        self.probes
            .take()
            .and(self.registry.take_probes())
            .and(self.membership.take_probes())
    }

    fn on_datagram(&mut self, from: SocketAddr, sender: NodeId, payload: &[u8]) {
        let Ok(Datagram {
            fingerprint,
            wall_ms,
            body,
        }) = Datagram::decode(payload)
        else {
            self.counters.datagrams_malformed += 1;
            return;
        };
        if sender == self.me {
            return;
        }
        self.on_clock(sender, wall_ms);
        match body {
            datagram::Body::Membership(bytes) => {
                let taken = self
                    .membership
                    .handle_packet(self.now, from, sender, &bytes);
                self.counters.datagrams_malformed += u64::from(taken.is_err());
            }
            datagram::Body::Rumors(deltas) => self.on_rumors(from, sender, deltas),
            datagram::Body::Have { owner, lineage } => {
                self.on_have(from, sender, owner, &lineage);
            }
            datagram::Body::Superseded { epoch, addr } => self.on_superseded(epoch, addr),
        }
        // Judged last, against what this datagram itself brought.
        self.on_fingerprint(sender, fingerprint);
    }

    fn run_timers(&mut self) {
        if self
            .membership
            .poll_timeout()
            .is_some_and(|due| due <= self.now)
        {
            self.membership.handle_timeout(self.now);
        }
        while let Some(timer) = self.timers.take(self.now) {
            match timer {
                Timer::Roster => self.on_roster_due(),
                Timer::Repair => self.on_repair_due(),
                Timer::Push => self.on_push_due(),
                Timer::Acks => self.on_acks_due(),
                Timer::Save => self.save(),
                Timer::Members => self.pull_members(),
                Timer::Depart => self.on_depart_due(),
                Timer::Own => self.on_own_due(),
                Timer::Mend => self.on_mend_due(),
                Timer::Twin => self.on_twin_due(),
                Timer::Events => self.on_events_due(),
                Timer::Holders => self.on_holders_due(),
            }
        }
    }

    /// Carries over what the parts have to say after an input.
    fn settle(&mut self) {
        self.obey();
        self.tidy_own_feed();
        self.drain_membership();
        self.publish_status();
    }

    /// Hands on the membership layer's packets and takes note of its changes.
    pub(crate) fn drain_membership(&mut self) {
        let mut changed = false;
        while let Some(output) = self.membership.poll_output() {
            match output {
                tidings_membership::Output::Packet {
                    to,
                    receiver,
                    bytes,
                } => {
                    let body = datagram::Body::Membership(bytes);
                    if let Ok(payload) = self.datagram(body).encode() {
                        self.out.push_back(Output::Datagram {
                            to,
                            receiver,
                            payload,
                        });
                    }
                }
                tidings_membership::Output::FirstContact { node, addr } => {
                    self.pull_members_of(node, addr);
                }
                _ => changed = true,
            }
        }
        if changed {
            self.refresh_roster();
        }
    }

    /// A datagram of this node at this moment.
    pub(crate) fn datagram(&self, body: datagram::Body) -> Datagram {
        Datagram {
            fingerprint: self.registry.fingerprint(),
            wall_ms: self.wall_now_ms(),
            body,
        }
    }

    /// The wall clock at this moment, as far as it was told.
    pub(crate) fn wall_now_ms(&self) -> u64 {
        let passed = self.now.since(self.wall_at).as_millis();
        self.wall_ms
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Pulls a random peer's member list: gossip alone leaves holes in a large cluster.
    fn pull_members(&mut self) {
        let period = jittered(self.config.members_every, &mut self.rng);
        self.timers.set(Timer::Members, self.now + period);
        if let Some(&(peer, addr)) = self.membership.peers(1, &[self.me]).first() {
            self.pull_members_of(peer, addr);
        } else {
            self.pull_members_again();
        }
    }

    fn pull_members_of(&mut self, peer: NodeId, addr: SocketAddr) {
        if !self.ask(peer, addr, &Request::Members, Purpose::Members) {
            self.pull_members_again();
        }
    }

    /// No list came. While none has come at all, nobody is known to be missing: another peer is asked.
    pub(crate) fn pull_members_again(&mut self) {
        if !self.roster.is_settled(self.now, self.config.stale_for) {
            let pause = jittered(MEMBERS_AGAIN, &mut self.rng);
            self.timers.set_by(Timer::Members, self.now + pause);
        }
    }

    /// Takes a shared write's stamp into the own clock, as far as it is adopted.
    pub(crate) fn observe(&mut self, stamp: Hlc, dot: Dot) {
        // Not what it was told last: that may be a second ago, and nobody is ahead by that.
        let wall_ms = self.wall_now_ms();
        if self.writer.observe(stamp, wall_ms) {
            let ahead_ms = stamp.unix_ms().saturating_sub(wall_ms);
            self.counters.stamps_ahead += 1;
            self.out
                .push_back(Output::Event(Event::ClockAhead { dot, ahead_ms }));
        }
    }
}
