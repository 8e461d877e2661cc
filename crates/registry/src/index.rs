//! Which feeds hold an entry for a key. Removal marks are no entries.

use std::collections::BTreeMap;

use tidings_types::{Key, NodeId};

/// Owner keys lie apart by owner, so that a node's records are found without a search.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    owned: BTreeMap<NodeId, BTreeMap<Key, Vec<NodeId>>>,
    shared: BTreeMap<Key, Vec<NodeId>>,
}

impl Index {
    /// Notes whether `holder`'s feed has an entry for `key`.
    pub(crate) fn note(&mut self, key: &Key, holder: NodeId, holds: bool) {
        let Some(owner) = key.owner() else {
            note(&mut self.shared, key, holder, holds);
            return;
        };
        let keys = self.owned.entry(owner).or_default();
        note(keys, key, holder, holds);
        if keys.is_empty() {
            self.owned.remove(&owner);
        }
    }

    pub(crate) fn holders(&self, key: &Key) -> &[NodeId] {
        let keys = match key.owner() {
            Some(owner) => self.owned.get(&owner),
            None => Some(&self.shared),
        };
        keys.and_then(|keys| keys.get(key))
            .map_or(&[], Vec::as_slice)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        let owned = self.owned.values().flat_map(BTreeMap::keys);
        owned.chain(self.shared.keys())
    }

    pub(crate) fn owned_by(&self, owner: NodeId) -> impl Iterator<Item = &Key> {
        self.owned.get(&owner).into_iter().flat_map(BTreeMap::keys)
    }
}

fn note(keys: &mut BTreeMap<Key, Vec<NodeId>>, key: &Key, holder: NodeId, holds: bool) {
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
