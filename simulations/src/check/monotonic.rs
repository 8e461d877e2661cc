//! A3 and A5: at one agent a record never goes back, and what is gone stays gone.

use std::collections::BTreeMap;

use tidings_types::{Key, NodeId, Timestamp, version::Rank};

use super::Violation;

/// What one agent's readers have seen of each key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Floors {
    keys: BTreeMap<Key, Floor>,
    /// Everything before this moment has been saved.
    kept: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct Floor {
    /// The greatest version shown live.
    shown: Option<Rank>,
    /// The greatest version that is known to be gone, and since when.
    gone: Option<(Rank, Timestamp)>,
}

impl Floors {
    /// A version is shown: live, or as the tombstone that holds all before it down.
    pub(crate) fn shown(
        &mut self,
        now: Timestamp,
        host: usize,
        key: &Key,
        rank: Option<Rank>,
        live: bool,
    ) -> Result<(), Violation> {
        let broken = |invariant, text| Violation {
            invariant,
            at: now,
            host: Some(host),
            text,
        };
        let Some(rank) = rank else {
            return Ok(());
        };
        let floor = self.keys.entry(key.clone()).or_default();
        if !live {
            // An older tombstone shows up again when the owner removes what had beaten it.
            let gone = floor.shown.map_or(rank, |shown| shown.max(rank));
            floor.gone = Some((gone, now));
            return Ok(());
        }
        if let Some((gone, since)) = floor.gone
            && rank <= gone
        {
            let text = format!(
                "{key:?} is back with {rank:?}, though it was gone at {gone:?} since {since}"
            );
            return Err(broken("A5", text));
        }
        if floor.shown.is_some_and(|shown| rank < shown) {
            let text = format!("{key:?} goes back from {:?} to {rank:?}", floor.shown);
            return Err(broken("A3", text));
        }
        floor.shown = Some(rank);
        Ok(())
    }

    /// Nothing is shown any more: the greatest version shown is gone.
    pub(crate) fn removed(&mut self, now: Timestamp, key: &Key) {
        let floor = self.keys.entry(key.clone()).or_default();
        if let Some(shown) = floor.shown {
            floor.gone = Some((shown, now));
        }
    }

    /// The feed of `owner` is not on this disk any more.
    pub(crate) fn parted_with(&mut self, owner: NodeId) {
        self.keys.retain(|key, _| key.owner() != Some(owner));
    }

    /// What a restart is judged against whose own feed was damaged: nothing but that replicas were
    /// saved.
    pub(crate) const fn of_a_torn_disk(&self) -> Self {
        Self {
            keys: BTreeMap::new(),
            kept: self.kept,
        }
    }

    /// Everything that was shown before `at` has been saved.
    pub(crate) fn kept(&mut self, at: Timestamp) {
        self.kept = self.kept.max(at);
    }

    /// Before which everything that was shown has been saved.
    pub(crate) const fn kept_until(&self) -> Timestamp {
        self.kept
    }

    /// What a restart from the disk is judged against: removals that were saved. Versions are
    /// judged while the process lives.
    pub(crate) fn saved(&self) -> Self {
        let keys = self.keys.iter().filter_map(|(key, floor)| {
            let gone = floor.gone.filter(|(_, since)| *since < self.kept)?;
            Some((
                key.clone(),
                Floor {
                    shown: None,
                    gone: Some(gone),
                },
            ))
        });
        Self {
            keys: keys.collect(),
            kept: self.kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_types::{CheckId, Epoch, Place, Version};

    use super::*;

    fn key() -> Key {
        Key::Check(NodeId::from_bytes([1; 16]), CheckId::new("c").unwrap())
    }

    fn rank(seq: u64) -> Option<Rank> {
        Some(
            Version::Owner(Place {
                epoch: Epoch::from_bits(1),
                seq,
            })
            .rank(),
        )
    }

    fn show(floors: &mut Floors, at: u64, seq: u64) -> Result<(), &'static str> {
        let at = Timestamp::from_micros(at);
        floors
            .shown(at, 0, &key(), rank(seq), true)
            .map_err(|v| v.invariant)
    }

    #[test]
    fn going_back_and_coming_back_are_told_apart() {
        let mut floors = Floors::default();
        assert_eq!(show(&mut floors, 1, 5), Ok(()));
        assert_eq!(show(&mut floors, 2, 4), Err("A3"));
        floors.removed(Timestamp::from_micros(3), &key());
        assert_eq!(show(&mut floors, 4, 5), Err("A5"));
        assert_eq!(show(&mut floors, 5, 6), Ok(()));
    }

    #[test]
    fn a_restart_is_judged_against_what_was_saved() {
        let mut floors = Floors::default();
        show(&mut floors, 1, 5).unwrap();
        floors.removed(Timestamp::from_micros(3), &key());
        floors.kept(Timestamp::from_micros(3));
        assert_eq!(show(&mut floors.saved(), 4, 5), Ok(()));
        floors.kept(Timestamp::from_micros(4));
        assert_eq!(show(&mut floors.saved(), 4, 5), Err("A5"));
        assert_eq!(show(&mut floors.saved(), 4, 6), Ok(()));
    }
}
