//! One redb file: checked when it is opened, opened again after a failed commit.
//!
//! redb answers some damaged files with a panic, so every call into it is caught; a handle that has
//! panicked or failed is dropped and never used again.
//!
//! One kind of damage redb does not tell: after an unclean stop, a damaged last commit looks like one
//! that was cut short, and the file goes back to the commit before. The commits are counted beside
//! the file ([`CommitCount`]), so it is found out and named. It is a rollback, which the node expects
//! of every disk: it asks its peers for its own feed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{
    Durability, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend, TableError,
    WriteTransaction, backends::FileBackend,
};

use super::{
    DiskError, Finding, SaveError,
    commits::CommitCount,
    data_dir::{private_file, sync_dir},
    finding::Findings,
    quarantine, quiet,
    tables::{COMMITS, COMMITS_KEY},
    write_again::write_again,
};

/// How the file is opened. Tests put a failing disk underneath.
pub(super) type Opener = Arc<dyn Fn(&Path) -> Result<redb::Database, redb::Error> + Send + Sync>;

/// A database file and, unless the last write failed, a handle on it.
pub(super) struct Database {
    path: PathBuf,
    opener: Opener,
    handle: Option<redb::Database>,
    commits: CommitCount,
}

/// A database with what was read from it while it was checked.
pub(super) struct Opened<T> {
    pub(super) database: Database,
    pub(super) content: T,
    /// The file was set aside and the content is that of an empty one.
    pub(super) set_aside: bool,
}

/// A commit, on disk when it returns.
#[derive(Clone, Copy, Debug)]
pub(super) enum Commit {
    /// Without a trace.
    Durable,
    /// The trace names the first and the last batch.
    Batches(u64, u64),
}

/// Why a transaction is not to be committed.
pub(super) enum Abort {
    /// What was asked for cannot be done; the store is sound.
    Refused(SaveError),
    /// The store failed.
    Failed(redb::Error),
}

impl From<redb::Error> for Abort {
    fn from(error: redb::Error) -> Self {
        Self::Failed(error)
    }
}

/// Opens a file of which nothing may be lost: it is written again first, since a sync of it may
/// have failed.
pub(super) fn careful_opener() -> Opener {
    careful_opener_on(|file| file)
}

/// The same with a layer between the database and the file.
pub(super) fn careful_opener_on<B: StorageBackend>(
    layer: impl Fn(FileBackend) -> B + Send + Sync + 'static,
) -> Opener {
    Arc::new(move |path| {
        let file = layer(FileBackend::new(private_file(path)?)?);
        write_again(&file)?;
        open(file)
    })
}

/// Opens a file that can be had again.
pub(super) fn opener() -> Opener {
    Arc::new(|path| open(FileBackend::new(private_file(path)?)?))
}

fn open(file: impl StorageBackend) -> Result<redb::Database, redb::Error> {
    Ok(redb::Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(file)?)
}

