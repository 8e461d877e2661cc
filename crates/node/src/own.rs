//! This node's own feed: relearning it, its watermark, and meeting a greater epoch of itself.
//!
//! The owner is one more replica of its own feed: after a rollback, damage or loss of its disk its
//! peers give it back what it once published. Two things must not be done before it has all of
//! that: moving the watermark and raising the floor, since they bury removals that it has yet to
//! relearn. So it asks every peer, once per run, how much of its feed they hold.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use tidings_registry::{Rejected, SEQ_FOLLOWED};
use tidings_types::{Body, Command, Epoch, Key, Lineage, NodeId, Refusal, Timestamp};
use tidings_wire::Request;

use crate::{CommandId, Event, Node, Output, exchange::Purpose, timers::Timer};

/// Commands that wait while the own feed must not be written; beyond, they are refused as busy.
const WAITING: usize = 1_024;
/// Peers that are asked at once how much they hold.
const ASKED_AT_ONCE: usize = 8;
/// How long a peer is left alone that was asked and has not said that it holds no more.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long no forged change is gone above after the last one was: each takes the disk's time.
const OUTBID_PAUSE: Duration = Duration::from_millis(500);
/// How many greater runs of this node are heeded in one span. Each costs a new epoch on disk, and calls
/// wait for that.
const HEEDED: u32 = 2;
const HEEDING: Duration = Duration::from_secs(1);
/// How long nothing is let go of after a start: longer than it takes to find everybody after a split.
const REMEMBERS_FOR: Duration = Duration::from_secs(20);
/// How long the disk is left alone after it refused a batch, unless a client wants something.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The state of the own feed beyond its content.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// Commands that wait; `Some` while the own feed must not be written.
    waiting: Option<VecDeque<(CommandId, Command)>>,
    /// The fingerprint at which the own feed was found whole and tidy.
    tidy_at: Option<u128>,
    /// Whether the disk refused a batch whose dots are not given up yet.
    in_doubt: bool,
    /// Why, until a new epoch is there.
    refused: Option<String>,
    /// What the disk refused is not tried again before this, unless a command needs it.
    retry_at: Timestamp,
    /// Whether a new epoch was asked for.
    awaits_epoch: bool,
    /// How many greater runs were met in the present span.
    heeded: (Timestamp, u32),
    /// The greatest epoch met of this node, if it is above the present one.
    exceeded: Option<Epoch>,
    /// Whether peers gave back something that is not on the own disk.
    relearned: bool,
    /// No forged change is gone above before this.
    outbid_at: Timestamp,
    /// Peers that have said in this run how much they hold.
    asked: BTreeSet<NodeId>,
    /// When each of the others may be asked again.
    ask_at: BTreeMap<NodeId, Timestamp>,
}

impl Own {
    /// Whether nothing may be written for now.
    pub(crate) const fn is_paused(&self) -> bool {
        self.waiting.is_some()
    }

    /// Keeps a command until the feed may be written again; gives it back if too many wait.
    pub(crate) fn hold(&mut self, id: CommandId, command: Command) -> Result<(), CommandId> {
        match &mut self.waiting {
            Some(waiting) if waiting.len() < WAITING => {
                waiting.push_back((id, command));
                Ok(())
            }
            _ => Err(id),
        }
    }

    /// Takes note that the own feed in memory holds more than the disk.
    pub(crate) const fn relearned(&mut self) {
        self.relearned = true;
    }

    /// Whether the own feed in memory holds more than the disk.
    pub(crate) const fn has_relearned(&self) -> bool {
        self.relearned
    }

    /// The same; the caller puts it there.
    pub(crate) const fn take_relearned(&mut self) -> bool {
        std::mem::replace(&mut self.relearned, false)
    }

    /// Why nothing can be written: the disk refused something, and for a while already.
    pub(crate) fn refusal(&self, now: Timestamp) -> Option<Refusal> {
        let reason = self.refused.clone().filter(|_| now >= self.retry_at)?;
        Some(Refusal::NotSaved { reason })
    }

