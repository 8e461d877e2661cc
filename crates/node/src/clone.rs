//! Two live holders of one identity: a data directory that was copied.
//!
//! Both have one key, so to their peers they are one node. Their epochs tell them apart: a peer
//! listens to the greatest run that it knows, and tells an older one so. That one takes an epoch
//! above, as after a rollback, and asks whoever lives where the peer sees the greater run. If somebody
//! answers there who holds this node's key and started another time, the disk was copied. Now both
//! know: the asker by the answer, the answerer by the question.
//!
//! The one with the smaller start number, random on each start, yields: it takes a new key, and what
//! it wrote since its start moves there. In this order, so that nothing acknowledged is lost: the new
//! identity with these registrations is put on disk, then they are removed under the old one, then the
//! driver starts anew under the new one and registers them. Where one of them replaced a registration
//! from before the start, which is the other holder's as well, that one stands again.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use tidings_types::{
    Body, CheckId, Command, Content, Epoch, Hlc, Key, NodeId, Registration, Timestamp,
    limits::FEEDS,
};
use tidings_wire::{Request, Response, datagram};

use crate::{Event, Node, Output, exchange::Purpose, timers::Timer};

/// How often one older run is told that it is over, and how often this node heeds that it is one.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the removal under the old identity may take to reach every peer.
const REMOVAL_WITHIN: Duration = Duration::from_secs(3);
/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is known of other holders of this identity.
#[derive(Debug)]
pub(crate) struct Twin {
    /// Random, new on each start.
    start: u64,
    /// The other holder's start number, once it has answered or asked.
    rival: Option<u64>,
    /// When this node last took a new epoch because a peer knew a later run.
    heeded_at: Option<Timestamp>,
    /// When somebody was asked last whose datagram bore this node's id.
    asked_at: Option<Timestamp>,
    /// When each node with an older run was told so.
    told: BTreeMap<NodeId, Timestamp>,
    /// What this run replaced of what stood when it began.
    overwritten: BTreeMap<Key, Content>,
    yielding: Yielding,
}

/// How far this node is with giving its identity up.
#[derive(Debug, Default, PartialEq, Eq)]
enum Yielding {
    #[default]
    No,
    /// As soon as nothing is on its way to the disk.
    Wanted,
    /// The new identity is on its way to the disk with what stands under these keys.
    Kept(BTreeSet<Key>),
    /// What moved is being removed here.
    Removed {
        until: Timestamp,
    },
    Done,
}

impl Twin {
    pub(crate) const fn new(start: u64) -> Self {
        Self {
            start,
            rival: None,
            heeded_at: None,
            asked_at: None,
            told: BTreeMap::new(),
            overwritten: BTreeMap::new(),
            yielding: Yielding::No,
        }
    }

    /// Takes note of what this run put something else in place of, if that is older than the run.
    /// Bounded as the own feed is.
    pub(crate) fn overwrote(&mut self, key: Key, inherited: Option<Content>) {
        if let Some(body) = inherited {
            self.overwritten.entry(key).or_insert(body);
        }
    }

    /// Whether the own feed is no longer this node's to write.
    pub(crate) fn is_yielding(&self) -> bool {
        self.yielding != Yielding::No
    }
}

/// The calls that register under another identity what was kept of an old one.
pub fn registrations(records: Vec<(Key, Body)>) -> Vec<Command> {
    let (mut instances, mut checks) = (Vec::new(), BTreeMap::new());
    for (key, body) in records {
        match (key, body) {
            (Key::Instance(_, id), Body::Instance(instance)) => instances.push((id, instance)),
            (Key::Check(_, id), Body::Check(check)) => {
                checks.insert(id, check);
            }
            _ => {}
        }
    }
    let mut calls = Vec::new();
    for (id, instance) in instances {
        let own: Vec<(CheckId, _)> = instance
            .checks
            .iter()
            .filter_map(|check| Some((check.clone(), checks.remove(check)?)))
            .collect();
        calls.push(Command::RegisterService(Registration {
            id,
            instance: Box::new(instance),
            checks: own,
            replace_checks: false,
        }));
    }
    // A check of an instance that did not move speaks for nobody any more.
    let of_the_node = checks
        .into_iter()
        .filter(|(_, check)| check.service.is_none());
    calls.extend(of_the_node.map(|(id, check)| Command::RegisterCheck {
        id,
        check: Box::new(check),
    }));
    calls
}

