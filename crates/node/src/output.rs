//! What a node wants done.

use std::net::SocketAddr;

use tidings_types::{Body, Epoch, Key, NodeId, Outcome, Refusal, Transfer, Update};

use crate::{CommandId, Event, Exchange};

/// Something for the driver to do, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this; it may vanish. If the local network refuses it, say so with
    /// [`Input::SendFailed`](crate::Input::SendFailed).
    Datagram {
        /// Where to.
        to: SocketAddr,
        /// For whom alone; `None` if nobody knows who listens there.
        receiver: Option<NodeId>,
        /// At most [`PAYLOAD_BYTES`](tidings_types::limits::PAYLOAD_BYTES).
        payload: Vec<u8>,
    },
    /// Ask this over a session with exactly that node. Answered by
    /// [`Input::Response`](crate::Input::Response)s and, always, one
    /// [`Input::Finished`](crate::Input::Finished).
    Request {
        /// The request's name.
        exchange: Exchange,
        /// Whom.
        to: NodeId,
        /// Where it is reached.
        addr: SocketAddr,
        /// The question's frame.
        frame: Vec<u8>,
    },
    /// Break a request of ours off: what its answer said cannot be right. Nothing more is awaited.
    Abandon {
        /// The request.
        exchange: Exchange,
    },
    /// Send this as the next answer to a peer's request.
    Respond {
        /// The request.
        exchange: Exchange,
        /// The answer's frame.
        frame: Vec<u8>,
    },
    /// No more answers to a peer's request: end it properly, or break it off.
    Finish {
        /// The request.
        exchange: Exchange,
        /// Whether the peer may take the answers for whole.
        complete: bool,
    },
    /// Put this of the own feed on disk, and say when it is there. Batches are handed out, and
    /// become durable, in order.
    Persist {
        /// The batch's number.
        batch: u64,
        /// A delta that this node made, or its whole feed after peers gave some of it back: then it
        /// takes the place of what is there.
        transfer: Box<Transfer>,
    },
    /// Save this of other feeds within the next seconds. Nothing waits for it.
    Save {
        /// The save's number.
        save: u64,
        /// What changed since the last save that was kept.
        transfers: Vec<Transfer>,
        /// Every member known, to find the cluster again after a restart.
        members: Vec<(NodeId, SocketAddr)>,
    },
    /// Take an epoch above this one, put it on disk, and hand it in as
    /// [`Input::EpochTaken`](crate::Input::EpochTaken).
    TakeEpoch {
        /// The greatest epoch known of this node.
        above: Epoch,
    },
    /// Another agent holds this identity and keeps it. Make a new one, put it on disk with these
    /// records, and say so with [`Input::IdentityKept`](crate::Input::IdentityKept). Nothing is
    /// written until then.
    KeepIdentity {
        /// What was registered since the start. Once [`Output::Yielded`] has come, the driver starts
        /// under the new identity and hands in [`registrations`](crate::registrations) of these.
        records: Vec<(Key, Body)>,
    },
    /// What moves to the new identity is removed under this one; the driver may start anew.
    Yielded,
    /// Show this to readers, before any later reply is released.
    Publish(Update),
    /// Answer a command.
    Reply {
        /// The command.
        id: CommandId,
        /// What became of it.
        result: Result<Outcome, Refusal>,
    },
    /// The goodbye is said; the driver may stop.
    Departed,
    /// Something worth a log line.
    Event(Event),
}
