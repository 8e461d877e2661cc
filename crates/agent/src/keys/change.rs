//! A change of the cluster keys, made in their file first, so that a restart keeps it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tidings_types::{ClusterKey, ClusterKeyId};
use tidings_wire::KeyChange;

use super::{FILE_BYTES, KEY_BYTES, KEYS_MAX, Keys, Origin, key_of, parse};
use crate::transport::KeyRing;

/// The keys stay as they were, in memory and in the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyChangeError {
    /// There is no file in which a change could be kept.
    #[error(
        "its cluster key follows from the cluster's name, so no file could keep the change; run \
         `tidings keygen > cluster.key` and start each agent with --key-file"
    )]
    NoFile,
    /// The key is not held.
    #[error("it has no key {id}, only {}; add it first with `tidings keyring add`", list(.held))]
    Unknown {
        id: ClusterKeyId,
        held: Vec<ClusterKeyId>,
    },
    /// The key to remove is the one in use.
    #[error("it sends under {id}; have all agents use another with `tidings keyring use` first")]
    InUse { id: ClusterKeyId },
    /// No room for another key.
    #[error(
        "it holds {KEYS_MAX} keys already; remove one that nobody sends under (see `tidings \
         keyring list`)"
    )]
    Full,
    /// Two different keys of one name.
    #[error("another key is called {id} too; make a new one with `tidings keygen`")]
    NameTaken { id: ClusterKeyId },
    /// Somebody else wrote the file.
    #[error(
        "the key file {path} was changed since this agent read it; restart the agent to take it \
         as it is, or put back what it held"
    )]
    FileChanged { path: PathBuf },
    /// The file would be longer than what is read of one.
    #[error("the key file {path} would be longer than {FILE_BYTES} bytes; take comments out of it")]
    TooLong { path: PathBuf },
    /// The file cannot be read or replaced.
    #[error(
        "the key file {path} cannot be replaced: {source}; the agent must be allowed to write it \
         and its directory"
    )]
    File { path: PathBuf, source: io::Error },
}

impl Keys {
    /// The keys after `change`, which is in the file by then; `None` if nothing had to change.
    /// Blocks: the file is synced.
    ///
    /// # Errors
    /// [`KeyChangeError`]; nothing was changed.
    pub(crate) fn change(&self, change: &KeyChange) -> Result<Option<Self>, KeyChangeError> {
        let Origin::File(path) = &self.origin else {
            return Err(KeyChangeError::NoFile);
        };
        let keys = self.changed(change)?;
        if keys == self.keys {
            return Ok(None);
        }
        keep(path, change, &self.keys, &keys)?;
        Ok(Some(Self {
            keys,
            ..self.clone()
        }))
    }

    /// The public names of the keys.
    fn ids(&self) -> Vec<ClusterKeyId> {
        self.keys.iter().map(id_of).collect()
    }

    fn changed(&self, change: &KeyChange) -> Result<Vec<[u8; KEY_BYTES]>, KeyChangeError> {
        let mut keys = self.keys.clone();
        let ids = self.ids();
        match change {
            KeyChange::Add(key) => {
                let id = KeyRing::id_of(key);
                if keys.contains(key.as_bytes()) {
                    return Ok(keys);
                }
                if ids.contains(&id) {
                    return Err(KeyChangeError::NameTaken { id });
                }
                if keys.len() >= KEYS_MAX {
                    return Err(KeyChangeError::Full);
                }
                keys.push(*key.as_bytes());
            }
            KeyChange::Use(id) => {
                let at = ids.iter().position(|held| held == id);
                let at = at.ok_or_else(|| KeyChangeError::Unknown {
                    id: *id,
                    held: ids.clone(),
                })?;
                let key = keys.remove(at);
                keys.insert(0, key);
            }
            KeyChange::Remove(id) => {
                if ids.first() == Some(id) {
                    return Err(KeyChangeError::InUse { id: *id });
                }
                keys.retain(|key| id_of(key) != *id);
            }
        }
        Ok(keys)
    }
}