impl Database {
    /// Opens the database at `path`, checks all of it and reads its content with `read`.
    ///
    /// A file that fails any of it is set aside and an empty one made; `findings` says so.
    pub(super) fn open<T>(
        path: PathBuf,
        opener: Opener,
        findings: &mut Findings,
        read: impl Fn(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<Opened<T>, DiskError> {
        let was_empty = fs::metadata(&path).is_ok_and(|file| file.len() == 0);
        let first = if was_empty {
            // An empty file would pass for a new database, and its loss unnoticed.
            Err(Failure::Damaged("the file is empty".into()))
        } else {
            attempt(&path, &opener, &read)
        };
        let set_aside = match &first {
            Ok(_) => false,
            Err(Failure::Damaged(reason)) => {
                findings.push(quarantine::set_aside(&path, reason.clone())?);
                true
            }
            Err(failure) => return Err(failure.as_disk_error(&path)),
        };
        let found = match first {
            Ok(found) => found,
            Err(_) => attempt(&path, &opener, &read).map_err(|f| f.as_disk_error(&path))?,
        };
        let (mut commits, known) = CommitCount::open(&path);
        // What is in a new file is of no use after a power failure that takes its name.
        sync_dir(path.parent().unwrap_or(&path))?;
        let file = path.clone();
        match known.unwrap_or_default().saturating_sub(found.commits) {
            // What was set aside is named already.
            lost if lost > 0 && !set_aside => {
                findings.push(Finding::WentBack {
                    file,
                    commits: lost,
                });
            }
            _ if !found.clean => findings.push(Finding::Repaired { file }),
            _ => {}
        }
        commits.note(found.commits);
        let content = found.content;
        let database = Self {
            path,
            opener,
            handle: Some(found.handle),
            commits,
        };
        Ok(Opened {
            database,
            content,
            set_aside,
        })
    }

    /// Runs `body` in one transaction and commits it.
    ///
    /// If `body` refuses, nothing was changed. After any other error it is in doubt whether the next
    /// opening finds the transaction, and the file is opened again before the next one.
    pub(super) fn write<T>(
        &mut self,
        commit: Commit,
        body: impl FnOnce(&WriteTransaction) -> Result<T, Abort>,
    ) -> Result<T, SaveError> {
        let handle = self.handle()?;
        let mut number = None;
        let written = caught(|| {
            let mut transaction = handle.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            match body(&transaction) {
                Ok(out) => {
                    let next = count(&transaction)?;
                    finish(transaction, commit)?;
                    number = Some(next);
                    Ok(Ok(out))
                }
                Err(Abort::Refused(reason)) => {
                    transaction.abort()?;
                    Ok(Err(reason))
                }
                Err(Abort::Failed(error)) => Err(error),
            }
        });
        if let Some(number) = number {
            self.commits.note(number);
        }
        written.unwrap_or_else(|failure| {
            discard(self.handle.take());
            Err(failure.as_save_error(&self.path))
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn handle(&mut self) -> Result<&redb::Database, SaveError> {
        let handle = match self.handle.take() {
            Some(handle) => handle,
            None => caught(|| (self.opener)(&self.path))
                .map_err(|failure| failure.as_save_error(&self.path))?,
        };
        Ok(self.handle.insert(handle))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        discard(self.handle.take());
    }
}

/// Counts the commit that `transaction` will be.
fn count(transaction: &WriteTransaction) -> Result<u64, redb::Error> {
    let mut table = transaction.open_table(COMMITS)?;
    let before = table.get(COMMITS_KEY)?.map_or(0, |row| row.value());
    let next = before.saturating_add(1);
    table.insert(COMMITS_KEY, next)?;
    Ok(next)
}

/// How many commits there have been.
fn counted(transaction: &ReadTransaction) -> Result<u64, redb::Error> {
    match transaction.open_table(COMMITS) {
        Ok(table) => Ok(table.get(COMMITS_KEY)?.map_or(0, |row| row.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// A kill test finds out by these lines whether it struck during a commit.
fn finish(transaction: WriteTransaction, commit: Commit) -> Result<(), redb::CommitError> {
    let Commit::Batches(first, last) = commit else {
        return transaction.commit();
    };
    tracing::trace!(target: "tidings::disk", first, last, "commit begin");
    let done = transaction.commit();
    tracing::trace!(target: "tidings::disk", first, last, saved = done.is_ok(), "commit end");
    done
}

/// Why the store could not do something.
enum Failure {
    /// The file's content is to blame.
    Damaged(String),
    /// Another process has the file.
    InUse,
    /// There is no space left.
    NoSpace,
    /// The disk is read-only.
    ReadOnly,
    /// Something else is to blame: rights, the disk, the operating system.
    Refused(String),
}

impl Failure {
    fn as_disk_error(&self, path: &Path) -> DiskError {
        let reason = match self {
            Self::InUse => {
                return DiskError::InUse {
                    dir: path.parent().unwrap_or(path).to_owned(),
                    process: None,
                };
            }
            Self::NoSpace => "no space is left".into(),
            Self::ReadOnly => "the disk is read-only".into(),
            Self::Damaged(reason) | Self::Refused(reason) => reason.clone(),
        };
        DiskError::Database {
            path: path.to_owned(),
            reason,
        }
    }

    fn as_save_error(&self, path: &Path) -> SaveError {
        let path = path.to_owned();
        match self {
            Self::NoSpace => SaveError::NoSpace { path },
            Self::ReadOnly => SaveError::ReadOnly { path },
            Self::InUse => SaveError::Failed {
                path,
                reason: "another process has opened it".into(),
            },
            Self::Damaged(reason) => SaveError::Failed {
                path,
                reason: format!("{reason}; restart the agent to have the file checked"),
            },
            Self::Refused(reason) => SaveError::Failed {
                path,
                reason: reason.clone(),
            },
        }
    }
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        use io::ErrorKind as Kind;
        match &error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Io(io) => match io.kind() {
                Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Self::NoSpace,
                Kind::ReadOnlyFilesystem => Self::ReadOnly,
                Kind::UnexpectedEof | Kind::InvalidData | Kind::InvalidInput => {
                    Self::Damaged(error.to_string())
                }
                _ => Self::Refused(error.to_string()),
            },
            redb::Error::PreviousIo
            | redb::Error::DatabaseClosed
            | redb::Error::TransactionInProgress
            | redb::Error::Unsupported => Self::Refused(error.to_string()),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

/// A file that was opened, and checked.
struct Found<T> {
    handle: redb::Database,
    /// It was as redb left it.
    clean: bool,
    commits: u64,
    content: T,
}

/// Opens the file, has redb check every page of it and reads it.
fn attempt<T>(
    path: &Path,
    opener: &Opener,
    read: &impl Fn(&ReadTransaction) -> Result<T, redb::Error>,
) -> Result<Found<T>, Failure> {
    let mut handle = caught(|| opener(path))?;
    let checked = caught(|| {
        let clean = handle.check_integrity()?;
        let transaction = handle.begin_read()?;
        Ok((clean, counted(&transaction)?, read(&transaction)?))
    });
    match checked {
        Ok((clean, commits, content)) => Ok(Found {
            handle,
            clean,
            commits,
            content,
        }),
        Err(failure) => {
            discard(Some(handle));
            Err(failure)
        }
    }
}

/// Runs `work` and takes a panic for damage.
fn caught<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Failure> {
    match quiet::catch(work) {
        Ok(result) => result.map_err(Failure::from),
        Err(panic) => Err(Failure::Damaged(format!(
            "the store gave up on it: {panic}"
        ))),
    }
}

/// Drops a handle that may be beyond closing.
fn discard(handle: Option<redb::Database>) {
    // What closing says of a failed handle is of no use: the next opening checks the file.
    let _ = quiet::catch(|| drop(handle));
}

/// Memory that redb may use to keep pages of one file. A file is read once, at the start; what is
/// written again and again are few pages, and the system keeps the others.
const CACHE_BYTES: usize = 1 << 20;
