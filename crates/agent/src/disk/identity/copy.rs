//! One copy of the identity as a file.
//!
//! Magic, version, length, content, CRC32 over all of it; numbers big-endian. A copy is replaced as a
//! whole (written aside, synced, renamed, directory synced), so a crash leaves the old or the new.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
};

use tidings_types::Epoch;

use super::Kept;
use crate::disk::{DataDir, DiskError, data_dir::replace_file};

/// What was found where a copy should be.
pub(super) enum Copy {
    Missing,
    Damaged(String),
    Whole(Kept),
}

impl Copy {
    /// What is wrong with it, in words.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Missing => "missing".into(),
            Self::Damaged(reason) => reason.clone(),
            Self::Whole(_) => "sound".into(),
        }
    }
}

/// Reads the copy at `path`.
///
/// A file that this user may not read is an error, not damage: writing over it would be wrong.
pub(super) fn read(path: &Path) -> Result<Copy, DiskError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => decode(path, &bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Copy::Missing),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(DiskError::io("read", path)(error))
        }
        Err(error) => Ok(Copy::Damaged(error.to_string())),
    }
}

/// Replaces the copy at `path`; it is durable when this returns.
pub(super) fn write(dir: &DataDir, path: &Path, kept: &Kept) -> Result<(), DiskError> {
    replace_file(dir.path(), path, &encode(kept))
}

pub(super) fn encode(kept: &Kept) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    let length = u32::try_from(NUMBERS_BYTES + kept.pkcs8.len())
        .expect("keys longer than PKCS8_BYTES are refused when an identity is made");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&kept.revision.to_be_bytes());
    bytes.extend_from_slice(&kept.epoch.bits().to_be_bytes());
    bytes.extend_from_slice(&kept.index.to_be_bytes());
    bytes.extend_from_slice(&kept.pkcs8);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Copy, DiskError> {
    match parse(bytes) {
        Ok((VERSION, kept)) => Ok(Copy::Whole(kept)),
        Ok((found, _)) => Err(DiskError::NewerFormat {
            path: path.to_owned(),
            found,
            known: VERSION,
        }),
        Err(reason) => Ok(Copy::Damaged(reason.into())),
    }
}

/// The version and the content, in that order of trust: nothing counts before the checksum does.
fn parse(bytes: &[u8]) -> Result<(u32, Kept), &'static str> {
    let (body, checksum) = bytes.split_last_chunk().ok_or("cut short")?;
    let rest = body.strip_prefix(MAGIC).ok_or("not an identity file")?;
    if crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
        return Err("wrong checksum");
    }
    let (version, rest) = rest.split_first_chunk().ok_or("cut short")?;
    let (length, rest) = rest.split_first_chunk().ok_or("cut short")?;
    if usize::try_from(u32::from_be_bytes(*length)) != Ok(rest.len()) {
        return Err("wrong length");
    }
    let (revision, rest) = rest.split_first_chunk().ok_or("cut short")?;
    let (epoch, rest) = rest.split_first_chunk().ok_or("cut short")?;
    let (index, pkcs8) = rest.split_first_chunk().ok_or("cut short")?;
    let kept = Kept {
        revision: u64::from_be_bytes(*revision),
        epoch: Epoch::from_bits(u64::from_be_bytes(*epoch)),
        index: u64::from_be_bytes(*index),
        pkcs8: pkcs8.to_vec(),
    };
    Ok((u32::from_be_bytes(*version), kept))
}

const MAGIC: &[u8] = b"tidings identity";
const VERSION: u32 = 1;
const NUMBERS_BYTES: usize = 24;
/// Bytes of a private key; an Ed25519 key as PKCS#8 has under 100.
pub(in crate::disk) const PKCS8_BYTES: usize = 1_024;
/// Bytes of an identity file, at most; a longer one is not read to its end.
const FILE_BYTES: u64 = 4_096;
