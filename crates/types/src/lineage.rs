//! How much of one feed somebody holds.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use crate::{Dot, Epoch, limits::LINEAGE_EPOCHS};

/// A position in one node's feed: the floor, and the head (highest contiguous seq) of each epoch
/// that has dots.
///
/// Everything below the floor's epoch is covered. Positions are a lattice: [`Lineage::join`] is the
/// least upper bound, [`Lineage::covers`] the order. A node that lost its disk or had it rolled
/// back leaves several epochs with dots behind, so one number would not do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Lineage {
    floor: Epoch,
    /// By epoch. Nearly always one or two, and copied wherever a position is: a map's node would be
    /// ten times the allocation.
    #[serde(serialize_with = "as_map")]
    heads: Vec<(Epoch, u64)>,
}

#[derive(Deserialize)]
struct Parts {
    floor: Epoch,
    #[serde(deserialize_with = "from_map")]
    heads: Vec<(Epoch, u64)>,
}

/// Positions are written as the maps that they are.
fn as_map<S: Serializer>(heads: &[(Epoch, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(heads.iter().copied())
}

/// Reads a map without building one, unless its order is not ours.
fn from_map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Epoch, u64)>, D::Error> {
    struct Heads;

    impl<'de> Visitor<'de> for Heads {
        type Value = Vec<(Epoch, u64)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a map of heads by epoch")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            // Grown as they come: what the bytes claim to hold is no reason to make room.
            let mut heads = Vec::new();
            while let Some(head) = map.next_entry()? {
                heads.push(head);
            }
            if !heads.is_sorted_by(|(a, _), (b, _)| a < b) {
                let by_epoch: BTreeMap<Epoch, u64> = heads.into_iter().collect();
                heads = by_epoch.into_iter().collect();
            }
            Ok(heads)
        }
    }

    deserializer.deserialize_map(Heads)
}

/// The bytes are no position: too many epochs, a head of zero, or a head below the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lineage has at most {LINEAGE_EPOCHS} epochs, none below its floor, each with a head")]
pub struct MalformedLineage;

impl TryFrom<Parts> for Lineage {
    type Error = MalformedLineage;

    fn try_from(Parts { floor, heads }: Parts) -> Result<Self, MalformedLineage> {
        let sound = heads.len() <= LINEAGE_EPOCHS
            && heads
                .iter()
                .all(|&(epoch, head)| epoch >= floor && head > 0);
        if sound {
            Ok(Self { floor, heads })
        } else {
            Err(MalformedLineage)
        }
    }
}

impl Lineage {
    /// The position that covers nothing.
    pub const fn empty() -> Self {
        Self {
            floor: Epoch::ZERO,
            heads: Vec::new(),
        }
    }

    /// The position that covers the first `seq` dots of `epoch`, and nothing else.
    pub fn of(epoch: Epoch, seq: u64) -> Self {
        let mut lineage = Self::empty();
        lineage.advance(epoch, seq);
        lineage
    }

    /// The epoch below which every dot is covered.
    pub const fn floor(&self) -> Epoch {
        self.floor
    }

    /// The highest contiguous seq held of `epoch`, 0 if none.
    pub fn head(&self, epoch: Epoch) -> u64 {
        // The newest is asked for most, and is all there is in most feeds.
        match self.heads.last() {
            Some(&(at, head)) if at == epoch => head,
            Some(&(at, _)) if at > epoch => {
                let at = self.heads.binary_search_by_key(&epoch, |&(at, _)| at);
                at.map_or(0, |at| self.heads[at].1)
            }
            _ => 0,
        }
    }

