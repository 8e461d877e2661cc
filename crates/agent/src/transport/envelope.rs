//! The header of a sealed datagram.
//!
//! ```text
//!  0      kind: 0x10 to anybody, 0x11 to one receiver (the bits 00 above tell it from QUIC)
//!  1      wire version
//!  2..4   zone (reserved, zero)
//!  4..12  cluster, the first 8 bytes of its id
//! 12..28  sender
//! 28..36  sender's epoch
//! 36..52  salt
//! 52..60  counter
//! 60..64  receiver, the first 4 bytes of its id; zero if to anybody
//! 64..68  the id of the cluster key that it is sealed under
//! 68..    sealed payload, then the 16 bytes of its tag
//! ```
//!
//! Numbers are big-endian. The whole header is authenticated, and so is the receiver's whole id.

use tidings_types::{
    ClusterId, ClusterKeyId, Epoch, NodeId,
    limits::{DATAGRAM_BYTES, ENVELOPE_BYTES, PAYLOAD_BYTES},
};

/// What stands before the sealed payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The sender's cluster.
    pub(super) cluster: ClusterTag,
    /// Who claims to have sent it.
    pub(super) sender: NodeId,
    /// The sender's run.
    pub(super) epoch: Epoch,
    /// Random bytes that make the key of a stretch of datagrams.
    pub(super) salt: [u8; 16],
    /// Grows by one per datagram of the sender, whoever receives it.
    pub(super) counter: u64,
    /// The receiver that it is meant for, or nobody in particular.
    pub(super) receiver: Option<ReceiverTag>,
    /// The cluster key that it is sealed under.
    pub(super) key: ClusterKeyId,
}

/// The start of a cluster's id: enough to tell clusters apart, not to authenticate them.
pub(super) type ClusterTag = [u8; 8];
/// The start of the receiver's id: enough to tell a packet for a former user of an address.
pub(super) type ReceiverTag = [u8; 4];

/// Why bytes are no header of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Shorter than an empty datagram, or longer than the limit.
    Length,
    /// Neither 0x10 nor 0x11.
    Kind,
    /// Another wire version.
    Version,
}

impl Header {
    /// The header's bytes.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = if self.receiver.is_some() {
            TO_ONE
        } else {
            TO_ANYBODY
        };
        bytes[1] = VERSION;
        bytes[4..12].copy_from_slice(&self.cluster);
        bytes[12..28].copy_from_slice(self.sender.as_bytes());
        bytes[28..36].copy_from_slice(&self.epoch.bits().to_be_bytes());
        bytes[36..52].copy_from_slice(&self.salt);
        bytes[52..60].copy_from_slice(&self.counter.to_be_bytes());
        bytes[60..64].copy_from_slice(&self.receiver.unwrap_or_default());
        bytes[64..68].copy_from_slice(self.key.as_bytes());
        bytes
    }

    /// The header at the start of a datagram.
    pub(super) fn decode(datagram: &[u8]) -> Result<Self, Malformed> {
        if datagram.len() < HEADER_BYTES + TAG_BYTES || datagram.len() > DATAGRAM_BYTES {
            return Err(Malformed::Length);
        }
        let addressed = match datagram[0] {
            TO_ANYBODY => false,
            TO_ONE => true,
            _ => return Err(Malformed::Kind),
        };
        if datagram[1] != VERSION {
            return Err(Malformed::Version);
        }
        Ok(Self {
            cluster: array(&datagram[4..12]),
            sender: NodeId::from_bytes(array(&datagram[12..28])),
            epoch: Epoch::from_bits(u64::from_be_bytes(array(&datagram[28..36]))),
            salt: array(&datagram[36..52]),
            counter: u64::from_be_bytes(array(&datagram[52..60])),
            receiver: addressed.then(|| array(&datagram[60..64])),
            key: ClusterKeyId::from_bytes(array(&datagram[64..68])),
        })
    }

    /// The nonce that the counter makes: never repeated under one key.
    pub(super) fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.counter.to_be_bytes());
        nonce
    }
}

