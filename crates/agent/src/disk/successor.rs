//! The identity that a node takes when another agent holds its own: a key, and the registrations
//! that move to it.
//!
//! Whoever finds this file at a start becomes that node, however far the change had come: the file
//! is written before anything else is touched, and removed when the registrations stand under the new
//! key. Magic, version, length, content, CRC32 over all of it; numbers big-endian, records as bincode.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::PathBuf,
};

use bincode::config::standard;
use tidings_types::{
    Body, Key,
    limits::{FEED_RECORDS, RECORD_BYTES},
};

use super::{
    DataDir, DiskError,
    data_dir::{replace_file, sync_dir},
    identity::PKCS8_BYTES,
};

/// What moves to another identity.
#[derive(Debug, PartialEq)]
pub struct Successor {
    pkcs8: Vec<u8>,
    records: Vec<(Key, Body)>,
}

impl Successor {
    /// What `key`, PKCS#8, takes over.
    pub const fn new(pkcs8: Vec<u8>, records: Vec<(Key, Body)>) -> Self {
        Self { pkcs8, records }
    }

    /// The new identity's private key, PKCS#8.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// What is to be registered under it.
    pub fn into_records(self) -> Vec<(Key, Body)> {
        self.records
    }

    /// Reads it, if there is one.
    ///
    /// # Errors
    /// [`DiskError::Io`]; [`DiskError::SuccessorDamaged`] if a person has to decide.
    pub fn load(dir: &DataDir) -> Result<Option<Self>, DiskError> {
        let path = dir.file(FILE);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened
                .and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes))
                .map_err(DiskError::io("read", &path))?,
        };
        match parse(&bytes) {
            Ok(found) => Ok(Some(found)),
            Err(reason) => Err(DiskError::SuccessorDamaged { path, reason }),
        }
    }

    /// Puts it on disk; it is durable when this returns.
    ///
    /// # Errors
    /// [`DiskError::Io`]; nothing was changed.
    pub fn keep(&self, dir: &DataDir) -> Result<(), DiskError> {
        replace_file(dir.path(), &path(dir), &self.encode())
    }

    /// Removes it: everything stands under the new identity.
    ///
    /// # Errors
    /// [`DiskError::Io`]; it is there still, and the next start does the same again.
    pub fn remove(dir: &DataDir) -> Result<(), DiskError> {
        let path = path(dir);
        fs::remove_file(&path).map_err(DiskError::io("remove", &path))?;
        sync_dir(dir.path())
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bincode::serde::encode_into_std_write((&self.pkcs8, &self.records), &mut bytes, standard())
            .expect("records are encoded the same way for peers, and memory takes all bytes");
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        bytes
    }
}

fn path(dir: &DataDir) -> PathBuf {
    dir.file(FILE)
}

fn parse(bytes: &[u8]) -> Result<Successor, String> {
    let (body, checksum) = bytes.split_last_chunk().ok_or("cut short")?;
    let rest = body.strip_prefix(MAGIC).ok_or("another kind of file")?;
    if crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
        return Err("wrong checksum".to_owned());
    }
    let (version, rest) = rest.split_first_chunk().ok_or("cut short")?;
    let version = u32::from_be_bytes(*version);
    if version != VERSION {
        return Err(format!("format {version}, written by a newer version"));
    }
    let config = standard().with_limit::<DECODED_BYTES>();
    let (content, read) =
        bincode::serde::decode_from_slice(rest, config).map_err(|error| error.to_string())?;
    let (pkcs8, records): (Vec<u8>, Vec<(Key, Body)>) = content;
    if read < rest.len() || pkcs8.is_empty() || pkcs8.len() > PKCS8_BYTES {
        return Err("wrong length".to_owned());
    }
    Ok(Successor { pkcs8, records })
}

const FILE: &str = "successor";
const MAGIC: &[u8] = b"tidings successor";
const VERSION: u32 = 1;
/// Bytes that are decoded, at most: all records of a feed, each as large as one may be, do not fit a
/// feed, so this bounds hostile content only.
const DECODED_BYTES: usize = 64 << 20;
/// Bytes of the file that are read.
const FILE_BYTES: u64 = 64 << 20;
const _: () = assert!(FEED_RECORDS * 64 < DECODED_BYTES && RECORD_BYTES < DECODED_BYTES);

#[cfg(test)]
mod tests {
    use tidings_types::{Epoch, NodeId, Slot};

    use super::*;
    use crate::disk::testing::put;

    fn sample() -> Successor {
        let change = put(NodeId::from_bytes([1; 16]), Epoch::ZERO, 1, "web");
        let Slot::Entry(entry) = change.slot else {
            panic!("it registers");
        };
        let body = entry.body.as_ref().unwrap().body();
        Successor::new(vec![1, 2, 3], vec![(change.key, body)])
    }

    #[test]
    fn what_was_kept_is_found_until_it_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let dir = DataDir::open(place.path()).unwrap();
        assert_eq!(Successor::load(&dir).unwrap(), None);
        sample().keep(&dir).unwrap();
        assert_eq!(Successor::load(&dir).unwrap(), Some(sample()));
        Successor::remove(&dir).unwrap();
        assert_eq!(Successor::load(&dir).unwrap(), None);
    }

    #[test]
    fn no_damaged_byte_goes_unnoticed() {
        let bytes = sample().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(parse(&damaged).is_err(), "byte {at}");
            assert!(parse(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