    /// The epochs that have dots, oldest first, with their heads.
    pub fn heads(&self) -> impl DoubleEndedIterator<Item = (Epoch, u64)> + '_ {
        self.heads.iter().copied()
    }

    /// The newest epoch that has dots.
    pub fn last_epoch(&self) -> Option<Epoch> {
        self.heads.last().map(|&(epoch, _)| epoch)
    }

    /// How many epochs have dots.
    pub fn epochs(&self) -> usize {
        self.heads.len()
    }

    /// Whether nothing is covered.
    pub fn is_empty(&self) -> bool {
        self.floor == Epoch::ZERO && self.heads.is_empty()
    }

    /// Whether the dot `(epoch, seq)` of this feed is held.
    pub fn covers_dot(&self, epoch: Epoch, seq: u64) -> bool {
        epoch < self.floor || seq <= self.head(epoch)
    }

    /// Whether `dot`, taken as one of this feed's, is held.
    pub fn covers_its(&self, dot: Dot) -> bool {
        self.covers_dot(dot.epoch, dot.seq)
    }

    /// Whether every dot that `other` covers is held here.
    ///
    /// The floor's own move has a dot, so a position that covers `other`'s heads has seen its floor.
    pub fn covers(&self, other: &Self) -> bool {
        self.floor >= other.floor
            && other
                .heads()
                .all(|(epoch, head)| self.covers_dot(epoch, head))
    }

    /// Raises the head of `epoch` to `seq`; a lower one, or an epoch below the floor, changes nothing.
    pub fn advance(&mut self, epoch: Epoch, seq: u64) {
        if seq > 0 && epoch >= self.floor {
            match self.heads.binary_search_by_key(&epoch, |&(at, _)| at) {
                Ok(at) => self.heads[at].1 = self.heads[at].1.max(seq),
                Err(at) => self.heads.insert(at, (epoch, seq)),
            }
        }
    }

    /// Raises the floor to `epoch` and forgets the heads below it.
    pub fn raise_floor(&mut self, epoch: Epoch) {
        if epoch > self.floor {
            self.floor = epoch;
            self.heads.retain(|&(at, _)| at >= epoch);
        }
    }

    /// The least position that covers both: the greater floor, and each epoch's greater head.
    ///
    /// Of more than [`LINEAGE_EPOCHS`] epochs the newest stay, above a floor that covers the rest. An
    /// owner restamps long before; only a liar's feed comes to this, and every replica to the same.
    pub fn join(&mut self, other: &Self) {
        self.raise_floor(other.floor);
        for (epoch, head) in other.heads() {
            self.advance(epoch, head);
        }
        if let Some(above) = self.heads.len().checked_sub(LINEAGE_EPOCHS + 1) {
            let kept = self.heads.get(above + 1).map(|&(epoch, _)| epoch);
            self.raise_floor(kept.unwrap_or(self.floor));
        }
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[")?;
        if self.floor != Epoch::ZERO {
            write!(f, "<{:?}", self.floor)?;
        }
        self.heads()
            .try_for_each(|(epoch, head)| write!(f, " {epoch:?}:{head}"))?;
        write!(f, "]")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lineage() -> impl Strategy<Value = Lineage> {
        (0u64..4, prop::collection::btree_map(0u64..6, 1u64..5, 0..5)).prop_map(|(floor, heads)| {
            let mut lineage = Lineage::empty();
            lineage.raise_floor(Epoch::from_bits(floor));
            heads
                .into_iter()
                .for_each(|(e, s)| lineage.advance(Epoch::from_bits(e), s));
            lineage
        })
    }

    fn joined(a: &Lineage, b: &Lineage) -> Lineage {
        let mut c = a.clone();
        c.join(b);
        c
    }

    proptest! {
        #[test]
        fn join_is_the_least_upper_bound(a in lineage(), b in lineage(), c in lineage()) {
            let ab = joined(&a, &b);
            prop_assert!(ab.covers(&a) && ab.covers(&b));
            prop_assert_eq!(&ab, &joined(&b, &a));
            prop_assert_eq!(joined(&ab, &c), joined(&a, &joined(&b, &c)));
            prop_assert_eq!(joined(&a, &a), a.clone());
            if c.covers(&a) && c.covers(&b) {
                prop_assert!(c.covers(&ab));
            }
        }

        #[test]
        fn positions_that_cover_each_other_are_equal_above_the_floor(a in lineage(), b in lineage()) {
            if a.covers(&b) && b.covers(&a) {
                prop_assert_eq!(a, b);
            }
        }
    }

    #[test]
    fn of_too_many_epochs_the_newest_stay_in_whatever_order_they_come() {
        let of = |epochs: std::ops::Range<u64>| {
            let mut lineage = Lineage::empty();
            epochs.for_each(|at| lineage.advance(Epoch::from_bits(at), 1));
            lineage
        };
        let (a, b, c) = (of(1..200), of(150..300), of(280..500));
        let left = joined(&joined(&a, &b), &c);
        assert_eq!(left, joined(&a, &joined(&b, &c)));
        assert_eq!(left, joined(&joined(&c, &a), &b));
        assert_eq!(left.epochs(), LINEAGE_EPOCHS);
        assert_eq!(left.floor(), Epoch::from_bits(500 - 256));
        assert!(left.covers(&a) && left.covers(&b) && left.covers(&c));
    }

    #[test]
    fn a_raised_floor_covers_everything_below_it() {
        let mut lineage = Lineage::of(Epoch::from_bits(3), 9);
        lineage.raise_floor(Epoch::from_bits(5));
        assert!(lineage.covers_dot(Epoch::from_bits(4), 1_000));
        assert!(!lineage.covers_dot(Epoch::from_bits(5), 1));
        assert_eq!(lineage.epochs(), 0);
    }
}
