//! A few nodes joined by perfect links, with a clock and disks of their own.
//!
//! For short dialogues only: faults, scale and invariants are the simulator's.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tidings_node::{Boot, CommandId, Config, Event, Exchange, Input, Node, Output};
use tidings_types::{
    Body, Check, CheckKind, ClusterId, Command, Content, Epoch, ExternalNode, Instance, Key,
    NodeId, NodeName, Outcome, Refusal, Registration, Roster, ServiceId, ServiceName, Snapshot,
    Status, Text, TextMap, Timestamp, Transfer, Update,
};

pub(crate) const START_MS: u64 = 1_763_000_000_000;

pub(crate) fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 16])
}

pub(crate) fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, n], 8301))
}

/// What is said of a node without an agent.
pub(crate) fn external_node(address: &str) -> ExternalNode {
    ExternalNode {
        id: Text::new(),
        address: address.into(),
        tagged_addresses: TextMap::new(),
        meta: TextMap::new(),
    }
}

/// One node with what its driver keeps for it.
pub(crate) struct Peer {
    pub(crate) node: Node,
    pub(crate) records: BTreeMap<Key, Content>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) status: Option<Status>,
    pub(crate) replies: BTreeMap<CommandId, Result<Outcome, Refusal>>,
    pub(crate) events: Vec<Event>,
    /// What the disk was given, in order; answered at once unless `disk_holds`.
    pub(crate) persists: Vec<(u64, Transfer)>,
    /// What it saved of other feeds.
    pub(crate) saves: Vec<Transfer>,
    pub(crate) disk_holds: bool,
    /// The disk refuses every batch, and says so when time passes.
    pub(crate) disk_fails: bool,
    /// Epochs are not given out at once but by [`World::give_epoch`].
    pub(crate) epochs_held: bool,
    epoch_asked: Option<Epoch>,
    pub(crate) departed: bool,
    /// What it wants kept for a new identity; the disk takes it at once.
    pub(crate) moves: Option<Vec<(Key, Body)>>,
    pub(crate) yielded: bool,
    /// Requests that it broke off.
    pub(crate) abandoned: usize,
    pub(crate) published: usize,
}