/// Makes the file at `path` hold `wanted` in place of `held`. Agents that share one file find the
/// change made already.
fn keep(
    path: &Path,
    change: &KeyChange,
    held: &[[u8; KEY_BYTES]],
    wanted: &[[u8; KEY_BYTES]],
) -> Result<(), KeyChangeError> {
    let file = |source| KeyChangeError::File {
        path: path.to_owned(),
        source,
    };
    let path_changed = || KeyChangeError::FileChanged {
        path: path.to_owned(),
    };
    // A link stays a link: what it points to is replaced.
    let place = fs::canonicalize(path).map_err(file)?;
    let text = fs::read_to_string(&place).map_err(file)?;
    let found = parse(&text, path).map_err(|_| path_changed())?;
    if found == wanted {
        return Ok(());
    }
    if found != held {
        return Err(path_changed());
    }
    let text = rewritten(&text, change);
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > FILE_BYTES) {
        return Err(KeyChangeError::TooLong {
            path: path.to_owned(),
        });
    }
    replace(&place, &text).map_err(file)
}

/// The file's text after a change. What people wrote stays: a key that moves takes the comment above
/// it along, one that goes leaves a comment in its place.
fn rewritten(text: &str, change: &KeyChange) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match change {
        KeyChange::Add(key) => {
            let digits = key.as_bytes().iter().map(|byte| format!("{byte:02x}"));
            lines.push(digits.collect());
        }
        KeyChange::Use(id) => {
            let first = lines.iter().position(|line| id_in(line).is_some());
            let chosen = lines.iter().position(|line| id_in(line) == Some(*id));
            if let (Some(first), Some(chosen)) = (first, chosen) {
                let (to, from) = (with_comment(&lines, first), with_comment(&lines, chosen));
                lines[to..=chosen].rotate_left(from - to);
            }
        }
        KeyChange::Remove(id) => {
            for line in &mut lines {
                if id_in(line) == Some(*id) {
                    *line = format!("# The key {id} was removed here.");
                }
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Where the comment right above the line at `at` begins.
fn with_comment(lines: &[String], at: usize) -> usize {
    let above = lines[..at].iter().rev();
    at - above
        .take_while(|line| line.trim_start().starts_with('#'))
        .count()
}

fn id_in(line: &str) -> Option<ClusterKeyId> {
    key_of(line.trim()).map(|key| id_of(&key))
}

fn id_of(key: &[u8; KEY_BYTES]) -> ClusterKeyId {
    KeyRing::id_of(&ClusterKey::from_bytes(*key))
}

/// Replaces the file as a whole; the new content is durable when this returns, and a crash before
/// leaves the old.
fn replace(place: &Path, text: &str) -> io::Result<()> {
    let (Some(dir), Some(name)) = (place.parent(), place.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let aside = dir.join(format!(".{}.new", name.to_string_lossy()));
    // What an interrupted write left may have other permissions, which opening would keep.
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = for_its_owner(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, place)?;
    File::open(dir)?.sync_all()
}

fn for_its_owner(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn list(ids: &[ClusterKeyId]) -> String {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> ClusterKey {
        ClusterKey::from_bytes([byte; 32])
    }

    fn id(byte: u8) -> ClusterKeyId {
        KeyRing::id_of(&key(byte))
    }

    fn digits(byte: u8) -> String {
        format!("{byte:02x}").repeat(32)
    }

    struct Place {
        dir: tempfile::TempDir,
        keys: Keys,
    }

    impl Place {
        fn new(text: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("cluster.key");
            fs::write(&path, text).unwrap();
            let keys = Keys::read(&path).unwrap();
            Self { dir, keys }
        }

        fn text(&self) -> String {
            fs::read_to_string(self.dir.path().join("cluster.key")).unwrap()
        }

        /// Makes a change that must work; expects the file to hold what memory does.
        fn make(&mut self, change: &KeyChange) {
            self.keys = self.keys.change(change).unwrap().expect("a change");
            let read = Keys::read(&self.dir.path().join("cluster.key")).unwrap();
            assert_eq!(read.keys, self.keys.keys);
        }
    }

    #[test]
    fn a_rotation_is_kept_with_the_comments() {
        let mut place = Place::new(&format!("# January\n{}\n", digits(1)));
        place.make(&KeyChange::Add(key(2)));
        assert_eq!(
            place.text(),
            format!("# January\n{}\n{}\n", digits(1), digits(2))
        );
        assert_eq!(
            place
                .keys
                .change(&KeyChange::Add(key(2)))
                .unwrap()
                .map(drop),
            None
        );
        place.make(&KeyChange::Use(id(2)));
        assert_eq!(
            place.text(),
            format!("{}\n# January\n{}\n", digits(2), digits(1))
        );
        place.make(&KeyChange::Remove(id(1)));
        assert_eq!(
            place.text(),
            format!(
                "{}\n# January\n# The key {} was removed here.\n",
                digits(2),
                id(1)
            )
        );
        let gone = place.keys.change(&KeyChange::Remove(id(1))).unwrap();
        assert!(gone.is_none());
    }

    #[test]
    fn a_key_that_moves_takes_its_comment_along() {
        let text = format!(
            "# ours\n\n# one\n{}\n\n# two\n# of June\n{}\n{}\n",
            digits(1),
            digits(2),
            digits(3)
        );
        let mut place = Place::new(&text);
        place.make(&KeyChange::Use(id(2)));
        let wanted = format!(
            "# ours\n\n# two\n# of June\n{}\n# one\n{}\n\n{}\n",
            digits(2),
            digits(1),
            digits(3)
        );
        assert_eq!(place.text(), wanted);
        place.make(&KeyChange::Use(id(3)));
        assert_eq!(place.keys.ids(), [id(3), id(2), id(1)]);
    }

    #[test]
    fn what_would_cut_the_agent_off_is_refused() {
        let lines: String = (1..=4).map(|byte| digits(byte) + "\n").collect();
        let place = Place::new(&lines);
        let refused = |change: &KeyChange| place.keys.change(change).unwrap_err();
        assert!(matches!(
            refused(&KeyChange::Add(key(5))),
            KeyChangeError::Full
        ));
        assert!(matches!(
            refused(&KeyChange::Remove(id(1))),
            KeyChangeError::InUse { .. }
        ));
        let unknown = refused(&KeyChange::Use(id(9)));
        assert!(matches!(unknown, KeyChangeError::Unknown { .. }));
        assert!(unknown.to_string().contains(&id(1).to_string()));
        assert_eq!(place.text(), lines, "nothing was written");
        let named = Keys::of_cluster_name("tidings");
        let error = named.change(&KeyChange::Add(key(1))).unwrap_err();
        assert!(error.to_string().contains("--key-file"), "{error}");
    }

    #[test]
    fn a_file_that_others_changed_is_left_alone_unless_it_holds_what_is_wanted() {
        let place = Place::new(&format!("{}\n", digits(1)));
        let file = place.dir.path().join("cluster.key");
        let shared = format!("{}\n{}\n", digits(1), digits(2));
        fs::write(&file, &shared).unwrap();
        let keys = place.keys.change(&KeyChange::Add(key(2))).unwrap();
        assert_eq!(keys.unwrap().ids(), [id(1), id(2)]);
        assert_eq!(place.text(), shared);
        let error = place.keys.change(&KeyChange::Add(key(3))).unwrap_err();
        assert!(matches!(error, KeyChangeError::FileChanged { .. }));
        assert_eq!(place.text(), shared);
        fs::remove_file(&file).unwrap();
        let error = place.keys.change(&KeyChange::Add(key(3))).unwrap_err();
        assert!(matches!(error, KeyChangeError::File { .. }), "{error}");
    }

    #[test]
    fn a_file_is_not_written_longer_than_it_can_be_read() {
        let comment = format!(
            "# {}\n",
            "x".repeat(usize::try_from(FILE_BYTES).unwrap() - 90)
        );
        let place = Place::new(&format!("{comment}{}\n", digits(1)));
        let error = place.keys.change(&KeyChange::Add(key(2))).unwrap_err();
        assert!(matches!(error, KeyChangeError::TooLong { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn the_new_file_is_for_its_owner_alone_and_a_link_stays_a_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("real.key"), dir.path().join("link.key"));
        fs::write(&file, format!("{}\n", digits(1))).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(dir.path().join(".real.key.new"), "left over").unwrap();
        symlink(&file, &link).unwrap();
        let keys = Keys::read(&link).unwrap();
        keys.change(&KeyChange::Add(key(2))).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!dir.path().join(".real.key.new").exists());
    }
}
