//! Packets that an agent must refuse: captured ones, spoiled in every way, and nonsense.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use crate::wait::{self, ensure};

/// What hostile packets are made of.
#[derive(Clone, Debug)]
pub struct Material {
    /// Datagrams that the victim was sent.
    pub captured: Vec<Vec<u8>>,
    /// Datagrams of another cluster.
    pub foreign: Vec<Vec<u8>>,
    /// Datagrams of the same cluster's name, under a key that the victim lacks.
    pub wrong_key: Vec<Vec<u8>>,
}

/// The ways in which a packet is hostile, in the order in which [`Hostile::packet`] takes them.
pub const KINDS: [&str; 8] = [
    "1-8 bytes changed",
    "truncated",
    "repeated",
    "of another cluster",
    "under a wrong key",
    "QUIC-looking garbage",
    "garbage of ours",
    "empty",
];

/// Makes hostile packets, the same ones from the same seed.
#[derive(Debug)]
pub struct Hostile {
    material: Material,
    random: u64,
    made: usize,
}

impl Hostile {
    /// A maker of packets from `material`.
    ///
    /// # Panics
    /// If there is no material of some kind.
    pub fn new(material: Material, seed: u64) -> Self {
        let Material {
            captured,
            foreign,
            wrong_key,
        } = &material;
        assert!(![captured, foreign, wrong_key].iter().any(|m| m.is_empty()));
        Self {
            material,
            random: seed | 1,
            made: 0,
        }
    }

    /// The next packet: each kind in its turn.
    pub fn packet(&mut self) -> Vec<u8> {
        let kind = self.made % KINDS.len();
        self.made += 1;
        match kind {
            0 => {
                let mut packet = self.captured();
                for _ in 0..=self.below(8) {
                    let at = self.below(packet.len());
                    // Never the byte that was there, and two changes of one byte differ.
                    packet[at] ^= self.byte(1, 127);
                }
                packet
            }
            1 => {
                let mut packet = self.captured();
                packet.truncate(self.below(packet.len()));
                packet
            }
            2 => self.captured(),
            3 => self.one_of(|material| &material.foreign),
            4 => self.one_of(|material| &material.wrong_key),
            5 => self.garbage(64, 255),
            6 => self.garbage(0, 63),
            _ => Vec::new(),
        }
    }

    fn captured(&mut self) -> Vec<u8> {
        self.one_of(|material| &material.captured)
    }

    fn one_of(&mut self, of: impl Fn(&Material) -> &Vec<Vec<u8>>) -> Vec<u8> {
        let count = of(&self.material).len();
        let at = self.below(count);
        of(&self.material)[at].clone()
    }

    /// Random bytes, the first of them within these bounds.
    fn garbage(&mut self, low: u8, high: u8) -> Vec<u8> {
        let len = 1 + self.below(1_300);
        let mut packet: Vec<u8> = (0..len).map(|_| self.byte(0, 255)).collect();
        packet[0] = self.byte(low, high);
        packet
    }

    fn byte(&mut self, low: u8, high: u8) -> u8 {
        let span = usize::from(high - low) + 1;
        low + u8::try_from(self.below(span)).expect("it is below 256")
    }

    /// xorshift64: a test needs no better.
    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let bound = u64::try_from(bound.max(1)).expect("a small number");
        usize::try_from(self.random % bound).expect("it is below a usize")
    }
}

/// Sends `count` packets to `victim` at `rate` a second at most, and no faster than the victim reads
/// them, so that the kernel's buffer is not what is tested; returns how many the system took.
///
/// # Panics
/// If there is no socket to be had, or the victim reads nothing for long.
pub fn attack(hostile: &mut Hostile, victim: SocketAddr, count: usize, rate: u32) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
    let begin = Instant::now();
    let mut sent = 0;
    for n in (0..count).step_by(BURST) {
        let burst = u32::try_from(n / BURST).expect("a burst's number is small");
        let due = Duration::from_secs(1) / rate * BURST_PACKETS * burst;
        // This sets a pace; nothing is waited for.
        thread::sleep(due.saturating_sub(begin.elapsed()));
        wait::until("the victim reads", Duration::from_secs(5), || {
            let waiting = kernel_counts(victim)?.waiting_bytes;
            ensure(waiting < WAITING_BYTES, || format!("{waiting} bytes wait"))
        });
        for _ in n..count.min(n + BURST) {
            sent += u64::from(socket.send_to(&hostile.packet(), victim).is_ok());
        }
    }
    sent
}

/// Packets sent without a look at the clock.
const BURST: usize = 20;
const BURST_PACKETS: u32 = 20;
/// Bytes in the victim's buffer, as the kernel reckons them, above which it is given time.
const WAITING_BYTES: u64 = 48 << 10;

/// What the kernel says of a UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelCounts {
    /// Bytes in its receive buffer.
    pub waiting_bytes: u64,
    /// Packets dropped because the buffer was full.
    pub drops: u64,
}

/// What the kernel says of the UDP socket on `addr`.
///
/// # Errors
/// If the system does not tell.
pub fn kernel_counts(addr: SocketAddr) -> Result<KernelCounts, String> {
    let table = std::fs::read_to_string("/proc/self/net/udp").map_err(|error| error.to_string())?;
    let port = format!(":{:04X}", addr.port());
    let mut lines = table.lines().skip(1).map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields
    });
    let found = lines.find(|fields| fields.get(1).is_some_and(|local| local.ends_with(&port)));
    let counts = found.and_then(|fields| {
        let (_, waiting) = fields.get(4)?.split_once(':')?;
        Some(KernelCounts {
            waiting_bytes: u64::from_str_radix(waiting, 16).ok()?,
            drops: fields.last()?.parse().ok()?,
        })
    });
    counts.ok_or_else(|| format!("no UDP socket on {addr} in {table}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_made_and_a_changed_packet_differs() {
        let material = Material {
            captured: vec![vec![0x10; 100]],
            foreign: vec![vec![1]],
            wrong_key: vec![vec![2]],
        };
        let mut hostile = Hostile::new(material, 7);
        for _ in 0..200 {
            let packets: Vec<_> = KINDS.iter().map(|_| hostile.packet()).collect();
            assert_eq!(packets[0].len(), 100);
            assert!(packets[1].len() < 100);
            assert_eq!(packets[2], vec![0x10; 100]);
            assert_eq!((packets[3].len(), packets[4].len()), (1, 1));
            assert!(packets[5][0] >= 64 && packets[6][0] < 64);
            assert!(packets[7].is_empty());
        }
    }
}
