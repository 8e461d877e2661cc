//! The own feed on disk: every acknowledged registration, durable before anyone sees it.
//!
//! One thread writes. While a commit runs, further batches queue up and share the next one, so many
//! callers cost hardly more syncs than one. Reads do not come here: the agent answers from memory.

use std::{
    fmt, iter,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::{self, JoinHandle},
};

use tidings_types::{Epoch, NodeId, Snapshot, Transfer};

use super::{
    DataDir, DiskError, Finding, OnSaved, SaveError, Saved,
    content::Content,
    database::{self, Commit, Database, Opener},
    feed_writer::{FeedWriter, Undo},
    finding::Findings,
};

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod power_cut_tests;
#[cfg(test)]
mod tests;

/// Where the own feed is kept.
///
/// Dropping it saves what is queued, reports it and closes the file.
pub struct FeedStore {
    owner: NodeId,
    kind: Kind,
}

/// The own feed as the disk has it.
#[derive(Debug)]
pub struct OpenedFeed {
    /// Takes further batches.
    pub store: FeedStore,
    /// What was saved before; `None` if nothing was.
    pub snapshot: Option<Snapshot>,
    /// What was wrong on disk.
    pub findings: Vec<Finding>,
    /// The feed has lost something to damage, now or in an earlier run, and must be learned again
    /// from peers. Stays so across restarts until the whole feed is saved again.
    pub damaged: bool,
}

enum Kind {
    Memory(OnSaved),
    Disk {
        // Taken by `drop` alone, to end the thread.
        requests: Option<SyncSender<Request>>,
        writer: Option<JoinHandle<()>>,
    },
}

struct Request {
    batch: u64,
    run: Epoch,
    transfer: Transfer,
}

impl FeedStore {
    /// Opens the feed of `owner` in `dir`, or begins an empty one. `on_saved` hears of each batch.
    ///
    /// # Errors
    /// [`DiskError::ForeignFeed`] if the feed is another node's, [`DiskError::NewerFormat`],
    /// [`DiskError::InUse`], [`DiskError::Database`] or [`DiskError::Io`]. Damage is no error.
    pub fn open(dir: &DataDir, owner: NodeId, on_saved: OnSaved) -> Result<OpenedFeed, DiskError> {
        Self::open_with(dir, owner, on_saved, database::careful_opener())
    }

    /// A store that answers at once and keeps nothing, for `tidings dev`.
    pub fn in_memory(owner: NodeId, on_saved: OnSaved) -> Self {
        Self {
            owner,
            kind: Kind::Memory(on_saved),
        }
    }

    /// Queues a change of the own feed that the node made or learned in its run `run`.
    ///
    /// A delta is added to the feed. A snapshot, or a delta from the empty position, takes the feed's
    /// place and its mark of damage: the feed is not handed in whole while it is damaged in memory.
    ///
    /// The word on `batch` comes after that on all batches before it. When a batch fails, so does
    /// each later one of the same run, as [`SaveError::AfterFailure`], for it builds on what is in
    /// doubt: the node takes a new epoch before it writes again.
    ///
    /// # Errors
    /// [`SaveError::Busy`], [`SaveError::Closed`] or [`SaveError::ForeignFeed`]: nothing was queued,
    /// and no word will come.
    pub fn persist(&self, batch: u64, run: Epoch, transfer: Transfer) -> Result<(), SaveError> {
        if transfer.state().owner != self.owner {
            return Err(SaveError::ForeignFeed);
        }
        let request = Request {
            batch,
            run,
            transfer,
        };
        self.queue(request)
    }

    pub(super) fn open_with(
        dir: &DataDir,
        owner: NodeId,
        on_saved: OnSaved,
        opener: Opener,
    ) -> Result<OpenedFeed, DiskError> {
        let path = dir.file(FILE);
        let mut findings = Findings::default();
        let opened = Database::open(path.clone(), opener, &mut findings, Content::read)?;
        let (mut database, mut content) = (opened.database, opened.content);
        content.check_format(&path)?;
        check_owner(&content, &database, owner)?;
        content.report(&path, &mut findings);
        if opened.set_aside || content.has_lost() {
            content.damaged.insert(owner);
        }
        content.mend(&mut database)?;
        let damaged = content.damaged.contains(&owner);
        let snapshot = content
            .feeds
            .into_iter()
            .map(|(snapshot, _)| snapshot)
            .find(|snapshot| snapshot.state.owner == owner);
        let store = Self::start(dir.clone(), owner, database, on_saved)?;
        Ok(OpenedFeed {
            store,
            snapshot,
            findings: findings.finish(path),
            damaged,
        })
    }

