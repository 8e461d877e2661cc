//! What comes out of the membership component.

use std::net::SocketAddr;

use tidings_types::NodeId;

use crate::codec::CodecError;

/// What the driver of [`Membership`](crate::Membership) has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send a datagram. It may be lost.
    Packet {
        /// Where to.
        to: SocketAddr,
        /// Who alone may read it; `None` for an announce to an address whose node is unknown.
        receiver: Option<NodeId>,
        /// The payload, at most [`PACKET_BYTES`](crate::config::PACKET_BYTES).
        bytes: Vec<u8>,
    },
    /// [`members`](crate::Membership::members) changed in more than the time last heard.
    MembersChanged,
    /// This node was alone, just joined or had to rejoin, and a peer answers: its whole member list
    /// is worth pulling over a session.
    FirstContact {
        /// The peer.
        node: NodeId,
        /// Where it is reached.
        addr: SocketAddr,
    },
}

/// A packet was not taken. Except for the time last heard, nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// The bytes are no membership packet, or one that no honest peer sends.
    #[error("not a valid membership packet: {0}")]
    Malformed(String),
    /// The packet speaks for another node than the one that sealed it.
    #[error("node {sender} sent a membership packet in the name of {claimed}")]
    SenderMismatch {
        /// Who sealed it.
        sender: NodeId,
        /// Whom it names as its source.
        claimed: NodeId,
    },
    /// The packet came from this very node: its own address stands in the seed list, or a clone of
    /// it runs.
    #[error("a membership packet of this node itself came back")]
    FromMyself,
    /// The sender is new and the member list is full.
    #[error("the member list is full ({max} members); raise the limit or split the zone")]
    Full {
        /// [`Config::members_max`](crate::Config::members_max).
        max: usize,
    },
}

impl From<CodecError> for PacketError {
    fn from(error: CodecError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<foca::Error> for PacketError {
    fn from(error: foca::Error) -> Self {
        match error {
            foca::Error::DataFromOurselves => Self::FromMyself,
            other => Self::Malformed(other.to_string()),
        }
    }
}

/// What happened since the start, as numbers that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Packets that foca accepted.
    pub packets_accepted: u64,
    /// Packets refused with a [`PacketError`] other than [`PacketError::FromMyself`].
    pub bad_packets: u64,
    /// Packets whose source address is not what their sender advertises: address translation, or a
    /// wrong advertised address.
    pub address_mismatches: u64,
    /// Probes begun.
    pub probes: u64,
    /// Probes without an answer, direct or through others.
    pub probes_failed: u64,
    /// Packets that the local host refused to send.
    pub send_errors: u64,
    /// Of these, the ones that hit the member just being probed: that probe gets no direct answer.
    pub probes_unsent: u64,
    /// Members that became suspect in this node's view.
    pub suspicions: u64,
    /// Suspects that spoke and were told of it.
    pub suspects_told: u64,
    /// Suspects that turned out to be alive.
    pub suspicions_refuted: u64,
    /// Members that went down in this node's view.
    pub downs: u64,
    /// Of these, the ones that others were not told of at once, because this node's own probes fail.
    pub verdicts_held: u64,
    /// Times that this node was declared down and took a new identity.
    pub rejoins: u64,
    /// Packets left out that would have made this node rejoin again at once.
    pub rejoins_put_off: u64,
    /// Times that the watchdog announced this node because it was alone or heard nothing.
    pub watchdog_fired: u64,
    /// Suspicion timers dropped because the suspect had refuted.
    pub stale_suspicions_dropped: u64,
    /// Notices "you are down" not sent, because the member is not down in this node's view.
    pub turn_undead_suppressed: u64,
    /// Times that the driver came so late that probes and suspicions were prolonged.
    pub stalls: u64,
    /// Times that this node met its own id with a greater generation and took one above it.
    pub outbids: u64,
    /// Down members forgotten to make room.
    pub forgotten: u64,
    /// Updates not taken because the member list is full.
    pub updates_refused: u64,
    /// Packets dropped because the driver does not drain the outputs.
    pub outputs_dropped: u64,
    /// Errors inside foca that heal by themselves.
    pub internal_errors: u64,
}
