//! The identity: the key that makes a node this node, the last epoch it took and the last index it
//! may have issued.
//!
//! Small, checksummed and kept twice, apart from the databases: losing it means becoming another
//! node, so nothing here ever makes a new one in place of one that cannot be read.

use std::{fmt, fs, io::ErrorKind, path::Path};

use tidings_types::Epoch;

use self::copy::Copy;
pub(super) use self::copy::PKCS8_BYTES;
use super::{DataDir, DiskError, Finding, commits::CommitCount, data_dir::sync_dir};

mod copy;
#[cfg(test)]
mod tests;

/// What makes a node the same node after a restart.
pub struct Identity {
    kept: Kept,
    place: Place,
}

/// What both copies hold.
#[derive(Clone, PartialEq, Eq)]
struct Kept {
    /// Counts writes, so that after a crash between the two copies the newer one is known.
    revision: u64,
    epoch: Epoch,
    index: u64,
    pkcs8: Vec<u8>,
}

enum Place {
    Memory,
    Disk(DataDir),
}

impl Identity {
    /// Reads the identity in `dir`, or makes one with the key that `generate` returns (an Ed25519
    /// key as PKCS#8) if the directory holds neither an identity nor a feed.
    ///
    /// # Errors
    /// [`DiskError::IdentityDamaged`], [`DiskError::IdentityMissing`] or
    /// [`DiskError::IdentitiesDiffer`] if a person has to decide; [`DiskError::NewerFormat`];
    /// [`DiskError::Io`].
    pub fn load_or_create(
        dir: &DataDir,
        generate: impl FnOnce() -> Vec<u8>,
    ) -> Result<(Self, Vec<Finding>), DiskError> {
        let (first, second) = (dir.file(FIRST), dir.file(SECOND));
        let mut findings = Vec::new();
        let kept = match (copy::read(&first)?, copy::read(&second)?) {
            (Copy::Missing, Copy::Missing) => {
                let kept = create(dir, generate)?;
                write_both(dir, &kept)?;
                kept
            }
            (Copy::Whole(a), Copy::Whole(b)) => newer(dir, a, b)?,
            (Copy::Whole(kept), bad) => {
                findings.push(restore(dir, &second, &first, &kept, bad)?);
                kept
            }
            (bad, Copy::Whole(kept)) => {
                findings.push(restore(dir, &first, &second, &kept, bad)?);
                kept
            }
            (a, b) => {
                return Err(DiskError::IdentityDamaged {
                    first,
                    first_reason: a.reason(),
                    second,
                    second_reason: b.reason(),
                });
            }
        };
        let place = Place::Disk(dir.clone());
        Ok((Self { kept, place }, findings))
    }

    /// Makes `pkcs8` the key of the node in `dir`, whose epochs and indexes go on, and puts the feed
    /// of the node before aside. Done again, it changes nothing.
    ///
    /// # Errors
    /// [`DiskError::Io`]; some of it may be done already, so it has to be done again.
    pub fn succeed(dir: &DataDir, pkcs8: &[u8]) -> Result<(), DiskError> {
        let mut next = Kept::new(pkcs8.to_vec());
        let mut is_done = true;
        for name in [FIRST, SECOND] {
            let Copy::Whole(kept) = copy::read(&dir.file(name))? else {
                is_done = false;
                continue;
            };
            is_done &= kept.pkcs8 == pkcs8;
            next.revision = next.revision.max(kept.revision.saturating_add(1));
            next.epoch = next.epoch.max(kept.epoch);
            next.index = next.index.max(kept.index);
        }
        if is_done {
            return Ok(());
        }
        part_with_feed(dir)?;
        write_both(dir, &next)
    }

    /// An identity that ends with the process, for `tidings dev`.
    pub const fn in_memory(pkcs8: Vec<u8>) -> Self {
        Self {
            kept: Kept::new(pkcs8),
            place: Place::Memory,
        }
    }

    /// The node's private key, PKCS#8.
    pub fn pkcs8(&self) -> &[u8] {
        &self.kept.pkcs8
    }

    /// The last epoch taken, [`Epoch::ZERO`] if none.
    pub const fn epoch(&self) -> Epoch {
        self.kept.epoch
    }

    /// The HTTP index up to which this node may have issued indexes.
    pub const fn reserved_index(&self) -> u64 {
        self.kept.index
    }

    /// Takes a new epoch for a start at `unix_ms`, greater than every one taken before and than
    /// `above`, if given. It is on disk when this returns.
    ///
    /// # Errors
    /// [`DiskError::Io`] or [`DiskError::EpochsExhausted`]; no epoch was taken, and none that the
    /// disk may have been given will be used.
    pub fn take_epoch(
        &mut self,
        unix_ms: u64,
        random: u64,
        above: Option<Epoch>,
    ) -> Result<Epoch, DiskError> {
        let last = self.kept.epoch.max(above.unwrap_or(Epoch::ZERO));
        let epoch = Epoch::after(last, unix_ms, random);
        if epoch <= last {
            return Err(DiskError::EpochsExhausted { last });
        }
        self.keep(Kept {
            epoch,
            ..self.kept.clone()
        })?;
        Ok(epoch)
    }

