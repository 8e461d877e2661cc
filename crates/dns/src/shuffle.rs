//! A fair order.

use std::hash::{BuildHasher, RandomState};

/// Puts `items` in a random order, each order as likely as any other.
pub(crate) fn shuffle<T>(items: &mut [T]) {
    if items.len() < 2 {
        return;
    }
    // Keyed by the operating system's randomness; a new key at each call.
    let mut state = RandomState::new().hash_one(items.len());
    for last in (1..items.len()).rev() {
        items.swap(last, below(&mut state, last + 1));
    }
}

/// The next number below `bound`. The bias of the remainder is below one in 2^40.
fn below(state: &mut u64, bound: usize) -> usize {
    // SplitMix64 (Steele, Lea and Flood, 2014).
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let bound = u64::try_from(bound).unwrap_or(u64::MAX);
    usize::try_from(mixed % bound).expect("a number below a length is a length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_first_about_equally_often() {
        let mut first = [0_u32; 5];
        for _ in 0..10_000 {
            let mut items = [0, 1, 2, 3, 4];
            shuffle(&mut items);
            first[items[0]] += 1;
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3, 4]);
        }
        // Expected 2,000 each; 1,600 is ten standard deviations away.
        assert!(first.iter().all(|&times| times > 1_600), "{first:?}");
    }
}