/// What the tag covers beside the payload: the header's bytes and the receiver's id.
pub(super) fn associated_data(
    header: &[u8],
    receiver: Option<NodeId>,
) -> ([u8; HEADER_BYTES + 16], usize) {
    let mut bytes = [0; HEADER_BYTES + 16];
    bytes[..HEADER_BYTES].copy_from_slice(header);
    match receiver {
        Some(node) => {
            bytes[HEADER_BYTES..].copy_from_slice(node.as_bytes());
            (bytes, HEADER_BYTES + 16)
        }
        None => (bytes, HEADER_BYTES),
    }
}

/// Whether a packet with this first byte is a datagram of ours and not QUIC's.
pub(super) const fn is_ours(first: u8) -> bool {
    first >> 6 == 0
}

/// The cluster's tag in headers.
pub(super) fn cluster_tag(cluster: ClusterId) -> ClusterTag {
    array(&cluster.as_bytes()[..8])
}

/// The receiver's tag in headers.
pub(super) fn receiver_tag(node: NodeId) -> ReceiverTag {
    array(&node.as_bytes()[..4])
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("each field is cut to its length")
}

/// Bytes before the sealed payload.
pub(super) const HEADER_BYTES: usize = 68;
/// Bytes of the authentication tag behind it.
pub(super) const TAG_BYTES: usize = 16;
const TO_ANYBODY: u8 = 0x10;
const TO_ONE: u8 = 0x11;
const VERSION: u8 = 0;

// The envelope leaves 12 bytes of its share for later fields, and every payload fits behind it.
const _: () = assert!(HEADER_BYTES + TAG_BYTES <= ENVELOPE_BYTES);
const _: () = assert!(HEADER_BYTES + TAG_BYTES + PAYLOAD_BYTES <= DATAGRAM_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    fn header(receiver: Option<ReceiverTag>) -> Header {
        Header {
            cluster: [1; 8],
            sender: NodeId::from_bytes([2; 16]),
            epoch: Epoch::from_bits(3),
            salt: [4; 16],
            counter: 5,
            receiver,
            key: ClusterKeyId::from_bytes([6; 4]),
        }
    }

    fn datagram(header: Header) -> Vec<u8> {
        let mut bytes = header.encode().to_vec();
        bytes.extend([0; TAG_BYTES]);
        bytes
    }

    #[test]
    fn a_header_survives_its_bytes() {
        for receiver in [None, Some([9; 4])] {
            let header = header(receiver);
            assert_eq!(Header::decode(&datagram(header)), Ok(header));
        }
    }

    #[test]
    fn a_header_keeps_its_golden_bytes() {
        let golden = [
            &[0x11, 0, 0, 0][..],
            &[1; 8],
            &[2; 16],
            &[0, 0, 0, 0, 0, 0, 0, 3],
            &[4; 16],
            &[0, 0, 0, 0, 0, 0, 0, 5],
            &[9; 4],
            &[6; 4],
        ];
        assert_eq!(header(Some([9; 4])).encode().to_vec(), golden.concat());
    }

    #[test]
    fn other_lengths_kinds_and_versions_are_told_apart() {
        let good = datagram(header(None));
        assert_eq!(Header::decode(&good[..83]), Err(Malformed::Length));
        assert_eq!(Header::decode(&[0x10; 1_201]), Err(Malformed::Length));
        let mut kind = good.clone();
        kind[0] = 0x12;
        assert_eq!(Header::decode(&kind), Err(Malformed::Kind));
        let mut version = good;
        version[1] = 1;
        assert_eq!(Header::decode(&version), Err(Malformed::Version));
    }

    #[test]
    fn quic_packets_are_not_ours() {
        assert!(is_ours(TO_ANYBODY) && is_ours(TO_ONE));
        assert!(!is_ours(0x40) && !is_ours(0x80) && !is_ours(0xc0));
    }
}
