//! What a fuzzer calls of the transport. Behind the feature `fuzzing`: never in an agent.

use std::sync::Arc;

use tidings_types::{ClusterId, Epoch, NodeId};

use super::{KeyRing, open::Opener, seal::Sealer};

/// Both ends of one member's datagrams, under one cluster key.
#[derive(Debug)]
pub struct Sealed {
    sealer: Sealer,
    opener: Opener,
    receiver: NodeId,
}

impl Sealed {
    /// The datagrams of `sender` to `receiver`.
    ///
    /// # Panics
    /// If the system gives no randomness.
    pub fn between(sender: NodeId, receiver: NodeId) -> Self {
        let keys = KeyRing::new(&[[7; 32]]).expect("one key makes a ring");
        let cluster = ClusterId::from_bytes([0; 16]);
        let sealer = Sealer::new(cluster, sender, keys.clone(), Epoch::from_bits(1));
        Self {
            sealer: sealer.expect("the system gives randomness"),
            opener: Opener::new(cluster, receiver, keys, Arc::default()),
            receiver,
        }
    }

    /// The datagram that carries `payload`.
    pub fn seal(&self, payload: &[u8]) -> Vec<u8> {
        self.sealer.seal(Some(self.receiver), payload)
    }

    /// What a datagram carries, if it is taken.
    pub fn open(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        self.opener.open(datagram).ok().map(|opened| opened.payload)
    }
}
