//! Every address at which a member of the cluster may answer: seeds, and all ever seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use rand::{Rng, RngExt as _};
use tidings_types::Timestamp;

use crate::id::canonical;

/// Seeds that one list may resolve to; further ones are not taken.
pub(crate) const SEEDS_MAX: usize = 256;

#[derive(Debug)]
pub(crate) struct Addresses {
    seeds: BTreeSet<SocketAddr>,
    /// When each was last heard of.
    seen: BTreeMap<SocketAddr, Timestamp>,
    max: usize,
}

impl Addresses {
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            seeds: BTreeSet::new(),
            seen: BTreeMap::new(),
            max,
        }
    }

    /// Replaces the seeds; returns those that are new.
    pub(crate) fn set_seeds(&mut self, seeds: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let seeds: BTreeSet<_> = seeds.into_iter().map(canonical).take(SEEDS_MAX).collect();
        let new = seeds.difference(&self.seeds).copied().collect();
        self.seeds = seeds;
        new
    }

    /// Takes note of an address; the one not heard of for longest makes room.
    pub(crate) fn saw(&mut self, addr: SocketAddr, now: Timestamp) {
        if !self.seen.contains_key(&addr) && self.seen.len() >= self.max {
            let oldest = self.seen.iter().min_by_key(|&(_, at)| at).map(|(&a, _)| a);
            if let Some(oldest) = oldest {
                self.seen.remove(&oldest);
            }
        }
        self.seen.insert(addr, now);
    }

    pub(crate) fn forget(&mut self, addr: SocketAddr) {
        self.seen.remove(&addr);
    }

    /// Up to `count` random addresses, one of them a seed, none of them `except`. A single one is a
    /// seed every other time.
    ///
    /// The seed has its own place because a thousand remembered addresses may all be long dead.
    pub(crate) fn pick(
        &self,
        count: usize,
        except: SocketAddr,
        rng: &mut impl Rng,
    ) -> Vec<SocketAddr> {
        let mut seeds: Vec<_> = self
            .seeds
            .iter()
            .copied()
            .filter(|&a| a != except)
            .collect();
        // A single one goes to a seed every other time, or no other address was ever tried.
        let seat = usize::from(count > 1 || count == 1 && rng.random_ratio(1, 2));
        let mut picked = draw(&mut seeds, seat, rng);
        let mut rest: Vec<_> = self
            .seeds
            .iter()
            .chain(self.seen.keys().filter(|a| !self.seeds.contains(a)))
            .copied()
            .filter(|a| *a != except && !picked.contains(a))
            .collect();
        let more = count - picked.len();
        picked.extend(draw(&mut rest, more, rng));
        picked
    }
}

/// Takes up to `count` random elements out of `from`.
pub(crate) fn draw<T>(from: &mut Vec<T>, count: usize, rng: &mut impl Rng) -> Vec<T> {
    let count = count.min(from.len());
    (0..count)
        .map(|_| from.swap_remove(rng.random_range(0..from.len())))
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn addr(port: u16) -> SocketAddr {
        ([10, 0, 0, 1], port).into()
    }

    #[test]
    fn the_longest_silent_address_makes_room() {
        let mut addresses = Addresses::new(2);
        addresses.saw(addr(1), Timestamp::from_micros(1));
        addresses.saw(addr(2), Timestamp::from_micros(2));
        addresses.saw(addr(1), Timestamp::from_micros(3));
        addresses.saw(addr(3), Timestamp::from_micros(4));
        let left: Vec<_> = addresses.seen.keys().copied().collect();
        assert_eq!(left, [addr(1), addr(3)]);
    }

    #[test]
    fn one_pick_is_a_seed_and_none_is_myself() {
        let mut addresses = Addresses::new(100);
        assert_eq!(addresses.set_seeds(vec![addr(1), addr(2)]).len(), 2);
        assert_eq!(addresses.set_seeds(vec![addr(2), addr(1)]), []);
        for port in 3..50 {
            addresses.saw(addr(port), Timestamp::ZERO);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..100 {
            let picked = addresses.pick(2, addr(2), &mut rng);
            assert_eq!(picked[0], addr(1));
            assert!(picked[1] != addr(1) && picked[1] != addr(2));
        }
    }
}
