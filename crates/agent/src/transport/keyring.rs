//! The cluster's shared secrets: which cluster we belong to.

use std::{fmt, sync::Arc};

use ring::{aead, hkdf, hmac};
use tidings_types::{Epoch, NodeId};

/// The cluster keys that are accepted; the first one is used for sending.
///
/// To rotate a key: add the new one behind the old one on every agent, then put it first, then
/// remove the old one.
#[derive(Clone)]
pub struct KeyRing(Arc<[ClusterKey]>);

/// The list of cluster keys is unusable. Nothing was changed; correct the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key ring holds 1 to {KEYS} cluster keys, not {0}")]
pub struct KeyRingError(
    /// How many were given.
    pub usize,
);

/// One cluster key, ready for its two uses.
struct ClusterKey {
    /// Parent of each sender's datagram key.
    datagrams: hkdf::Prk,
    /// Proves membership at the start of a session.
    sessions: hmac::Key,
}

impl KeyRing {
    /// The ring of these keys, 32 secret random bytes each.
    pub fn new(keys: &[[u8; 32]]) -> Result<Self, KeyRingError> {
        if keys.is_empty() || keys.len() > KEYS {
            return Err(KeyRingError(keys.len()));
        }
        Ok(Self(keys.iter().map(ClusterKey::new).collect()))
    }

    /// How many keys are accepted.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The key of the datagrams of `sender`'s run `epoch` under `salt`, by the cluster key at
    /// `index`.
    pub(super) fn datagram_key(
        &self,
        index: usize,
        sender: NodeId,
        epoch: Epoch,
        salt: [u8; 16],
    ) -> aead::LessSafeKey {
        let epoch = epoch.bits().to_be_bytes();
        let info: [&[u8]; 3] = [sender.as_bytes(), &epoch, &salt];
        let okm = self.0[index]
            .datagrams
            .expand(&info, &aead::CHACHA20_POLY1305)
            .expect("32 bytes are far below the 8,160 that HKDF-SHA256 can give");
        aead::LessSafeKey::new(okm.into())
    }

    /// The MAC key of sessions by the cluster key at `index`.
    pub(super) fn session_key(&self, index: usize) -> &hmac::Key {
        &self.0[index].sessions
    }

    /// The place of the key under which `tag` authenticates `message`.
    pub(super) fn verify(&self, message: &[u8], tag: &[u8]) -> Option<usize> {
        (0..self.0.len()).find(|&i| hmac::verify(self.session_key(i), message, tag).is_ok())
    }
}

impl ClusterKey {
    fn new(secret: &[u8; 32]) -> Self {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tidings/0 cluster key").extract(secret);
        let expand = |purpose: &[u8]| {
            let mut bytes = [0; 32];
            root.expand(&[purpose], hkdf::HKDF_SHA256)
                .and_then(|okm| okm.fill(&mut bytes))
                .expect("HKDF-SHA256 gives a block of its own length");
            bytes
        };
        Self {
            datagrams: hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &expand(b"datagrams")),
            sessions: hmac::Key::new(hmac::HMAC_SHA256, &expand(b"sessions")),
        }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.0.len())
    }
}

/// Cluster keys accepted at once: a forged datagram of an unknown sender costs one trial of each.
const KEYS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_holds_one_to_four_keys_and_prints_none() {
        assert_eq!(KeyRing::new(&[]).unwrap_err(), KeyRingError(0));
        assert_eq!(KeyRing::new(&[[0; 32]; 5]).unwrap_err(), KeyRingError(5));
        let ring = KeyRing::new(&[[7; 32], [8; 32]]).unwrap();
        assert_eq!(format!("{ring:?}"), "KeyRing(2 keys)");
    }

    #[test]
    fn a_tag_is_found_under_the_key_that_made_it() {
        let ring = KeyRing::new(&[[7; 32], [8; 32]]).unwrap();
        let other = KeyRing::new(&[[8; 32]]).unwrap();
        let tag = hmac::sign(other.session_key(0), b"hello");
        assert_eq!(ring.verify(b"hello", tag.as_ref()), Some(1));
        assert_eq!(ring.verify(b"hallo", tag.as_ref()), None);
    }
}
