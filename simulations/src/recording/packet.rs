//! Packets as they are taken down, and how many of them are kept.

use tidings_types::Timestamp;

/// Packets that are kept of a run, at most; of more, every second, fourth, eighth is kept.
pub const PACKETS: usize = 100_000;
/// Slices of time in which all packets are counted, kept or not.
pub(crate) const SLICES: usize = 400;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A probe.
    Ping,
    /// Its answer.
    Ack,
    /// A probe through a third node, or its answer.
    Indirect,
    /// News of members.
    Gossip,
    /// "Let me in."
    Announce,
    /// The active members, for one who was let in.
    Welcome,
    /// "I take you for down."
    TurnUndead,
    /// "I know a later run of you."
    Superseded,
    /// New dots.
    Rumors,
    /// "I hold this much of that feed."
    Have,
    /// A question on a session.
    Request,
    /// A list that answers one.
    Answer,
    /// A part of a feed.
    FeedPart,
    /// The end of an answer.
    Finish,
    /// Nothing that can be read.
    Unreadable,
}

/// Kinds that are drawn alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Probes and their answers.
    Probe,
    /// Probes through a third node.
    Indirect,
    /// News and lists of members, announces.
    Members,
    /// "You are down", "you are old".
    Rejection,
    /// New dots.
    Rumor,
    /// Acknowledgements and offers.
    Have,
    /// Questions, lists and ends on sessions.
    Session,
    /// Parts of feeds on sessions.
    Feed,
}

impl Group {
    /// Every group, in the order in which a legend names them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Probe,
        Self::Indirect,
        Self::Members,
        Self::Rejection,
        Self::Rumor,
        Self::Have,
        Self::Session,
        Self::Feed,
    ];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Indirect => "indirect probe",
            Self::Members => "members",
            Self::Rejection => "rejection",
            Self::Rumor => "rumor",
            Self::Have => "have",
            Self::Session => "session",
            Self::Feed => "feed",
        }
    }

    /// What it is, in a few words.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Probe => "ping and ack",
            Self::Indirect => "a ping or its answer through a third node",
            Self::Members => "news and lists of members, announces",
            Self::Rejection => {
                "\u{201c}I take you for down\u{201d}, \u{201c}I know a later run of you\u{201d}"
            }
            Self::Rumor => "new records, pushed at once",
            Self::Have => "how much of a feed is held: an acknowledgement or an offer",
            Self::Session => {
                "a question on a session, a list that answers it, the end of an answer"
            }
            Self::Feed => "a part of a feed on a session",
        }
    }
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 15] = [
        Self::Ping,
        Self::Ack,
        Self::Indirect,
        Self::Gossip,
        Self::Announce,
        Self::Welcome,
        Self::TurnUndead,
        Self::Superseded,
        Self::Rumors,
        Self::Have,
        Self::Request,
        Self::Answer,
        Self::FeedPart,
        Self::Finish,
        Self::Unreadable,
    ];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Ack => "ack",
            Self::Indirect => "indirect probe",
            Self::Gossip => "gossip",
            Self::Announce => "announce",
            Self::Welcome => "member list",
            Self::TurnUndead => "you are down",
            Self::Superseded => "superseded",
            Self::Rumors => "rumor",
            Self::Have => "have",
            Self::Request => "request",
            Self::Answer => "answer",
            Self::FeedPart => "feed part",
            Self::Finish => "end of answer",
            Self::Unreadable => "unreadable",
        }
    }

    /// The kinds that it is drawn like.
    pub(crate) const fn group(self) -> Group {
        match self {
            Self::Ping | Self::Ack => Group::Probe,
            Self::Indirect => Group::Indirect,
            Self::Gossip | Self::Announce | Self::Welcome | Self::Unreadable => Group::Members,
            Self::TurnUndead | Self::Superseded => Group::Rejection,
            Self::Rumors => Group::Rumor,
            Self::Have => Group::Have,
            Self::Request | Self::Answer | Self::Finish => Group::Session,
            Self::FeedPart => Group::Feed,
        }
    }

    /// Whether nodes send it all the time: of these the fewest are needed to see what happened.
    const fn is_routine(self) -> bool {
        matches!(
            self,
            Self::Ping | Self::Ack | Self::Indirect | Self::Gossip | Self::Announce | Self::Have
        )
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// The receiver took it.
    Delivered,
    /// It was on its way when the run ended, or its session broke.
    Underway,
    /// The link lost it.
    Lost,
    /// A cut stopped it.
    Cut,
    /// The sender's own host refused to send it.
    SendError,
    /// A jammed link holds it.
    Jammed,
    /// It came to a process that stood still, and has not been read.
    Unread,
    /// There was no process.
    NobodyThere,
    /// A full queue, buffer or inbox dropped it.
    Dropped,
    /// It was for another node, of an old run or of another cluster.
    Stranger,
}

