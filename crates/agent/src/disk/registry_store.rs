//! The other nodes' feeds and the known members on disk: a head start after a restart, no more.
//!
//! Peers can give all of it again: nothing waits for a save, and a damaged file costs no more than
//! the time to fetch.

use std::{
    collections::BTreeSet,
    fmt,
    net::SocketAddr,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use tidings_types::{NodeId, Snapshot, Transfer};

use super::{
    DataDir, DiskError, Finding, OnSaved, SaveError, Saved,
    content::Content,
    database::{self, Abort, Commit, Database, Opener},
    feed_writer::{FeedWriter, change_members},
    finding::Findings,
};

#[cfg(test)]
mod tests;

/// Where replicas of other feeds and the known members are kept.
///
/// The caller keeps, per feed, the position that was last reported as saved, and hands in what came
/// since. A save is reported once it is durable, and a position that was reported stands whatever
/// fails later, so a save that fails or is refused is simply part of the next one. Dropping the
/// store saves what is queued, reports it and closes the file.
pub struct RegistryStore {
    kind: Kind,
    refused: AtomicU64,
}

/// The registry as the disk has it.
#[derive(Debug)]
pub struct OpenedRegistry {
    /// Takes further saves.
    pub store: RegistryStore,
    /// The feeds, and whether each has lost something to damage and must be joined with a peer's
    /// snapshot as if its own lineage were empty. Stays so until the whole feed is saved again.
    pub snapshots: Vec<(Snapshot, bool)>,
    /// Where members were met.
    pub members: Vec<(NodeId, SocketAddr)>,
    /// What was wrong on disk.
    pub findings: Vec<Finding>,
}

/// What to save in one step: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Save {
    /// The caller's number for it.
    pub batch: u64,
    /// A delta is added to its feed. A snapshot, or a delta from the empty position, takes the feed's
    /// place and its mark of damage: a feed is not handed in while it is damaged in memory.
    pub transfers: Vec<Transfer>,
    /// All known members, if they may have changed; [`MEMBERS`] of them are kept.
    pub members: Option<Vec<(NodeId, SocketAddr)>>,
}

enum Kind {
    Memory(OnSaved),
    Disk {
        // Taken by `drop` alone, to end the thread.
        saves: Option<SyncSender<Save>>,
        writer: Option<JoinHandle<()>>,
    },
}

impl RegistryStore {
    /// Opens the registry in `dir`, or begins an empty one. `on_saved` hears of each save.
    ///
    /// # Errors
    /// [`DiskError::NewerFormat`], [`DiskError::InUse`], [`DiskError::Database`] or
    /// [`DiskError::Io`]. Damage is no error.
    pub fn open(dir: &DataDir, on_saved: OnSaved) -> Result<OpenedRegistry, DiskError> {
        Self::open_with(dir, on_saved, database::opener())
    }

    /// A store that answers at once and keeps nothing, for `tidings dev`.
    pub fn in_memory(on_saved: OnSaved) -> Self {
        Self {
            kind: Kind::Memory(on_saved),
            refused: AtomicU64::new(0),
        }
    }

    /// Queues a save. The word on it comes after that on all before it.
    ///
    /// # Errors
    /// [`SaveError::Busy`] or [`SaveError::Closed`]: nothing was queued, no word will come, and the
    /// caller's positions stand; the next save covers this one.
    pub fn save(&self, save: Save) -> Result<(), SaveError> {
        match &self.kind {
            Kind::Memory(on_saved) => {
                on_saved(Saved {
                    batch: save.batch,
                    result: Ok(()),
                });
                Ok(())
            }
            Kind::Disk { saves, .. } => {
                let saves = saves.as_ref().ok_or(SaveError::Closed)?;
                saves.try_send(save).map_err(|error| match error {
                    TrySendError::Full(_) => {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                        SaveError::Busy
                    }
                    TrySendError::Disconnected(_) => SaveError::Closed,
                })
            }
        }
    }

    /// How many saves were refused because others were waiting.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn open_with(
        dir: &DataDir,
        on_saved: OnSaved,
        opener: Opener,
    ) -> Result<OpenedRegistry, DiskError> {
        let path = dir.file(FILE);
        let mut findings = Findings::default();
        let opened = Database::open(path.clone(), opener, &mut findings, Content::read)?;
        let (mut database, content) = (opened.database, opened.content);
        content.check_format(&path)?;
        content.report(&path, &mut findings);
        content.mend(&mut database)?;
        let members = content.members.iter().copied().collect();
        let store = Self::start(dir.clone(), database, members, on_saved)?;
        Ok(OpenedRegistry {
            store,
            snapshots: content.feeds,
            members: content.members,
            findings: findings.finish(path),
        })
    }

    fn start(
        dir: DataDir,
        database: Database,
        members: BTreeSet<(NodeId, SocketAddr)>,
        on_saved: OnSaved,
    ) -> Result<Self, DiskError> {
        let (saves, queue) = sync_channel(QUEUED_SAVES);
        let path = database.path().to_owned();
        let writer = thread::Builder::new()
            .name("registry-writer".into())
            .spawn(move || {
                // The lock on the directory lasts as long as anything may be written in it.
                let _dir = dir;
                Writer {
                    database,
                    on_saved,
                    members,
                }
                .run(&queue);
            })
            .map_err(DiskError::io("start a thread to write", path))?;
        let kind = Kind::Disk {
            saves: Some(saves),
            writer: Some(writer),
        };
        Ok(Self {
            kind,
            refused: AtomicU64::new(0),
        })
    }
}

impl Drop for RegistryStore {
    fn drop(&mut self) {
        if let Kind::Disk { saves, writer } = &mut self.kind {
            drop(saves.take());
            if writer.take().is_some_and(|writer| writer.join().is_err()) {
                tracing::error!(target: "tidings::disk", "the registry's writer ended with a panic");
            }
        }
    }
}

impl fmt::Debug for RegistryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Memory(_) => "memory",
            Kind::Disk { .. } => "disk",
        };
        f.debug_struct("RegistryStore")
            .field("kind", &kind)
            .field("refused", &self.refused())
            .finish()
    }
}

struct Writer {
    database: Database,
    on_saved: OnSaved,
    /// The members that the disk has, so that only differences are written.
    members: BTreeSet<(NodeId, SocketAddr)>,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Save>) {
        while let Ok(save) = queue.recv() {
            let batch = save.batch;
            let result = self.save(save);
            if let Err(error) = &result {
                tracing::warn!(target: "tidings::disk", batch, "{error}");
            }
            (self.on_saved)(Saved { batch, result });
        }
    }

    fn save(&mut self, save: Save) -> Result<(), SaveError> {
        let members: Option<BTreeSet<_>> = save
            .members
            .map(|members| members.into_iter().take(MEMBERS).collect());
        self.database.write(Commit::Durable, |transaction| {
            let mut feeds = FeedWriter::new(transaction, None)?;
            for transfer in &save.transfers {
                feeds.apply(transfer)?.map_err(Abort::Refused)?;
            }
            feeds.finish()?;
            if let Some(members) = &members {
                change_members(transaction, &self.members, members)?;
            }
            Ok(())
        })?;
        self.members = members.unwrap_or_else(|| std::mem::take(&mut self.members));
        Ok(())
    }
}

/// The database's name in the data directory.
const FILE: &str = "registry.redb";
/// Saves that may wait for the disk.
const QUEUED_SAVES: usize = 4;
/// Addresses of members that are kept.
pub const MEMBERS: usize = 65_536;
