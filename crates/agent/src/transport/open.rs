//! Opening datagrams: the only place where a stranger's bytes become a member's words.

use std::{collections::HashMap, sync::Arc};

use ring::aead::{Aad, LessSafeKey, Nonce};
use tidings_types::{ClusterId, ClusterKeyId, Epoch, NodeId};

use super::{
    counters::Counter,
    envelope::{
        ClusterTag, HEADER_BYTES, Header, Malformed, associated_data, cluster_tag, receiver_tag,
    },
    heard::KeysHeard,
    keyring::{KeyRing, Ring},
    replay::Window,
};

/// Opens datagrams and remembers, per sender, what has been seen.
///
/// A sender is remembered only once a tag of its has been verified, so that nobody without a
/// cluster key can fill or turn over the memory.
pub(super) struct Opener {
    cluster: ClusterTag,
    node: NodeId,
    keys: KeyRing,
    /// The keys as of the last datagram.
    ring: Arc<Ring>,
    /// Told whenever a sender changes its key.
    heard: Arc<KeysHeard>,
    senders: HashMap<NodeId, Sender>,
    /// Counts opened datagrams; the clock by which the longest silent sender is forgotten.
    turn: u64,
}

/// What is known of one sender.
struct Sender {
    /// The greatest epoch verified. Older ones are refused.
    epoch: Epoch,
    salt: [u8; 16],
    /// The cluster key that it seals under.
    under: ClusterKeyId,
    /// What follows from it; gone once that key is no longer accepted.
    key: Option<LessSafeKey>,
    /// Spans all salts of the epoch, since the counters do.
    window: Window,
    last: u64,
}

/// Why a datagram is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// For the reason that this counter counts.
    As(Counter),
    /// It is of a member's run that is over; a later one has been heard.
    OldRun {
        /// Whose run.
        sender: NodeId,
        /// The latest run heard.
        newest: Epoch,
    },
    /// It bears this node's own id, and whoever sealed it has a key of the cluster.
    Own,
}

impl From<Counter> for Refused {
    fn from(counter: Counter) -> Self {
        Self::As(counter)
    }
}

/// A datagram that a member sent, once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// Who sent it, as far as the cluster key can tell.
    pub(super) sender: NodeId,
    /// The sender's run.
    pub(super) epoch: Epoch,
    /// What it says.
    pub(super) payload: Vec<u8>,
    /// Whether this is the first datagram seen of the run.
    pub(super) is_new_epoch: bool,
}

impl Opener {
    /// The opener of `node`; `heard` learns who seals under which key.
    pub(super) fn new(
        cluster: ClusterId,
        node: NodeId,
        keys: KeyRing,
        heard: Arc<KeysHeard>,
    ) -> Self {
        Self {
            cluster: cluster_tag(cluster),
            node,
            ring: Arc::clone(&keys.load()),
            keys,
            heard,
            senders: HashMap::new(),
            turn: 0,
        }
    }

    /// Opens a datagram, or says why it is refused.
    pub(super) fn open(&mut self, datagram: &[u8]) -> Result<Opened, Refused> {
        self.follow_ring();
        let header = self.admit(datagram)?;
        let cluster_key = self.ring.find(header.key).ok_or(Counter::UnknownKey)?;
        let receiver = header.receiver.map(|_| self.node);
        let sealed = Sealed {
            header,
            datagram,
            receiver,
        };
        let known = self.senders.get(&header.sender);
        let remembered = known
            .filter(|known| known.is_under(&header))
            .and_then(|known| known.key.as_ref());
        let (payload, fresh) = match remembered {
            Some(key) => (sealed.open(key), None),
            None => {
                let Header {
                    sender,
                    epoch,
                    salt,
                    ..
                } = header;
                let key = cluster_key.datagram_key(sender, epoch, salt);
                (sealed.open(&key), Some(key))
            }
        };
        let payload = payload.ok_or(Counter::Unverified)?;
        if header.sender == self.node {
            return Err(Refused::Own);
        }
        // Judged by its content last, so that a stranger is not taken for a run that is over.
        if let Some(newest) = self.later_run(&header) {
            let sender = header.sender;
            return Err(Refused::OldRun { sender, newest });
        }
        let is_new_epoch = known.is_none_or(|known| known.epoch < header.epoch);
        self.remember(&header, fresh);
        Ok(Opened {
            sender: header.sender,
            epoch: header.epoch,
            payload,
            is_new_epoch,
        })
    }