impl Fate {
    /// Every fate.
    pub(crate) const ALL: [Self; 10] = [
        Self::Delivered,
        Self::Underway,
        Self::Lost,
        Self::Cut,
        Self::SendError,
        Self::Jammed,
        Self::Unread,
        Self::NobodyThere,
        Self::Dropped,
        Self::Stranger,
    ];

    /// The words for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Underway => "never arrived",
            Self::Lost => "lost by the link",
            Self::Cut => "cut",
            Self::SendError => "refused by its own host",
            Self::Jammed => "held by a jammed link",
            Self::Unread => "unread: the process stood still",
            Self::NobodyThere => "no process there",
            Self::Dropped => "dropped: a queue or an inbox was full",
            Self::Stranger => "not taken: another node, run or cluster",
        }
    }

    /// Whether it is known at once that nobody will get it.
    const fn is_stopped(self) -> bool {
        matches!(
            self,
            Self::Lost | Self::Cut | Self::SendError | Self::Jammed | Self::Dropped
        )
    }
}

/// One packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    /// Its number among its like.
    number: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) kind: Kind,
    pub(crate) fate: Fate,
    pub(crate) sent: Timestamp,
    /// When it came to the receiver's host.
    pub(crate) arrived: Option<Timestamp>,
    pub(crate) bytes: usize,
    /// Which of the recording's details says what is in it.
    pub(crate) detail: usize,
}

/// What a packet on its way is called by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Track {
    routine: bool,
    number: u64,
}

/// The packets of a run: a fair choice of them if there are too many, and all of them counted.
#[derive(Clone, Debug)]
pub(crate) struct Packets {
    rare: Thinned,
    routine: Thinned,
    pub(crate) counts: Counts,
}

/// Packets in slices of time.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    /// How long a slice is, in microseconds.
    pub(crate) slice: u64,
    /// By host, then by slice: packets that the node was handed.
    pub(crate) taken: Vec<Vec<u32>>,
    /// By host, then by slice: packets of the node that were stopped on their way out.
    pub(crate) stopped: Vec<Vec<u32>>,
}

#[derive(Clone, Debug)]
struct Thinned {
    kept: Vec<Packet>,
    /// How many there were.
    seen: u64,
    /// Every how-manieth is kept.
    stride: u64,
}

impl Packets {
    /// No packets yet, of a run that ends at `end`.
    pub(crate) fn new(hosts: usize, end: Timestamp) -> Self {
        let thinned = || Thinned {
            kept: Vec::new(),
            seen: 0,
            stride: 1,
        };
        Self {
            rare: thinned(),
            routine: thinned(),
            counts: Counts {
                slice: end.as_micros() / SLICES as u64 + 1,
                taken: vec![vec![0; SLICES]; hosts],
                stopped: vec![vec![0; SLICES]; hosts],
            },
        }
    }

    /// A packet goes out. Returns what it is called by, if it is kept.
    pub(crate) fn sent(&mut self, packet: Packet) -> Option<Track> {
        if packet.fate.is_stopped() {
            self.counts.stopped(packet.sent, packet.from);
        }
        let routine = packet.kind.is_routine();
        let number = self.thinned(routine).push(packet)?;
        Some(Track { routine, number })
    }

    /// A packet comes to its receiver's host, and this becomes of it.
    pub(crate) fn arrived(&mut self, track: Track, now: Timestamp, fate: Fate) {
        if let Some(packet) = self.thinned(track.routine).get(track.number) {
            packet.fate = fate;
            packet.arrived = Some(now);
        }
    }

    /// Keeps half of what is kept.
    pub(crate) fn halve(&mut self) {
        let fuller = if self.routine.kept.len() >= self.rare.kept.len() {
            &mut self.routine
        } else {
            &mut self.rare
        };
        fuller.halve();
    }

    /// Those that were kept, by the time at which they were sent.
    pub(crate) fn by_time(&self) -> Vec<Packet> {
        let mut all = [self.rare.kept.as_slice(), &self.routine.kept].concat();
        all.sort_by_key(|packet| packet.sent);
        all
    }