impl Node {
    /// A run of `sender` that is over sent a datagram from `from`; `newest` is the greatest known.
    pub(crate) fn on_old_run(&mut self, from: SocketAddr, sender: NodeId, newest: Epoch) {
        let (now, told) = (self.now, &mut self.twin.told);
        if told.get(&sender).is_some_and(|at| now.since(*at) < PAUSE) {
            return;
        }
        told.retain(|_, at| now.since(*at) < PAUSE);
        if told.len() >= FEEDS {
            return;
        }
        told.insert(sender, now);
        self.counters.old_runs_told += 1;
        let body = datagram::Body::Superseded {
            epoch: newest,
            addr: self.roster.addr(sender).unwrap_or(from),
        };
        self.send(sender, from, body);
    }

    /// A peer does not listen to this run, because it knows a greater one that lives at `addr`.
    pub(crate) fn on_superseded(&mut self, epoch: Epoch, addr: SocketAddr) {
        // Nothing could follow an epoch at the end of time: no honest peer has met one.
        if epoch <= self.writer.epoch() || epoch.unix_ms() >= Hlc::END.unix_ms() {
            return;
        }
        // Each costs a new epoch on disk: a member that makes them up must not keep it busy.
        let recently = self
            .twin
            .heeded_at
            .is_some_and(|at| self.now.since(at) < PAUSE);
        if recently {
            return;
        }
        self.twin.heeded_at = Some(self.now);
        self.on_epoch_exceeded(epoch);
        if addr != self.addr {
            self.ask_run(addr);
        }
    }

    /// A datagram bears this node's own id. It may have come back to where it was sent from; if not,
    /// somebody else who holds the key lives at `from`, and no third node has told so.
    pub(crate) fn on_own_id(&mut self, from: SocketAddr) {
        let recently = self
            .twin
            .asked_at
            .is_some_and(|at| self.now.since(at) < PAUSE);
        if from != self.addr && !recently {
            self.twin.asked_at = Some(self.now);
            self.ask_run(from);
        }
    }

    fn ask_run(&mut self, addr: SocketAddr) {
        let start = self.twin.start;
        self.ask(self.me, addr, &Request::Run { start }, Purpose::Run);
    }

    /// Another holder of this node's key asks which start this is.
    pub(crate) fn on_run_asked(&mut self, asker: NodeId, start: u64) -> Option<Response> {
        if asker != self.me {
            return None;
        }
        self.on_twin(start);
        let start = self.twin.start;
        Some(Response::Run { start })
    }

    /// Somebody who holds this node's key started as `rival`.
    pub(crate) fn on_twin(&mut self, rival: u64) {
        // Equal numbers: this very agent, reached by another address.
        if rival == self.twin.start || self.twin.rival == Some(rival) {
            return;
        }
        self.twin.rival = Some(rival);
        let yields = self.twin.start < rival;
        self.counters.twins_met += 1;
        self.out.push_back(Output::Event(Event::Cloned { yields }));
        if yields && !self.twin.is_yielding() {
            self.yield_identity();
        }
    }

    fn yield_identity(&mut self) {
        self.twin.yielding = Yielding::Wanted;
        self.own.pause();
        self.on_feed_settled();
    }

    /// Follows up once nothing is on its way to the disk; whether the own feed is given up, so that
    /// no command is carried out in it.
    pub(crate) fn give_way(&mut self) -> bool {
        if self.twin.yielding == Yielding::Wanted && self.depart.is_none() {
            let records = self.writer.registered_in_this_run(&self.registry);
            let keys = records.iter().map(|(key, _)| key.clone()).collect();
            self.twin.yielding = Yielding::Kept(keys);
            self.out.push_back(Output::KeepIdentity { records });
        }
        self.twin.is_yielding()
    }

    /// The new identity is on disk, or not.
    pub(crate) fn on_identity_kept(&mut self, result: Result<(), String>) {
        let Yielding::Kept(keys) = std::mem::take(&mut self.twin.yielding) else {
            return;
        };
        if result.is_err() {
            // The other holder is met again, and it is tried again then.
            self.twin.rival = None;
            return self.on_feed_settled();
        }
        for key in keys {
            // What cannot be removed stays with the other holder, who may remove it.
            let _ = match self.twin.overwritten.remove(&key) {
                Some(body) => self.put(key, body.body()),
                None => self.take_away(&key),
            };
        }
        let until = self.now + REMOVAL_WITHIN;
        self.twin.yielding = Yielding::Removed { until };
        self.persist(None);
        self.timers.set(Timer::Twin, self.now + LOOK_EVERY);
    }

    /// Looks whether the removal has reached every peer.
    pub(crate) fn on_twin_due(&mut self) {
        let Yielding::Removed { until } = self.twin.yielding else {
            return;
        };
        let own = self.registry.lineage(self.me);
        if self.durable.is_idle() && self.is_alone_or_heard(&own) || self.now >= until {
            self.twin.yielding = Yielding::Done;
            self.out.push_back(Output::Yielded);
        } else {
            self.timers.set(Timer::Twin, self.now + LOOK_EVERY);
        }
    }
}
