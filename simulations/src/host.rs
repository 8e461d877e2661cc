//! One host: the node with the state of its driver.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use tidings_node::{CommandId, Exchange, Input, Node};
use tidings_types::{Body, Command, Departure, Epoch, Key, NodeId, Timestamp, Transfer};

use crate::{
    check::Floors,
    clock::{MonotonicClock, WallClock},
    disk::Disk,
    intake::Intake,
    plan::Comeback,
    random::Stream,
    reads::Reads,
    recording::Track,
    scenario::Cluster,
};

/// Datagrams that a standing process finds waiting, at most: its socket buffer.
pub(crate) const SOCKET_BUFFER: usize = 512;

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    /// The running node; `None` while the process is not there.
    pub(crate) node: Option<Node>,
    /// Which run of the process it is.
    pub(crate) run: u64,
    /// The clock that its timers hang on.
    pub(crate) monotonic: MonotonicClock,
    /// The epoch of the first run.
    pub(crate) first_epoch: Epoch,
    /// Which key the host holds; grows when the disk is lost.
    pub(crate) identity: u64,
    /// Whose member the process is.
    pub(crate) cluster: Cluster,
    pub(crate) disk: Disk,
    /// Faults in force that make the disk refuse every write.
    pub(crate) disk_full: u32,
    /// Copies of the disk, with what the checks know of it, by the moment at which they were made.
    pub(crate) images: BTreeMap<Timestamp, (Disk, Floors)>,
    pub(crate) clock: WallClock,
    pub(crate) paused: bool,
    /// How much later than it came the process handles what reaches it.
    pub(crate) late: Duration,
    /// The most that this has been in this run.
    pub(crate) late_max: Duration,
    pub(crate) intake: Intake,
    /// What a standing process finds when it goes on.
    pub(crate) inbox: Vec<Arrival>,
    /// The next timer, in the world's time.
    pub(crate) timer: Option<Timestamp>,
    /// Timers handled in one and the same instant.
    pub(crate) spins: (u32, Timestamp),
    /// Batches on their way to the disk, in order.
    pub(crate) batches: VecDeque<Batch>,
    /// When the disk will have written the last of them.
    pub(crate) disk_busy: Timestamp,
    /// How often the disk was asked for something.
    pub(crate) disk_asked: u64,
    pub(crate) disk_draws: Stream,
    pub(crate) reads: Reads,
    /// Commands that were not answered yet: the clients' calls in them, by number, and since when an
    /// answer is due.
    pub(crate) open: BTreeMap<CommandId, (Vec<usize>, Timestamp)>,
    pub(crate) next_command: u64,
    /// Requests of peers, by the session that carries them.
    pub(crate) asked: BTreeMap<Exchange, u64>,
    pub(crate) next_exchange: u64,
    /// What happens after the goodbye.
    pub(crate) departing: Option<Option<Comeback>>,
    /// The latest run of each node that its socket has heard.
    pub(crate) heard: BTreeMap<NodeId, Epoch>,
    /// Since when the process gives its key up, if it does.
    pub(crate) yields_since: Option<Timestamp>,
    /// Registrations that moved to this host's new key and are yet to be made under it.
    pub(crate) inherited: VecDeque<Command>,
    /// The call that makes the first of them.
    pub(crate) inheriting: Option<CommandId>,
    /// What the checks know that readers have seen here.
    pub(crate) floors: Floors,
}

/// Something that reaches a host's driver.
#[derive(Clone, Debug)]
pub(crate) enum Arrival {
    /// The node's timeout has come.
    Timer,
    /// A second has passed.
    Second,
    /// The seeds' names were resolved.
    Seeds,
    /// Something that the node takes as it is.
    Input(Input),
    /// A datagram that has yet to be opened.
    Packet(Packet),
    /// A datagram that was not taken, because its sender has had a later run.
    OldRun {
        from: SocketAddr,
        sender: NodeId,
        newest: Epoch,
    },
    /// A datagram that was not taken, because it bears the receiver's own id.
    OwnId { from: SocketAddr },
    /// A peer's question on a session.
    Request {
        session: u64,
        from: NodeId,
        frame: Vec<u8>,
    },
    /// The oldest batch has been written.
    Persisted,
    /// Replicas have been written.
    Saved(Saved),
    /// An epoch was asked for, and the disk is ready to take one.
    Epoch { above: Epoch },
    /// A new key was asked for, and the disk is ready to take it with these records.
    Identity(Vec<(Key, Body)>),
    /// The next registration is to be made that moved to a new key.
    Inherit,
    /// A client's call.
    Op(usize),
    /// The process is asked to stop.
    Depart(Departure, Option<Comeback>),
}