/// Turns a frame of the node's answer into those that are sent in its place.
pub(crate) type Forge = Box<dyn Fn(u8, Vec<u8>) -> Vec<Vec<u8>>>;

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) peers: BTreeMap<u8, Peer>,
    /// Pairs that hear nothing of each other.
    pub(crate) cut: BTreeSet<(u8, u8)>,
    /// Datagrams to drop before any is delivered again.
    pub(crate) drop_datagrams: usize,
    pub(crate) datagrams: usize,
    pub(crate) requests: usize,
    /// Sessions that cannot be had, though datagrams arrive.
    pub(crate) no_sessions: BTreeSet<(u8, u8)>,
    /// The wall clock's reading at the world's start as a node's identity takes it, if it is not
    /// the true one.
    pub(crate) epochs_from: BTreeMap<u8, u64>,
    /// Nodes that bear another one's name.
    pub(crate) names: BTreeMap<u8, u8>,
    /// Nodes that hold another one's key: their disk is a copy of its.
    pub(crate) copies: BTreeMap<u8, u8>,
    /// The latest run that each has heard of each node: datagrams of earlier ones are refused.
    heard: BTreeMap<(u8, NodeId), Epoch>,
    /// The last epoch that each node's identity has on disk.
    pub(crate) epochs: BTreeMap<u8, Epoch>,
    /// Of a hundred datagrams, how many are lost by chance.
    pub(crate) loss: u64,
    chance: u64,
    /// What the drivers hand in as soon as time passes.
    later: VecDeque<(u8, Input)>,
    /// What becomes of each frame of an answer by its giver's hand.
    pub(crate) forge: Option<Forge>,
    /// Bytes of the answers to each request.
    pub(crate) answered: BTreeMap<Exchange, usize>,
    /// What follows at once.
    inputs: VecDeque<(u8, Input)>,
    is_busy: bool,
    exchanges: BTreeMap<Exchange, (u8, Exchange)>,
    next: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            now: Timestamp::from_micros(1_000_000),
            peers: BTreeMap::new(),
            cut: BTreeSet::new(),
            drop_datagrams: 0,
            datagrams: 0,
            requests: 0,
            no_sessions: BTreeSet::new(),
            epochs_from: BTreeMap::new(),
            names: BTreeMap::new(),
            copies: BTreeMap::new(),
            heard: BTreeMap::new(),
            epochs: BTreeMap::new(),
            loss: 0,
            chance: 1,
            later: VecDeque::new(),
            forge: None,
            answered: BTreeMap::new(),
            inputs: VecDeque::new(),
            is_busy: false,
            exchanges: BTreeMap::new(),
            next: 1 << 32,
        }
    }

    /// Nodes 1 to `n`, the first of them everybody's seed, all joined.
    pub(crate) fn cluster(n: u8) -> Self {
        let mut world = Self::new();
        (1..=n).for_each(|peer| world.start(peer, None));
        world.until("all are joined", |w| {
            w.peers
                .values()
                .all(|p| p.roster.reachable == usize::from(n))
        });
        world.run(Duration::from_secs(2));
        world
    }

    /// Starts node `n`, with its own feed if its disk had one.
    pub(crate) fn start(&mut self, n: u8, own: Option<Snapshot>) {
        self.boot(n, own, false, Vec::new(), |_| {});
    }

    /// Starts node `n`, whose disk has lost some of its own feed if `damaged`, with replicas.
    pub(crate) fn start_from(
        &mut self,
        n: u8,
        own: Option<Snapshot>,
        damaged: bool,
        replicas: Vec<(Snapshot, bool)>,
    ) {
        self.boot(n, own, damaged, replicas, |_| {});
    }

    /// Starts node `n` with an empty disk and something about its driver changed.
    pub(crate) fn start_with(&mut self, n: u8, change: impl FnOnce(&mut Peer)) {
        self.boot(n, None, false, Vec::new(), change);
    }

    fn boot(
        &mut self,
        n: u8,
        own: Option<Snapshot>,
        own_damaged: bool,
        replicas: Vec<(Snapshot, bool)>,
        change: impl FnOnce(&mut Peer),
    ) {
        let run = self.now.as_micros() / 1_000;
        let named = self.names.get(&n).copied().unwrap_or(n);
        let config = Config::new(name(named), format!("10.0.0.{n}"));
        let from = self.epochs_from.get(&n).copied().unwrap_or(START_MS);
        let last = self.epochs.get(&n).copied().unwrap_or_default();
        self.next += 1;
        let epoch = Epoch::after(last, from + run, self.next);
        self.epochs.insert(n, epoch);
        let boot = Boot {
            node: self.holder(n),
            cluster: ClusterId::from_bytes([0; 16]),
            epoch,
            addr: addr(n),
            seed: u64::from(n),
            wall_ms: START_MS + run,
            own,
            own_damaged,
            replicas,
            members: Vec::new(),
        };
        let mut peer = Peer {
            node: Node::new(config, boot, self.now),
            records: BTreeMap::new(),
            roster: Roster::empty(),
            status: None,
            replies: BTreeMap::new(),
            events: Vec::new(),
            persists: Vec::new(),
            saves: Vec::new(),
            disk_holds: false,
            disk_fails: false,
            epochs_held: false,
            epoch_asked: None,
            departed: false,
            moves: None,
            yielded: false,
            abandoned: 0,
            published: 0,
        };
        change(&mut peer);
        self.peers.insert(n, peer);
        self.is_busy = true;
        self.drain(n);
        self.is_busy = false;
        self.input(n, Input::Seeds(vec![addr(1), addr(2), addr(3)]));
    }

    /// Hands one input to a node and carries out everything that follows at once.
    pub(crate) fn input(&mut self, n: u8, input: Input) {
        self.inputs.push_back((n, input));
        if std::mem::replace(&mut self.is_busy, true) {
            return;
        }
        let mut inputs = 0;
        while let Some((n, input)) = self.inputs.pop_front() {
            inputs += 1;
            assert!(inputs < 100_000, "this has no end: {input:?} at node {n}");
            if let Some(peer) = self.peers.get_mut(&n) {
                peer.node.handle(self.now, input);
                self.drain(n);
            }
        }
        self.is_busy = false;
    }

    /// Sends a command and returns its answer, if it was given at once.
    pub(crate) fn command(&mut self, n: u8, command: Command) -> Option<Result<Outcome, Refusal>> {
        let id = self.call(n, command);
        self.peers[&n].replies.get(&id).cloned()
    }

    /// Sends a command and returns its name.
    pub(crate) fn call(&mut self, n: u8, command: Command) -> CommandId {
        let id = CommandId(self.next);
        self.next += 1;
        let wall_ms = START_MS + self.now.as_micros() / 1_000;
        self.input(n, Input::WallClock(wall_ms));
        let command = Box::new(command);
        self.input(n, Input::Command { id, command });
        id
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            if !self.later.is_empty() && self.now < end {
                self.hand_in_later();
            }
            let until = if self.later.is_empty() { end } else { self.now };
            if let Some((due, n)) = self.next_timeout().filter(|&(due, _)| due <= until) {
                self.now = self.now.max(due);
                self.input(n, Input::Timeout);
            } else if self.later.is_empty() || self.now >= end {
                break;
            }
        }
        self.now = end;
    }

    /// Hands in what drivers say a millisecond later, so that work without end shows as much work
    /// in a short time.
    fn hand_in_later(&mut self) {
        self.now = self.now + Duration::from_millis(1);
        for (n, input) in std::mem::take(&mut self.later) {
            self.input(n, input);
        }
    }

    /// Gives node `n` the epoch that it asked for; whether it asked.
    pub(crate) fn give_epoch(&mut self, n: u8) -> bool {
        let peer = self.peers.get_mut(&n).expect("the node runs");
        let Some(above) = peer.epoch_asked.take() else {
            return false;
        };
        self.next += 1;
        let epoch = Epoch::after(above, START_MS, self.next);
        self.epochs.insert(n, epoch);
        self.input(n, Input::EpochTaken(epoch));
        true
    }

    /// Lets time pass until `state` holds, a minute at most; returns how long it took.
    pub(crate) fn until(&mut self, what: &str, state: impl Fn(&Self) -> bool) -> Duration {
        let begin = self.now;
        while !state(self) {
            assert!(
                self.now.since(begin) < Duration::from_secs(60),
                "not within a minute: {what}"
            );
            self.run(Duration::from_millis(10));
        }
        self.now.since(begin)
    }

    pub(crate) fn agree(&self) -> bool {
        let prints: BTreeSet<u128> = self
            .peers
            .values()
            .map(|p| p.node.registry().fingerprint())
            .collect();
        prints.len() == 1
    }

    pub(crate) fn stop(&mut self, n: u8) -> Peer {
        self.peers.remove(&n).expect("the node runs")
    }

    fn next_timeout(&self) -> Option<(Timestamp, u8)> {
        let due = |(&n, peer): (&u8, &Peer)| Some((peer.node.poll_timeout()?, n));
        self.peers.iter().filter_map(due).min()
    }

    fn drain(&mut self, n: u8) {
        let mut outputs = Vec::new();
        if let Some(peer) = self.peers.get_mut(&n) {
            outputs.extend(std::iter::from_fn(|| peer.node.poll_output()));
        }
        for output in outputs {
            self.carry_out(n, output);
        }
    }

    fn carry_out(&mut self, n: u8, output: Output) {
        match output {
            Output::Datagram { to, payload, .. } => {
                self.datagrams += 1;
                if self.drop_datagrams > 0 {
                    self.drop_datagrams -= 1;
                } else if self.loses_one() {
                    // Gone.
                } else if let Some(peer) = self.reach(n, to) {
                    self.deliver(n, peer, payload);
                }
            }
            Output::Request {
                exchange,
                addr,
                frame,
                ..
            } => self.request(n, exchange, addr, frame),
            // What comes all the same is ignored.
            Output::Abandon { .. } => {
                self.peers.get_mut(&n).expect("it runs").abandoned += 1;
            }
            Output::Respond { exchange, frame } => {
                let (asker, theirs) = self.exchanges[&exchange];
                *self.answered.entry(exchange).or_default() += frame.len();
                let frames = match &self.forge {
                    Some(forge) => forge(n, frame),
                    None => vec![frame],
                };
                for frame in frames {
                    let exchange = theirs;
                    self.input(asker, Input::Response { exchange, frame });
                }
            }
            Output::Finish { exchange, complete } => {
                let (asker, theirs) = self.exchanges[&exchange];
                self.input(
                    asker,
                    Input::Finished {
                        exchange: theirs,
                        complete,
                    },
                );
            }
            Output::TakeEpoch { above } => {
                let peer = self.peers.get_mut(&n).expect("it spoke");
                peer.epoch_asked = Some(above);
                if !peer.epochs_held {
                    self.give_epoch(n);
                }
            }
            Output::Save {
                save, transfers, ..
            } => {
                let peer = self.peers.get_mut(&n).expect("it spoke");
                peer.saves.extend(transfers);
                self.input(n, Input::Saved { save, kept: true });
            }
            Output::Persist { batch, transfer } => self.persist(n, batch, *transfer),
            Output::KeepIdentity { records } => {
                self.peers.get_mut(&n).expect("it spoke").moves = Some(records);
                self.input(n, Input::IdentityKept(Ok(())));
            }
            kept => self.peers.get_mut(&n).expect("it spoke").keep(kept),
        }
    }

    fn persist(&mut self, n: u8, batch: u64, transfer: Transfer) {
        let peer = self.peers.get_mut(&n).expect("it spoke");
        peer.persists.push((batch, transfer));
        if peer.disk_fails {
            let result = Err("disk full".to_owned());
            self.later
                .push_back((n, Input::Persisted { batch, result }));
        } else if !peer.disk_holds {
            self.input(
                n,
                Input::Persisted {
                    batch,
                    result: Ok(()),
                },
            );
        }
    }

    /// The node whose key `n` holds.
    pub(crate) fn holder(&self, n: u8) -> NodeId {
        id(self.copies.get(&n).copied().unwrap_or(n))
    }

    /// Hands a datagram over as the transport does: those of a run that is over do not count.
    fn deliver(&mut self, n: u8, to: u8, payload: Vec<u8>) {
        let (from, sender, epoch) = (addr(n), self.holder(n), self.epochs[&n]);
        if sender == self.holder(to) {
            return;
        }
        let newest = self.heard.entry((to, sender)).or_insert(epoch);
        *newest = epoch.max(*newest);
        let input = if *newest > epoch {
            let newest = *newest;
            Input::OldRun {
                from,
                sender,
                newest,
            }
        } else {
            Input::Datagram {
                from,
                sender,
                payload,
            }
        };
        self.input(to, input);
    }

    fn loses_one(&mut self) -> bool {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.chance >> 33) % 100 < self.loss
    }

    fn request(&mut self, n: u8, exchange: Exchange, to: SocketAddr, frame: Vec<u8>) {
        self.requests += 1;
        let reached = self.reach(n, to);
        let refused = |peer: &u8| self.no_sessions.contains(&(n, *peer));
        let Some(peer) = reached.filter(|peer| !refused(peer)) else {
            let complete = false;
            self.later
                .push_back((n, Input::Finished { exchange, complete }));
            return;
        };
        let theirs = Exchange(self.next);
        self.next += 1;
        self.exchanges.insert(theirs, (n, exchange));
        self.input(
            peer,
            Input::Request {
                exchange: theirs,
                from: self.holder(n),
                frame,
            },
        );
    }

    fn reach(&self, from: u8, to: SocketAddr) -> Option<u8> {
        let (&to, _) = self.peers.iter().find(|&(&n, _)| addr(n) == to)?;
        let open = !self.cut.contains(&(from, to)) && !self.cut.contains(&(to, from));
        open.then_some(to)
    }
}

