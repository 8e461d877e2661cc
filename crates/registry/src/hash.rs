//! Content sums, feed items and the fingerprint: when are two registries equal?
//!
//! Hashes are summed modulo 2^128, so that each change moves a sum by one subtraction and one
//! addition, in any order. They are keyed by the cluster, so that equal data in two clusters never
//! look alike, and tagged by what is hashed. What is hashed is the encoding of *decoded* values:
//! bytes that decode alike hash alike, whatever came over the wire.

use bincode::config;
use serde::Serialize;
use tidings_types::{ClusterId, Content, Dot, Entry, FeedState, Key, Slot, Version};

use crate::cost::{cost, named_checks};

#[derive(Clone, Debug)]
pub(crate) struct ContentHasher {
    key: [u8; 32],
}

/// What is counted of one slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weighed {
    /// Its part of the content sum.
    pub(crate) hash: u128,
    /// Bytes of key and slot. The change's dot does not count: a restamp must never make a record
    /// too large.
    pub(crate) bytes: usize,
    /// Bytes that it is charged.
    pub(crate) cost: usize,
    /// Checks that it names.
    pub(crate) named: usize,
}

impl ContentHasher {
    pub(crate) fn new(cluster: ClusterId) -> Self {
        Self {
            key: blake3::derive_key("tidings registry content", cluster.as_bytes()),
        }
    }

    pub(crate) fn slot(&self, dot: Dot, key: &Key, slot: &Slot) -> Weighed {
        let mut encoded = tagged(SLOT);
        encode(&mut encoded, &dot);
        let before = encoded.len();
        encode(&mut encoded, key);
        match slot {
            Slot::RemovalMark => encode(&mut encoded, &Start::RemovalMark),
            Slot::Entry(Entry { version, body }) => {
                encode(&mut encoded, &Start::Entry(version, body.is_some()));
                encoded.extend_from_slice(body.as_ref().map_or(&[], Content::bytes));
            }
        }
        let (bytes, named) = (encoded.len() - before, named_checks(slot));
        Weighed {
            hash: self.first_128_bits(&encoded),
            bytes,
            cost: cost(key, slot, named, bytes),
            named,
        }
    }

    /// What a feed at this position with this content adds to the fingerprint.
    pub(crate) fn item(&self, state: &FeedState) -> u128 {
        let mut encoded = tagged(ITEM);
        encode(&mut encoded, state);
        self.first_128_bits(&encoded)
    }

    fn first_128_bits(&self, encoded: &[u8]) -> u128 {
        let hash = blake3::keyed_hash(&self.key, encoded);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        u128::from_le_bytes(bytes)
    }
}

/// The encoding of a slot, up to where its body begins, which is encoded already.
#[derive(Serialize)]
enum Start<'a> {
    Entry(&'a Version, bool),
    RemovalMark,
}

/// Most slots and states fit this, so that they are written without taking memory again and again.
const USUAL_BYTES: usize = 512;

fn tagged(tag: u8) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(USUAL_BYTES);
    encoded.push(tag);
    encoded
}

/// Values are encoded before they are hashed, since the encoder writes many of them byte by byte, and
/// each of a hasher's updates costs more than a byte of memory.
fn encode(into: &mut Vec<u8>, value: &impl Serialize) {
    bincode::serde::encode_into_std_write(value, into, config::standard())
        .expect("plain data encodes, and memory takes every byte");
}

const SLOT: u8 = 1;
const ITEM: u8 = 2;

#[cfg(test)]
mod tests {
    use tidings_types::Version;

    use super::*;
    use crate::fixture::{cluster, dot, entry, instance, instance_key, node};

    #[test]
    fn a_slot_is_as_large_as_its_encoding() {
        let (hasher, at) = (ContentHasher::new(cluster()), dot(node(1), 1, 1));
        let key = instance_key(node(1), "a");
        let slots = [
            entry(Version::Owner(at.into()), Some(instance(80))),
            entry(Version::Override(at.into()), None),
            Slot::RemovalMark,
        ];
        for slot in slots {
            let encoded = bincode::serde::encode_to_vec((&key, &slot), config::standard()).unwrap();
            assert_eq!(hasher.slot(at, &key, &slot).bytes, encoded.len());
        }
    }
}
