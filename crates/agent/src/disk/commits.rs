//! How many commits a database has seen, kept beside it.
//!
//! After an unclean stop a damaged last commit looks like one that was cut short, and redb goes back
//! to the commit before. The number of the last commit that ended stands in a small file of its own,
//! written without a sync once the commit is durable. So it is never ahead of what the disk had, and
//! a database that is behind it has lost something. After a power failure the number may be old or
//! unreadable; then nothing is concluded from it.

use std::{
    fs,
    io::{self, Seek, Write},
    path::{Path, PathBuf},
};

use super::data_dir::private_file;

/// The number beside one database.
#[derive(Debug)]
pub(super) struct CommitCount {
    path: PathBuf,
    /// `None` if it cannot be written: a database without it works as well.
    file: Option<fs::File>,
}

impl CommitCount {
    /// Opens the number beside `database` and reads it; `None` if there is none that can be trusted.
    pub(super) fn open(database: &Path) -> (Self, Option<u64>) {
        let path = database.with_extension("commits");
        let known = fs::read(&path).ok().and_then(|bytes| decode(&bytes));
        let file = private_file(&path).ok();
        if let Some(file) = file.as_ref().filter(|_| known.is_none()) {
            // Best effort, as all of it.
            let _ = file.set_len(0);
        }
        (Self { path, file }, known)
    }

    /// Removes the number beside `database`, which is about to be put elsewhere.
    pub(super) fn forget(database: &Path) -> io::Result<()> {
        match fs::remove_file(database.with_extension("commits")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes note that commit `number` is durable.
    pub(super) fn note(&mut self, number: u64) {
        let written = self.file.as_mut().map(|file| write(file, number));
        if let Some(Err(error)) = written {
            tracing::debug!(target: "tidings::disk", path = %self.path.display(), %error, "the number of commits is not kept");
        }
    }
}

fn write(file: &mut fs::File, number: u64) -> io::Result<()> {
    file.rewind()?;
    file.write_all(&encode(number))
}

fn encode(number: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    let checksum = crc32fast::hash(&bytes[..8]);
    bytes[8..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    let number = u64::from_be_bytes(*number);
    (encode(number)[8..] == *rest).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_again_and_an_altered_one_is_not() {
        let place = tempfile::tempdir().unwrap();
        let database = place.path().join("feed.redb");
        let (mut count, known) = CommitCount::open(&database);
        assert_eq!(known, None);
        count.note(7);
        count.note(8);
        assert_eq!(CommitCount::open(&database).1, Some(8));
        let path = database.with_extension("commits");
        let sound = fs::read(&path).unwrap();
        for at in 0..sound.len() {
            let mut flipped = sound.clone();
            flipped[at] ^= 4;
            fs::write(&path, flipped).unwrap();
            assert_eq!(CommitCount::open(&database).1, None);
        }
        fs::write(&path, &sound[..5]).unwrap();
        assert_eq!(CommitCount::open(&database).1, None);
    }
}
