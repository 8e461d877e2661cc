//! What the transport counts, and the warnings that go with it.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use tidings_types::{ClusterKeyId, NodeId};

use crate::log_limit::LogLimit;

/// One figure, counted since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Counter {
    /// Datagrams handed to the operating system.
    DatagramsSent,
    /// Datagrams opened and passed on.
    DatagramsReceived,
    /// Datagrams that the operating system refused to send, whatever the error.
    SendFailed,
    /// QUIC packets that the operating system refused to send.
    QuicSendFailed,
    /// Failed reads of the socket.
    ReceiveFailed,
    /// Refused: another cluster's datagram.
    ForeignCluster,
    /// Refused: a first byte that is neither QUIC's nor a datagram's.
    UnknownKind,
    /// Refused: another wire version.
    UnknownVersion,
    /// Refused: sealed under a cluster key that is not accepted.
    UnknownKey,
    /// Refused: damaged or forged, since the key that it names does not open it.
    Unverified,
    /// Refused: seen before, or too old to tell.
    Replay,
    /// Refused: a run of the sender that was over already.
    OldEpoch,
    /// Refused: shorter than an empty datagram or longer than the limit.
    WrongLength,
    /// Refused: it bears our own id.
    OwnPacket,
    /// Refused: meant for another node, most likely a former user of our address.
    OtherReceiver,
    /// Dropped: its address has had its share of datagrams for the moment.
    DatagramsOverShare,
    /// Addresses that sent so many more that the system was asked to drop them for a second.
    AddressesShutOut,
    /// Dropped: the driver did not keep up with datagrams.
    QueueFull,
    /// Packets that are not ours, passed on to QUIC, which judges them.
    QuicReceived,
    /// Dropped: quinn did not keep up with its packets; QUIC sends them again.
    QuicQueueFull,
    /// Connections that were asked for.
    SessionsDialed,
    /// Connections that could not be made.
    DialFailed,
    /// Of these, those that the peer refused because it lacks our cluster key.
    DialKeyRefused,
    /// Connections of members that were let in.
    SessionsAccepted,
    /// Connections that were refused because too many were open or opening.
    SessionsRefused,
    /// Connection attempts that were asked to prove their address first.
    SessionsRetried,
    /// Connections that ended before their proof of membership.
    HandshakeFailed,
    /// Of these, those of another cluster.
    SessionsForeign,
    /// Of these, those under a cluster key that is not accepted.
    SessionsUnknownKey,
    /// Of these, those whose proof was wrong.
    SessionsUnverified,
    /// Connections closed because their cluster key is no longer accepted.
    SessionsKeyRemoved,
    /// Connections closed because the peer's datagrams showed a newer run.
    PeerRestarted,
    /// Connections refused because their peer had its share of them.
    SessionsOverShare,
    /// Requests sent.
    RequestsSent,
    /// Requests received and passed on.
    RequestsReceived,
    /// Requests refused because the driver or the sessions were busy.
    RequestsRefused,
    /// Requests refused because their peer had its share of them.
    RequestsOverShare,
    /// Answers given up because the peer took too long for all of it.
    AnswersTooSlow,
}

impl Counter {
    /// All figures, in the order of their declaration.
    pub const ALL: [Self; COUNTERS] = [
        Self::DatagramsSent,
        Self::DatagramsReceived,
        Self::SendFailed,
        Self::QuicSendFailed,
        Self::ReceiveFailed,
        Self::ForeignCluster,
        Self::UnknownKind,
        Self::UnknownVersion,
        Self::UnknownKey,
        Self::Unverified,
        Self::Replay,
        Self::OldEpoch,
        Self::WrongLength,
        Self::OwnPacket,
        Self::OtherReceiver,
        Self::DatagramsOverShare,
        Self::AddressesShutOut,
        Self::QueueFull,
        Self::QuicReceived,
        Self::QuicQueueFull,
        Self::SessionsDialed,
        Self::DialFailed,
        Self::DialKeyRefused,
        Self::SessionsAccepted,
        Self::SessionsRefused,
        Self::SessionsRetried,
        Self::HandshakeFailed,
        Self::SessionsForeign,
        Self::SessionsUnknownKey,
        Self::SessionsUnverified,
        Self::SessionsKeyRemoved,
        Self::PeerRestarted,
        Self::SessionsOverShare,
        Self::RequestsSent,
        Self::RequestsReceived,
        Self::RequestsRefused,
        Self::RequestsOverShare,
        Self::AnswersTooSlow,
    ];

