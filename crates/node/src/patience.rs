//! How much is taken of each node, and when it may be given more.
//!
//! Every change of a feed costs its receiver time, whoever sends it: to decode, hash, join, show and
//! save it. So what an owner gives of its own feed is paid for by a pause that keeps it, in the long
//! run, to a small share of a core; and a peer that gave what was of no use is not asked again for a
//! pause that fits what it gave. A feed is pulled whole once, and its news are small: an honest owner
//! meets the first only if it writes thousands of records anew within seconds, and what it wrote
//! meanwhile comes in one piece when the pause is over.

use std::{collections::BTreeMap, time::Duration};

use tidings_types::{NodeId, Timestamp};

/// What a change of a feed costs, from its frame to the disk; the story of the rogue's largest feeds
/// measures it.
const CHANGE_COST: Duration = Duration::from_micros(20);
/// What a mebibyte costs beside that.
const MEBIBYTE_COST: Duration = Duration::from_millis(20);
/// One owner costs a core this part of its time, in the long run: a thirtieth.
const OWNER_SHARE: u32 = 30;
/// How far an owner may be ahead of that.
const OWNER_AHEAD: Duration = Duration::from_secs(1);
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

    /// So many changes of `owner`'s feed came, in so many bytes.
    pub(crate) fn took(&mut self, now: Timestamp, owner: NodeId, changes: usize, bytes: usize) {
        let changes = u32::try_from(changes).unwrap_or(u32::MAX);
        let mebibytes = MEBIBYTE_COST.as_secs_f64() * bytes as f64 / f64::from(1 << 20);
        let cost = CHANGE_COST.saturating_mul(changes) + Duration::from_secs_f64(mebibytes);
        self.owners
            .add(now, owner, cost.saturating_mul(OWNER_SHARE));
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
    fn an_owner_gives_a_whole_feed_at_once_and_the_next_at_its_share() {
        let mut patience = Patience::default();
        patience.took(at(0), NODE, 1_000, 100_000);
        assert!(patience.takes(at(0), NODE), "its news are taken at once");
        patience.took(at(0), NODE, 10_000, 1 << 20);
        assert!(!patience.takes(at(6), NODE));
        assert!(patience.takes(at(7), NODE));
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
