//! What the transport counts, and the warnings that go with it.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

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
    /// Refused: another cluster's datagram or session.
    ForeignCluster,
    /// Refused: a first byte that is neither QUIC's nor a datagram's.
    UnknownKind,
    /// Refused: another wire version.
    UnknownVersion,
    /// Refused: no accepted cluster key opens it, or it is damaged.
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
    /// Dropped: the driver did not keep up with datagrams.
    QueueFull,
    /// Dropped: quinn did not keep up with its packets; QUIC sends them again.
    QuicQueueFull,
    /// Connections that were asked for.
    SessionsDialed,
    /// Connections that could not be made.
    DialFailed,
    /// Connections of members that were let in.
    SessionsAccepted,
    /// Connections that were refused because too many were open or opening.
    SessionsRefused,
    /// Connection attempts that were asked to prove their address first.
    SessionsRetried,
    /// Connections that ended before their proof of membership.
    HandshakeFailed,
    /// Connections closed because the peer's datagrams showed a newer run.
    PeerRestarted,
    /// Requests sent.
    RequestsSent,
    /// Requests received and passed on.
    RequestsReceived,
    /// Requests refused because the driver or the sessions were busy.
    RequestsRefused,
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
        Self::Unverified,
        Self::Replay,
        Self::OldEpoch,
        Self::WrongLength,
        Self::OwnPacket,
        Self::OtherReceiver,
        Self::QueueFull,
        Self::QuicQueueFull,
        Self::SessionsDialed,
        Self::DialFailed,
        Self::SessionsAccepted,
        Self::SessionsRefused,
        Self::SessionsRetried,
        Self::HandshakeFailed,
        Self::PeerRestarted,
        Self::RequestsSent,
        Self::RequestsReceived,
        Self::RequestsRefused,
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
            Self::Unverified => "unverified",
            Self::Replay => "replay",
            Self::OldEpoch => "old_epoch",
            Self::WrongLength => "wrong_length",
            Self::OwnPacket => "own_packet",
            Self::OtherReceiver => "other_receiver",
            Self::QueueFull => "queue_full",
            Self::QuicQueueFull => "quic_queue_full",
            Self::SessionsDialed => "sessions_dialed",
            Self::DialFailed => "dial_failed",
            Self::SessionsAccepted => "sessions_accepted",
            Self::SessionsRefused => "sessions_refused",
            Self::SessionsRetried => "sessions_retried",
            Self::HandshakeFailed => "handshake_failed",
            Self::PeerRestarted => "peer_restarted",
            Self::RequestsSent => "requests_sent",
            Self::RequestsReceived => "requests_received",
            Self::RequestsRefused => "requests_refused",
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
            Self::ForeignCluster => "Refused datagrams and sessions of another cluster.",
            Self::UnknownKind => "Refused packets that are not of this protocol.",
            Self::UnknownVersion => "Refused packets of another wire version.",
            Self::Unverified => "Refused packets that no accepted cluster key opens.",
            Self::Replay => "Refused packets that were seen before or are too old to tell.",
            Self::OldEpoch => "Refused packets of a run of the sender that was over already.",
            Self::WrongLength => "Refused packets of an impossible length.",
            Self::OwnPacket => "Refused packets that bear our own id.",
            Self::OtherReceiver => "Refused packets that were meant for another node.",
            Self::QueueFull => "Datagrams dropped because the driver did not keep up.",
            Self::QuicQueueFull => "QUIC packets dropped because their queue was full.",
            Self::SessionsDialed => "Connections that were asked for.",
            Self::DialFailed => "Connections that could not be made.",
            Self::SessionsAccepted => "Connections of members that were let in.",
            Self::SessionsRefused => "Connections refused because too many were open or opening.",
            Self::SessionsRetried => "Connection attempts asked to prove their address first.",
            Self::HandshakeFailed => "Connections that ended before their proof of membership.",
            Self::PeerRestarted => "Connections closed because their peer had begun a newer run.",
            Self::RequestsSent => "Requests sent.",
            Self::RequestsReceived => "Requests received and passed on.",
            Self::RequestsRefused => {
                "Requests refused because the driver or the sessions were busy."
            }
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
            Self::Unverified => Some(
                "refused a packet that no accepted cluster key opens: \
                 compare the key files, or somebody forges packets",
            ),
            Self::WrongLength => Some("refused a packet of an impossible length"),
            Self::OldEpoch => Some(
                "refused a packet of an earlier run of its sender: \
                 its disk or clock was set back, or somebody replays packets",
            ),
            Self::QueueFull => Some("dropped a datagram: this agent does not keep up"),
            Self::SessionsRefused => Some("refused a session: too many are open"),
            Self::RequestsRefused => Some("refused a request: this agent does not keep up"),
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
    /// When the next warning of each kind may be written, in milliseconds since `start`.
    quiet_until: [AtomicU64; COUNTERS],
    start: Instant,
}

impl Tally {
    /// All zero.
    pub(super) fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; COUNTERS],
            quiet_until: [const { AtomicU64::new(0) }; COUNTERS],
            start: Instant::now(),
        }
    }

    /// Counts one.
    pub(super) fn count(&self, counter: Counter) {
        self.counts[counter as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one that `peer` caused, and warns of it at most once a second.
    pub(super) fn refuse(&self, counter: Counter, peer: SocketAddr) {
        self.count(counter);
        let Some(warning) = counter.warning() else {
            tracing::debug!(reason = counter.name(), %peer, "dropped a packet");
            return;
        };
        if self.may_warn(counter) {
            let total = self.counts[counter as usize].load(Ordering::Relaxed);
            tracing::warn!(reason = counter.name(), %peer, total, "{warning}");
        }
    }

    /// The figures now.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = [0; COUNTERS];
        for (count, running) in counts.iter_mut().zip(&self.counts) {
            *count = running.load(Ordering::Relaxed);
        }
        Counts(counts)
    }

    fn may_warn(&self, counter: Counter) -> bool {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let quiet_until = &self.quiet_until[counter as usize];
        let until = quiet_until.load(Ordering::Relaxed);
        now >= until
            && quiet_until
                .compare_exchange(
                    until,
                    now.saturating_add(WARNING_INTERVAL_MS),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }
}

const COUNTERS: usize = 26;
/// Between two warnings of one kind.
const WARNING_INTERVAL_MS: u64 = 1_000;

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
    fn one_warning_of_a_kind_is_written_per_second() {
        let tally = Tally::new();
        assert!(tally.may_warn(Counter::Unverified));
        assert!(!tally.may_warn(Counter::Unverified));
        assert!(tally.may_warn(Counter::ForeignCluster));
    }
}
