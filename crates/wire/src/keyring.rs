//! What agents say to each other of the cluster's keys.
//!
//! A request of its own kind, since the node has no part in it: keys belong to the shell. It
//! carries secret bytes, so it travels in sessions only, which have proved node and cluster key.

use serde::{Deserialize, Serialize};
use tidings_types::{ClusterKey, ClusterKeyId};

use crate::codec::{DecodeError, EncodeError, claims, decode_frame, encode_frame};

/// Bytes of one frame about keys.
pub const KEYRING_BYTES: usize = 4 << 10;
/// Bytes that mean nothing in a question and its answer: more than a packet holds, so that an answer
/// proves that packets of full size pass in both directions.
pub const KEYRING_PADDING: usize = 2 << 10;

/// What one agent asks of another's keys. The variants' order is part of the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyringRequest {
    /// Which keys do you accept?
    List {
        /// [`KEYRING_PADDING`] bytes, which come back with the answer.
        padding: Vec<u8>,
    },
    /// Change which keys you accept, and keep it.
    Change(KeyChange),
}

/// One change of the keys that an agent accepts. The variants' order is part of the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyChange {
    /// Accept this key too.
    Add(ClusterKey),
    /// Send under this key, which is accepted already.
    Use(ClusterKeyId),
    /// Accept this key no longer.
    Remove(ClusterKeyId),
}

/// The one answer to a [`KeyringRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyringAnswer {
    /// The keys accepted now; the first one is sent under.
    pub accepts: Vec<ClusterKeyId>,
    /// What became of the change.
    pub outcome: KeyringOutcome,
    /// The padding of the question.
    pub padding: Vec<u8>,
}

/// What became of a change of keys. The variants' order is part of the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyringOutcome {
    /// It is done, and on disk.
    Done,
    /// Nothing had to be changed.
    AsBefore,
    /// Nothing was changed, for this reason; the text is for people.
    Refused(String),
}

impl KeyringRequest {
    /// Asks which keys are accepted.
    pub fn list() -> Self {
        Self::List {
            padding: vec![0; KEYRING_PADDING],
        }
    }

    /// The request's frame.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] if it exceeds [`KEYRING_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        encode_frame::<KEYRING_BYTES>(self)
    }

    /// The request in a frame.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are no request of this version.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        decode_frame::<KEYRING_BYTES, { claims(KEYRING_BYTES) }, Self>(frame)
    }
}

impl KeyringAnswer {
    /// The answer's frame.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] if it exceeds [`KEYRING_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        encode_frame::<KEYRING_BYTES>(self)
    }

    /// The answer in a frame.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are no answer of this version.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        decode_frame::<KEYRING_BYTES, { claims(KEYRING_BYTES) }, Self>(frame)
    }
}