    pub(crate) fn pause(&mut self) {
        self.waiting.get_or_insert_default();
    }
}

impl Node {
    /// A peer holds a run of this node that is greater than the present one. What it holds is taken
    /// once this node has an epoch above it.
    pub(crate) fn on_epoch_exceeded(&mut self, epoch: Epoch) {
        // Whoever makes up ever greater runs must not keep this node from writing: a true one is met
        // again.
        let (since, heeded) = &mut self.own.heeded;
        if self.now.since(*since) >= HEEDING {
            (*since, *heeded) = (self.now, 0);
        }
        *heeded += 1;
        if *heeded > HEEDED {
            return;
        }
        if self.own.exceeded.is_none_or(|known| known < epoch) {
            self.own.exceeded = Some(epoch);
            self.out
                .push_back(Output::Event(Event::GreaterEpochMet { epoch }));
        }
        self.own.pause();
        self.on_feed_settled();
    }

    /// The own feed on disk may be newer than the epoch that was taken for this run: then the
    /// identity was put back from a backup, and dots would be used twice.
    pub(crate) fn check_epoch(&mut self) {
        #[cfg(feature = "mutants")]
        if self.config.reuses_dots {
            return;
        }
        let own = self.registry.lineage(self.me);
        let last = own.last_epoch().unwrap_or_default().max(own.floor());
        if last >= self.writer.epoch() {
            self.on_epoch_exceeded(last);
        }
    }

    /// A peer gave back some of this node's own feed.
    pub(crate) fn on_relearned(&mut self) {
        self.own.relearned();
        self.own.pause();
        self.on_feed_settled();
    }

    /// A peer says how much it holds of the own feed. Refuses what this run never wrote; whether it
    /// did. Whoever asked for it would get it, or nothing.
    pub(crate) fn refuses_claim(&mut self, peer: NodeId, claimed: &Lineage) -> bool {
        let epoch = self.writer.epoch();
        let seq = claimed.head(epoch);
        let is_false = seq > self.registry.position(self.me).head(epoch);
        if is_false {
            let claim = Rejected::ForgedDot { epoch, seq };
            self.on_refused(peer, &claim.to_string());
            self.outbid(seq);
        }
        is_false
    }

    /// Goes above changes of this run that this node never wrote, so that whoever took them from a
    /// liar finds out and takes this node's copy. What has to wait is met again at the next contact.
    pub(crate) fn outbid(&mut self, seq: u64) {
        if self.own.is_paused() || !self.durable.has_room() || self.now < self.own.outbid_at {
            return;
        }
        self.own.outbid_at = self.now + OUTBID_PAUSE;
        if seq > SEQ_FOLLOWED {
            // No room is left above: this run's writes are made again in a run of their own.
            self.on_epoch_exceeded(self.writer.epoch());
        } else if self.writer.outbid(&self.registry, seq).is_some() {
            self.persist(None);
        }
    }

    /// Follows up what had to wait until no batch was on its way.
    pub(crate) fn on_feed_settled(&mut self) {
        if !self.own.is_paused() || self.own.awaits_epoch || !self.durable.is_idle() {
            return;
        }
        if std::mem::take(&mut self.own.in_doubt) {
            // The disk takes nothing more of this run, not even what peers gave back.
            self.writer.give_up();
            return self.take_epoch();
        }
        if self.now >= self.own.retry_at && self.own.take_relearned() {
            self.persist_relearned();
        }
        if self.own.exceeded.is_some() {
            if self.durable.is_idle() {
                self.take_epoch();
            }
        } else if !self.give_way() {
            self.resume();
        }
    }

    /// The disk refused a batch. What it took before is awaited, then a new epoch begins.
    pub(crate) fn on_disk_refused(&mut self, reason: &str) {
        self.own.in_doubt = true;
        self.own.refused = Some(reason.to_owned());
        self.own.retry_at = self.now + RETRY_AFTER;
        self.timers.set(Timer::Own, self.own.retry_at);
        self.own.pause();
        self.on_feed_settled();
    }

