//! bincode 2 with a fixed configuration and a limit at every call.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::{Serialize, de::DeserializeOwned};

/// The version of this wire format. 0 until the first release: no compatibility is kept.
pub const WIRE_VERSION: u8 = 0;

/// The value could not be sent; it is this node's own, nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// It does not fit the frame.
    #[error("the frame has {bytes} bytes, the limit is {max}")]
    TooLarge {
        /// The encoded size.
        bytes: usize,
        /// The frame's limit.
        max: usize,
    },
    /// It cannot be written at all: a fault in a type of ours.
    #[error("the frame cannot be encoded: {0}")]
    Unencodable(#[from] bincode::error::EncodeError),
}

/// A peer's bytes are no frame; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No bytes at all.
    #[error("the frame is empty")]
    Empty,
    /// Another wire version. Two agents of one cluster must run compatible releases.
    #[error("the frame has wire version {found}, this agent speaks {WIRE_VERSION}")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// Longer than any frame of its kind.
    #[error("the frame has {bytes} bytes, the limit is {max}")]
    TooLarge {
        /// The received size.
        bytes: usize,
        /// The frame's limit.
        max: usize,
    },
    /// The bytes do not spell a value.
    #[error("the frame is malformed: {0}")]
    Malformed(#[from] bincode::error::DecodeError),
    /// A value was followed by bytes that belong to nothing.
    #[error("the frame has {bytes} bytes too many")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// What a frame of so many bytes may claim while it is decoded.
///
/// bincode counts what a number takes in memory, whatever it takes in the frame: eight bytes for a
/// `u64` of one. With the frame's own limit, frames of many small numbers would be refused that their
/// sender had no reason not to send.
pub(crate) const fn claims(limit: usize) -> usize {
    limit * 8
}

/// Little-endian, variable-length integers, at most `CLAIMS` bytes read or claimed.
///
/// The limit is counted before memory is taken: without it, nine hostile bytes that claim a long
/// string abort the process.
const fn config<const CLAIMS: usize>() -> Configuration<LittleEndian, Varint, Limit<CLAIMS>> {
    bincode::config::standard().with_limit::<CLAIMS>()
}

/// Most datagrams fit this, so that they are written without taking memory again and again.
const USUAL_BYTES: usize = 256;

/// The version byte and `value`, at most `LIMIT` bytes in all.
pub(crate) fn encode_frame<const LIMIT: usize>(
    value: &impl Serialize,
) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES.min(LIMIT));
    bytes.push(WIRE_VERSION);
    bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard())?;
    if bytes.len() > LIMIT {
        return Err(EncodeError::TooLarge {
            bytes: bytes.len(),
            max: LIMIT,
        });
    }
    Ok(bytes)
}

/// The value of a frame of at most `LIMIT` bytes, which may claim as much as [`claims`] says.
pub(crate) fn decode_frame<const LIMIT: usize, const CLAIMS: usize, T: DeserializeOwned>(
    frame: &[u8],
) -> Result<T, DecodeError> {
    if frame.len() > LIMIT {
        return Err(DecodeError::TooLarge {
            bytes: frame.len(),
            max: LIMIT,
        });
    }
    let (&version, body) = frame.split_first().ok_or(DecodeError::Empty)?;
    if version != WIRE_VERSION {
        return Err(DecodeError::Version { found: version });
    }
    let (value, read) = bincode::serde::decode_from_slice(body, config::<CLAIMS>())?;
    if read < body.len() {
        return Err(DecodeError::Trailing {
            bytes: body.len() - read,
        });
    }
    Ok(value)
}

/// How many bytes `value` takes inside a frame.
///
/// # Errors
/// [`EncodeError::Unencodable`] if the value has no encoding.
pub fn encoded_len(value: &impl Serialize) -> Result<usize, EncodeError> {
    let mut counter = Counter(0);
    bincode::serde::encode_into_std_write(value, &mut counter, bincode::config::standard())?;
    Ok(counter.0)
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