/// A sealed datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// The host whose socket it left.
    pub(crate) from: usize,
    pub(crate) sender: NodeId,
    /// The run in which it was sealed.
    pub(crate) epoch: Epoch,
    /// The cluster whose key sealed it.
    pub(crate) cluster: Cluster,
    /// Who alone can open it; any member if absent.
    pub(crate) receiver: Option<NodeId>,
    pub(crate) payload: Vec<u8>,
    /// What a recording knows it by.
    pub(crate) track: Option<Track>,
}

/// A batch of the own feed on its way to the disk.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) transfer: Transfer,
    /// Whether one before it was refused: then this one has nothing to build on.
    pub(crate) doomed: bool,
}

/// Replicas on their way to the disk.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) save: u64,
    pub(crate) transfers: Vec<Transfer>,
    pub(crate) members: Vec<(NodeId, SocketAddr)>,
    /// When they were handed out: what was shown until then is among them.
    pub(crate) at: Timestamp,
}

impl Arrival {
    /// Whether it takes a place in the driver's inbox: what the transport received. Results of the
    /// disk, answers of peers and clients' calls have queues and turns of their own.
    pub(crate) const fn takes_a_place(&self) -> bool {
        matches!(
            self,
            Self::Packet(_) | Self::OldRun { .. } | Self::OwnId { .. } | Self::Request { .. }
        )
    }

    /// What a recording knows it by, if it is a packet.
    pub(crate) const fn track(&self) -> Option<Track> {
        match self {
            Self::Packet(packet) => packet.track,
            _ => None,
        }
    }

    /// Whether the process itself makes it happen, and nothing that reaches it.
    pub(crate) const fn is_own(&self) -> bool {
        matches!(self, Self::Timer | Self::Second | Self::Seeds)
    }
}

impl Host {
    pub(crate) fn new(seed: u64, index: usize, cluster: Cluster) -> Self {
        Self {
            node: None,
            run: 0,
            monotonic: MonotonicClock::default(),
            first_epoch: Epoch::ZERO,
            identity: 0,
            cluster,
            disk: Disk::new(identity(seed, index, 0)),
            disk_full: 0,
            images: BTreeMap::new(),
            clock: WallClock::default(),
            paused: false,
            late: Duration::ZERO,
            late_max: Duration::ZERO,
            intake: Intake::default(),
            inbox: Vec::new(),
            timer: None,
            spins: (0, Timestamp::ZERO),
            batches: VecDeque::new(),
            disk_busy: Timestamp::ZERO,
            disk_asked: 0,
            disk_draws: Stream::new(seed, &format!("disk/{index}")),
            reads: Reads::default(),
            open: BTreeMap::new(),
            next_command: 0,
            asked: BTreeMap::new(),
            next_exchange: 0,
            departing: None,
            heard: BTreeMap::new(),
            yields_since: None,
            inherited: VecDeque::new(),
            inheriting: None,
            floors: Floors::default(),
        }
    }

    /// The node that this host embodies now.
    pub(crate) const fn me(&self) -> NodeId {
        self.disk.node
    }

    /// Whether the process is there, standing or not.
    pub(crate) const fn is_up(&self) -> bool {
        self.node.is_some()
    }

    /// Whether the process is there and goes.
    pub(crate) const fn is_running(&self) -> bool {
        self.node.is_some() && !self.paused
    }

    /// The world's time on the process's monotonic clock.
    pub(crate) fn local(&self, now: Timestamp) -> Timestamp {
        self.monotonic.read(now)
    }

    /// Forgets everything that lives in the process's memory.
    pub(crate) fn stop(&mut self) {
        self.node = None;
        self.paused = false;
        self.late_max = self.late;
        self.inbox.clear();
        self.intake = Intake::default();
        self.timer = None;
        self.batches.clear();
        self.reads = Reads::default();
        self.open.clear();
        self.asked.clear();
        self.departing = None;
        self.heard.clear();
        self.yields_since = None;
        self.inherited.clear();
        self.inheriting = None;
    }

    /// Datagrams that wait for a standing process.
    pub(crate) fn waiting(&self) -> usize {
        let packets = self.inbox.iter();
        packets.filter(|a| matches!(a, Arrival::Packet(_))).count()
    }

    /// Keeps what reaches a standing process, as far as its socket buffer goes.
    pub(crate) fn wait(&mut self, arrival: Arrival) {
        let dropped = match &arrival {
            // The timer is asked for anew when it goes on.
            Arrival::Timer => true,
            Arrival::Packet(_) => self.waiting() >= SOCKET_BUFFER,
            _ => false,
        };
        if !dropped {
            self.inbox.push(arrival);
        }
    }
}

/// The node that a host embodies with its `nth` key.
pub(crate) fn identity(seed: u64, host: usize, nth: u64) -> NodeId {
    let draws = Stream::new(seed, &format!("identity/{host}"));
    let (low, high) = (draws.part(nth, 0), draws.part(nth, 1));
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&low.to_le_bytes());
    bytes[8..].copy_from_slice(&high.to_le_bytes());
    NodeId::from_bytes(bytes)
}
