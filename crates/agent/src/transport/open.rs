//! Opening datagrams: the only place where a stranger's bytes become a member's words.

use std::collections::HashMap;

use ring::aead::{Aad, LessSafeKey, Nonce};
use tidings_types::{ClusterId, Epoch, NodeId};

use super::{
    counters::Counter,
    envelope::{
        ClusterTag, HEADER_BYTES, Header, Malformed, associated_data, cluster_tag, receiver_tag,
    },
    keyring::KeyRing,
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
    senders: HashMap<NodeId, Sender>,
    /// Counts opened datagrams; the clock by which the longest silent sender is forgotten.
    turn: u64,
}

/// What is known of one sender.
struct Sender {
    /// The greatest epoch verified. Older ones are refused.
    epoch: Epoch,
    salt: [u8; 16],
    key: LessSafeKey,
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
    /// The opener of `node`.
    pub(super) fn new(cluster: ClusterId, node: NodeId, keys: KeyRing) -> Self {
        Self {
            cluster: cluster_tag(cluster),
            node,
            keys,
            senders: HashMap::new(),
            turn: 0,
        }
    }

    /// Opens a datagram, or says why it is refused.
    pub(super) fn open(&mut self, datagram: &[u8]) -> Result<Opened, Refused> {
        let header = self.admit(datagram)?;
        if let Some(newest) = self.later_run(&header) {
            return Err(self.refuse_old_run(header, datagram, newest));
        }
        let receiver = header.receiver.map(|_| self.node);
        let sealed = Sealed {
            header,
            datagram,
            receiver,
        };
        let known = self.senders.get(&header.sender);
        let (payload, fresh) = match known {
            Some(known) if known.epoch == header.epoch && known.salt == header.salt => {
                (sealed.open(&known.key), None)
            }
            _ => self.try_keys(&sealed),
        };
        let payload = payload.ok_or(Counter::Unverified)?;
        let is_new_epoch = known.is_none_or(|known| known.epoch < header.epoch);
        self.remember(&header, fresh);
        Ok(Opened {
            sender: header.sender,
            epoch: header.epoch,
            payload,
            is_new_epoch,
        })
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
        if header.sender == self.node {
            return Err(Counter::OwnPacket);
        }
        if header
            .receiver
            .is_some_and(|tag| tag != receiver_tag(self.node))
        {
            return Err(Counter::OtherReceiver);
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

    /// Tells a member whose run is over from a stranger who claims to be one.
    fn refuse_old_run(&self, header: Header, datagram: &[u8], newest: Epoch) -> Refused {
        let sealed = Sealed {
            header,
            datagram,
            receiver: header.receiver.map(|_| self.node),
        };
        let sender = header.sender;
        match self.try_keys(&sealed) {
            (Some(_), _) => Refused::OldRun { sender, newest },
            (None, _) => Counter::Unverified.into(),
        }
    }

    /// Tries each cluster key; returns the payload and the key that opened it.
    fn try_keys(&self, sealed: &Sealed<'_>) -> (Option<Vec<u8>>, Option<LessSafeKey>) {
        let Header {
            sender,
            epoch,
            salt,
            ..
        } = sealed.header;
        for index in 0..self.keys.len() {
            let key = self.keys.datagram_key(index, sender, epoch, salt);
            if let Some(payload) = sealed.open(&key) {
                return (Some(payload), Some(key));
            }
        }
        (None, None)
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
                    known.salt = header.salt;
                    known.key = key;
                }
                known.window.mark(header.counter);
                known.last = last;
            }
            (_, Some(key)) => {
                self.make_room();
                self.senders.insert(
                    header.sender,
                    Sender {
                        epoch: header.epoch,
                        salt: header.salt,
                        key,
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