    /// How many there were.
    pub(crate) const fn seen(&self) -> u64 {
        self.rare.seen + self.routine.seen
    }

    /// How many were kept.
    pub(crate) const fn kept(&self) -> usize {
        self.rare.kept.len() + self.routine.kept.len()
    }

    const fn thinned(&mut self, routine: bool) -> &mut Thinned {
        if routine {
            &mut self.routine
        } else {
            &mut self.rare
        }
    }
}

impl Thinned {
    fn push(&mut self, packet: Packet) -> Option<u64> {
        let number = self.seen;
        self.seen += 1;
        if !number.is_multiple_of(self.stride) {
            return None;
        }
        if self.kept.len() == PACKETS / 2 {
            self.halve();
            if !number.is_multiple_of(self.stride) {
                return None;
            }
        }
        self.kept.push(Packet { number, ..packet });
        Some(number)
    }

    fn halve(&mut self) {
        self.stride *= 2;
        let stride = self.stride;
        self.kept
            .retain(|packet| packet.number.is_multiple_of(stride));
    }

    fn get(&mut self, number: u64) -> Option<&mut Packet> {
        let at = self
            .kept
            .binary_search_by_key(&number, |packet| packet.number)
            .ok()?;
        self.kept.get_mut(at)
    }
}

impl Packet {
    /// A packet that goes out now.
    pub(crate) const fn new(
        sent: Timestamp,
        (from, to): (usize, usize),
        (kind, detail): (Kind, usize),
        bytes: usize,
        fate: Fate,
    ) -> Self {
        Self {
            number: 0,
            from,
            to,
            kind,
            fate,
            sent,
            arrived: None,
            bytes,
            detail,
        }
    }
}

impl Counts {
    /// A node is handed a packet.
    pub(crate) fn taken(&mut self, now: Timestamp, host: usize) {
        let at = self.slice_of(now);
        self.taken[host][at] += 1;
    }

    fn stopped(&mut self, now: Timestamp, host: usize) {
        let at = self.slice_of(now);
        self.stopped[host][at] += 1;
    }

    fn slice_of(&self, now: Timestamp) -> usize {
        let at = usize::try_from(now.as_micros() / self.slice).unwrap_or(usize::MAX);
        at.min(SLICES - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(at: u64, kind: Kind) -> Packet {
        let sent = Timestamp::from_micros(at);
        Packet::new(sent, (0, 1), (kind, 0), 10, Fate::Underway)
    }

    #[test]
    fn too_many_packets_are_thinned_evenly_and_all_are_counted() {
        let many = PACKETS as u64 * 2;
        let mut packets = Packets::new(2, Timestamp::from_micros(many));
        for at in 0..many {
            packets.sent(packet(at, Kind::Ping));
        }
        packets.sent(packet(many, Kind::Rumors));
        assert_eq!(packets.seen(), many + 1);
        assert!((PACKETS / 4..=PACKETS / 2 + 1).contains(&packets.kept()));
        let kept = packets.by_time();
        let gaps: std::collections::BTreeSet<u64> = kept[..kept.len() - 1]
            .windows(2)
            .map(|pair| pair[1].sent.as_micros() - pair[0].sent.as_micros())
            .collect();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert_eq!(kept.last().unwrap().kind, Kind::Rumors);
    }

    #[test]
    fn a_packet_learns_its_fate_even_after_others_were_thinned() {
        let mut packets = Packets::new(2, Timestamp::from_micros(100));
        let tracks: Vec<_> = (0..10)
            .map(|at| packets.sent(packet(at, Kind::Ack)))
            .collect();
        packets.halve();
        for track in tracks.into_iter().flatten() {
            packets.arrived(track, Timestamp::from_micros(50), Fate::Delivered);
        }
        let kept = packets.by_time();
        assert_eq!(kept.len(), 5);
        assert!(kept.iter().all(|packet| packet.fate == Fate::Delivered));
    }

    #[test]
    fn the_lists_of_kinds_and_fates_are_in_their_own_order() {
        assert!(
            Kind::ALL
                .iter()
                .enumerate()
                .all(|(at, &kind)| kind as usize == at)
        );
        assert!(
            Fate::ALL
                .iter()
                .enumerate()
                .all(|(at, &fate)| fate as usize == at)
        );
        assert!(
            Group::ALL
                .iter()
                .enumerate()
                .all(|(at, &group)| group as usize == at)
        );
    }
}
