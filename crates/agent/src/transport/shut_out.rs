//! Addresses whose datagrams the operating system drops before they reach this process.
//!
//! Merely reading 50,000 datagrams a second takes a third of a core, and whoever has had its share
//! gets nothing opened anyway. So an address that goes on all the same is shut out for a while by a
//! filter on the socket: Linux runs it before it queues a packet, at the expense of who sends on the
//! same host or of the network card's interrupt. QUIC passes, since it has limits of its own. Other
//! systems have no such filter; there the flood is read.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use super::socket::Socket;

/// How long an address stays shut out. It is then seen whether it goes on.
const SPAN: Duration = Duration::from_secs(1);
/// Addresses that are shut out at once; more are read.
const ADDRESSES: usize = 8;

/// Who is shut out, and until when.
#[derive(Debug, Default)]
pub(super) struct ShutOut {
    addresses: Vec<(SocketAddr, Instant)>,
    /// Whether the filter on the socket is another one, since the system refused the last.
    is_stale: bool,
}

impl ShutOut {
    /// Shuts `from` out; whether it was not before.
    pub(super) fn add(&mut self, socket: &Socket, from: SocketAddr, now: Instant) -> bool {
        let is_known = self.addresses.iter().any(|&(other, _)| other == from);
        if is_known || self.addresses.len() >= ADDRESSES {
            return false;
        }
        self.addresses.push((from, now + SPAN));
        self.apply(socket);
        true
    }

    /// Lets those in again whose time is over.
    pub(super) fn relent(&mut self, socket: &Socket, now: Instant) {
        let before = self.addresses.len();
        self.addresses.retain(|&(_, until)| now < until);
        if self.addresses.len() < before || self.is_stale {
            self.apply(socket);
        }
    }

    /// How long nobody else is let in.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let until = self.addresses.iter().map(|&(_, until)| until).min()?;
        Some(until.saturating_duration_since(now))
    }

    /// A filter that the system refuses is only a flood that costs more.
    fn apply(&mut self, socket: &Socket) {
        let addresses: Vec<_> = self.addresses.iter().map(|&(from, _)| from).collect();
        let applied = socket.drop_from(&addresses);
        self.is_stale = applied.is_err();
        if let Err(error) = applied {
            tracing::debug!(%error, "the system takes no filter for the gossip socket");
        }
    }
}

/// An instruction of the classic BPF machine (linux/filter.h), which sees a datagram from its UDP header
/// on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) if_true: u8,
    pub(super) if_false: u8,
    pub(super) operand: u32,
}

/// The program that drops our kind of datagrams from these addresses and lets everything else pass.
pub(super) fn program(addresses: &[SocketAddr]) -> Vec<Instruction> {
    let mut program = vec![
        load(LOAD_BYTE, PAYLOAD),
        // QUIC has one of the two upper bits set.
        branch(IF_ANY_BIT, 0xc0, 0, 1),
        give(PASS),
    ];
    for &address in addresses {
        program.extend(dropping(address));
    }
    program.push(give(PASS));
    program
}

fn dropping(address: SocketAddr) -> Vec<Instruction> {
    let (version, source, words) = match address.ip() {
        IpAddr::V4(ip) => (0x40, NETWORK + 12, vec![u32::from(ip)]),
        IpAddr::V6(ip) => {
            let bits = u128::from(ip);
            let word = |at: u32| u32::try_from(bits >> (96 - 32 * at) & 0xffff_ffff);
            let words = (0..4).map(|at| word(at).expect("it is cut to 32 bits"));
            (0x60, NETWORK + 8, words.collect())
        }
    };
    let mut tests = vec![
        (load(LOAD_BYTE, NETWORK), None),
        (just(AND, 0xf0), Some(version)),
    ];
    for (at, word) in (0..).zip(words) {
        tests.push((load(LOAD_WORD, source + 4 * at), Some(word)));
    }
    tests.push((
        load(LOAD_HALF, SOURCE_PORT),
        Some(u32::from(address.port())),
    ));
    let mut program = Vec::new();
    let mut left = tests.iter().filter(|(_, value)| value.is_some()).count() + tests.len() + 1;
    for (instruction, value) in tests {
        program.push(instruction);
        left -= 1;
        if let Some(value) = value {
            left -= 1;
            let over_the_rest = u8::try_from(left).expect("a test is short");
            program.push(branch(IF_EQUAL, value, 0, over_the_rest));
        }
    }
    program.push(give(DROP));
    program
}

const fn load(code: u16, at: u32) -> Instruction {
    just(code, at)
}

const fn give(bytes: u32) -> Instruction {
    just(RETURN, bytes)
}

const fn just(code: u16, operand: u32) -> Instruction {
    branch(code, operand, 0, 0)
}

const fn branch(code: u16, operand: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction {
        code,
        if_true,
        if_false,
        operand,
    }
}

// Codes and offsets of linux/bpf_common.h and linux/filter.h.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const IF_EQUAL: u16 = 0x15;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
/// Offsets from here on are in the IP header.
const NETWORK: u32 = 0xfff0_0000;
const SOURCE_PORT: u32 = 0;
/// Behind the UDP header.
const PAYLOAD: u32 = 8;
const PASS: u32 = u32::MAX;
const DROP: u32 = 0;

#[cfg(test)]
mod tests;
