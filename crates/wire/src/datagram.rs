//! What fits one packet and may vanish.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tidings_types::{Delta, Epoch, Lineage, NodeId, limits::PAYLOAD_BYTES};

use crate::codec::{DecodeError, EncodeError, claims, decode_frame, encode_frame};

/// The payload of a sealed datagram.
///
/// Each carries the sender's fingerprint: two peers whose fingerprints differ for longer than news
/// needs to travel repair the difference over a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datagram {
    /// The sender's registry, in 16 bytes.
    pub fingerprint: u128,
    /// The sender's wall clock, Unix milliseconds: for measuring how far clocks are apart. Nothing is
    /// ordered by it.
    pub wall_ms: u64,
    /// What it is about.
    pub body: Body,
}

/// The kinds of datagram. The variants' order is part of the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A packet of the membership layer.
    #[serde(with = "in_one_piece")]
    Membership(Vec<u8>),
    /// New dots, pushed at once.
    Rumors(Vec<Delta>),
    /// "I hold this much of that feed": an acknowledgement if the receiver owns the feed, an offer
    /// if the receiver holds less.
    Have {
        /// Whose feed.
        owner: NodeId,
        /// How much of it the sender holds.
        lineage: Lineage,
    },
    /// "I do not listen to you: I know a later run of your node."
    Superseded {
        /// The greatest run known.
        epoch: Epoch,
        /// Where it lives, as far as the sender knows.
        addr: SocketAddr,
    },
}

/// Bytes that a [`Datagram`] adds to a membership packet: version, fingerprint, clock, kind, length.
pub const MEMBERSHIP_OVERHEAD: usize = 33;

impl Datagram {
    /// The datagram's payload.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] if it exceeds [`PAYLOAD_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        encode_frame::<PAYLOAD_BYTES>(self)
    }

    /// The datagram in a payload that was opened.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are no datagram of this version.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        decode_frame::<PAYLOAD_BYTES, { claims(PAYLOAD_BYTES) }, Self>(payload)
    }
}

/// Bytes as one piece: encoded like a list of bytes, and read and written at once instead of one by one.
mod in_one_piece {
    use std::fmt;

    use serde::{Deserializer, Serializer, de::Visitor};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }
}
