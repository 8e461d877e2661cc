//! A file under a database, and what a power failure at any moment would leave of it.
//!
//! The disk promises nothing about what was written since the last sync: each such write is there or
//! not, whatever the order, and of one that is there each sector of 512 bytes may be or not. So may
//! each change of the file's length.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use redb::{StorageBackend, backends::FileBackend};

use super::database::{Opener, careful_opener_on};

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// A disk with one file, which remembers what was done to it.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Mutex<Journal>>);

#[derive(Debug)]
struct Journal {
    /// The file at the beginning, all of it on the disk.
    begin: Vec<u8>,
    done: Vec<Done>,
}

#[derive(Debug)]
enum Done {
    Write { at: u64, data: Vec<u8> },
    Length(u64),
    Sync,
}

/// What becomes of that which the disk promised nothing about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unsynced {
    /// None of it is there.
    Lost,
    /// All of it is there.
    Kept,
    /// Each write is there or not.
    Any,
    /// Each sector is there or not.
    Torn,
}

impl Disk {
    /// A disk on which the file has this content.
    pub(super) fn new(begin: Vec<u8>) -> Self {
        let done = Vec::new();
        Self(Arc::new(Mutex::new(Journal { begin, done })))
    }

    /// Opens databases as an agent does, with this disk underneath.
    pub(super) fn opener(&self) -> Opener {
        let disk = self.clone();
        careful_opener_on(move |file| Recorded {
            file,
            disk: disk.clone(),
        })
    }

    /// How much was done so far: a moment at which the power may fail.
    pub(super) fn moment(&self) -> usize {
        self.journal().done.len()
    }

    /// Makes the file at `path` what is left if the power fails at `moment`.
    pub(super) fn cut(&self, path: &Path, moment: usize, unsynced: Unsynced, chance: &mut Chance) {
        let image = self.journal().image(moment, unsynced, chance);
        std::fs::write(path, image).unwrap();
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap()
    }

    fn note(&self, done: Done) {
        self.journal().done.push(done);
    }
}

impl Journal {
    fn image(&self, moment: usize, unsynced: Unsynced, chance: &mut Chance) -> Vec<u8> {
        let done = &self.done[..moment];
        let synced = done.iter().rposition(|done| matches!(done, Done::Sync));
        let (safe, doubtful) = done.split_at(synced.unwrap_or(0));
        let mut image = self.begin.clone();
        for done in safe {
            done.apply(&mut image, |_| true);
        }
        for done in doubtful {
            match unsynced {
                Unsynced::Lost => {}
                Unsynced::Kept => done.apply(&mut image, |_| true),
                Unsynced::Any if chance.toss() => done.apply(&mut image, |_| true),
                Unsynced::Any => {}
                Unsynced::Torn => done.apply(&mut image, |_| chance.toss()),
            }
        }
        image
    }
}

impl Done {
    /// Does it again to `image`, as far as `lands` says so, piece by piece.
    fn apply(&self, image: &mut Vec<u8>, mut lands: impl FnMut(usize) -> bool) {
        match self {
            Self::Sync => {}
            Self::Length(length) => {
                let length = usize::try_from(*length).unwrap();
                if lands(length) {
                    image.resize(length, 0);
                }
            }
            Self::Write { at, data } => {
                let (mut at, mut left) = (usize::try_from(*at).unwrap(), &data[..]);
                while !left.is_empty() {
                    let (piece, rest) = left.split_at(left.len().min(SECTOR - at % SECTOR));
                    if lands(at) {
                        let end = at + piece.len();
                        if image.len() < end {
                            image.resize(end, 0);
                        }
                        image[at..end].copy_from_slice(piece);
                    }
                    at += piece.len();
                    left = rest;
                }
            }
        }
    }
}

/// Repeatable chance: splitmix64.
#[derive(Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn toss(&mut self) -> bool {
        self.below(2) == 0
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(end).unwrap()).unwrap()
    }
}

#[derive(Debug)]
struct Recorded {
    file: FileBackend,
    disk: Disk,
}

impl StorageBackend for Recorded {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.disk.note(Done::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.note(Done::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)?;
        let data = data.to_vec();
        self.disk.note(Done::Write { at: offset, data });
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_synced_is_safe() {
        let disk = Disk::new(vec![1; 2 * SECTOR]);
        disk.note(Done::Write {
            at: 10,
            data: vec![2; 4],
        });
        disk.note(Done::Sync);
        disk.note(Done::Write {
            at: 20,
            data: vec![3; 2 * SECTOR],
        });
        disk.note(Done::Length(100));
        let image = |moment, unsynced| disk.journal().image(moment, unsynced, &mut Chance(1));
        assert_eq!(image(1, Unsynced::Lost), vec![1; 2 * SECTOR]);
        let safe = image(4, Unsynced::Lost);
        assert_eq!(
            (safe.len(), &safe[9..15]),
            (2 * SECTOR, &[1, 2, 2, 2, 2, 1][..])
        );
        assert_eq!(image(4, Unsynced::Kept).len(), 100);
        let grown = image(3, Unsynced::Kept);
        assert_eq!((grown.len(), grown[19], grown[20]), (2 * SECTOR + 20, 1, 3));
        // Two whole pieces and what is left of the first sector: some are there, some are not.
        let seen: std::collections::BTreeSet<_> = (0..40)
            .map(|seed| disk.journal().image(3, Unsynced::Torn, &mut Chance(seed)))
            .collect();
        assert_eq!(seen.len(), 1 << 3);
    }
}
