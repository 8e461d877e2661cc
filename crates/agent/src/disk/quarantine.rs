//! Setting damaged files aside, a bounded number of them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{DiskError, Finding, data_dir::sync_dir};

/// Moves the damaged file at `path` aside and deletes the oldest of those set aside before, so that
/// [`KEPT`] stay.
pub(super) fn set_aside(path: &Path, reason: String) -> Result<Finding, DiskError> {
    let kept_as = free_name(path);
    fs::rename(path, &kept_as).map_err(DiskError::io("set aside", path))?;
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let deleted = delete_oldest(path, dir);
    sync_dir(dir)?;
    Ok(Finding::SetAside {
        file: path.to_owned(),
        kept_as,
        reason,
        deleted,
    })
}

/// The damaged files of `path` that were set aside, oldest first.
fn set_aside_before(path: &Path, dir: &Path) -> Vec<(u64, PathBuf)> {
    let Some(prefix) = prefix(path) else {
        return Vec::new();
    };
    let mut found: Vec<(u64, PathBuf)> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let stamp = name.to_str()?.strip_prefix(&prefix)?.parse().ok()?;
            Some((stamp, entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// Best effort: a file that cannot be deleted costs space, no more.
fn delete_oldest(path: &Path, dir: &Path) -> Vec<PathBuf> {
    let found = set_aside_before(path, dir);
    let surplus = found.len().saturating_sub(KEPT);
    found
        .into_iter()
        .take(surplus)
        .map(|(_, path)| path)
        .filter(|path| fs::remove_file(path).is_ok())
        .collect()
}

fn free_name(path: &Path) -> PathBuf {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let mut stamp = u64::try_from(now).unwrap_or(0);
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("{INFIX}{stamp}"));
        let name = PathBuf::from(name);
        if !name.exists() {
            return name;
        }
        stamp += 1;
    }
}

fn prefix(path: &Path) -> Option<String> {
    Some(format!("{}{INFIX}", path.file_name()?.to_str()?))
}

const INFIX: &str = ".damaged-";
/// Damaged files of one database that are kept, for people to look at.
const KEPT: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_damaged_files_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("feed.redb");
        let mut deleted_in_all = Vec::new();
        for round in 0..KEPT + 2 {
            fs::write(&path, round.to_string()).unwrap();
            let finding = set_aside(&path, "test".into()).unwrap();
            let Finding::SetAside { deleted, .. } = finding else {
                panic!("{finding:?}");
            };
            deleted_in_all.extend(deleted);
        }
        let kept: Vec<String> = set_aside_before(&path, dir.path())
            .iter()
            .map(|(_, path)| fs::read_to_string(path).unwrap())
            .collect();
        assert_eq!(kept, ["2", "3", "4"]);
        assert_eq!(deleted_in_all.len(), 2);
        assert!(!path.exists());
    }
}
