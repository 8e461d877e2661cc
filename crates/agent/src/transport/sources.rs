//! How many datagrams of members are taken from one address.
//!
//! Only what was opened counts, so that a stranger cannot use up a member's share by sending in its
//! name: it would have to send from its address. Once an address has had its share, what else comes
//! from it is not even opened until the span is over. An agent that is in order stays below, since it
//! paces its own news (`node/src/rumor.rs`).

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A span for which shares are counted.
const SPAN: Duration = Duration::from_millis(100);
/// Datagrams of one address in a span.
const SHARE: u32 = 150;
/// Addresses that are told apart in one span; all others have one share together.
const ADDRESSES: usize = 4_096;

/// Datagrams of one address in a span above which it is a flood: no agent of a kind known sends so many.
const FLOOD: u32 = 4 * SHARE;

/// What came from one address.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    opened: u32,
    refused: u32,
}

/// What was taken from each address in the present span.
#[derive(Debug)]
pub(super) struct Sources {
    since: Instant,
    taken: HashMap<SocketAddr, Taken>,
    /// From the addresses that are not told apart.
    rest: u32,
}

impl Sources {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            taken: HashMap::new(),
            rest: 0,
        }
    }

    /// Whether a datagram from `from` may be opened.
    pub(super) fn admits(&mut self, from: SocketAddr, now: Instant) -> bool {
        if now.duration_since(self.since) >= SPAN {
            self.since = now;
            self.taken.clear();
            self.rest = 0;
        }
        let is_told_apart = self.taken.len() < ADDRESSES;
        match self.taken.get(&from) {
            Some(taken) => taken.opened < SHARE,
            None => is_told_apart || self.rest < SHARE,
        }
    }

    /// A datagram from `from` was refused: whether it sends so many that they should not be read.
    pub(super) fn floods(&mut self, from: SocketAddr) -> bool {
        self.taken.get_mut(&from).is_some_and(|taken| {
            taken.refused += 1;
            taken.refused > FLOOD
        })
    }

    /// A datagram from `from` was opened.
    pub(super) fn took(&mut self, from: SocketAddr) {
        if let Some(taken) = self.taken.get_mut(&from) {
            taken.opened += 1;
        } else if self.taken.len() < ADDRESSES {
            let first = Taken {
                opened: 1,
                refused: 0,
            };
            self.taken.insert(from, first);
        } else {
            self.rest += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], n))
    }

    fn take(sources: &mut Sources, from: SocketAddr, now: Instant) -> bool {
        let admitted = sources.admits(from, now);
        if admitted {
            sources.took(from);
        }
        admitted
    }

    #[test]
    fn each_address_has_a_share_of_each_span() {
        let start = Instant::now();
        let mut sources = Sources::new(start);
        let taken = (0..1_000).filter(|_| take(&mut sources, addr(1), start));
        assert_eq!(taken.count(), SHARE as usize);
        assert!(take(&mut sources, addr(2), start), "another has its own");
        assert!(!take(&mut sources, addr(1), start + SPAN / 2));
        assert!(take(&mut sources, addr(1), start + SPAN));
    }

    #[test]
    fn what_was_not_opened_does_not_count() {
        let start = Instant::now();
        let mut sources = Sources::new(start);
        for _ in 0..1_000 {
            assert!(sources.admits(addr(1), start));
        }
    }

    #[test]
    fn ever_new_addresses_share_what_one_has() {
        let start = Instant::now();
        let mut sources = Sources::new(start);
        let all = (0..u16::MAX).filter(|n| take(&mut sources, addr(*n), start));
        assert_eq!(all.count(), ADDRESSES + SHARE as usize);
        assert!(sources.taken.len() <= ADDRESSES);
    }
}
