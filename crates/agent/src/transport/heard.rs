//! Who seals under which cluster key, as the operator of a rotation needs to know it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use tidings_types::{ClusterKeyId, NodeId};

/// The key of each sender's latest datagram. Written when a sender takes another key, which is
/// rare; holds as many senders as the opener remembers.
#[derive(Debug, Default)]
pub(super) struct KeysHeard(Mutex<BTreeMap<NodeId, ClusterKeyId>>);

impl KeysHeard {
    /// `node` seals under this key now.
    pub(super) fn learn(&self, node: NodeId, key: ClusterKeyId) {
        self.lock().insert(node, key);
    }

    /// Forgets the nodes that `keep` does not want.
    pub(super) fn retain(&self, keep: impl Fn(NodeId) -> bool) {
        self.lock().retain(|&node, _| keep(node));
    }

    /// All of it.
    pub(super) fn all(&self) -> BTreeMap<NodeId, ClusterKeyId> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, ClusterKeyId>> {
        self.0
            .lock()
            .expect("no code panics while it holds the list of keys heard")
    }
}
