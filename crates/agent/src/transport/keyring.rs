//! The cluster's shared secrets: which cluster we belong to.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use ring::{aead, hkdf, hmac};
use tidings_types::{ClusterKey, ClusterKeyId, Epoch, NodeId};

/// The cluster keys that are accepted; the first one is used for sending.
///
/// Clones are one ring: [`Transport::set_keys`](super::Transport::set_keys) changes it for all who
/// hold it, at once. To rotate a key: add the new one behind the old one on every agent, then put
/// it first, then remove the old one.
#[derive(Clone)]
pub struct KeyRing(Arc<ArcSwap<Ring>>);

/// The list of cluster keys is unusable. Nothing was changed; correct the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key ring holds 1 to {KEYS} cluster keys, not {0}")]
pub struct KeyRingError(
    /// How many were given.
    pub usize,
);

/// The keys at one moment; at least one.
pub(super) struct Ring(Vec<RingKey>);

/// One cluster key, ready for its uses.
pub(super) struct RingKey {
    /// Its public name.
    pub(super) id: ClusterKeyId,
    /// Parent of each sender's datagram key.
    datagrams: hkdf::Prk,
    /// Proves membership at the start of a session.
    sessions: hmac::Key,
}

impl KeyRing {
    /// The ring of these keys, 32 secret random bytes each. A key that is given twice counts once.
    ///
    /// # Errors
    /// [`KeyRingError`] if there are none or too many.
    pub fn new(keys: &[[u8; 32]]) -> Result<Self, KeyRingError> {
        let ring = Ring::new(keys)?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(ring))))
    }

    /// The public names of the keys, that of the one to send under first.
    pub fn ids(&self) -> Vec<ClusterKeyId> {
        self.load().0.iter().map(|key| key.id).collect()
    }

    /// The public name of a key.
    pub fn id_of(key: &ClusterKey) -> ClusterKeyId {
        RingKey::new(key.as_bytes()).id
    }

    /// Takes these keys in place of those before.
    pub(super) fn replace(&self, keys: &[[u8; 32]]) -> Result<(), KeyRingError> {
        self.0.store(Arc::new(Ring::new(keys)?));
        Ok(())
    }

    /// The keys now. To be held for a moment only.
    pub(super) fn load(&self) -> Guard<Arc<Ring>> {
        self.0.load()
    }

    /// Whether the key is accepted now.
    pub(super) fn holds(&self, id: ClusterKeyId) -> bool {
        self.load().find(id).is_some()
    }
}

impl Ring {
    fn new(keys: &[[u8; 32]]) -> Result<Self, KeyRingError> {
        if keys.is_empty() || keys.len() > KEYS {
            return Err(KeyRingError(keys.len()));
        }
        let mut ring: Vec<RingKey> = Vec::with_capacity(keys.len());
        for key in keys.iter().map(RingKey::new) {
            if ring.iter().all(|held| held.id != key.id) {
                ring.push(key);
            }
        }
        Ok(Self(ring))
    }

    /// The key to send under.
    pub(super) fn first(&self) -> &RingKey {
        &self.0[0]
    }

    /// The key of this name, if it is accepted.
    pub(super) fn find(&self, id: ClusterKeyId) -> Option<&RingKey> {
        self.0.iter().find(|key| key.id == id)
    }
}

impl RingKey {
    fn new(secret: &[u8; 32]) -> Self {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tidings/0 cluster key").extract(secret);
        let expand = |purpose: &[u8]| {
            let mut bytes = [0; 32];
            root.expand(&[purpose], hkdf::HKDF_SHA256)
                .and_then(|okm| okm.fill(&mut bytes))
                .expect("HKDF-SHA256 gives a block of its own length");
            bytes
        };
        let [a, b, c, d, ..] = expand(b"public id");
        Self {
            id: ClusterKeyId::from_bytes([a, b, c, d]),
            datagrams: hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &expand(b"datagrams")),
            sessions: hmac::Key::new(hmac::HMAC_SHA256, &expand(b"sessions")),
        }
    }

    /// The key of the datagrams of `sender`'s run `epoch` under `salt`.
    pub(super) fn datagram_key(
        &self,
        sender: NodeId,
        epoch: Epoch,
        salt: [u8; 16],
    ) -> aead::LessSafeKey {
        let epoch = epoch.bits().to_be_bytes();
        let info: [&[u8]; 3] = [sender.as_bytes(), &epoch, &salt];
        let okm = self
            .datagrams
            .expand(&info, &aead::CHACHA20_POLY1305)
            .expect("32 bytes are far below the 8,160 that HKDF-SHA256 can give");
        aead::LessSafeKey::new(okm.into())
    }

    /// The MAC of a session's `message`.
    pub(super) fn sign(&self, message: &[u8]) -> hmac::Tag {
        hmac::sign(&self.sessions, message)
    }

    /// Whether `tag` is the MAC of `message`.
    pub(super) fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.sessions, message, tag).is_ok()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyRing").field(&self.ids()).finish()
    }
}

/// Cluster keys accepted at once: the one in use, its successor, and some to spare.
const KEYS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_holds_one_to_four_keys_and_prints_their_names_only() {
        assert_eq!(KeyRing::new(&[]).unwrap_err(), KeyRingError(0));
        assert_eq!(KeyRing::new(&[[0; 32]; 5]).unwrap_err(), KeyRingError(5));
        let ring = KeyRing::new(&[[7; 32], [8; 32], [7; 32]]).unwrap();
        let ids = ring.ids();
        assert_eq!(format!("{ring:?}"), format!("KeyRing({ids:?})"));
        assert_eq!(ids[0], KeyRing::id_of(&ClusterKey::from_bytes([7; 32])));
        assert_eq!(ids.len(), 2, "a key given twice counts once");
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn a_tag_is_taken_under_the_key_that_made_it() {
        let ring = KeyRing::new(&[[7; 32], [8; 32]]).unwrap();
        let other = KeyRing::new(&[[8; 32]]).unwrap();
        let (ring, other) = (ring.load(), other.load());
        let tag = other.first().sign(b"hello");
        let same = ring.find(other.first().id).unwrap();
        assert!(same.verifies(b"hello", tag.as_ref()));
        assert!(!same.verifies(b"hallo", tag.as_ref()));
        assert!(!ring.first().verifies(b"hello", tag.as_ref()));
    }

    #[test]
    fn a_change_is_seen_by_all_who_hold_the_ring() {
        let ring = KeyRing::new(&[[7; 32]]).unwrap();
        let (held, old) = (ring.clone(), ring.ids()[0]);
        ring.replace(&[[8; 32]]).unwrap();
        assert!(!held.holds(old));
        assert_eq!(ring.replace(&[]), Err(KeyRingError(0)));
        assert_eq!(held.ids().len(), 1, "a refused change changes nothing");
    }
}
