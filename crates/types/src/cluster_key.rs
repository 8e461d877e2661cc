//! A cluster's shared secret, and the name under which people and logs speak of it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One cluster key: 32 secret random bytes. Whoever has it belongs to the cluster.
///
/// Nothing prints it; what is printed is its [`ClusterKeyId`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterKey([u8; Self::BYTES]);

impl ClusterKey {
    /// Bytes of a key.
    pub const BYTES: usize = 32;

    /// The key made of these bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The secret bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(secret)")
    }
}

/// The public name of a cluster key: the start of a hash of it, which tells nothing of the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterKeyId([u8; Self::BYTES]);

impl ClusterKeyId {
    /// Bytes of an id. Enough to tell the few keys of one cluster apart.
    pub const BYTES: usize = 4;

    /// The id made of these bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for ClusterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ClusterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 8 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key's id is 8 hexadecimal digits, as `tidings keyring list` prints it")]
pub struct ParseClusterKeyIdError;

impl FromStr for ClusterKeyId {
    type Err = ParseClusterKeyIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_id = text.len() == 2 * Self::BYTES && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u32::from_str_radix(text, 16).ok().filter(|_| is_id);
        let number = number.ok_or(ParseClusterKeyIdError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_and_nothing_else_is_one() {
        let id = ClusterKeyId::from_bytes([0, 0x1f, 0xa0, 9]);
        assert_eq!(id.to_string(), "001fa009");
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "001fa00", "001fa0099", "+01fa009", "001fa00g"] {
            assert_eq!(
                text.parse::<ClusterKeyId>(),
                Err(ParseClusterKeyIdError),
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = ClusterKey::from_bytes([0xab; 32]);
        assert_eq!(format!("{key:?}"), "ClusterKey(secret)");
    }
}
