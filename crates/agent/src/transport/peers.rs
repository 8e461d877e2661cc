//! The connections that have proved their peer, whoever dialed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use quinn::Connection;
use tidings_types::{ClusterKeyId, Epoch, NodeId};

use super::{
    handshake::{Reason, close_for},
    keyring::KeyRing,
};

/// Open connections by peer and run, so that those to a run that is over, and those whose cluster key
/// was removed, can be closed at once.
#[derive(Debug, Default)]
pub(super) struct Peers(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    connections: BTreeMap<(NodeId, Epoch, u64), (ClusterKeyId, Connection)>,
    next: u64,
}

/// Keeps a connection's place; gives it up when dropped.
#[derive(Debug)]
pub(super) struct Place {
    peers: Arc<Peers>,
    at: (NodeId, Epoch, u64),
}

impl Peers {
    /// Takes note of a proven connection.
    pub(super) fn enter(
        self: &Arc<Self>,
        node: NodeId,
        epoch: Epoch,
        key: ClusterKeyId,
        connection: Connection,
    ) -> Place {
        let mut open = self.lock();
        let at = (node, epoch, open.next);
        open.next += 1;
        open.connections.insert(at, (key, connection));
        Place {
            peers: Arc::clone(self),
            at,
        }
    }

    /// Closes the connections to runs of `node` before `epoch`; returns how many.
    pub(super) fn close_older(&self, node: NodeId, epoch: Epoch) -> usize {
        let older: Vec<Connection> = self
            .lock()
            .connections
            .range((node, Epoch::ZERO, 0)..(node, epoch, 0))
            .map(|(_, (_, connection))| connection.clone())
            .collect();
        close_all(&older, Reason::Restarted)
    }

    /// Closes the connections whose cluster key `ring` does not hold; returns how many.
    pub(super) fn close_unproven(&self, ring: &KeyRing) -> usize {
        let unproven: Vec<Connection> = self
            .lock()
            .connections
            .values()
            .filter(|(key, _)| !ring.holds(*key))
            .map(|(_, connection)| connection.clone())
            .collect();
        close_all(&unproven, Reason::KeyRemoved)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0
            .lock()
            .expect("no code panics while it holds the list of connections")
    }
}

/// Closes those that are open; returns how many were.
fn close_all(connections: &[Connection], reason: Reason) -> usize {
    connections
        .iter()
        .filter(|connection| connection.close_reason().is_none())
        .map(|connection| close_for(connection, reason))
        .count()
}

impl Drop for Place {
    fn drop(&mut self) {
        // The handle is dropped outside of the lock: the last one closes its connection.
        let connection = self.peers.lock().connections.remove(&self.at);
        drop(connection);
    }
}