    fn start(
        dir: DataDir,
        owner: NodeId,
        database: Database,
        on_saved: OnSaved,
    ) -> Result<Self, DiskError> {
        let (requests, queue) = sync_channel(QUEUED_BATCHES);
        let path = database.path().to_owned();
        let writer = thread::Builder::new()
            .name("feed-writer".into())
            .spawn(move || {
                // The lock on the directory lasts as long as anything may be written in it.
                let _dir = dir;
                Writer {
                    database,
                    on_saved,
                    failed: None,
                    undo: Undo::default(),
                }
                .run(&queue);
            })
            .map_err(DiskError::io("start a thread to write", path))?;
        Ok(Self {
            owner,
            kind: Kind::Disk {
                requests: Some(requests),
                writer: Some(writer),
            },
        })
    }

    fn queue(&self, request: Request) -> Result<(), SaveError> {
        match &self.kind {
            Kind::Memory(on_saved) => {
                on_saved(Saved {
                    batch: request.batch,
                    result: Ok(()),
                });
                Ok(())
            }
            Kind::Disk { requests, .. } => {
                let requests = requests.as_ref().ok_or(SaveError::Closed)?;
                requests.try_send(request).map_err(|error| match error {
                    TrySendError::Full(_) => SaveError::Busy,
                    TrySendError::Disconnected(_) => SaveError::Closed,
                })
            }
        }
    }
}

impl Drop for FeedStore {
    fn drop(&mut self) {
        if let Kind::Disk { requests, writer } = &mut self.kind {
            drop(requests.take());
            if writer.take().is_some_and(|writer| writer.join().is_err()) {
                tracing::error!(target: "tidings::disk", "the feed's writer ended with a panic");
            }
        }
    }
}

impl fmt::Debug for FeedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Memory(_) => "memory",
            Kind::Disk { .. } => "disk",
        };
        f.debug_struct("FeedStore")
            .field("owner", &self.owner)
            .field("kind", &kind)
            .finish()
    }
}

struct Writer {
    database: Database,
    on_saved: OnSaved,
    failed: Failed,
    /// How to take back commits that failed and may be found all the same.
    undo: Undo,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Request>) {
        while let Ok(first) = queue.recv() {
            let group: Vec<Request> = iter::once(first)
                .chain(queue.try_iter())
                .take(GROUP_BATCHES)
                .collect();
            self.save(&group);
        }
    }

    /// Saves a group in one commit, and reports on each batch in order.
    fn save(&mut self, group: &[Request]) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return;
        };
        let verdicts = self.commit(group, (first.batch, last.batch));
        for (request, result) in group.iter().zip(verdicts) {
            (self.on_saved)(Saved {
                batch: request.batch,
                result,
            });
        }
    }

    fn commit(&mut self, group: &[Request], (first, last): (u64, u64)) -> Vec<Verdict> {
        let (failed, undo) = (self.failed.clone(), &mut self.undo);
        let written = self
            .database
            .write(Commit::Batches(first, last), |transaction| {
                let feed = FeedWriter::new(transaction, Some(undo))?;
                Ok(apply(feed, group, failed)?)
            });
        match written {
            Ok((verdicts, failed)) => {
                self.undo.clear();
                self.failed = failed;
                verdicts
            }
            Err(error) => {
                tracing::error!(target: "tidings::disk", first, last, "{error}");
                let mut verdicts = vec![Err(after(&error)); group.len()];
                verdicts[0] = Err(error.clone());
                let run = group.iter().map(|request| request.run).max();
                self.failed = run.map(|run| (run, error));
                verdicts
            }
        }
    }
}

type Verdict = Result<(), SaveError>;
/// A run in which a batch failed, and why: nothing more of it or of an earlier run is written.
type Failed = Option<(Epoch, SaveError)>;

fn after(error: &SaveError) -> SaveError {
    SaveError::AfterFailure {
        reason: error.to_string(),
    }
}

/// Applies the batches of a group, and says how each and, with them, each run fared.
fn apply(
    mut feed: FeedWriter<'_, '_>,
    group: &[Request],
    mut failed: Failed,
) -> Result<(Vec<Verdict>, Failed), redb::Error> {
    let mut verdicts = Vec::with_capacity(group.len());
    for Request { run, transfer, .. } in group {
        verdicts.push(match &failed {
            Some((failed_run, error)) if run <= failed_run => Err(after(error)),
            _ => {
                let verdict = feed.apply(transfer)?;
                failed = verdict.clone().err().map(|error| (*run, error));
                verdict
            }
        });
    }
    feed.finish()?;
    Ok((verdicts, failed))
}

fn check_owner(content: &Content, database: &Database, owner: NodeId) -> Result<(), DiskError> {
    let foreign = content
        .feeds
        .iter()
        .map(|(snapshot, _)| snapshot.state.owner)
        .find(|&found| found != owner);
    match foreign {
        Some(found) => Err(DiskError::ForeignFeed {
            path: database.path().to_owned(),
            found,
            owner,
        }),
        None => Ok(()),
    }
}

/// The database's name in the data directory.
pub(super) const FILE: &str = "feed.redb";
/// Batches that may wait for the disk.
const QUEUED_BATCHES: usize = 1_024;
/// Batches that share one commit, at most: more would make the first one wait for the last.
const GROUP_BATCHES: usize = 256;
