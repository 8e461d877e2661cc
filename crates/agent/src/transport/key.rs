//! A node's lasting key: who we are.

use std::{fmt, sync::Arc};

use ring::{
    digest, hmac,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use tidings_types::NodeId;

/// An Ed25519 key pair and the [`NodeId`] that follows from it.
///
/// The id is the first 16 bytes of the SHA-256 of the public key's `SubjectPublicKeyInfo`
/// (RFC 8410), so nobody can present another node's id without its private key.
#[derive(Clone)]
pub struct NodeKey {
    pkcs8: Arc<[u8]>,
    public: [u8; SPKI_BYTES],
    id: NodeId,
}

/// The bytes are no usable node key. Nothing was changed; restore the identity file from a copy,
/// or start with a new key, which makes a new node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not an Ed25519 key pair in PKCS#8 form with its public key.
    #[error("the node key is not an Ed25519 key pair in PKCS#8 form")]
    Malformed,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for a node key")]
    NoRandomness,
}

impl NodeKey {
    /// Draws a new key: a new node.
    pub fn generate() -> Result<Self, KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| KeyError::NoRandomness)?;
        Self::from_pkcs8(document.as_ref())
    }

    /// The key in these PKCS#8 bytes, as [`NodeKey::pkcs8`] gave them.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| KeyError::Malformed)?;
        let mut public = [0; SPKI_BYTES];
        let (prefix, point) = public.split_at_mut(SPKI_PREFIX.len());
        prefix.copy_from_slice(&SPKI_PREFIX);
        point.copy_from_slice(pair.public_key().as_ref());
        Ok(Self {
            pkcs8: bytes.into(),
            id: hash(&public),
            public,
        })
    }

    /// The private key, to be stored where nobody else can read it.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The id that follows from the public key.
    pub const fn node_id(&self) -> NodeId {
        self.id
    }

    /// The public key as a DER `SubjectPublicKeyInfo`.
    pub(super) const fn public(&self) -> &[u8; SPKI_BYTES] {
        &self.public
    }

    /// 32 secret bytes that follow from the key and `purpose`, the same in every run.
    pub(super) fn derive(&self, purpose: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.pkcs8), purpose);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NodeKey").field(&self.id).finish()
    }
}

/// The id of the node with this public key, if it is an Ed25519 `SubjectPublicKeyInfo`.
pub(super) fn node_id_of(public: &[u8]) -> Option<NodeId> {
    (public.len() == SPKI_BYTES && public.starts_with(&SPKI_PREFIX)).then(|| hash(public))
}

fn hash(public: &[u8]) -> NodeId {
    let digest = digest::digest(&digest::SHA256, public);
    let mut id = [0; 16];
    id.copy_from_slice(&digest.as_ref()[..16]);
    NodeId::from_bytes(id)
}

/// Bytes of an Ed25519 `SubjectPublicKeyInfo`.
const SPKI_BYTES: usize = 44;
/// What precedes the 32 key bytes in it: the sequence, the algorithm's id and the bit string.
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_id_when_stored_and_read_again() {
        let key = NodeKey::generate().unwrap();
        let again = NodeKey::from_pkcs8(key.pkcs8()).unwrap();
        assert_eq!(again.node_id(), key.node_id());
        assert_eq!(again.derive(b"x"), key.derive(b"x"));
        assert_eq!(node_id_of(key.public()), Some(key.node_id()));
        assert_ne!(NodeKey::generate().unwrap().node_id(), key.node_id());
    }

    #[test]
    fn damaged_keys_and_other_public_keys_are_refused() {
        let key = NodeKey::generate().unwrap();
        let mut bytes = key.pkcs8().to_vec();
        bytes[20] ^= 1;
        assert!(matches!(
            NodeKey::from_pkcs8(&bytes),
            Err(KeyError::Malformed)
        ));
        assert!(NodeKey::from_pkcs8(&[]).is_err());
        let mut public = *key.public();
        public[8] ^= 1; // Another algorithm's id.
        assert_eq!(node_id_of(&public), None);
        assert_eq!(node_id_of(&[]), None);
    }

    #[test]
    fn the_private_key_is_not_printed() {
        let key = NodeKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("NodeKey({:?})", key.node_id()));
    }
}
