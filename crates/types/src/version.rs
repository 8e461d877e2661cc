//! Which of two writes to one key wins, and whether the loser was known to the winner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Dot, Epoch, Hlc, NodeId, limits::CLOCK_ENTRIES};

/// What one write to a key says of its place among the writes to that key.
///
/// Versions of one key are compared by [`Version::rank`]; the greatest one among the entries of all
/// feeds is in force. Wall clocks order nothing but shared keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Version {
    /// A registration of an owner key by its owner. One writer, so the vector clock has one entry:
    /// this dot. A restamp gives the entry a new dot and keeps this one.
    Owner(Dot),
    /// A tombstone that another node put over an owner key: it beats the owner's registration with
    /// this dot and all before, and none after.
    Override(Dot),
    /// A write to a shared key, by any node.
    Shared {
        /// Greater than every stamp that the writer had seen for the key.
        stamp: Hlc,
        /// The write's own dot; breaks ties between equal stamps.
        dot: Dot,
        /// Which writes to this key the writer had seen.
        clock: VectorClock,
    },
}

/// The order of versions of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    stamp: Hlc,
    dot: Dot,
    overrides: bool,
}

impl Version {
    /// What versions of one key are compared by. Equal ranks mean the same write, or two overrides
    /// of the same registration, which say the same.
    pub const fn rank(&self) -> Rank {
        match *self {
            Self::Owner(dot) => Rank {
                stamp: Hlc::from_bits(0),
                dot,
                overrides: false,
            },
            Self::Override(dot) => Rank {
                stamp: Hlc::from_bits(0),
                dot,
                overrides: true,
            },
            Self::Shared { stamp, dot, .. } => Rank {
                stamp,
                dot,
                overrides: false,
            },
        }
    }

    /// The dot that names the write: the registration's, the one that an override saw, or the
    /// shared write's own.
    pub const fn dot(&self) -> Dot {
        match *self {
            Self::Owner(dot) | Self::Override(dot) | Self::Shared { dot, .. } => dot,
        }
    }
}

/// Per node and epoch, the greatest dot for one shared key that a writer had seen.
///
/// It decides no winner: it only tells whether a beaten write is history (known to the winner) or a
/// conflict (written in ignorance of it). Bounded: a cut clock is flagged and can make false
/// conflicts, never another winner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct VectorClock {
    seen: BTreeMap<(NodeId, Epoch), u64>,
    cut: bool,
}

#[derive(Serialize, Deserialize)]
struct Parts {
    seen: BTreeMap<(NodeId, Epoch), u64>,
    cut: bool,
}

/// The clock has more than [`CLOCK_ENTRIES`] entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a vector clock has at most {CLOCK_ENTRIES} entries")]
pub struct MalformedClock;

impl TryFrom<Parts> for VectorClock {
    type Error = MalformedClock;

    fn try_from(Parts { seen, cut }: Parts) -> Result<Self, MalformedClock> {
        if seen.len() > CLOCK_ENTRIES {
            Err(MalformedClock)
        } else {
            Ok(Self { seen, cut })
        }
    }
}

impl From<VectorClock> for Parts {
    fn from(VectorClock { seen, cut }: VectorClock) -> Self {
        Self { seen, cut }
    }
}

impl VectorClock {
    /// The clock of a writer that had seen nothing.
    pub const fn empty() -> Self {
        Self {
            seen: BTreeMap::new(),
            cut: false,
        }
    }

    /// Whether the write `dot` was known.
    pub fn covers(&self, dot: Dot) -> bool {
        self.seen
            .get(&(dot.node, dot.epoch))
            .is_some_and(|&seq| seq >= dot.seq)
    }

    /// Takes note of the write `dot`.
    pub fn insert(&mut self, dot: Dot) {
        let seq = self.seen.entry((dot.node, dot.epoch)).or_insert(dot.seq);
        *seq = (*seq).max(dot.seq);
        self.trim();
    }

    /// Takes note of everything that `other` had seen.
    pub fn join(&mut self, other: &Self) {
        for (&at, &seq) in &other.seen {
            let mine = self.seen.entry(at).or_insert(seq);
            *mine = (*mine).max(seq);
        }
        self.cut |= other.cut;
        self.trim();
    }

    /// Whether entries were dropped to keep the clock short.
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// The dots that the clock holds, one per node and epoch.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.seen
            .iter()
            .map(|(&(node, epoch), &seq)| Dot { epoch, seq, node })
    }

    /// Drops the oldest epochs until the clock fits.
    fn trim(&mut self) {
        while self.seen.len() > CLOCK_ENTRIES {
            let oldest = self
                .seen
                .keys()
                .copied()
                .min_by_key(|&(node, epoch)| (epoch, node));
            if let Some(oldest) = oldest {
                self.seen.remove(&oldest);
            }
            self.cut = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(node: u8, seq: u64) -> Dot {
        Dot {
            epoch: Epoch::from_bits(1),
            seq,
            node: NodeId::from_bytes([node; 16]),
        }
    }

    #[test]
    fn an_override_beats_what_it_saw_and_nothing_later() {
        let over = Version::Override(dot(1, 5)).rank();
        assert!(over > Version::Owner(dot(1, 5)).rank());
        assert!(over > Version::Owner(dot(1, 4)).rank());
        assert!(over < Version::Owner(dot(1, 6)).rank());
    }

    #[test]
    fn a_long_clock_is_cut_and_says_so() {
        let mut clock = VectorClock::empty();
        for node in 0..=CLOCK_ENTRIES {
            clock.insert(dot(u8::try_from(node).unwrap(), 1));
        }
        assert!(clock.is_cut());
        assert_eq!(clock.dots().count(), CLOCK_ENTRIES);
    }
}
