//! What a client asks of the node, and what it is told.

use std::{net::SocketAddr, time::Duration};

use crate::{
    Check, CheckId, CheckStatus, Departure, Event, EventId, ExternalNode, Instance, NodeId,
    NodeName, ServiceId,
};

/// A request to change something. Each is answered exactly once, after it is on disk and visible to
/// readers of this agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Registers or replaces an instance of this node, and its checks.
    RegisterService(Registration),
    /// The same for many instances, in order: all of it or, if one is refused, nothing.
    RegisterServices(Vec<Registration>),
    /// Removes an instance of this node and its checks.
    DeregisterService {
        /// The instance's id on this node.
        id: ServiceId,
    },
    /// Registers or replaces a check of this node. A known id keeps its status and output.
    RegisterCheck {
        /// The check's id on this node.
        id: CheckId,
        /// What it is.
        check: Box<Check>,
    },
    /// Removes a check of this node.
    DeregisterCheck {
        /// The check's id on this node.
        id: CheckId,
    },
    /// Reports what a check of this node found. An unchanged status makes no change in the feed.
    UpdateCheck {
        /// The check's id on this node.
        id: CheckId,
        /// What it found.
        status: CheckStatus,
        /// What it said.
        output: String,
    },
    /// Writes records of a node that runs no agent.
    RegisterExternal {
        /// The node's name.
        node: NodeName,
        /// The node's own record.
        record: ExternalNode,
        /// Leaves the record as it is if there is one.
        keeps_record: bool,
        /// What the node was called so far: what stands under that name goes.
        renames: Option<NodeName>,
        /// An instance on it.
        service: Option<(ServiceId, Box<Instance>)>,
        /// Checks on it.
        checks: Vec<(CheckId, Check)>,
    },
    /// Removes records by node name, whoever wrote them: tombstones for external ones, overrides
    /// for those of another agent. Neither `service` nor `check` means the node with all it has.
    DeregisterCatalog {
        /// The node's name.
        node: NodeName,
        /// Only this instance, with its checks.
        service: Option<ServiceId>,
        /// Only this check.
        check: Option<CheckId>,
    },
    /// Shows an event on every agent for a while, and takes away older ones of this node.
    FireEvent {
        /// The event's id.
        id: EventId,
        /// What it says, and to whom.
        event: Box<Event>,
    },
    /// Tries these addresses once more as seeds.
    Join {
        /// Where agents may listen.
        addrs: Vec<SocketAddr>,
    },
    /// Takes a member that is down for one that has left.
    ForceLeave {
        /// The member.
        node: NodeId,
    },
    /// Changes nothing: answers when that many agents, this one included, are known to hold all that
    /// this node has written so far, or after a while. [`Outcome::holders`] tells how many do.
    AwaitHolders {
        /// How many agents.
        holders: usize,
        /// How long to wait for them.
        within: Duration,
    },
    /// Says goodbye to the cluster. The node answers queries until its driver stops it.
    Depart(Departure),
}

/// An instance of this node, and its checks.
///
/// `instance.checks` is ignored: the node names the checks. A check id that is known keeps its
/// status and output. Checks of this instance that are not listed stay, unless `replace_checks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The instance's id on this node.
    pub id: ServiceId,
    /// What it is.
    pub instance: Box<Instance>,
    /// Its checks, in order.
    pub checks: Vec<(CheckId, Check)>,
    /// Drop this instance's checks that are not listed.
    pub replace_checks: bool,
}

/// The command was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether any record changed; `false` means that all of it was so already.
    pub changed: bool,
    /// To [`Command::AwaitHolders`]: how many agents are known to hold it, this one included.
    pub holders: Option<usize>,
}

impl Outcome {
    /// The outcome of a command that was to change something.
    pub const fn of(changed: bool) -> Self {
        Self {
            changed,
            holders: None,
        }
    }
}

/// The command was not carried out and changed nothing, except where a variant says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No instance of this node has that id.
    #[error(
        "Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name."
    )]
    UnknownService {
        /// The id asked for.
        id: ServiceId,
    },
    /// No check of this node has that id.
    #[error("Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name.")]
    UnknownCheck {
        /// The id asked for.
        id: CheckId,
    },
    /// A check speaks for an instance that is not registered.
    #[error("ServiceID {id:?} does not exist")]
    NoSuchServiceForCheck {
        /// The instance's id.
        id: ServiceId,
    },
    /// A check names no registered instance of an external node.
    #[error("Missing service registration")]
    MissingService,
    /// A record names an external node that is not registered.
    #[error("Missing node registration")]
    MissingNode,
    /// No member has that id or name.
    #[error("No node found with name '{name}'")]
    UnknownNode {
        /// What was asked for.
        name: String,
    },
    /// The node's own record cannot be overridden while it is alive.
    #[error(
        "node {name} is alive and owns this record; deregister it there, or stop that agent first"
    )]
    NodeAlive {
        /// The node.
        name: String,
    },
    /// The record exceeds [`RECORD_BYTES`](crate::limits::RECORD_BYTES).
    #[error(
        "the record has {bytes} bytes, the limit is {max}; shorten its metadata, tags or output"
    )]
    RecordTooLarge {
        /// Its encoded size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// This node has as many records as it may.
    #[error("this node holds {max} records already, the limit; deregister some first")]
    TooManyRecords {
        /// The limit.
        max: usize,
    },
    /// This node's records take as much as they may in every agent's memory.
    #[error(
        "this node's records take as much memory as they may in each agent ({max} bytes); \
         deregister some, or register them on another agent"
    )]
    RecordsTooLarge {
        /// The limit.
        max: usize,
    },
    /// An instance would name too many checks.
    #[error("an instance has at most {max} checks; deregister one of them first")]
    TooManyChecks {
        /// The limit.
        max: usize,
    },
    /// Too many commands wait for the disk.
    #[error("too many registrations are waiting for the disk; try again in a moment")]
    Busy,
    /// The disk refused the change. It may or may not be found again after a restart.
    #[error("the change could not be saved: {reason}")]
    NotSaved {
        /// What the disk said.
        reason: String,
    },
    /// The agent is shutting down.
    #[error("this agent is shutting down; ask another one")]
    ShuttingDown,
}
