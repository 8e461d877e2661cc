//! Feeds as rows: keys and values to bytes and back.
//!
//! A slot stands under its feed's owner (16 bytes) and its key; its value begins with the dot and
//! the kind at fixed places, so that both are read without decoding the record.

use std::net::SocketAddr;

use bincode::config::{Configuration, Limit, LittleEndian, Varint, standard};
use serde::{Serialize, de::DeserializeOwned};
use tidings_types::{
    Change, Content, Epoch, FeedState, Key, NodeId, Place, Slot, limits::RECORD_BYTES,
};

use super::{SaveError, checksum};

/// A row cannot be what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowError {
    /// The row ends before its checksum.
    #[error("cut short")]
    Short,
    /// The row exceeds every row that was ever written.
    #[error("longer than any row")]
    Long,
    /// The checksum is another one.
    #[error("wrong checksum")]
    Checksum,
    /// The checksum is right, the content is not.
    #[error("not readable: {0}")]
    Malformed(String),
}

/// Where a change stands and whether it is a removal mark: what can be told without its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) place: Place,
    pub(super) is_mark: bool,
}

/// The row of one slot.
pub(super) fn slot(owner: NodeId, change: &Change) -> Result<(Vec<u8>, Vec<u8>), SaveError> {
    let mut key = owner.as_bytes().to_vec();
    encode(&change.key, &mut key);
    let mut value = Vec::with_capacity(256);
    value.extend_from_slice(&change.place.epoch.bits().to_be_bytes());
    value.extend_from_slice(&change.place.seq.to_be_bytes());
    match &change.slot {
        Slot::RemovalMark => value.push(MARK),
        Slot::Entry(entry) => {
            value.push(ENTRY);
            // As the entry is encoded: its body is in that form already.
            encode(&(&entry.version, entry.body.is_some()), &mut value);
            value.extend_from_slice(entry.body.as_ref().map_or(&[], Content::bytes));
        }
    }
    bounded(&key, KEY_BYTES)?;
    bounded(&value, ROW_BYTES)?;
    let value = checksum::seal(&key, value);
    Ok((key, value))
}

/// The row that says how far a feed goes.
pub(super) fn position(state: &FeedState) -> Result<([u8; 16], Vec<u8>), SaveError> {
    let key = *state.owner.as_bytes();
    let mut value = Vec::new();
    encode(state, &mut value);
    bounded(&value, STATE_BYTES)?;
    Ok((key, checksum::seal(&key, value)))
}

/// The row of a place where a member was met. It is all key; the value is the checksum.
pub(super) fn member(member: &(NodeId, SocketAddr)) -> (Vec<u8>, Vec<u8>) {
    let mut key = Vec::new();
    encode(member, &mut key);
    let value = checksum::seal(&key, Vec::new());
    (key, value)
}

/// Whose feed a row is about that stands under nothing but the owner.
pub(super) fn owner(key: &[u8]) -> Option<NodeId> {
    key.try_into().ok().map(NodeId::from_bytes)
}

/// The feed and the key of a slot, told from its key alone.
pub(super) fn read_key(key: &[u8]) -> Result<(NodeId, Key), RowError> {
    let (owner, rest) = key.split_first_chunk().ok_or(RowError::Short)?;
    let key = decode::<_, { 4 * KEY_BYTES }>(rest, KEY_BYTES)?;
    Ok((NodeId::from_bytes(*owner), key))
}

/// The place of a slot, once its checksum was found right.
pub(super) fn read_header(key: &[u8], value: &[u8]) -> Result<Header, RowError> {
    let value = checksum::open(key, value)?;
    split_header(value).map(|(header, _)| header)
}

/// A slot, whole and checked.
pub(super) fn read_slot(key: &[u8], value: &[u8]) -> Result<(NodeId, Change), RowError> {
    let value = checksum::open(key, value)?;
    let (owner, key) = read_key(key)?;
    let (header, rest) = split_header(value)?;
    let slot = match (header.is_mark, rest) {
        (true, []) => Slot::RemovalMark,
        (true, _) => return Err(RowError::Malformed("a mark with a record".into())),
        (false, rest) => Slot::Entry(decode::<_, { 4 * ROW_BYTES }>(rest, ROW_BYTES)?),
    };
    let change = Change {
        place: header.place,
        key,
        slot,
    };
    Ok((owner, change))
}

/// How far a feed goes, checked.
pub(super) fn read_position(key: &[u8], value: &[u8]) -> Result<FeedState, RowError> {
    let value = checksum::open(key, value)?;
    let state: FeedState = decode::<_, { 4 * STATE_BYTES }>(value, STATE_BYTES)?;
    if state.owner.as_bytes() == key {
        Ok(state)
    } else {
        Err(RowError::Malformed("the position of another feed".into()))
    }
}