    /// Tries again what the disk refused. If it does not even take an epoch, nobody is kept waiting.
    pub(crate) fn on_own_due(&mut self) {
        if let Some(refusal) = self.own.refusal(self.now) {
            let waiting = self.own.waiting.as_mut().map(std::mem::take);
            for (id, _) in waiting.unwrap_or_default() {
                self.refuse(id, refusal.clone());
            }
            self.release_replies();
        }
        if self.own.relearned {
            self.own.pause();
            self.on_feed_settled();
        }
        self.reassert();
    }

    /// Asks for an epoch above every one known of this node; until it is there nothing is written.
    fn take_epoch(&mut self) {
        self.own.pause();
        if !std::mem::replace(&mut self.own.awaits_epoch, true) {
            let above = self
                .own
                .exceeded
                .unwrap_or_default()
                .max(self.writer.epoch());
            self.out.push_back(Output::TakeEpoch { above });
        }
    }

    /// Lets the own feed be written again and carries out what waited for that.
    fn resume(&mut self) {
        let waiting = self.own.waiting.take().unwrap_or_default();
        self.reassert();
        self.look_through_calls();
        self.drop_unnamed_checks();
        self.release_replies();
        for (id, command) in waiting {
            self.on_command(id, command);
        }
    }

    /// The new epoch is on disk.
    pub(crate) fn on_epoch_taken(&mut self, epoch: Epoch) {
        if !std::mem::take(&mut self.own.awaits_epoch) {
            return;
        }
        self.own.refused = None;
        if self.own.exceeded.take_if(|met| *met < epoch).is_some() {
            // What no longer fits the feed was counted against its limits before; it is given up.
            let _ = self
                .writer
                .take_over(&mut self.registry, epoch, self.wall_ms);
            // Where a run is known that this node does not remember, so may be a life that has ended:
            // it would stay down for all who know that one.
            let generation = epoch.bits().saturating_sub(1);
            self.membership.exceed_generation(self.now, generation);
        } else {
            self.writer.abandon(epoch);
            self.registry.set_own_epoch(epoch);
        }
        self.status_dirty = true;
        self.persist(None);
        if self.own.relearned || self.own.exceeded.is_some() {
            self.on_feed_settled();
        } else if !self.give_way() {
            self.resume();
        }
    }

    /// Removes own checks that speak for an instance which does not name them, or is not there: given
    /// back by peers after the instance was registered anew without them. A damaged feed may have lost
    /// the instance.
    fn drop_unnamed_checks(&mut self) {
        if self.registry.is_damaged(self.me) {
            return;
        }
        let own = self.registry.owned_by(self.me).cloned();
        let unnamed: Vec<Key> = own.filter(|key| self.is_unnamed(key)).collect();
        for key in unnamed {
            // A removal fails only at the limit of epochs; the next resuming tries again.
            let _ = self.take_away(&key);
        }
        self.persist(None);
    }

    fn is_unnamed(&self, key: &Key) -> bool {
        let Key::Check(_, id) = key else {
            return false;
        };
        let Some(service) = self.check(id).and_then(|check| check.service) else {
            return false;
        };
        let instance = self.instance(&Key::Instance(self.me, service));
        instance.is_none_or(|instance| !instance.checks.contains(id))
    }

    /// Registers this node's own record if it is not in force: it is the node's word that it is
    /// there, and an override of it is refused as long as it lives.
    pub(crate) fn reassert(&mut self) {
        if !self.may_write_unasked() {
            return;
        }
        let key = Key::Node(self.me);
        let body = Body::Node(self.record());
        if let Ok(Some(_)) = self.writer.register(&self.registry, key, body) {
            self.persist(None);
        }
    }

    /// Whether something may be written that no client waits for.
    pub(crate) fn may_write_unasked(&self) -> bool {
        let waits = self.own.is_paused() || self.now < self.own.retry_at;
        !waits && self.depart.is_none() && self.durable.has_room()
    }

