//! Packets as they are taken down, and how many of them are kept.

use tidings_types::Timestamp;

use super::kind::{Fate, Kind};

/// Packets that are kept of a run, at most; of more, every second, fourth, eighth is kept.
pub const PACKETS: usize = 100_000;
/// Slices of time in which all packets are counted, kept or not.
pub(crate) const SLICES: usize = 400;

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
}
