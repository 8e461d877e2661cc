//! How far the peers' wall clocks are from this node's.
//!
//! Each datagram says what its sender's clock read. It was under way for a time that nobody knows, so
//! every reading is a little too low; the greatest of the latest ones is the best. Nothing is ordered
//! by these figures: they are for people, whose concurrent writes a fast clock wins.

use std::time::Duration;

use tidings_registry::ADOPTION_MS;
use tidings_types::{NodeId, Timestamp};

use crate::{Event, Node, Output};

/// How long a reading stands for the best one.
const KEPT: Duration = Duration::from_secs(10);

/// What is known of one peer's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Skew {
    /// By how many milliseconds it is ahead of this node's, negative if it is behind.
    ahead_ms: i64,
    read_at: Timestamp,
    /// Whether people have been told that it is far off.
    told: bool,
}

impl Skew {
    pub(crate) const fn ahead_ms(&self) -> i64 {
        self.ahead_ms
    }

    /// Takes a reading; whether it is news that the clock is so far off that its stamps are not
    /// adopted.
    fn read(known: Option<Self>, ahead_ms: i64, now: Timestamp) -> (Self, bool) {
        let best = known.filter(|k| k.ahead_ms > ahead_ms && now.since(k.read_at) < KEPT);
        let mut skew = best.unwrap_or_else(|| Self {
            ahead_ms,
            read_at: now,
            told: known.is_some_and(|known| known.told),
        });
        let off = skew.ahead_ms.unsigned_abs();
        let is_news = off > ADOPTION_MS && !skew.told;
        // Told again only after it was well.
        skew.told = off > ADOPTION_MS || skew.told && off > ADOPTION_MS / 2;
        (skew, is_news)
    }
}

impl Node {
    /// A peer's clock read `wall_ms` when it sent what has just come.
    pub(crate) fn on_clock(&mut self, peer: NodeId, wall_ms: u64) {
        let (now, ours) = (self.now, self.wall_now_ms());
        let ahead_ms = i64::try_from(i128::from(wall_ms) - i128::from(ours)).unwrap_or(i64::MAX);
        let Some(known) = self.peers.entry(peer) else {
            return;
        };
        let (skew, is_news) = Skew::read(known.skew, ahead_ms, now);
        known.skew = Some(skew);
        if is_news {
            self.counters.clocks_off += 1;
            let ahead_ms = skew.ahead_ms;
            self.out
                .push_back(Output::Event(Event::ClockOff { peer, ahead_ms }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn the_greatest_of_the_latest_readings_stands() {
        let (skew, _) = Skew::read(None, -30, at(1));
        let (skew, _) = Skew::read(Some(skew), -2, at(2));
        let (skew, _) = Skew::read(Some(skew), -90, at(3));
        assert_eq!(skew.ahead_ms(), -2);
        let (skew, _) = Skew::read(Some(skew), -90, at(13));
        assert_eq!(skew.ahead_ms(), -90);
    }

    #[test]
    fn a_clock_far_off_is_news_once_until_it_was_well() {
        let (skew, first) = Skew::read(None, 3_600_000, at(1));
        let (skew, second) = Skew::read(Some(skew), 3_600_001, at(2));
        assert!(first && !second);
        let (skew, _) = Skew::read(Some(skew), 10, at(20));
        let (_, again) = Skew::read(Some(skew), -700, at(40));
        assert!(again);
    }
}
