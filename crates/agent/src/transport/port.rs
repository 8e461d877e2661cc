//! The public face: one port, opened once per run.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use quinn::{Endpoint, TokioRuntime};
use tidings_types::{ClusterId, ClusterKeyId, Epoch, NodeId, limits::PAYLOAD_BYTES};
use tokio::{runtime::Handle, sync::mpsc, task::AbortHandle, time::timeout};

use super::{
    counters::{Counter, Counts, Tally},
    frame::Topic,
    handshake::{Credentials, Reason},
    heard::KeysHeard,
    key::NodeKey,
    keyring::{KeyRing, KeyRingError},
    open::Opener,
    peers::Peers,
    pump::Pump,
    quic::{self, Quic},
    seal::{NoRandomness, Sealer},
    serve::{Responder, Server},
    session::{ResponseStream, SessionError, Sessions},
    shut_out::ShutOut,
    socket::Socket,
    sources::Sources,
};

/// What the port needs to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The cluster whose packets are taken.
    pub cluster: ClusterId,
    /// The cluster keys that are accepted.
    pub keys: KeyRing,
    /// Who we are.
    pub identity: NodeKey,
    /// This run.
    pub epoch: Epoch,
    /// Receive buffer to ask of the system, in bytes. Larger bears longer bursts; the system cuts
    /// it at its own limit (`net.core.rmem_max` on Linux), and session windows follow what it gave.
    pub receive_buffer: usize,
    /// Events that may wait for the driver. Larger bears longer pauses of the driver at about 1 kB
    /// per event; datagrams beyond it are dropped.
    pub event_queue: usize,
}

impl Settings {
    /// Settings with the default buffers.
    pub fn new(
        bind: SocketAddr,
        cluster: ClusterId,
        keys: KeyRing,
        identity: NodeKey,
        epoch: Epoch,
    ) -> Self {
        Self {
            bind,
            cluster,
            keys,
            identity,
            epoch,
            receive_buffer: RECEIVE_BUFFER,
            event_queue: EVENT_QUEUE,
        }
    }
}

/// What came in.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A datagram of a member, seen for the first time. It proves membership, not who sent it.
    Datagram {
        /// Where it came from.
        from: SocketAddr,
        /// Who claims to have sent it.
        sender: NodeId,
        /// The sender's run.
        epoch: Epoch,
        /// What it says.
        payload: Vec<u8>,
    },
    /// A datagram of a run of `sender` that is over, as far as this node knows.
    OldRun {
        /// The packet's source address.
        from: SocketAddr,
        /// Whose run.
        sender: NodeId,
        /// The greatest run heard.
        newest: Epoch,
    },
    /// A datagram of a member that bears this node's own id.
    OwnId {
        /// The packet's source address.
        from: SocketAddr,
    },
    /// A request of a member that has proved its key.
    Request {
        /// Who asks.
        from: NodeId,
        /// Where it came from.
        addr: SocketAddr,
        /// What it asks.
        frame: Vec<u8>,
        /// Where the answer goes.
        responder: Responder,
    },
    /// A request about cluster keys, of a member that has proved its key.
    Keyring {
        /// Who asks.
        from: NodeId,
        /// Where it came from.
        addr: SocketAddr,
        /// What it asks.
        frame: Vec<u8>,
        /// Where the answer goes.
        responder: Responder,
    },
}

