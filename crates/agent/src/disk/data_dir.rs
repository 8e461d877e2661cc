//! The data directory, held by one agent at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::DiskError;

/// A directory that this process alone uses, until the last clone is dropped or the process ends.
///
/// Every store keeps a clone, so the lock outlives a database that is closed and opened again.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: Arc<Path>,
    _lock: Arc<File>,
}

impl DataDir {
    /// Makes the directory if there is none, readable by this user alone, and locks it.
    ///
    /// # Errors
    /// [`DiskError::InUse`] if another agent holds it, [`DiskError::Io`] if it cannot be made.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DiskError> {
        let path = path.as_ref();
        make_private(path).map_err(DiskError::io("make the directory", path))?;
        let lock_path = path.join(LOCK);
        let mut lock = private_file(&lock_path).map_err(DiskError::io("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DiskError::InUse {
                    dir: path.to_owned(),
                    process: holder(&mut lock),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(DiskError::io("lock", &lock_path)(source));
            }
        }
        // The number only makes the other agent's message better; a full disk must not matter here.
        let _ = lock
            .set_len(0)
            .and_then(|()| write!(lock, "{}", std::process::id()));
        Ok(Self {
            path: path.into(),
            _lock: Arc::new(lock),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Replaces the file at `path` as a whole, readable by this user alone; it is durable when this
/// returns, and after a crash the old or the new content is there.
pub(crate) fn replace_file(dir: &Path, path: &Path, content: &[u8]) -> Result<(), DiskError> {
    let aside = path.with_extension("new");
    // What an interrupted write left may have other permissions, which opening would keep.
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(DiskError::io("replace", &aside)(error));
        }
        _ => {}
    }
    private_file(&aside)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .map_err(DiskError::io("write", &aside))?;
    fs::rename(&aside, path).map_err(DiskError::io("replace", path))?;
    sync_dir(dir)
}

/// Makes renames and new files in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), DiskError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(DiskError::io("sync", dir))
}

/// Opens `path` for reading and writing, made for this user alone if there is none.
pub(super) fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn make_private(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(PROCESS_ID_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

const LOCK: &str = "lock";
const PROCESS_ID_BYTES: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_on_the_same_directory_is_refused_by_name() {
        let place = tempfile::tempdir().unwrap();
        let first = DataDir::open(place.path().join("data")).unwrap();
        let refused = DataDir::open(first.path()).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains(&first.path().display().to_string()), "{text}");
        assert!(text.contains(&std::process::id().to_string()), "{text}");

        let path = first.path().to_owned();
        drop(first);
        DataDir::open(path).expect("free again");
    }

    #[cfg(unix)]
    #[test]
    fn the_directory_is_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let dir = DataDir::open(place.path().join("data")).unwrap();
        let mode = fs::metadata(dir.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
