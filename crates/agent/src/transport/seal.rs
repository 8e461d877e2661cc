//! Sealing datagrams.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ring::{
    aead::{Aad, LessSafeKey, Nonce},
    rand::{SecureRandom, SystemRandom},
};
use tidings_types::{ClusterId, ClusterKeyId, Epoch, NodeId};

use super::{
    envelope::{
        ClusterTag, HEADER_BYTES, Header, TAG_BYTES, associated_data, cluster_tag, receiver_tag,
    },
    keyring::KeyRing,
};

/// Seals this node's datagrams under the first key of the ring, whichever that is by then.
pub(super) struct Sealer {
    cluster: ClusterTag,
    node: NodeId,
    keys: KeyRing,
    stretch: Mutex<Stretch>,
}

/// The datagrams under one salt, and so under one key.
struct Stretch {
    epoch: Epoch,
    salt: [u8; 16],
    /// The cluster key that the key follows from.
    under: ClusterKeyId,
    key: Arc<LessSafeKey>,
    /// The counter of the next datagram.
    next: u64,
    drawn: Instant,
}

/// The operating system gave no random bytes; nothing was sent or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes for a datagram key")]
pub struct NoRandomness;

impl Sealer {
    /// The sealer of `node`'s run `epoch`.
    pub(super) fn new(
        cluster: ClusterId,
        node: NodeId,
        keys: KeyRing,
        epoch: Epoch,
    ) -> Result<Self, NoRandomness> {
        let stretch = Mutex::new(Stretch::draw(&keys, node, epoch, first_counter())?);
        Ok(Self {
            cluster: cluster_tag(cluster),
            node,
            keys,
            stretch,
        })
    }

    /// Seals from now on as the run `epoch`.
    pub(super) fn set_epoch(&self, epoch: Epoch) -> Result<(), NoRandomness> {
        let mut stretch = self.lock();
        *stretch = Stretch::draw(&self.keys, self.node, epoch, stretch.next)?;
        Ok(())
    }

    /// The datagram that carries `payload` to `receiver`, or to anybody.
    pub(super) fn seal(&self, receiver: Option<NodeId>, payload: &[u8]) -> Vec<u8> {
        let (header, key) = self.next(receiver);
        let bytes = header.encode();
        let mut datagram = Vec::with_capacity(HEADER_BYTES + payload.len() + TAG_BYTES);
        datagram.extend_from_slice(&bytes);
        datagram.extend_from_slice(payload);
        let (associated, len) = associated_data(&bytes, receiver);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(header.nonce()),
                Aad::from(&associated[..len]),
                &mut datagram[HEADER_BYTES..],
            )
            .expect("a datagram is far below the 256 GiB that the cipher can seal");
        datagram.extend_from_slice(tag.as_ref());
        datagram
    }

    /// The next header and its key. The lock is held for taking a number, not for sealing.
    fn next(&self, receiver: Option<NodeId>) -> (Header, Arc<LessSafeKey>) {
        let mut stretch = self.lock();
        let has_aged = stretch.drawn.elapsed() >= SALT_LIFETIME;
        if has_aged || stretch.under != self.keys.load().first().id {
            // Without randomness the old salt serves on: its counters are not used up.
            if let Ok(fresh) = Stretch::draw(&self.keys, self.node, stretch.epoch, stretch.next) {
                *stretch = fresh;
            }
        }
        let counter = stretch.next;
        stretch.next += 1;
        let header = Header {
            cluster: self.cluster,
            sender: self.node,
            epoch: stretch.epoch,
            salt: stretch.salt,
            counter,
            key: stretch.under,
            receiver: receiver.map(receiver_tag),
        };
        (header, Arc::clone(&stretch.key))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stretch> {
        self.stretch
            .lock()
            .expect("no code panics while it holds the sealer's lock")
    }
}

impl Stretch {
    /// Draws a salt. The counters of one epoch grow across its salts, so that a receiver's window
    /// also refuses datagrams that were recorded under an earlier salt.
    fn draw(keys: &KeyRing, node: NodeId, epoch: Epoch, next: u64) -> Result<Self, NoRandomness> {
        let mut salt = [0; 16];
        SystemRandom::new()
            .fill(&mut salt)
            .map_err(|_| NoRandomness)?;
        let ring = keys.load();
        let first = ring.first();
        Ok(Self {
            epoch,
            salt,
            under: first.id,
            key: Arc::new(first.datagram_key(node, epoch, salt)),
            next,
            drawn: Instant::now(),
        })
    }
}

/// Unix milliseconds above 20 bits of counter: a process that starts again in the same epoch counts
/// above what it sent before, unless that was a million datagrams per millisecond.
fn first_counter() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let ms = u64::try_from(since.as_millis()).unwrap_or(0);
    ms.checked_mul(1 << 20).unwrap_or(0)
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// How long one salt serves. Short, so that a copy of a running machine's memory shares its key and
/// counters with the original for a minute at most; each receiver then pays one key derivation.
const SALT_LIFETIME: Duration = Duration::from_secs(60);
