//! The shared socket, as the pump reads it and as quinn sees it.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit, UdpSocketState},
};
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};
use tokio::io::Interest;

use super::counters::{Counter, Tally};
#[cfg(target_os = "linux")]
use super::shut_out::program;

/// One UDP socket for datagrams and QUIC.
pub(super) struct Socket {
    io: tokio::net::UdpSocket,
    /// The same socket without tokio's readiness cache: datagrams are sent at once and see the
    /// operating system's own error.
    direct: std::net::UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Segments per QUIC send call, as found when the socket was bound. quinn-udp lowers its own
    /// figure for good after one EINVAL, which a single blackhole route causes.
    segments: AtomicUsize,
    receive_buffer: usize,
    inbox: Mutex<Inbox>,
    tally: Arc<Tally>,
}

/// QUIC packets between the pump and quinn.
#[derive(Default)]
struct Inbox {
    packets: VecDeque<Packet>,
    bytes: usize,
    waker: Option<Waker>,
}

/// One receive buffer's worth of QUIC packets of one size from one peer.
pub(super) struct Packet {
    /// The length is that of `bytes`.
    pub(super) meta: RecvMeta,
    /// The packets, one behind the other.
    pub(super) bytes: Vec<u8>,
}

impl Socket {
    /// Binds `addr` and asks for a receive buffer of `wanted` bytes; the system may give less.
    pub(super) fn bind(addr: SocketAddr, wanted: usize, tally: Arc<Tally>) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(addr)?;
        let state = UdpSocketState::new((&socket).into())?;
        if let Err(error) = state.set_recv_buffer_size((&socket).into(), wanted) {
            tracing::debug!(%error, "the receive buffer keeps its size");
        }
        Ok(Self {
            local: socket.local_addr()?,
            receive_buffer: state.recv_buffer_size((&socket).into())?,
            segments: AtomicUsize::new(state.max_gso_segments()),
            direct: socket.try_clone()?,
            io: tokio::net::UdpSocket::from_std(socket)?,
            state,
            inbox: Mutex::default(),
            tally,
        })
    }

    /// The bound address, with the port that port 0 became.
    pub(super) const fn bound(&self) -> SocketAddr {
        self.local
    }

    /// Bytes of the receive buffer, as the system reports it.
    pub(super) const fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Sends one datagram at once.
    pub(super) fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        let to = if self.local.is_ipv6() {
            mapped(to)
        } else {
            canonical(to)
        };
        self.direct.send_to(datagram, to).map(drop)
    }

    /// Has the system drop our kind of datagrams from these addresses, and from no other any more.
    #[cfg(target_os = "linux")]
    pub(super) fn drop_from(&self, addresses: &[SocketAddr]) -> io::Result<()> {
        let socket = SockRef::from(&self.direct);
        if addresses.is_empty() {
            return socket.detach_filter();
        }
        let program: Vec<_> = program(addresses)
            .iter()
            .map(|i| SockFilter::new(i.code, i.if_true, i.if_false, i.operand))
            .collect();
        socket.attach_filter(&program)
    }

    /// Has the system drop datagrams: it cannot.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn drop_from(&self, _: &[SocketAddr]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The same socket for a test to read.
    #[cfg(test)]
    pub(super) fn reader(&self) -> io::Result<std::net::UdpSocket> {
        self.direct.try_clone()
    }

    /// Waits until something can be read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// Reads as many buffers as are full.
    pub(super) fn receive(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        self.io.try_io(Interest::READABLE, || {
            self.state.recv((&self.io).into(), buffers, metas)
        })
    }

    /// Queues packets for quinn; whether there was room.
    pub(super) fn pass_to_quic(&self, packet: Packet) -> bool {
        let mut inbox = self.inbox();
        if inbox.packets.len() >= INBOX_PACKETS || inbox.bytes + packet.bytes.len() > INBOX_BYTES {
            return false;
        }
        inbox.bytes += packet.bytes.len();
        inbox.packets.push_back(packet);
        let waker = inbox.waker.take();
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox
            .lock()
            .expect("no code panics while it holds the inbox")
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable {
            socket: self,
            waiting: None,
        })
    }

    /// An error would end a connection, and one to ourselves could be forced on us by a route: it
    /// counts as a lost packet. Only "would block" makes quinn wait.
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.io.try_io(Interest::WRITABLE, || {
            self.state.try_send((&self.io).into(), transmit)
        });
        match sent {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                self.tally.count(Counter::QuicSendFailed);
                if error.raw_os_error() == Some(EIO) {
                    // The network card cannot do segmentation after all.
                    self.segments.store(1, Ordering::Relaxed);
                }
                tracing::debug!(%error, to = %transmit.destination, "a QUIC packet was not sent");
                Ok(())
            }
            sent => sent,
        }
    }

    /// Takes what the pump has queued. Never an error: quinn would stop for good.
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut inbox = self.inbox();
        let mut filled = 0;
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            let Some(packet) = inbox.packets.pop_front() else {
                break;
            };
            inbox.bytes -= packet.bytes.len();
            // A buffer that is too small cuts the last packet, which QUIC then refuses.
            let len = packet.bytes.len().min(buffer.len());
            buffer[..len].copy_from_slice(&packet.bytes[..len]);
            *meta = RecvMeta { len, ..packet.meta };
            filled += 1;
        }
        if filled == 0 {
            inbox.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(filled))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn max_transmit_segments(&self) -> usize {
        self.segments.load(Ordering::Relaxed)
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// Waits for one connection until the socket can be written. tokio's own poll function keeps one
/// waker per socket, and there are many connections.
struct Writable {
    socket: Arc<Socket>,
    waiting: Option<Wait>,
}

type Wait = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, waiting } = self.get_mut();
        let wait = waiting.get_or_insert_with(|| {
            let socket = Arc::clone(socket);
            Box::pin(async move { socket.io.writable().await })
        });
        let result = wait.as_mut().poll(cx);
        if result.is_ready() {
            *waiting = None;
        }
        result
    }
}

impl fmt::Debug for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writable").finish_non_exhaustive()
    }
}

/// The address as the rest of the agent writes it: IPv4 is never mapped into IPv6.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), addr.port()),
        IpAddr::V6(_) => addr, // Keeps the scope of a link-local address.
    }
}

/// The address as an IPv6 socket wants it.
fn mapped(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        SocketAddr::V6(_) => addr,
    }
}

/// Receive buffers queued for quinn.
const INBOX_PACKETS: usize = 1_024;
/// Bytes queued for quinn: several times what all session windows admit together.
const INBOX_BYTES: usize = 4 << 20;
/// `EIO` on every Unix.
const EIO: i32 = 5;