    /// The figure's name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DatagramsSent => "datagrams_sent",
            Self::DatagramsReceived => "datagrams_received",
            Self::SendFailed => "send_failed",
            Self::QuicSendFailed => "quic_send_failed",
            Self::ReceiveFailed => "receive_failed",
            Self::ForeignCluster => "foreign_cluster",
            Self::UnknownKind => "unknown_kind",
            Self::UnknownVersion => "unknown_version",
            Self::UnknownKey => "unknown_key",
            Self::Unverified => "unverified",
            Self::Replay => "replay",
            Self::OldEpoch => "old_epoch",
            Self::WrongLength => "wrong_length",
            Self::OwnPacket => "own_packet",
            Self::OtherReceiver => "other_receiver",
            Self::DatagramsOverShare => "datagrams_over_share",
            Self::AddressesShutOut => "addresses_shut_out",
            Self::QueueFull => "queue_full",
            Self::QuicReceived => "quic_received",
            Self::QuicQueueFull => "quic_queue_full",
            Self::SessionsDialed => "sessions_dialed",
            Self::DialFailed => "dial_failed",
            Self::DialKeyRefused => "dial_key_refused",
            Self::SessionsAccepted => "sessions_accepted",
            Self::SessionsRefused => "sessions_refused",
            Self::SessionsRetried => "sessions_retried",
            Self::HandshakeFailed => "handshake_failed",
            Self::SessionsForeign => "sessions_foreign",
            Self::SessionsUnknownKey => "sessions_unknown_key",
            Self::SessionsUnverified => "sessions_unverified",
            Self::SessionsKeyRemoved => "sessions_key_removed",
            Self::PeerRestarted => "peer_restarted",
            Self::SessionsOverShare => "sessions_over_share",
            Self::RequestsSent => "requests_sent",
            Self::RequestsReceived => "requests_received",
            Self::RequestsRefused => "requests_refused",
            Self::RequestsOverShare => "requests_over_share",
            Self::AnswersTooSlow => "answers_too_slow",
        }
    }

    /// What the figure counts, for metrics.
    pub const fn help(self) -> &'static str {
        match self {
            Self::DatagramsSent => "Datagrams handed to the operating system.",
            Self::DatagramsReceived => "Datagrams opened and passed on.",
            Self::SendFailed => "Datagrams that the operating system refused to send.",
            Self::QuicSendFailed => "QUIC packets that the operating system refused to send.",
            Self::ReceiveFailed => "Failed reads of the socket.",
            Self::ForeignCluster => "Refused packets of another cluster.",
            Self::UnknownKind => "Refused packets that are not of this protocol.",
            Self::UnknownVersion => "Refused packets of another wire version.",
            Self::UnknownKey => "Refused packets under a cluster key that is not accepted.",
            Self::Unverified => "Refused packets that are damaged or forged.",
            Self::Replay => "Refused packets that were seen before or are too old to tell.",
            Self::OldEpoch => "Refused packets of a run of the sender that was over already.",
            Self::WrongLength => "Refused packets of an impossible length.",
            Self::OwnPacket => "Refused packets that bear our own id.",
            Self::OtherReceiver => "Refused packets that were meant for another node.",
            Self::DatagramsOverShare => {
                "Datagrams dropped because more came from their address than may at once."
            }
            Self::AddressesShutOut => {
                "Addresses whose datagrams the system was asked to drop for a second."
            }
            Self::QueueFull => "Datagrams dropped because the driver did not keep up.",
            Self::QuicReceived => "Packets passed on to QUIC, which judges them.",
            Self::QuicQueueFull => "QUIC packets dropped because their queue was full.",
            Self::SessionsDialed => "Connections that were asked for.",
            Self::DialFailed => "Connections that could not be made.",
            Self::DialKeyRefused => "Connections that the peer refused for our cluster key.",
            Self::SessionsAccepted => "Connections of members that were let in.",
            Self::SessionsRefused => "Connections refused because too many were open or opening.",
            Self::SessionsRetried => "Connection attempts asked to prove their address first.",
            Self::HandshakeFailed => "Connections that ended before their proof of membership.",
            Self::SessionsForeign => "Connections refused because they are of another cluster.",
            Self::SessionsUnknownKey => {
                "Connections refused because their cluster key is not accepted."
            }
            Self::SessionsUnverified => "Connections refused because their proof was wrong.",
            Self::SessionsKeyRemoved => {
                "Connections closed because their cluster key is no longer accepted."
            }
            Self::PeerRestarted => "Connections closed because their peer had begun a newer run.",
            Self::SessionsOverShare => {
                "Connections refused because their peer had as many as one may have."
            }
            Self::RequestsSent => "Requests sent.",
            Self::RequestsReceived => "Requests received and passed on.",
            Self::RequestsRefused => {
                "Requests refused because the driver or the sessions were busy."
            }
            Self::RequestsOverShare => {
                "Requests refused because their peer had as many as one may have."
            }
            Self::AnswersTooSlow => "Answers given up because the peer took too long for them.",
        }
    }

    /// What to tell the operator when this happens. Repeated packets, our own ones and packets for
    /// others are part of a network's life.
    const fn warning(self) -> Option<&'static str> {
        match self {
            Self::ForeignCluster => {
                Some("refused a packet of another cluster: two clusters share a seed or an address")
            }
            Self::UnknownKind => Some("refused a packet that is not of this protocol"),
            Self::UnknownVersion => {
                Some("refused a packet of another wire version: agents run different releases")
            }
            Self::UnknownKey | Self::SessionsUnknownKey => Some(KEY_LACKED_HERE),
            Self::Unverified => Some(
                "refused a packet that the key it names does not open: it is damaged, or forged",
            ),
            Self::SessionsForeign => Some(
                "refused a session of another cluster: two clusters share a seed or an address",
            ),
            Self::SessionsUnverified => {
                Some("refused a session whose proof of membership is wrong: somebody forges it")
            }
            Self::DialKeyRefused => Some(
                "a peer refused our cluster key: add it there, or have this agent use one that the \
                 peer accepts (`tidings keyring`)",
            ),
            Self::WrongLength => Some("refused a packet of an impossible length"),
            Self::OldEpoch => Some(
                "refused a packet of an earlier run of its sender: \
                 its disk or clock was set back, or somebody replays packets",
            ),
            Self::DatagramsOverShare => {
                Some("dropped a datagram: this member sends more than one may at once")
            }
            Self::AddressesShutOut => {
                Some("an address floods: the system drops what it sends for a second")
            }
            Self::QueueFull => Some("dropped a datagram: this agent does not keep up"),
            Self::SessionsRefused => Some("refused a session: too many are open"),
            Self::RequestsRefused => Some("refused a request: this agent does not keep up"),
            Self::SessionsOverShare => {
                Some("refused a session: this member has as many as one may have")
            }
            Self::RequestsOverShare => {
                Some("refused a request: this member has as many as one may have")
            }
            Self::AnswersTooSlow => Some("gave an answer up: this member takes too long for it"),
            _ => None,
        }
    }
}

