//! The one reader of the socket.
//!
//! It opens what is ours, passes the rest to quinn, and never stops: an error is counted and the
//! next packet read, a full queue drops the packet.

use std::{
    io::{self, IoSliceMut},
    mem,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use quinn::udp::RecvMeta;
use tokio::sync::mpsc::{Sender, error::TrySendError};

use super::{
    counters::{Counter, Tally},
    envelope::{Header, is_ours},
    keyring::KeyRing,
    open::{Opener, Refused},
    peers::Peers,
    port::Event,
    shut_out::ShutOut,
    socket::{Packet, Socket, canonical},
    sources::Sources,
};

/// Reads the socket and sorts what it reads.
#[derive(Debug)]
pub(super) struct Pump {
    pub(super) socket: Arc<Socket>,
    pub(super) opener: Opener,
    pub(super) sources: Sources,
    pub(super) shut_out: ShutOut,
    /// Whether an address had more than its share since the socket was last waited for.
    pub(super) is_flooded: bool,
    /// To tell which key was lacking.
    pub(super) keys: KeyRing,
    pub(super) events: Sender<Event>,
    pub(super) peers: Arc<Peers>,
    pub(super) tally: Arc<Tally>,
}

impl Pump {
    /// Pumps until the task is aborted.
    pub(super) async fn run(mut self) {
        let mut buffer = vec![0; BUFFERS * BUFFER_BYTES];
        let mut failures = 0;
        loop {
            let readable = self.socket.readable();
            let waited = match self.shut_out.pause(Instant::now()) {
                Some(pause) => tokio::time::timeout(pause, readable).await,
                None => Ok(readable.await),
            };
            self.shut_out.relent(&self.socket, Instant::now());
            match waited {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    self.fail(&error, &mut failures).await;
                    continue;
                }
                Err(_elapsed) => continue,
            }
            let mut is_drained = false;
            for _ in 0..BATCHES_PER_TURN {
                match self.batch(&mut buffer) {
                    Ok(()) => failures = 0,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        is_drained = true;
                        break;
                    }
                    Err(error) => {
                        self.fail(&error, &mut failures).await;
                        break;
                    }
                }
            }
            if is_drained && mem::take(&mut self.is_flooded) {
                // What waits meanwhile is read at once: most of a packet's cost is being woken for it.
                tokio::time::sleep(FLOOD_PAUSE).await;
            } else {
                // A flood must not keep this thread from the tasks that answer it.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Reads and sorts one batch of buffers.
    fn batch(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut metas = [RecvMeta::default(); BUFFERS];
        let mut slices: Vec<_> = buffer
            .chunks_exact_mut(BUFFER_BYTES)
            .map(IoSliceMut::new)
            .collect();
        let count = self.socket.receive(&mut slices, &mut metas)?;
        for (slice, meta) in slices.iter_mut().zip(&metas[..count]) {
            self.sort(slice, *meta);
        }
        Ok(())
    }

    fn sort(&mut self, buffer: &mut [u8], meta: RecvMeta) {
        let from = canonical(meta.addr);
        let len = meta.len.min(buffer.len());
        if len == 0 {
            // A datagram without a byte is nobody's.
            return self.tally.refuse(Counter::WrongLength, from);
        }
        let quic = split(&mut buffer[..len], meta.stride, |datagram| {
            self.take(from, datagram);
        });
        if quic == 0 {
            return;
        }
        let packets = u64::try_from(quic.div_ceil(meta.stride.max(1))).unwrap_or(u64::MAX);
        let packet = Packet {
            meta: RecvMeta { len: quic, ..meta },
            bytes: buffer[..quic].to_vec(),
        };
        if self.socket.pass_to_quic(packet) {
            self.tally.add(Counter::QuicReceived, packets);
        } else {
            self.tally.add(Counter::QuicQueueFull, packets - 1);
            self.tally.refuse(Counter::QuicQueueFull, from);
        }
    }

    /// Opens one of our datagrams and passes it on.
    fn take(&mut self, from: SocketAddr, datagram: &[u8]) {
        let now = Instant::now();
        if !self.sources.admits(from, now) {
            self.is_flooded = true;
            if self.sources.floods(from) && self.shut_out.add(&self.socket, from, now) {
                self.tally.refuse(Counter::AddressesShutOut, from);
            }
            return self.refuse(Counter::DatagramsOverShare, from, datagram);
        }
        let opened = match self.opener.open(datagram) {
            Ok(opened) => {
                self.sources.took(from);
                opened
            }
            Err(Refused::As(counter)) => return self.refuse(counter, from, datagram),
            Err(Refused::OldRun { sender, newest }) => {
                self.tally.refuse(Counter::OldEpoch, from);
                // One that finds no room is repeated by its sender.
                let _ = self.events.try_send(Event::OldRun {
                    from,
                    sender,
                    newest,
                });
                return;
            }
            Err(Refused::Own) => {
                self.tally.refuse(Counter::OwnPacket, from);
                let _ = self.events.try_send(Event::OwnId { from });
                return;
            }
        };
        if opened.is_new_epoch {
            let closed = self.peers.close_older(opened.sender, opened.epoch);
            (0..closed).for_each(|_| self.tally.count(Counter::PeerRestarted));
        }
        let event = Event::Datagram {
            from,
            sender: opened.sender,
            epoch: opened.epoch,
            payload: opened.payload,
        };
        match self.events.try_send(event) {
            Ok(()) => self.tally.count(Counter::DatagramsReceived),
            Err(TrySendError::Full(_)) => self.tally.refuse(Counter::QueueFull, from),
            Err(TrySendError::Closed(_)) => {} // The agent is shutting down.
        }
    }

    fn refuse(&self, counter: Counter, from: SocketAddr, datagram: &[u8]) {
        match Header::decode(datagram) {
            Ok(header) if counter == Counter::UnknownKey => {
                let (node, accepted) = (Some(header.sender), self.keys.ids());
                self.tally
                    .refuse_key(counter, from, node, header.key, &accepted);
            }
            Ok(header) if counter == Counter::DatagramsOverShare => {
                self.tally.refuse_node(counter, from, header.sender);
            }
            _ => self.tally.refuse(counter, from),
        }
    }

    /// Counts a failed read; pauses when reads do nothing but fail.
    async fn fail(&self, error: &io::Error, failures: &mut u32) {
        self.tally.count(Counter::ReceiveFailed);
        *failures += 1;
        if *failures >= FAILURES_BEFORE_PAUSE {
            tracing::warn!(%error, "the gossip socket cannot be read; trying on");
            *failures = 0;
            tokio::time::sleep(FAILURE_PAUSE).await;
        }
    }
}

/// Hands each of our datagrams in `buffer` to `ours` and moves the other segments together at the
/// front; returns how many bytes those are. The system merges packets of one sender and size into
/// one buffer, whoever they are for; only the last may be shorter.
fn split(buffer: &mut [u8], stride: usize, mut ours: impl FnMut(&[u8])) -> usize {
    let stride = stride.max(1);
    let mut quic = 0;
    let mut at = 0;
    while at < buffer.len() {
        let end = at.saturating_add(stride).min(buffer.len());
        if is_ours(buffer[at]) {
            ours(&buffer[at..end]);
        } else {
            buffer.copy_within(at..end, quic);
            quic += end - at;
        }
        at = end;
    }
    quic
}

/// Bytes of one receive buffer: as much as the system merges.
const BUFFER_BYTES: usize = 64 << 10;
/// Buffers of one batch. The system merges the packets of a transfer, so few are filled, but those
/// stay in memory.
const BUFFERS: usize = 8;
/// Batches read before other tasks get their turn.
const BATCHES_PER_TURN: usize = 16;
/// The pause between two turns while somebody floods.
const FLOOD_PAUSE: Duration = Duration::from_millis(2);
/// Failed reads in a row after which the pump pauses, and for how long.
const FAILURES_BEFORE_PAUSE: u32 = 16;
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(segments: &[&[u8]], stride: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut buffer = segments.concat();
        let mut ours = Vec::new();
        let quic = split(&mut buffer, stride, |datagram| ours.push(datagram.to_vec()));
        buffer.truncate(quic);
        (ours, buffer)
    }

    #[test]
    fn a_mixed_buffer_is_taken_apart_in_order() {
        let (ours, quic) = sorted(&[b"\x10aa", b"\x40bb", b"\x11cc", b"\xc0dd", b"\x41"], 3);
        assert_eq!(ours, [b"\x10aa".to_vec(), b"\x11cc".to_vec()]);
        assert_eq!(quic, b"\x40bb\xc0dd\x41");
        let (ours, quic) = sorted(&[b"\x40bb", b"\x10"], 3);
        assert_eq!((ours, quic), (vec![b"\x10".to_vec()], b"\x40bb".to_vec()));
    }

    #[test]
    fn empty_buffers_and_a_stride_of_zero_end() {
        assert_eq!(sorted(&[], 0), (vec![], vec![]));
        assert_eq!(sorted(&[b"\x40\x41"], 0).1, b"\x40\x41");
        assert_eq!(sorted(&[b"\x10\x40"], usize::MAX).0, [b"\x10\x40".to_vec()]);
    }
}
