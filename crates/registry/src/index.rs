//! Which feeds hold an entry for a key besides the feed of the key's owner. Removal marks are no
//! entries.
//!
//! Nearly every entry stands in its owner's feed, where it is found without an index.

use std::collections::BTreeMap;

use tidings_types::{Key, NodeId};

#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Overrides, apart by the owner of what they remove.
    overridden: BTreeMap<NodeId, Holders>,
    shared: Holders,
}

/// The holders of each key, in order.
type Holders = BTreeMap<Key, Vec<NodeId>>;

impl Index {
    /// Notes whether `holder`'s feed has an entry for `key`.
    pub(crate) fn note(&mut self, key: &Key, holder: NodeId, holds: bool) {
        let Some(owner) = key.owner() else {
            note(&mut self.shared, key, holder, holds);
            return;
        };
        if owner == holder {
            return;
        }
        let keys = self.overridden.entry(owner).or_default();
        note(keys, key, holder, holds);
        if keys.is_empty() {
            self.overridden.remove(&owner);
        }
    }

    /// Who holds an entry for `key`, its owner left out.
    pub(crate) fn holders(&self, key: &Key) -> &[NodeId] {
        let keys = match key.owner() {
            Some(owner) => self.overridden.get(&owner),
            None => Some(&self.shared),
        };
        keys.and_then(|keys| keys.get(key))
            .map_or(&[], Vec::as_slice)
    }

    /// The shared keys.
    pub(crate) fn shared(&self) -> impl Iterator<Item = &Key> {
        self.shared.keys()
    }

    /// The nodes with keys over which others put an override.
    pub(crate) fn overridden_owners(&self) -> impl Iterator<Item = NodeId> {
        self.overridden.keys().copied()
    }

    /// The keys of `owner` over which others put an override.
    pub(crate) fn overridden(&self, owner: NodeId) -> impl Iterator<Item = &Key> {
        let keys = self.overridden.get(&owner);
        keys.into_iter().flat_map(BTreeMap::keys)
    }
}

fn note(keys: &mut Holders, key: &Key, holder: NodeId, holds: bool) {
    if holds {
        let holders = keys.entry(key.clone()).or_default();
        if let Err(at) = holders.binary_search(&holder) {
            holders.insert(at, holder);
        }
    } else if let Some(holders) = keys.get_mut(key) {
        holders.retain(|&other| other != holder);
        if holders.is_empty() {
            keys.remove(key);
        }
    }
}
