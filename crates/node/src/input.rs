//! What happens to a node.

use std::net::SocketAddr;

use tidings_types::{ClusterId, Command, Epoch, NodeId, Snapshot};

/// What a node is told at its start.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Its lasting identity.
    pub node: NodeId,
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// This run: greater than every earlier one, and on disk already.
    pub epoch: Epoch,
    /// Where other agents reach it.
    pub addr: SocketAddr,
    /// The source of all its randomness.
    pub seed: u64,
    /// The wall clock, Unix milliseconds.
    pub wall_ms: u64,
    /// Its own feed as its disk had it.
    pub own: Option<Snapshot>,
    /// Whether its own feed lost anything to damage on disk.
    pub own_damaged: bool,
    /// Other feeds as its disk had them, each with whether it lost anything to damage.
    pub replicas: Vec<(Snapshot, bool)>,
    /// Members that it knew.
    pub members: Vec<(NodeId, SocketAddr)>,
}

/// Names a command until it is answered; chosen by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// Names a request on its way. Those that the node begins are numbered by the node, those that a
/// peer begins by the driver; the two never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exchange(pub u64);

/// Something that happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// [`Node::poll_timeout`](crate::Node::poll_timeout) has come.
    Timeout,
    /// The wall clock reads this many Unix milliseconds. Wanted at least each second, and before a
    /// command.
    WallClock(u64),
    /// The seeds' names were resolved, to these addresses; replaces the last resolution.
    Seeds(Vec<SocketAddr>),
    /// A sealed datagram came, from a proven member of the cluster.
    Datagram {
        /// The packet's source address.
        from: SocketAddr,
        /// Who sealed it.
        sender: NodeId,
        /// What was inside.
        payload: Vec<u8>,
    },
    /// A proven datagram came of a run that is over: a later one of that node was heard. Its content
    /// does not count.
    OldRun {
        /// The packet's source address.
        from: SocketAddr,
        /// Whose run.
        sender: NodeId,
        /// The latest run heard.
        newest: Epoch,
    },
    /// A proven datagram came that bears this node's own id. Its content does not count.
    OwnId {
        /// The packet's source address.
        from: SocketAddr,
    },
    /// A datagram to this address could not even be sent. Not handed in for
    /// [`Output::Datagram`](crate::Output::Datagram)s that were sent and lost.
    SendFailed {
        /// Where it should have gone.
        to: SocketAddr,
    },
    /// A peer asks something over a session that proved who it is.
    Request {
        /// Answer under this name.
        exchange: Exchange,
        /// Who asks.
        from: NodeId,
        /// The question's frame.
        frame: Vec<u8>,
    },
    /// A peer's next answer to a request of ours.
    Response {
        /// The request.
        exchange: Exchange,
        /// The answer's frame.
        frame: Vec<u8>,
    },
    /// No more answers to a request of ours will come.
    Finished {
        /// The request.
        exchange: Exchange,
        /// Whether the peer ended it properly; else the session broke, or never came about.
        complete: bool,
    },
    /// A client's command.
    Command {
        /// Answer under this name.
        id: CommandId,
        /// What is asked.
        command: Box<Command>,
    },
    /// A batch is on disk, with all before it; or it and all after it are in doubt.
    Persisted {
        /// The batch.
        batch: u64,
        /// What the disk said.
        result: Result<(), String>,
    },
    /// A save of replicas is done, or was given up and shall be tried again later.
    Saved {
        /// The save.
        save: u64,
        /// Whether it will be found again after a restart.
        kept: bool,
    },
    /// A new epoch was taken and is on disk, as [`Output::TakeEpoch`](crate::Output::TakeEpoch) asked.
    EpochTaken(Epoch),
    /// A new identity is on disk, as [`Output::KeepIdentity`](crate::Output::KeepIdentity) asked, or
    /// the disk did not take it.
    IdentityKept(Result<(), String>),
}