    /// Reserves indexes up to `up_to`, so that none issued after a restart is lower. It is on disk
    /// when this returns; a reservation that stands already costs nothing.
    ///
    /// # Errors
    /// [`DiskError::Io`]; the earlier reservation stands.
    pub fn reserve_index(&mut self, up_to: u64) -> Result<(), DiskError> {
        if up_to <= self.kept.index {
            return Ok(());
        }
        self.keep(Kept {
            index: up_to,
            ..self.kept.clone()
        })
    }

    fn keep(&mut self, mut kept: Kept) -> Result<(), DiskError> {
        kept.revision = kept.revision.saturating_add(1);
        if let Place::Disk(dir) = &self.place {
            write_both(dir, &kept)?;
        }
        self.kept = kept;
        Ok(())
    }
}

impl fmt::Debug for Identity {
    /// Leaves the private key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("epoch", &self.kept.epoch)
            .field("reserved_index", &self.kept.index)
            .finish_non_exhaustive()
    }
}

impl Kept {
    const fn new(pkcs8: Vec<u8>) -> Self {
        Self {
            revision: 1,
            epoch: Epoch::ZERO,
            index: 0,
            pkcs8,
        }
    }
}

fn create(dir: &DataDir, generate: impl FnOnce() -> Vec<u8>) -> Result<Kept, DiskError> {
    let feed = dir.file(super::feed_store::FILE);
    if feed.exists() {
        return Err(DiskError::IdentityMissing {
            feed,
            first: dir.file(FIRST),
            second: dir.file(SECOND),
        });
    }
    let pkcs8 = generate();
    if pkcs8.is_empty() || pkcs8.len() > PKCS8_BYTES {
        return Err(DiskError::KeySize {
            bytes: pkcs8.len(),
            max: PKCS8_BYTES,
        });
    }
    Ok(Kept::new(pkcs8))
}

fn part_with_feed(dir: &DataDir) -> Result<(), DiskError> {
    let feed = dir.file(super::feed_store::FILE);
    CommitCount::forget(&feed).map_err(DiskError::io("set aside", &feed))?;
    match fs::rename(&feed, dir.file(FORMER_FEED)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(DiskError::io("set aside", &feed)(error))
        }
        _ => sync_dir(dir.path()),
    }
}

/// Of two sound copies the one written last. They differ only if the process ended between the two
/// writes; the older one is then brought up to date by the next epoch, which every start takes.
fn newer(dir: &DataDir, a: Kept, b: Kept) -> Result<Kept, DiskError> {
    if a.pkcs8 != b.pkcs8 {
        return Err(DiskError::IdentitiesDiffer {
            first: dir.file(FIRST),
            second: dir.file(SECOND),
        });
    }
    Ok(Kept {
        revision: a.revision.max(b.revision),
        epoch: a.epoch.max(b.epoch),
        index: a.index.max(b.index),
        pkcs8: a.pkcs8,
    })
}

fn restore(
    dir: &DataDir,
    bad: &Path,
    intact: &Path,
    kept: &Kept,
    found: Copy,
) -> Result<Finding, DiskError> {
    copy::write(dir, bad, kept)?;
    let finding = Finding::IdentityCopyRestored {
        copy: bad.to_owned(),
        intact: intact.to_owned(),
        reason: found.reason(),
    };
    tracing::warn!(target: "tidings::disk", "{finding}");
    Ok(finding)
}

fn write_both(dir: &DataDir, kept: &Kept) -> Result<(), DiskError> {
    copy::write(dir, &dir.file(FIRST), kept)?;
    copy::write(dir, &dir.file(SECOND), kept)
}

/// The key in `data`, if it is a whole copy, and the copy written again.
#[cfg(feature = "fuzzing")]
pub(super) fn read_again(path: &Path, data: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    match copy::decode(path, data) {
        Ok(Copy::Whole(kept)) => {
            let again = copy::encode(&kept);
            Some((kept.pkcs8, again))
        }
        _ => None,
    }
}

/// A copy with this content.
#[cfg(feature = "fuzzing")]
pub(super) fn written(pkcs8: &[u8], epoch: Epoch, index: u64) -> Vec<u8> {
    copy::encode(&Kept {
        epoch,
        index,
        ..Kept::new(pkcs8.to_vec())
    })
}

const FIRST: &str = "identity";
const SECOND: &str = "identity.bak";
/// The feed of the node that this one was before.
const FORMER_FEED: &str = "feed.redb.former";
