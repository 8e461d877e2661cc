//! Content sums, feed items and the fingerprint: when are two registries equal?
//!
//! Hashes are summed modulo 2^128, so that each change moves a sum by one subtraction and one
//! addition, in any order. They are keyed by the cluster, so that equal data in two clusters never
//! look alike, and tagged by what is hashed. What is hashed is the encoding of *decoded* values:
//! bytes that decode alike hash alike, whatever came over the wire.

use bincode::config;
use serde::Serialize;
use tidings_types::{ClusterId, Dot, FeedState, Key, Slot};

#[derive(Clone, Debug)]
pub(crate) struct ContentHasher {
    key: [u8; 32],
}

/// One slot's part of the content sum, and the size of its record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotHash {
    pub(crate) hash: u128,
    /// Bytes of key and slot. The change's dot does not count: a restamp must never make a record
    /// too large.
    pub(crate) bytes: usize,
}

impl ContentHasher {
    pub(crate) fn new(cluster: ClusterId) -> Self {
        Self {
            key: blake3::derive_key("tidings registry content", cluster.as_bytes()),
        }
    }

    pub(crate) fn slot(&self, dot: Dot, key: &Key, slot: &Slot) -> SlotHash {
        let mut hasher = self.tagged(SLOT);
        encode(&mut hasher, &dot);
        let bytes = encode(&mut hasher, &(key, slot));
        SlotHash {
            hash: first_128_bits(&hasher),
            bytes,
        }
    }

    /// What a feed at this position with this content adds to the fingerprint.
    pub(crate) fn item(&self, state: &FeedState) -> u128 {
        let mut hasher = self.tagged(ITEM);
        encode(&mut hasher, state);
        first_128_bits(&hasher)
    }

    fn tagged(&self, tag: u8) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[tag]);
        hasher
    }
}

fn encode(hasher: &mut blake3::Hasher, value: &impl Serialize) -> usize {
    bincode::serde::encode_into_std_write(value, hasher, config::standard())
        .expect("plain data encodes, and a hasher takes every byte")
}

fn first_128_bits(hasher: &blake3::Hasher) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}

const SLOT: u8 = 1;
const ITEM: u8 = 2;
