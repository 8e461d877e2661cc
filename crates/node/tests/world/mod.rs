//! A few nodes joined by perfect links, with a clock and disks of their own.
//!
//! For short dialogues only: faults, scale and invariants are the simulator's.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tidings_node::{Boot, CommandId, Config, Event, Exchange, Input, Node, Output};
use tidings_types::{
    Body, Check, CheckKind, CheckStatus, ClusterId, Command, Epoch, Instance, Key, NodeId,
    NodeName, Outcome, Refusal, Roster, ServiceId, ServiceName, Snapshot, Status, Timestamp,
    Transfer, Update, Weights,
};

const START_MS: u64 = 1_763_000_000_000;

pub(crate) fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 16])
}

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, n], 8301))
}

/// One node with what its driver keeps for it.
pub(crate) struct Peer {
    pub(crate) node: Node,
    pub(crate) records: BTreeMap<Key, Arc<Body>>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) status: Option<Status>,
    pub(crate) replies: BTreeMap<CommandId, Result<Outcome, Refusal>>,
    pub(crate) events: Vec<Event>,
    /// What the disk was given, in order; answered at once unless `disk_holds`.
    pub(crate) persists: Vec<(u64, Transfer)>,
    pub(crate) disk_holds: bool,
    pub(crate) departed: bool,
    pub(crate) published: usize,
    epochs: u64,
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) peers: BTreeMap<u8, Peer>,
    /// Pairs that hear nothing of each other.
    pub(crate) cut: BTreeSet<(u8, u8)>,
    /// Datagrams to drop before any is delivered again.
    pub(crate) drop_datagrams: usize,
    pub(crate) datagrams: usize,
    pub(crate) requests: usize,
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
        let run = self.now.as_micros() / 1_000;
        let config = Config::new(name(n), format!("10.0.0.{n}"));
        let boot = Boot {
            node: id(n),
            cluster: ClusterId::from_bytes([0; 16]),
            epoch: Epoch::after(Epoch::ZERO, START_MS + run, u64::from(n)),
            addr: addr(n),
            seed: u64::from(n),
            wall_ms: START_MS + run,
            own,
            own_damaged: false,
            replicas: Vec::new(),
            members: Vec::new(),
        };
        let peer = Peer {
            node: Node::new(config, boot, self.now),
            records: BTreeMap::new(),
            roster: Roster::empty(),
            status: None,
            replies: BTreeMap::new(),
            events: Vec::new(),
            persists: Vec::new(),
            disk_holds: false,
            departed: false,
            published: 0,
            epochs: 0,
        };
        self.peers.insert(n, peer);
        self.drain(n);
        self.input(n, Input::Seeds(vec![addr(1)]));
    }

    /// Hands one input to a node and carries out everything that follows at once.
    pub(crate) fn input(&mut self, n: u8, input: Input) {
        let now = self.now;
        if let Some(peer) = self.peers.get_mut(&n) {
            peer.node.handle(now, input);
            self.drain(n);
        }
    }

    /// Sends a command and returns its answer, if it was given at once.
    pub(crate) fn command(&mut self, n: u8, command: Command) -> Option<Result<Outcome, Refusal>> {
        let id = CommandId(self.next);
        self.next += 1;
        let wall_ms = START_MS + self.now.as_micros() / 1_000;
        self.input(n, Input::WallClock(wall_ms));
        self.input(n, Input::Command { id, command });
        self.peers[&n].replies.get(&id).cloned()
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((due, n)) = self.next_timeout().filter(|&(due, _)| due <= end) {
            self.now = self.now.max(due);
            self.input(n, Input::Timeout);
        }
        self.now = end;
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
                } else if let Some(peer) = self.reach(n, to) {
                    let from = addr(n);
                    self.input(
                        peer,
                        Input::Datagram {
                            from,
                            sender: id(n),
                            payload,
                        },
                    );
                }
            }
            Output::Request {
                exchange,
                addr,
                frame,
                ..
            } => self.request(n, exchange, addr, frame),
            Output::Respond { exchange, frame } => {
                let (asker, theirs) = self.exchanges[&exchange];
                self.input(
                    asker,
                    Input::Response {
                        exchange: theirs,
                        frame,
                    },
                );
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
                peer.epochs += 1;
                let epoch = Epoch::after(above, START_MS, peer.epochs);
                self.input(n, Input::EpochTaken(epoch));
            }
            Output::Save { save, .. } => self.input(n, Input::Saved { save, kept: true }),
            Output::Persist { batch, transfer } => {
                let peer = self.peers.get_mut(&n).expect("it spoke");
                peer.persists.push((batch, transfer));
                if !peer.disk_holds {
                    self.input(
                        n,
                        Input::Persisted {
                            batch,
                            result: Ok(()),
                        },
                    );
                }
            }
            kept => self.peers.get_mut(&n).expect("it spoke").keep(kept),
        }
    }

    fn request(&mut self, n: u8, exchange: Exchange, to: SocketAddr, frame: Vec<u8>) {
        self.requests += 1;
        let Some(peer) = self.reach(n, to) else {
            return self.input(
                n,
                Input::Finished {
                    exchange,
                    complete: false,
                },
            );
        };
        let theirs = Exchange(self.next);
        self.next += 1;
        self.exchanges.insert(theirs, (n, exchange));
        self.input(
            peer,
            Input::Request {
                exchange: theirs,
                from: id(n),
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
            Output::Publish(Update::Status(status)) => self.status = Some(status),
            Output::Reply { id, result } => {
                self.replies.insert(id, result);
            }
            Output::Event(event) => self.events.push(event),
            Output::Departed => self.departed = true,
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
    Instance {
        service: ServiceName::new(service).expect("a short name"),
        tags: Vec::new(),
        address: String::new(),
        port,
        socket_path: String::new(),
        meta: BTreeMap::new(),
        tagged_addresses: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        kind: String::new(),
        checks: Vec::new(),
    }
}

pub(crate) fn ttl_check() -> Check {
    Check {
        name: "ttl".to_owned(),
        notes: String::new(),
        service: None,
        kind: CheckKind::Ttl { ttl_ms: 10_000 },
        interval_ms: 0,
        timeout_ms: 0,
        success_before_passing: 0,
        failures_before_warning: 0,
        failures_before_critical: 0,
        deregister_after_ms: 0,
        output_bytes_max: 4_096,
        status: CheckStatus::Critical,
        output: String::new(),
    }
}

pub(crate) fn register(port: u16) -> Command {
    Command::RegisterService {
        id: service("web"),
        instance: Box::new(instance("web", port)),
        checks: Vec::new(),
        replace_checks: false,
    }
}
