//! Who wrote what: nodes, clusters, epochs and dots.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A node's lasting identity: the first 128 bits of the hash of its public key.
///
/// It owns records. A restart, a new address or a new name keep it; a new key does not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId([u8; 16]);

/// The order of the bytes, compared as one number: every look into an ordered map compares ids.
impl Ord for NodeId {
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for NodeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl NodeId {
    /// The id made of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id in the shape that Consul's clients expect of a node id: a UUID string.
    pub fn to_uuid(&self) -> String {
        let hex = self.to_string();
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

/// The text is not 32 hexadecimal digits, with or without a UUID's dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node id is 32 hexadecimal digits, as `tidings members` prints it")]
pub struct ParseNodeIdError;

impl FromStr for NodeId {
    type Err = ParseNodeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Vec<u8> = text.bytes().filter(|&b| b != b'-').collect();
        if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(ParseNodeIdError);
        }
        let hex = std::str::from_utf8(&digits).map_err(|_| ParseNodeIdError)?;
        let number = u128::from_str_radix(hex, 16).map_err(|_| ParseNodeIdError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// The cluster that a node belongs to: a hash of the cluster's name.
///
/// Packets of another cluster are refused; content hashes are keyed by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId([u8; 16]);

impl ClusterId {
    /// The id made of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

/// One run of a node: 44 bits of Unix milliseconds, 20 random bits.
///
/// Each start takes a greater one than the persisted one, and persists it before use, so that no
/// dot is ever used twice, not even after a rolled-back disk or clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    const RANDOM_BITS: u32 = 20;
    /// Before every epoch that a node takes.
    pub const ZERO: Self = Self(0);
    /// After every epoch that a node can take.
    pub const MAX: Self = Self(u64::MAX);

    /// The epoch with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits: milliseconds above, random number below.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The epoch for a start at `unix_ms` that must exceed `last`; `random` fills the low 20 bits.
    ///
    /// A clock that stands before `last` is overruled: the result takes the millisecond after it.
    pub fn after(last: Self, unix_ms: u64, random: u64) -> Self {
        let next_ms = (last.0 >> Self::RANDOM_BITS).saturating_add(1);
        let ms = if last == Self::ZERO {
            unix_ms
        } else {
            unix_ms.max(next_ms)
        };
        let ms = ms.min((1 << (64 - Self::RANDOM_BITS)) - 1);
        Self(ms << Self::RANDOM_BITS | random & ((1 << Self::RANDOM_BITS) - 1))
    }

    /// The start's wall-clock reading, Unix milliseconds.
    pub const fn unix_ms(self) -> u64 {
        self.0 >> Self::RANDOM_BITS
    }

    /// The random number drawn at the start: of two holders of one identity the greater one stays.
    pub const fn random(self) -> u64 {
        self.0 & ((1 << Self::RANDOM_BITS) - 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:05x}", self.unix_ms(), self.random())
    }
}

/// The name of one change: the `seq`-th of `node`'s run `epoch`. Never reused, never altered.
///
/// Dots of one node are ordered as its changes were; the order across nodes is arbitrary but total.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// The run in which the change was made.
    pub epoch: Epoch,
    /// The change's number in its epoch, from 1.
    pub seq: u64,
    /// The node that made the change.
    pub node: NodeId,
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{:?}:{}", self.node, self.epoch, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_epoch_exceeds_the_last_even_when_the_clock_went_back() {
        let first = Epoch::after(Epoch::ZERO, 1_763_000_000_000, 0xfffff);
        let second = Epoch::after(first, 1_000, 0);
        assert!(second > first);
        assert_eq!(second.unix_ms(), first.unix_ms() + 1);
    }

    #[test]
    fn a_node_id_survives_its_text_forms() {
        let id = NodeId::from_bytes([7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_uuid().parse(), Ok(id));
        assert_eq!("07".parse::<NodeId>(), Err(ParseNodeIdError));
    }
}