impl Peer {
    fn keep(&mut self, output: Output) {
        match output {
            Output::Publish(Update::Record {
                key,
                body: Some(body),
                ..
            }) => {
                self.published += 1;
                self.records.insert(key, body);
            }
            Output::Publish(Update::Record {
                key, body: None, ..
            }) => {
                self.published += 1;
                self.records.remove(&key);
            }
            Output::Publish(Update::Roster(roster)) => self.roster = roster,
            Output::Publish(Update::Status(status)) => self.status = Some(*status),
            Output::Reply { id, result } => {
                self.replies.insert(id, result);
            }
            Output::Event(event) => self.events.push(event),
            Output::Departed => self.departed = true,
            Output::Yielded => self.yielded = true,
            _ => {}
        }
    }
}

pub(crate) fn name(n: u8) -> NodeName {
    NodeName::new(format!("node-{n}")).expect("a short name")
}

pub(crate) fn service(id: &str) -> ServiceId {
    ServiceId::new(id).expect("a short id")
}

pub(crate) fn instance(service: &str, port: u16) -> Instance {
    Instance::new(ServiceName::new(service).expect("a short name"), port)
}

pub(crate) fn ttl_check() -> Check {
    Check {
        output_bytes_max: 4_096,
        ..Check::new("ttl".to_owned(), CheckKind::Ttl { ttl_ms: 10_000 })
    }
}

pub(crate) fn register(port: u16) -> Command {
    Command::RegisterService(Registration {
        id: service("web"),
        instance: Box::new(instance("web", port)),
        checks: Vec::new(),
        replace_checks: false,
    })
}
