//! What the disk had at the start: who this node is, and what it held.

use std::{net::SocketAddr, path::Path};

use tidings_types::{Body, Epoch, Key, NodeId, Slot, Snapshot};
use tokio::sync::mpsc;

use crate::{
    clock::wall_ms,
    disk::{
        DataDir, FeedStore, Identity, OnSaved, OpenedFeed, OpenedRegistry, RegistryStore, Saved,
        Successor,
    },
    driver::random_bits,
    error::StartError,
    index,
    transport::NodeKey,
};

/// Words of the disk that wait for the driver. The node has fewer batches under way than that, so
/// the queue is never full while the driver lives.
const WORDS: usize = 4_096;

/// Everything that is kept, opened, with this run's epoch and index taken.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) identity: Identity,
    pub(crate) key: NodeKey,
    pub(crate) epoch: Epoch,
    pub(crate) first_index: u64,
    pub(crate) feed: FeedStore,
    pub(crate) registry: RegistryStore,
    pub(crate) feed_saved: mpsc::Receiver<Saved>,
    pub(crate) registry_saved: mpsc::Receiver<Saved>,
    pub(crate) own: Option<Snapshot>,
    pub(crate) own_damaged: bool,
    pub(crate) replicas: Vec<(Snapshot, bool)>,
    pub(crate) members: Vec<(NodeId, SocketAddr)>,
    /// What this node takes over from the identity that it had before, if it has a new one.
    pub(crate) inherited: Option<Vec<(Key, Body)>>,
    /// Where all of it is kept; `None` in memory.
    pub(crate) dir: Option<DataDir>,
}

impl Storage {
    /// Opens the data directory, or keeps everything in memory without one. Blocks.
    ///
    /// # Errors
    /// If the disk cannot be used, or a person has to decide about it.
    pub(crate) fn open(data_dir: Option<&Path>) -> Result<Self, StartError> {
        let fresh = NodeKey::generate()?;
        let dir = data_dir.map(DataDir::open).transpose()?;
        let inherited = match &dir {
            Some(dir) => succeed(dir)?,
            None => None,
        };
        let mut identity = match &dir {
            Some(dir) => Identity::load_or_create(dir, || fresh.pkcs8().to_vec())?.0,
            None => Identity::in_memory(fresh.pkcs8().to_vec()),
        };
        let key = NodeKey::from_pkcs8(identity.pkcs8())?;
        let now = wall_ms();
        let random = random_bits().map_err(|_| StartError::NoRandomness)?;
        let epoch = identity.take_epoch(now, random, None)?;
        let first_index = index::begin(&mut identity, now)?;
        let (on_feed, feed_saved) = words();
        let (on_registry, registry_saved) = words();
        let me = key.node_id();
        let (feed, registry) = match &dir {
            Some(dir) => (
                FeedStore::open(dir, me, on_feed)?,
                RegistryStore::open(dir, on_registry)?,
            ),
            None => in_memory(me, on_feed, on_registry),
        };
        Ok(Self {
            identity,
            key,
            epoch,
            first_index,
            feed: feed.store,
            registry: registry.store,
            feed_saved,
            registry_saved,
            own: feed.snapshot,
            own_damaged: feed.damaged,
            replicas: registry.snapshots,
            members: registry.members,
            inherited,
            dir,
        })
    }

    /// How many records of this node, and of all others, the disk had.
    pub(crate) fn found(&self) -> (usize, usize) {
        let records = |snapshot: &Snapshot| {
            let changes = snapshot.changes.iter();
            changes
                .filter(|change| matches!(change.slot, Slot::Entry(_)))
                .count()
        };
        let others = self.replicas.iter().map(|(replica, _)| records(replica));
        (self.own.as_ref().map_or(0, records), others.sum())
    }
}

/// Becomes the node that the last run decided to become, if it did; returns what moves along.
fn succeed(dir: &DataDir) -> Result<Option<Vec<(Key, Body)>>, StartError> {
    let Some(successor) = Successor::load(dir)? else {
        return Ok(None);
    };
    let node = NodeKey::from_pkcs8(successor.pkcs8())?.node_id();
    Identity::succeed(dir, successor.pkcs8())?;
    let records = successor.into_records();
    tracing::warn!(
        %node,
        registrations = records.len(),
        "going on under a new identity, because another agent holds the one before"
    );
    Ok(Some(records))
}

/// Stores that keep nothing, and found nothing.
fn in_memory(me: NodeId, on_feed: OnSaved, on_registry: OnSaved) -> (OpenedFeed, OpenedRegistry) {
    let feed = OpenedFeed {
        store: FeedStore::in_memory(me, on_feed),
        snapshot: None,
        findings: Vec::new(),
        damaged: false,
    };
    let registry = OpenedRegistry {
        store: RegistryStore::in_memory(on_registry),
        snapshots: Vec::new(),
        members: Vec::new(),
        findings: Vec::new(),
    };
    (feed, registry)
}

/// A store's words on their way to the driver.
fn words() -> (OnSaved, mpsc::Receiver<Saved>) {
    let (sender, receiver) = mpsc::channel(WORDS);
    let on_saved = move |saved| {
        if let Err(mpsc::error::TrySendError::Full(lost)) = sender.try_send(saved) {
            tracing::error!(
                ?lost,
                "a word of the disk was lost: the driver does not keep up"
            );
        }
    };
    (Box::new(on_saved), receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_keeps_the_node_and_raises_epoch_and_index() {
        let place = tempfile::tempdir().unwrap();
        let first = Storage::open(Some(place.path())).unwrap();
        let (id, epoch, index) = (first.key.node_id(), first.epoch, first.first_index);
        drop(first);
        let second = Storage::open(Some(place.path())).unwrap();
        assert_eq!(second.key.node_id(), id);
        assert!(second.epoch > epoch);
        assert!(second.first_index > index);
    }

    #[test]
    fn two_agents_in_memory_are_two_nodes() {
        let (a, b) = (Storage::open(None).unwrap(), Storage::open(None).unwrap());
        assert_ne!(a.key.node_id(), b.key.node_id());
    }

    #[test]
    fn a_directory_in_use_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let _first = Storage::open(Some(place.path())).unwrap();
        let error = Storage::open(Some(place.path())).unwrap_err();
        assert!(matches!(error, StartError::Disk(_)), "{error}");
    }
}