/// A place where a member was met, checked.
pub(super) fn read_member(key: &[u8], value: &[u8]) -> Result<(NodeId, SocketAddr), RowError> {
    checksum::open(key, value)?;
    decode::<_, { 4 * KEY_BYTES }>(key, KEY_BYTES)
}

fn split_header(value: &[u8]) -> Result<(Header, &[u8]), RowError> {
    let (epoch, rest) = value.split_first_chunk().ok_or(RowError::Short)?;
    let (seq, rest) = rest.split_first_chunk().ok_or(RowError::Short)?;
    let (&kind, rest) = rest.split_first().ok_or(RowError::Short)?;
    let is_mark = match kind {
        ENTRY => false,
        MARK => true,
        _ => return Err(RowError::Malformed(format!("slot of kind {kind}"))),
    };
    let header = Header {
        place: Place {
            epoch: Epoch::from_bits(u64::from_be_bytes(*epoch)),
            seq: u64::from_be_bytes(*seq),
        },
        is_mark,
    };
    Ok((header, rest))
}

fn encode(value: &impl Serialize, into: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, into, standard())
        .expect("plain data without maps of unknown length, written to memory");
}

/// Decodes all of `bytes`. `CLAIM` bounds what the content may claim to need in memory, which is
/// more than its encoded size since numbers are short on disk.
fn decode<T: DeserializeOwned, const CLAIM: usize>(
    bytes: &[u8],
    bytes_max: usize,
) -> Result<T, RowError> {
    if bytes.len() > bytes_max {
        return Err(RowError::Long);
    }
    let config: Configuration<LittleEndian, Varint, Limit<CLAIM>> = standard().with_limit();
    let (value, used) = bincode::serde::decode_from_slice(bytes, config)
        .map_err(|error| RowError::Malformed(error.to_string()))?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(RowError::Malformed("bytes left over".into()))
    }
}

fn bounded(bytes: &[u8], max: usize) -> Result<(), SaveError> {
    if bytes.len() > max {
        Err(SaveError::RowTooLarge {
            bytes: bytes.len(),
            max,
        })
    } else {
        Ok(())
    }
}

const ENTRY: u8 = 0;
const MARK: u8 = 1;

/// Bytes of a row's key: an owner, a node name and an id.
const KEY_BYTES: usize = 1_024;
/// Bytes of a slot: the greatest record, with room for its version's vector clock.
const ROW_BYTES: usize = RECORD_BYTES + (8 << 10);
/// Bytes of a feed's position: its `needs` name a position per node that the owner knows.
const STATE_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use tidings_types::Lineage;

    use super::*;
    use crate::disk::testing::{RUN, node, put, removed, state};

    #[test]
    fn slots_positions_and_members_survive_the_way_to_disk_and_back() {
        for change in [put(node(1), RUN, 3, "a"), removed(node(1), RUN, 4, "b")] {
            let (key, value) = slot(node(1), &change).unwrap();
            let header = read_header(&key, &value).unwrap();
            assert_eq!(header.place, change.place);
            assert_eq!(header.is_mark, change.slot == Slot::RemovalMark);
            assert_eq!(read_slot(&key, &value), Ok((node(1), change)));
        }
        let stored = position(&state(node(1), Lineage::of(RUN, 4))).unwrap();
        let read = read_position(&stored.0, &stored.1);
        assert_eq!(read, Ok(state(node(1), Lineage::of(RUN, 4))));
        let met = (node(1), "[2001:db8::1]:8301".parse().unwrap());
        let (key, value) = member(&met);
        assert_eq!(read_member(&key, &value), Ok(met));
    }

    #[test]
    fn a_record_beyond_every_limit_is_refused_before_it_is_written() {
        let mut change = put(node(1), RUN, 1, "a");
        if let Slot::Entry(entry) = &mut change.slot {
            let mut instance = entry.body.take().unwrap().instance().unwrap();
            instance.address = "x".repeat(ROW_BYTES).into();
            entry.body = Some(tidings_types::Body::Instance(instance).into());
        }
        let refused = slot(node(1), &change).unwrap_err();
        assert!(
            matches!(refused, SaveError::RowTooLarge { .. }),
            "{refused}"
        );
    }

    #[test]
    fn bytes_with_a_right_checksum_and_a_wild_content_are_refused() {
        let (key, _) = slot(node(1), &put(node(1), RUN, 1, "a")).unwrap();
        for wild in [
            vec![],
            vec![0; 16],
            vec![0xff; 17],
            vec![0xff; 4_096],
            [vec![0; 16], vec![ENTRY], vec![0xfd; 64]].concat(),
            [vec![0; 16], vec![MARK, 1]].concat(),
            vec![0; ROW_BYTES + 100],
        ] {
            let sealed = checksum::seal(&key, wild);
            assert!(read_slot(&key, &sealed).is_err());
        }
        let sealed = checksum::seal(node(1).as_bytes(), vec![0xfd; 64]);
        assert!(read_position(node(1).as_bytes(), &sealed).is_err());
    }
}
