//! How much is taken of each node, and when it may be given more.
//!
//! Every byte of a feed costs its receiver time, whoever sends it. So an owner's feed is pulled at a
//! bounded rate in the long run, and a peer that gave what was of no use is not asked again for a
//! pause that fits what it gave. Neither is ever met where everybody is honest: a feed is pulled
//! whole once, and its news are small.

use std::{collections::BTreeMap, time::Duration};

use tidings_types::{NodeId, Timestamp, limits::FEED_BYTES};

/// Bytes of one owner's feed that are pulled in a second, in the long run.
const OWNER_RATE: usize = 1 << 20;
/// How far an owner may be ahead of that: by two whole feeds.
const OWNER_AHEAD: Duration = Duration::from_secs((2 * FEED_BYTES / OWNER_RATE) as u64);
/// A peer's useless bytes are made up for at this rate...
const USELESS_RATE: usize = 4 << 20;
/// ...and at this one, if no honest peer could have sent them.
const FOUL_RATE: usize = 256 << 10;
/// The least pause after something that no honest peer could have sent.
const FOUL_PAUSE: Duration = Duration::from_secs(1);

/// What is made up for only later: of nodes as owners, and as givers. A node without an entry owes
/// nothing.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    owners: Debts,
    givers: Debts,
}

impl Patience {
    /// Whether more of `owner`'s feed is taken now.
    pub(crate) fn takes(&self, now: Timestamp, owner: NodeId) -> bool {
        self.owners.until(owner) <= now + OWNER_AHEAD
    }

    /// Whether `giver` is asked for feeds now.
    pub(crate) fn asks(&self, now: Timestamp, giver: NodeId) -> bool {
        self.givers.until(giver) <= now
    }

    /// So many bytes of `owner`'s feed came.
    pub(crate) fn took(&mut self, now: Timestamp, owner: NodeId, bytes: usize) {
        self.owners.add(now, owner, time_of(bytes, OWNER_RATE));
    }

    /// So many bytes that `giver` sent were of no use; `is_foul` if no honest peer could have sent
    /// what it did.
    pub(crate) fn lost(&mut self, now: Timestamp, giver: NodeId, bytes: usize, is_foul: bool) {
        let pause = if is_foul {
            FOUL_PAUSE.max(time_of(bytes, FOUL_RATE))
        } else {
            time_of(bytes, USELESS_RATE)
        };
        self.givers.add(now, giver, pause);
    }
}

/// Until when each node's account is not even. Bounded by the nodes that sent something lately.
#[derive(Debug, Default)]
struct Debts(BTreeMap<NodeId, Timestamp>);

/// A pause at most: whoever was mended is asked again.
const LONGEST: Duration = Duration::from_secs(600);

/// Accounts above which those that are even are looked for.
const LOOKED_THROUGH: usize = 64;

impl Debts {
    fn until(&self, node: NodeId) -> Timestamp {
        self.0.get(&node).copied().unwrap_or_default()
    }

    fn add(&mut self, now: Timestamp, node: NodeId, pause: Duration) {
        if pause.is_zero() {
            return;
        }
        if self.0.len() >= LOOKED_THROUGH && !self.0.contains_key(&node) {
            self.0.retain(|_, until| *until > now);
        }
        let until = self.0.entry(node).or_default();
        *until = ((*until).max(now) + pause).min(now + LONGEST);
    }
}

fn time_of(bytes: usize, per_second: usize) -> Duration {
    Duration::from_micros(bytes as u64 * 1_000_000 / per_second as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId::from_bytes([1; 16]);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn an_owner_may_be_ahead_by_two_feeds_and_goes_on_at_its_rate() {
        let mut patience = Patience::default();
        patience.took(at(0), NODE, 2 * FEED_BYTES);
        assert!(patience.takes(at(0), NODE));
        patience.took(at(0), NODE, 3 * OWNER_RATE);
        assert!(!patience.takes(at(2), NODE));
        assert!(patience.takes(at(3), NODE));
    }

    #[test]
    fn a_giver_pauses_for_what_it_gave_and_longer_if_it_was_foul() {
        let mut patience = Patience::default();
        patience.lost(at(0), NODE, 0, false);
        assert!(patience.asks(at(0), NODE));
        patience.lost(at(0), NODE, USELESS_RATE, false);
        assert!(!patience.asks(at(0), NODE) && patience.asks(at(1), NODE));
        patience.lost(at(1), NODE, 0, true);
        assert!(!patience.asks(at(1), NODE) && patience.asks(at(2), NODE));
        patience.lost(at(2), NODE, 10 * FOUL_RATE, true);
        assert!(!patience.asks(at(11), NODE) && patience.asks(at(12), NODE));
    }

    #[test]
    fn accounts_that_are_even_are_forgotten() {
        let mut debts = Debts::default();
        for n in 0..200 {
            let node = NodeId::from_bytes([n; 16]);
            debts.add(at(u64::from(n)), node, Duration::from_secs(1));
        }
        assert!(debts.0.len() <= LOOKED_THROUGH);
    }
}