    /// Forgets what follows from keys that are no longer accepted. What was seen stays: a datagram
    /// does not become new because its sender takes another key.
    fn follow_ring(&mut self) {
        let now = self.keys.load();
        if Arc::ptr_eq(&self.ring, &now) {
            return;
        }
        self.ring = Arc::clone(&now);
        for sender in self.senders.values_mut() {
            if self.ring.find(sender.under).is_none() {
                sender.key = None;
            }
        }
    }

    /// Everything that can be refused without the cipher.
    fn admit(&self, datagram: &[u8]) -> Result<Header, Counter> {
        let header = Header::decode(datagram).map_err(|malformed| match malformed {
            Malformed::Length => Counter::WrongLength,
            Malformed::Kind => Counter::UnknownKind,
            Malformed::Version => Counter::UnknownVersion,
        })?;
        if header.cluster != self.cluster {
            return Err(Counter::ForeignCluster);
        }
        if header
            .receiver
            .is_some_and(|tag| tag != receiver_tag(self.node))
        {
            return Err(Counter::OtherReceiver);
        }
        if self.ring.find(header.key).is_none() {
            return Err(Counter::UnknownKey);
        }
        let is_repeat =
            |known: &Sender| header.epoch == known.epoch && !known.window.is_new(header.counter);
        if self.senders.get(&header.sender).is_some_and(is_repeat) {
            return Err(Counter::Replay);
        }
        Ok(header)
    }

    /// The later run of the sender that has been heard, if there is one.
    fn later_run(&self, header: &Header) -> Option<Epoch> {
        let known = self.senders.get(&header.sender)?;
        (header.epoch < known.epoch).then_some(known.epoch)
    }

    /// Takes note of a verified datagram; `fresh` is its key if it was not the remembered one.
    fn remember(&mut self, header: &Header, fresh: Option<LessSafeKey>) {
        self.turn += 1;
        let last = self.turn;
        match (self.senders.get_mut(&header.sender), fresh) {
            (Some(known), None) => {
                known.window.mark(header.counter);
                known.last = last;
            }
            (Some(known), Some(key)) if known.epoch == header.epoch => {
                // A late datagram under the previous salt must not displace the present one.
                if header.counter > known.window.greatest() {
                    if known.under != header.key {
                        self.heard.learn(header.sender, header.key);
                    }
                    known.salt = header.salt;
                    known.under = header.key;
                    known.key = Some(key);
                }
                known.window.mark(header.counter);
                known.last = last;
            }
            (_, Some(key)) => {
                self.make_room();
                self.heard.learn(header.sender, header.key);
                self.senders.insert(
                    header.sender,
                    Sender {
                        epoch: header.epoch,
                        salt: header.salt,
                        under: header.key,
                        key: Some(key),
                        window: Window::starting_at(header.counter),
                        last,
                    },
                );
            }
            (None, None) => debug_assert!(false, "only a remembered sender has a remembered key"),
        }
    }

    /// Forgets the senders that have been silent for longest when the memory is full. A sixteenth
    /// goes at once, so that the scan is paid rarely.
    fn make_room(&mut self) {
        if self.senders.len() < SENDERS {
            return;
        }
        let mut turns: Vec<u64> = self.senders.values().map(|sender| sender.last).collect();
        let (_, &mut cut, _) = turns.select_nth_unstable(SENDERS / 16);
        self.senders.retain(|_, sender| sender.last > cut);
        self.heard.retain(|node| self.senders.contains_key(&node));
    }
}

impl Sender {
    /// Whether its remembered key is that of the datagram.
    fn is_under(&self, header: &Header) -> bool {
        (self.epoch, self.salt, self.under) == (header.epoch, header.salt, header.key)
    }
}

/// A datagram whose header has been admitted.
struct Sealed<'a> {
    header: Header,
    datagram: &'a [u8],
    receiver: Option<NodeId>,
}

impl Sealed<'_> {
    /// The payload, if `key` made the tag.
    fn open(&self, key: &LessSafeKey) -> Option<Vec<u8>> {
        let (header, sealed) = self.datagram.split_at(HEADER_BYTES);
        let (associated, len) = associated_data(header, self.receiver);
        let mut payload = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(self.header.nonce());
        let opened = key
            .open_in_place(nonce, Aad::from(&associated[..len]), &mut payload)
            .ok()?
            .len();
        payload.truncate(opened);
        Some(payload)
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener")
            .field("senders", &self.senders.len())
            .finish_non_exhaustive()
    }
}

/// Senders remembered at once, about 800 bytes each. A forgotten one costs a key derivation and,
/// for its present epoch, the memory of what it has already said.
pub(super) const SENDERS: usize = 16_384;

#[cfg(test)]
mod tests;