    /// Does what has to wait until nobody who can be asked holds more of the own feed: moves the
    /// watermark and the floor, obeys overrides of what an earlier run registered, and settles for a
    /// feed that lost something to damage.
    pub(crate) fn tidy_own_feed(&mut self) {
        let fingerprint = Some(self.registry.fingerprint());
        if self.own.tidy_at == fingerprint && !self.has_overridden() {
            return;
        }
        if self.writer.is_tidy(&self.registry) {
            self.own.tidy_at = fingerprint;
        }
        let damaged = self.registry.is_damaged(self.me);
        let tidying = self.writer.is_tidying_due(&self.registry) && self.may_forget();
        let obeying = self.has_overridden() && self.has_looked_long();
        let due = damaged || tidying || obeying;
        if !due || self.own.is_paused() || !self.durable.is_idle() || !self.has_asked_around() {
            return;
        }
        if damaged {
            self.accept_own_damage();
        } else if obeying {
            self.obey_for_earlier_runs();
        }
        if tidying && !damaged {
            self.writer.move_watermark(&self.registry);
            self.writer.restamp(&self.registry);
            self.persist(None);
        }
    }

    /// Whether the own feed may let go of what others could still hold more of, which must be, soon after
    /// a start, if clients would have to be refused otherwise.
    fn may_forget(&self) -> bool {
        self.has_looked_long() || self.writer.must_forget(&self.registry)
    }

    /// Whether those who may hold more of the own feed have been met: a node whose disk is empty knows of
    /// nobody at first.
    fn has_looked_long(&self) -> bool {
        self.now.since(self.roster.started()) >= REMEMBERS_FOR
    }

    /// Whether every peer that answers has said in this run that it holds no more of the own feed.
    /// Asks those that have not.
    fn has_asked_around(&mut self) -> bool {
        if self.roster.is_island() || !self.roster.is_settled(self.now, self.config.stale_for) {
            return false;
        }
        let asked = &self.own.asked;
        let peers = self.roster.reachable_peers();
        let left: Vec<_> = peers.filter(|(peer, _)| !asked.contains(peer)).collect();
        let now = self.now;
        self.own.ask_at.retain(|_, at| *at > now);
        let nobody_is_left = left.is_empty();
        for (peer, addr) in left.into_iter().take(ASKED_AT_ONCE) {
            let is_due = !self.own.ask_at.contains_key(&peer);
            if is_due && !self.exchanges.is_asking_position(peer) {
                let request = Request::Positions(vec![self.me]);
                self.own.ask_at.insert(peer, now + ASK_AGAIN_AFTER);
                self.ask(peer, addr, &request, Purpose::Positions);
            }
        }
        nobody_is_left
    }

    /// A peer said how much it holds.
    pub(crate) fn on_positions(
        &mut self,
        peer: NodeId,
        addr: SocketAddr,
        positions: &[(NodeId, Lineage)],
    ) {
        let Some((_, held)) = positions.iter().find(|(owner, _)| *owner == self.me) else {
            return;
        };
        // What no run wrote is no reason to wait for it.
        let mut held = held.clone();
        if self.refuses_claim(peer, &held) {
            held = without(&held, self.writer.epoch());
        }
        let has_more = !self.registry.position(self.me).covers(&held);
        if has_more || self.registry.is_mended_by(self.me, &held) {
            self.pull(peer, addr, vec![self.me]);
        } else if !self.registry.is_filled_by(self.me, &held)
            || self.pull(peer, addr, vec![self.me])
        {
            self.own.asked.insert(peer);
        }
    }
}

/// The position without what it covers of `epoch`.
fn without(position: &Lineage, epoch: Epoch) -> Lineage {
    let mut rest = Lineage::empty();
    rest.raise_floor(position.floor());
    for (other, head) in position.heads().filter(|&(other, _)| other != epoch) {
        rest.advance(other, head);
    }
    rest
}
