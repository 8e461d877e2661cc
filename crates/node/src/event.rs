//! What a node has to say about itself: events for the log, counters for the metrics.

use tidings_types::{Dot, Epoch, Key, MemberStatus, NodeId};

/// One thing that happened, for logs and for the simulator's trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A member's status changed.
    Member {
        /// The member.
        node: NodeId,
        /// What it is now.
        status: MemberStatus,
    },
    /// This agent takes itself to be cut off, or no longer does.
    Island {
        /// Which of the two.
        entered: bool,
        /// Members that are reachable.
        reachable: usize,
        /// Members that ought to be.
        expected: usize,
        /// Whether nobody answers just now: then members pass for reachable that will soon be found
        /// not to be.
        in_doubt: bool,
    },
    /// Feeds were repaired from a peer.
    Repaired {
        /// The giver.
        peer: NodeId,
        /// How many feeds advanced.
        feeds: usize,
    },
    /// A peer gave back some of this node's own feed that its disk did not have.
    Relearned {
        /// The giver.
        peer: NodeId,
        /// Records that came back, were removed, or changed by that.
        records: usize,
    },
    /// An operator overrode a registration of this node.
    Overridden {
        /// The record.
        key: Key,
    },
    /// A peer's change was refused. Nothing was taken.
    Refused {
        /// The giver.
        peer: NodeId,
        /// Why.
        reason: String,
    },
    /// Two replicas of a feed at one position had different content; the giver's was joined.
    Alarm {
        /// Whose feed.
        owner: NodeId,
        /// The giver.
        peer: NodeId,
    },
    /// This agent's disk had lost some of a feed, and no peer has a whole copy: what is left stands.
    DamageAccepted {
        /// Whose feed.
        owner: NodeId,
    },
    /// A shared write's stamp is further ahead of this node's clock than is adopted.
    ClockAhead {
        /// The write.
        dot: Dot,
        /// How far, in milliseconds.
        ahead_ms: u64,
    },
    /// A reachable peer bears this node's name.
    NameShared {
        /// The peer.
        peer: NodeId,
    },
    /// A peer's wall clock is so far off that its stamps are not adopted, or ours are not there.
    ClockOff {
        /// The peer.
        peer: NodeId,
        /// By how many milliseconds it is ahead of this node's; negative if it is behind.
        ahead_ms: i64,
    },
    /// This node met a run of itself that it does not remember, and goes on under a new epoch.
    GreaterEpochMet {
        /// The epoch met.
        epoch: Epoch,
    },
    /// Another agent runs with this node's key: its data directory was copied.
    Cloned {
        /// Whether it is this agent that takes a new identity.
        yields: bool,
    },
    /// The disk refused a batch; what waited for it was refused, and a new epoch begins.
    NotPersisted {
        /// What the disk said.
        reason: String,
    },
    /// The disk took a batch, the first since it refused one.
    PersistedAgain,
}

/// Figures since the start of the run; each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams that were no datagram of ours.
    pub datagrams_malformed: u64,
    /// Frames that were no frame of ours, or came where none was awaited.
    pub frames_malformed: u64,
    /// Answers given up because the peer gave more of feeds at once than one may.
    pub feeds_too_large: u64,
    /// Changes from peers that were refused.
    pub changes_refused: u64,
    /// Commands that were refused because of a limit.
    pub commands_refused: u64,
    /// Clients that were told at once how many agents hold a write, since too many waited for more.
    pub holder_waits_refused: u64,
    /// Rumors sent.
    pub rumors_sent: u64,
    /// Rumors received that brought something new.
    pub rumors_new: u64,
    /// Rumors received that brought nothing new.
    pub rumors_known: u64,
    /// Pulls begun.
    pub pulls: u64,
    /// Reconciliations begun.
    pub reconciliations: u64,
    /// Requests that broke or were never answered.
    pub requests_failed: u64,
    /// Feeds whose content differed at an equal position.
    pub alarms: u64,
    /// Stamps too far ahead to be adopted.
    pub stamps_ahead: u64,
    /// Reachable peers that turned out to bear this node's name.
    pub names_shared: u64,
    /// Peers whose clocks turned out to be far off.
    pub clocks_off: u64,
    /// Batches that the disk refused.
    pub batches_failed: u64,
    /// Older runs of members that were told that they are over.
    pub old_runs_told: u64,
    /// Other agents met that hold this node's key.
    pub twins_met: u64,
}
