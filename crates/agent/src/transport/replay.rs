//! Which of a sender's counters have been seen.
//!
//! The bitmap of RFC 6479: blocks of a ring are cleared as the window moves on, nothing is shifted.

/// The greatest counter taken, and which of the latest ones before it.
///
/// A sender's counter grows with each datagram to anybody, so two datagrams to one receiver lie
/// about as far apart as the sender has peers in a round. The window is therefore much wider than
/// the 64 that are usual between two parties: a late packet is still new.
#[derive(Clone, Debug)]
pub(super) struct Window {
    greatest: u64,
    blocks: [u64; BLOCKS],
}

impl Window {
    /// A window in which only `counter` has been seen.
    pub(super) fn starting_at(counter: u64) -> Self {
        let mut window = Self {
            greatest: counter,
            blocks: [0; BLOCKS],
        };
        window.set(counter);
        window
    }

    /// The greatest counter taken.
    pub(super) const fn greatest(&self) -> u64 {
        self.greatest
    }

    /// Whether `counter` was not seen and is not too old to tell.
    pub(super) fn is_new(&self, counter: u64) -> bool {
        if counter > self.greatest {
            return true;
        }
        if self.greatest - counter >= REACH {
            return false;
        }
        self.blocks[index(counter)] & bit(counter) == 0
    }

    /// Takes note of `counter`. To be called only once the datagram's tag has been verified.
    pub(super) fn mark(&mut self, counter: u64) {
        if counter > self.greatest {
            let from = self.greatest / BLOCK_BITS;
            let passed = (counter / BLOCK_BITS - from).min(LEN);
            for block in 1..=passed {
                self.blocks[index((from + block).wrapping_mul(BLOCK_BITS))] = 0;
            }
            self.greatest = counter;
        }
        self.set(counter);
    }

    fn set(&mut self, counter: u64) {
        self.blocks[index(counter)] |= bit(counter);
    }
}

fn index(counter: u64) -> usize {
    let block = counter / BLOCK_BITS % LEN;
    usize::try_from(block).expect("a remainder of the number of blocks")
}

const fn bit(counter: u64) -> u64 {
    1 << (counter % BLOCK_BITS)
}

const BLOCK_BITS: u64 = 64;
const BLOCKS: usize = 16;
const LEN: u64 = 16;
/// How far behind the greatest counter a new one may be: one block less than the ring holds, since
/// the newest block may have just been begun.
const REACH: u64 = (LEN - 1) * BLOCK_BITS;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn late_counters_are_taken_once_and_old_ones_never() {
        let mut window = Window::starting_at(1_000);
        for counter in [1_002, 1_001, 2_500, 2_499, 2_500 - REACH + 1] {
            assert!(window.is_new(counter), "{counter}");
            window.mark(counter);
            assert!(!window.is_new(counter), "{counter}");
        }
        assert!(!window.is_new(2_500 - REACH));
        assert!(!window.is_new(1_000));
        assert!(window.is_new(u64::MAX));
        window.mark(u64::MAX);
        assert!(!window.is_new(u64::MAX) && window.is_new(u64::MAX - 1));
    }

    proptest! {
        /// The ring agrees with a plain set of everything seen.
        #[test]
        fn the_ring_equals_a_set(start in 0_u64..5_000, steps in prop::collection::vec((any::<bool>(), 0_u64..1_500), 1..400)) {
            let mut window = Window::starting_at(start);
            let mut seen = BTreeSet::from([start]);
            for (forward, step) in steps {
                let counter = if forward { window.greatest() + step } else { window.greatest().saturating_sub(step) };
                let expected = !seen.contains(&counter) && counter + REACH > window.greatest();
                prop_assert_eq!(window.is_new(counter), expected);
                if expected {
                    window.mark(counter);
                    seen.insert(counter);
                }
            }
        }
    }
}