/// The figures at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts([u64; COUNTERS]);

impl Counts {
    /// One figure.
    pub const fn of(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// All figures with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Counter::ALL.iter().map(|&c| (c.name(), self.of(c)))
    }
}

/// The running figures.
#[derive(Debug)]
pub(super) struct Tally {
    counts: [AtomicU64; COUNTERS],
    lines: [LogLimit; COUNTERS],
}

impl Tally {
    /// All zero.
    pub(super) fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; COUNTERS],
            lines: [const { LogLimit::new() }; COUNTERS],
        }
    }

    /// Counts one.
    pub(super) fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts some.
    pub(super) fn add(&self, counter: Counter, some: u64) {
        self.counts[counter as usize].fetch_add(some, Ordering::Relaxed);
    }

    /// Counts one that `peer` caused, and tells of it at most once a second.
    pub(super) fn refuse(&self, counter: Counter, peer: SocketAddr) {
        self.count(counter);
        let Some(held_back) = self.lines[counter as usize].admit() else {
            return;
        };
        let (reason, total) = (counter.name(), self.total(counter));
        match counter.warning() {
            Some(text) => tracing::warn!(reason, %peer, total, held_back, "{text}"),
            None => tracing::debug!(reason, %peer, total, held_back, "dropped a packet"),
        }
    }

    /// As [`Tally::refuse`], for a member that has proved who it is.
    pub(super) fn refuse_node(&self, counter: Counter, peer: SocketAddr, node: NodeId) {
        self.count(counter);
        if let Some(held_back) = self.lines[counter as usize].admit() {
            let (reason, total) = (counter.name(), self.total(counter));
            let text = counter.warning().unwrap_or("refused a member");
            tracing::warn!(reason, %peer, %node, total, held_back, "{text}");
        }
    }

    /// As [`Tally::refuse`], for a cluster key that one side lacks: the line says which.
    pub(super) fn refuse_key(
        &self,
        counter: Counter,
        peer: SocketAddr,
        node: Option<NodeId>,
        key: ClusterKeyId,
        accepted: &[ClusterKeyId],
    ) {
        self.count(counter);
        let Some(held_back) = self.lines[counter as usize].admit() else {
            return;
        };
        let (reason, total) = (counter.name(), self.total(counter));
        let node = node.map(|node| format!("{node:?}")).unwrap_or_default();
        let text = counter.warning().unwrap_or(KEY_LACKED_HERE);
        tracing::warn!(reason, %peer, node, %key, ?accepted, total, held_back, "{text}");
    }

    /// The figures now.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = [0; COUNTERS];
        for (count, running) in counts.iter_mut().zip(&self.counts) {
            *count = running.load(Ordering::Relaxed);
        }
        Counts(counts)
    }

    fn total(&self, counter: Counter) -> u64 {
        self.counts[counter as usize].load(Ordering::Relaxed)
    }
}

const KEY_LACKED_HERE: &str = "refused a peer under a cluster key that this agent lacks: if it \
    belongs here, give it one of the accepted keys, or add its key here (`tidings keyring add`)";

const COUNTERS: usize = 38;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_has_its_own_place_and_name() {
        for (place, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, place);
        }
        let mut names: Vec<_> = Counter::ALL.iter().map(|c| c.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Counter::ALL.len());
    }

    #[test]
    fn a_flood_of_one_kind_does_not_silence_another() {
        let tally = Tally::new();
        let lines = |counter: Counter| tally.lines[counter as usize].admit();
        assert_eq!(lines(Counter::Unverified), Some(0));
        assert_eq!(lines(Counter::Unverified), None);
        assert_eq!(lines(Counter::ForeignCluster), Some(0));
    }
}
