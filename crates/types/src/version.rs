//! Which of two writes to one key wins, and whether the loser was known to the winner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Dot, Epoch, Hlc, Key, NodeId, limits::CLOCK_ENTRIES};

/// What one write to a key says of its place among the writes to that key.
///
/// Versions of one key are compared by [`Version::rank`]; the greatest one among the entries of all
/// feeds is in force. Wall clocks order nothing but shared keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Version {
    /// A registration of an owner key by its owner. One writer, so the vector clock has one entry:
    /// this change of the owner's. A restamp gives the entry a new dot and keeps this one.
    Owner(Place),
    /// A tombstone that another node put over an owner key: it beats the registration that was this
    /// change of the owner's and all before, and none after.
    Override(Place),
    /// A write to a shared key, by any node. Apart, since most records are their owner's.
    Shared(Box<SharedWrite>),
}

/// A change's place in its feed: its dot, where the key or the feed names the node already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The run in which the change was made.
    pub epoch: Epoch,
    /// The change's number in its epoch, from 1.
    pub seq: u64,
}

impl Place {
    /// The dot of the change there in the feed of `node`.
    pub const fn of(self, node: NodeId) -> Dot {
        let Self { epoch, seq } = self;
        Dot { epoch, seq, node }
    }
}

impl From<Dot> for Place {
    fn from(Dot { epoch, seq, .. }: Dot) -> Self {
        Self { epoch, seq }
    }
}

/// What one write to a shared key says of its place among the writes to that key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SharedWrite {
    /// Greater than every stamp that the writer had seen for the key.
    pub stamp: Hlc,
    /// The write's own dot; breaks ties between equal stamps.
    pub dot: Dot,
    /// Which writes to this key the writer had seen.
    pub clock: VectorClock,
}

/// The order of versions of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    stamp: Hlc,
    place: Place,
    /// Of a shared key, the writer.
    node: Option<NodeId>,
    overrides: bool,
}

impl Version {
    /// What versions of one key are compared by. Equal ranks mean the same write, or two overrides
    /// of the same registration, which say the same.
    pub fn rank(&self) -> Rank {
        let of_owner = |place, overrides| Rank {
            stamp: Hlc::from_bits(0),
            place,
            node: None,
            overrides,
        };
        match self {
            Self::Owner(place) => of_owner(*place, false),
            Self::Override(seen) => of_owner(*seen, true),
            Self::Shared(write) => Rank {
                stamp: write.stamp,
                place: write.dot.into(),
                node: Some(write.dot.node),
                overrides: false,
            },
        }
    }

    /// The place of the change that names the write: the registration's, the one that an override saw,
    /// or the shared write's own.
    pub const fn place(&self) -> Place {
        match self {
            Self::Owner(place) | Self::Override(place) => *place,
            Self::Shared(write) => Place {
                epoch: write.dot.epoch,
                seq: write.dot.seq,
            },
        }
    }

    /// The same as a dot; the key names the node of an owner's change.
    pub fn dot(&self, key: &Key) -> Option<Dot> {
        match self {
            Self::Owner(place) | Self::Override(place) => Some(place.of(key.owner()?)),
            Self::Shared(write) => Some(write.dot),
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
pub struct VectorClock(Option<Box<Seen>>);

/// What a clock that is not empty holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Seen {
    /// In order. A map would take twice the memory, and clocks are compared more than they are changed.
    greatest: Box<[((NodeId, Epoch), u64)]>,
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
            return Err(MalformedClock);
        }
        Ok(Self::of(seen, cut))
    }
}

impl From<VectorClock> for Parts {
    fn from(VectorClock(seen): VectorClock) -> Self {
        let Seen { greatest, cut } = seen.map_or_else(Seen::default, |seen| *seen);
        Self {
            seen: greatest.into_iter().collect(),
            cut,
        }
    }
}

impl VectorClock {
    /// The clock of a writer that had seen nothing.
    pub const fn empty() -> Self {
        Self(None)
    }

    fn of(seen: BTreeMap<(NodeId, Epoch), u64>, cut: bool) -> Self {
        let is_empty = seen.is_empty() && !cut;
        let greatest = seen.into_iter().collect();
        Self((!is_empty).then(|| Box::new(Seen { greatest, cut })))
    }

    fn greatest(&self) -> &[((NodeId, Epoch), u64)] {
        self.0.as_ref().map_or(&[], |seen| &seen.greatest)
    }

    /// Whether the write `dot` was known.
    pub fn covers(&self, dot: Dot) -> bool {
        let at = (dot.node, dot.epoch);
        let greatest = self.greatest();
        greatest
            .binary_search_by_key(&at, |&(at, _)| at)
            .is_ok_and(|found| greatest[found].1 >= dot.seq)
    }

    /// Takes note of the write `dot`.
    pub fn insert(&mut self, dot: Dot) {
        self.extend([((dot.node, dot.epoch), dot.seq)], false);
    }

    /// Takes note of everything that `other` had seen.
    pub fn join(&mut self, other: &Self) {
        self.extend(other.greatest().iter().copied(), other.is_cut());
    }

    /// Whether entries were dropped to keep the clock short.
    pub fn is_cut(&self) -> bool {
        self.0.as_ref().is_some_and(|seen| seen.cut)
    }

    /// The dots that the clock holds, one per node and epoch.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.greatest()
            .iter()
            .map(|&((node, epoch), seq)| Dot { epoch, seq, node })
    }

    /// Takes note of writes, then drops the oldest epochs until the clock fits.
    fn extend(&mut self, writes: impl IntoIterator<Item = ((NodeId, Epoch), u64)>, cut: bool) {
        let mut cut = cut || self.is_cut();
        let mut seen: BTreeMap<_, _> = self.greatest().iter().copied().collect();
        for (at, seq) in writes {
            let greatest = seen.entry(at).or_insert(seq);
            *greatest = (*greatest).max(seq);
        }
        while seen.len() > CLOCK_ENTRIES {
            let oldest = seen
                .keys()
                .copied()
                .min_by_key(|&(node, epoch)| (epoch, node));
            if let Some(oldest) = oldest {
                seen.remove(&oldest);
            }
            cut = true;
        }
        *self = Self::of(seen, cut);
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
        let over = Version::Override(dot(1, 5).into()).rank();
        assert!(over > Version::Owner(dot(1, 5).into()).rank());
        assert!(over > Version::Owner(dot(1, 4).into()).rank());
        assert!(over < Version::Owner(dot(1, 6).into()).rank());
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