/// The port could not be opened; nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The address is taken, or not of this machine.
    #[error("cannot listen on UDP {addr}: {source}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
    /// QUIC could not be started on the socket.
    #[error("cannot start QUIC: {0}")]
    Endpoint(#[source] io::Error),
    /// The node key does not serve TLS.
    #[error("cannot set up TLS with the node key: {0}")]
    Tls(#[from] rustls::Error),
    /// The system gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// Misuse: called outside of a tokio runtime.
    #[error("the transport must be opened inside a tokio runtime")]
    NoRuntime,
}

/// A datagram was not sent; nothing else changed. For membership this is a failed probe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Misuse: the payload is over [`PAYLOAD_BYTES`].
    #[error("a payload of {0} bytes, over the limit of {PAYLOAD_BYTES}")]
    TooLong(usize),
    /// The system refused it. `raw_os_error` tells why: EPERM by a firewall, EINVAL by a blackhole
    /// route, EHOSTUNREACH, EACCES or ENETUNREACH by routing, EAGAIN by a full send buffer.
    #[error("the system did not send it: {0}")]
    System(#[from] io::Error),
}

/// The port: sends and receives sealed datagrams, asks and answers over sessions.
///
/// Cheap to clone; all clones are the same port. When the last one is dropped, the tasks end and
/// the connections are closed.
#[derive(Clone, Debug)]
pub struct Transport(Arc<Port>);

#[derive(Debug)]
struct Port {
    socket: Arc<Socket>,
    sealer: Sealer,
    credentials: Arc<Credentials>,
    peers: Arc<Peers>,
    heard: Arc<KeysHeard>,
    sessions: Arc<Sessions>,
    tally: Arc<Tally>,
    tasks: Vec<AbortHandle>,
}

impl Transport {
    /// Binds the port and starts its tasks. Must be called inside a tokio runtime.
    pub fn bind(settings: Settings) -> Result<(Self, mpsc::Receiver<Event>), TransportError> {
        let runtime = Handle::try_current().map_err(|_| TransportError::NoRuntime)?;
        let Settings {
            bind,
            cluster,
            keys,
            identity,
            epoch,
            ..
        } = settings;
        let node = identity.node_id();
        let tally = Arc::new(Tally::new());
        let socket = Socket::bind(bind, settings.receive_buffer, Arc::clone(&tally))
            .map_err(|source| TransportError::Bind { addr: bind, source })?;
        let socket = Arc::new(socket);
        let quic = Quic::new(&identity, socket.receive_buffer())?;
        let endpoint = open_endpoint(&identity, &quic, &socket)?;
        let sealer = Sealer::new(cluster, node, keys.clone(), epoch)?;
        let (sender, events) = mpsc::channel(settings.event_queue.max(1));
        let credentials = Arc::new(Credentials::new(cluster, node, keys.clone(), epoch));
        let peers = Arc::new(Peers::default());
        let heard = Arc::new(KeysHeard::default());

        let pump = Pump {
            socket: Arc::clone(&socket),
            opener: Opener::new(cluster, node, keys.clone(), Arc::clone(&heard)),
            sources: Sources::new(Instant::now()),
            shut_out: ShutOut::default(),
            is_flooded: false,
            keys,
            events: sender.clone(),
            peers: Arc::clone(&peers),
            tally: Arc::clone(&tally),
        };
        let server = Arc::new(Server::new(
            endpoint.clone(),
            Arc::clone(&credentials),
            Arc::clone(&peers),
            sender,
            Arc::clone(&tally),
        ));
        let sessions = Arc::new(Sessions::new(
            endpoint,
            quic,
            Arc::clone(&credentials),
            Arc::clone(&peers),
            Arc::clone(&tally),
        ));
        let tasks = vec![
            runtime.spawn(pump.run()).abort_handle(),
            runtime.spawn(server.run()).abort_handle(),
            runtime
                .spawn(Arc::clone(&sessions).close_idle())
                .abort_handle(),
        ];
        tracing::debug!(
            addr = %socket.bound(),
            receive_buffer = socket.receive_buffer(),
            "listening for other agents"
        );
        let port = Port {
            socket,
            sealer,
            credentials,
            peers,
            heard,
            sessions,
            tally,
            tasks,
        };
        Ok((Self(Arc::new(port)), events))
    }

    /// The bound address, with the port that port 0 became.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.socket.bound()
    }

    /// Seals `payload` and hands it to the system at once. With a `receiver`, no other node takes
    /// it; without, any member does.
    pub fn send_datagram(
        &self,
        to: SocketAddr,
        receiver: Option<NodeId>,
        payload: &[u8],
    ) -> Result<(), SendError> {
        if payload.len() > PAYLOAD_BYTES {
            return Err(SendError::TooLong(payload.len()));
        }
        let datagram = self.0.sealer.seal(receiver, payload);
        match self.0.socket.send(to, &datagram) {
            Ok(()) => {
                self.0.tally.count(Counter::DatagramsSent);
                Ok(())
            }
            Err(error) => {
                self.0.tally.count(Counter::SendFailed);
                tracing::debug!(%to, %error, "a datagram was not sent");
                Err(error.into())
            }
        }
    }

    /// Sends one frame to `node`, which must be at `addr` and prove its key, and waits until the
    /// answer begins. Connections are kept for a while and shared; the peer may see a request
    /// twice if it restarts in between.
    pub async fn request(
        &self,
        node: NodeId,
        addr: SocketAddr,
        frame: Vec<u8>,
    ) -> Result<ResponseStream, SessionError> {
        let sessions = &self.0.sessions;
        sessions.request(node, addr, Topic::Node, frame).await
    }

    /// As [`Transport::request`], about the peer's cluster keys.
    pub async fn request_keyring(
        &self,
        node: NodeId,
        addr: SocketAddr,
        frame: Vec<u8>,
    ) -> Result<ResponseStream, SessionError> {
        let sessions = &self.0.sessions;
        sessions.request(node, addr, Topic::Keyring, frame).await
    }

    /// Accepts these cluster keys from now on, and sends under the first. What is sealed or proved
    /// under another is refused at once, and sessions that were proved so are closed.
    ///
    /// # Errors
    /// [`KeyRingError`] if there are none or too many; nothing was changed then.
    pub fn set_keys(&self, keys: &[[u8; 32]]) -> Result<(), KeyRingError> {
        let ring = &self.0.credentials.keys;
        ring.replace(keys)?;
        let closed = self.0.peers.close_unproven(ring);
        let closed = u64::try_from(closed).unwrap_or(u64::MAX);
        self.0.tally.add(Counter::SessionsKeyRemoved, closed);
        Ok(())
    }

    /// The cluster keys that are accepted; the first is sent under.
    pub fn keys(&self) -> Vec<ClusterKeyId> {
        self.0.credentials.keys.ids()
    }

    /// The cluster key of the latest datagram of each node that was heard.
    pub fn keys_heard(&self) -> BTreeMap<NodeId, ClusterKeyId> {
        self.0.heard.all()
    }

    /// Speaks from now on as the run `epoch`, which must be greater than the one before: a node
    /// does so when it meets a greater epoch of itself.
    pub fn set_epoch(&self, epoch: Epoch) -> Result<(), TransportError> {
        self.0.sealer.set_epoch(epoch)?;
        self.0.credentials.set_epoch(epoch);
        Ok(())
    }

    /// What was sent, received and refused since the start.
    pub fn counters(&self) -> Counts {
        self.0.tally.counts()
    }

    pub(super) fn sessions(&self) -> &Arc<Sessions> {
        &self.0.sessions
    }

    #[cfg(test)]
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.0.sessions.endpoint
    }

    /// Closes the sessions, waiting a moment until the peers know, and stops receiving. The event
    /// queue ends. Datagrams can still be sent until the last clone is dropped.
    pub async fn close(&self) {
        let endpoint = &self.0.sessions.endpoint;
        close_endpoint(endpoint);
        if timeout(CLOSE_TIMEOUT, endpoint.wait_idle()).await.is_err() {
            tracing::debug!("some peers have not heard that we close");
        }
        self.0.stop();
    }
}

impl Port {
    fn stop(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        close_endpoint(&self.sessions.endpoint);
        self.stop();
    }
}

fn open_endpoint(
    identity: &NodeKey,
    quic: &Quic,
    socket: &Arc<Socket>,
) -> Result<Endpoint, TransportError> {
    Endpoint::new_with_abstract_socket(
        quic::endpoint(identity),
        Some(quic.server()?),
        Arc::clone(socket) as Arc<dyn quinn::AsyncUdpSocket>,
        Arc::new(TokioRuntime),
    )
    .map_err(TransportError::Endpoint)
}

fn close_endpoint(endpoint: &Endpoint) {
    let reason = Reason::ShuttingDown;
    endpoint.close(reason.code(), reason.as_str().as_bytes());
}

/// Receive buffer asked of the system by default, in bytes.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Events that wait for the driver by default.
const EVENT_QUEUE: usize = 4_096;
/// How long closing waits for the peers.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
