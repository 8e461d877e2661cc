//! Requests to other nodes.
//!
//! One connection per peer is made when it is first needed, shared by the requests that follow, and
//! closed when nobody has used it for a while.

use std::{
    collections::BTreeMap,
    fmt, mem,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use quinn::{Connection, ConnectionError, Endpoint, ReadError, RecvStream, WriteError};
use tidings_types::{NodeId, limits::FRAME_BYTES};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    counters::{Counter, Tally},
    frame::{FrameError, Topic, read_frame, write_request},
    handshake::{Credentials, Reason, Unproven, close_for},
    peers::{Peers, Place},
    quic::Quic,
    socket::canonical,
};

/// Why a request got no answer, or not the whole of it. The peer may or may not have acted on it;
/// nothing changed here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Ours: the frame is over [`FRAME_BYTES`]. Cut it.
    #[error("a frame of {0} bytes, over the limit of {FRAME_BYTES}")]
    TooLong(usize),
    /// Ours: too many requests or connections are open. Try later.
    #[error("too many sessions are open; try again later")]
    Busy,
    /// Ours: the transport is closed.
    #[error("the transport is closed")]
    Closed,
    /// The network or the peer: no connection, and this is why. Try another peer.
    #[error("no connection to {addr}: {cause}")]
    Unreachable {
        /// Where it was looked for.
        addr: SocketAddr,
        /// What went wrong, in words.
        cause: String,
    },
    /// The peer proved to be another node than the one asked for, or none of the cluster.
    #[error("the peer at {addr} was refused: {cause}")]
    Refused {
        /// Where it was looked for.
        addr: SocketAddr,
        /// Which proof failed, in words.
        cause: String,
    },
    /// The network or the peer: it said nothing for too long.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// The connection was lost on the way. Try again.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The peer gave the answer up. Try later, or another peer.
    #[error("the peer gave the answer up")]
    Abandoned,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(String),
}

/// The frames of an answer, as they come.
pub struct ResponseStream {
    stream: RecvStream,
    state: Reading,
    session: Arc<Session>,
    /// When the whole of it must be here.
    due: Instant,
    tally: Arc<Tally>,
    /// The request's place among those to its peer, and among all.
    _places: [OwnedSemaphorePermit; 2],
}

/// How far an answer has been read.
#[derive(Debug)]
enum Reading {
    /// The first frame, which [`Sessions::request`] has waited for.
    First(Vec<u8>),
    /// At the start of a frame.
    Between,
    /// Inside a frame whose reading failed or was given up.
    Broken,
    /// The peer has finished.
    Ended,
}

impl ResponseStream {
    /// The next frame, or `None` when the peer has finished. After an error, or when its future was
    /// dropped halfway, there are only errors: what came is not the whole answer.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, SessionError> {
        match mem::replace(&mut self.state, Reading::Broken) {
            Reading::First(frame) => {
                self.state = Reading::Between;
                return Ok(Some(frame));
            }
            Reading::Between => {}
            Reading::Broken => return Err(SessionError::Lost("reading was given up".into())),
            Reading::Ended => {
                self.state = Reading::Ended;
                return Ok(None);
            }
        }
        let Ok(read) = timeout_at(self.due, read_in_time(&mut self.stream)).await else {
            let session = &self.session;
            let addr = canonical(session.connection.remote_address());
            self.tally
                .refuse_node(Counter::AnswersTooSlow, addr, session.node);
            return Err(SessionError::TimedOut);
        };
        let frame = read?;
        self.state = if frame.is_some() {
            Reading::Between
        } else {
            Reading::Ended
        };
        Ok(frame)
    }
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStream")
            .field("peer", &self.session.connection.remote_address())
            .finish_non_exhaustive()
    }
}

impl Drop for ResponseStream {
    fn drop(&mut self) {
        self.session.touch();
    }
}

/// The connections that this node has dialed.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) endpoint: Endpoint,
    pub(super) quic: Quic,
    pub(super) credentials: Arc<Credentials>,
    peers: Arc<Peers>,
    tally: Arc<Tally>,
    slots: Mutex<BTreeMap<Peer, watch::Receiver<Dial>>>,
    requests: Arc<Semaphore>,
}

/// A node at an address: a peer that moved is dialed anew.
type Peer = (NodeId, SocketAddr);

/// A connection on its way from wish to use.
#[derive(Clone, Debug)]
enum Dial {
    Pending,
    Ready(Arc<Session>),
    Failed(SessionError),
}

/// A connection whose peer has proved node and membership.
#[derive(Debug)]
struct Session {
    node: NodeId,
    connection: Connection,
    /// Requests to it under way.
    requests: Arc<Semaphore>,
    last_used: Mutex<Instant>,
    _place: Place,
}

impl Sessions {
    /// No connections yet.
    pub(super) fn new(
        endpoint: Endpoint,
        quic: Quic,
        credentials: Arc<Credentials>,
        peers: Arc<Peers>,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            endpoint,
            quic,
            credentials,
            peers,
            tally,
            slots: Mutex::default(),
            requests: Arc::new(Semaphore::new(REQUESTS)),
        }
    }

    /// Sends one frame to `node` and waits for the start of its answer.
    ///
    /// A connection that was kept from earlier can turn out to be dead; then the request is sent
    /// once more over a new one. So a peer can see a request twice.
    pub(super) async fn request(
        self: &Arc<Self>,
        node: NodeId,
        addr: SocketAddr,
        topic: Topic,
        frame: Vec<u8>,
    ) -> Result<ResponseStream, SessionError> {
        if frame.len() > FRAME_BYTES {
            return Err(SessionError::TooLong(frame.len()));
        }
        let peer = (node, canonical(addr));
        let (session, is_kept) = self.session(peer).await?;
        match self.ask(session, topic, &frame).await {
            Err(SessionError::Lost(_)) if is_kept => {
                let (session, _) = self.session(peer).await?;
                self.ask(session, topic, &frame).await
            }
            answer => answer,
        }
    }

    /// Closes what nobody has used for a while, and forgets what is closed.
    pub(super) async fn close_idle(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(IDLE_CHECK);
        loop {
            ticks.tick().await;
            self.lock().retain(|_, dial| match &*dial.borrow() {
                Dial::Pending => true,
                Dial::Failed(_) => false,
                Dial::Ready(session) => !session.is_over(),
            });
        }
    }

    async fn ask(
        &self,
        session: Arc<Session>,
        topic: Topic,
        frame: &[u8],
    ) -> Result<ResponseStream, SessionError> {
        // The peer's place first: who waits for a slow peer keeps nobody from another.
        let places = timeout(REQUEST_WAIT, async {
            let to_one = Arc::clone(&session.requests).acquire_owned().await?;
            Ok([to_one, Arc::clone(&self.requests).acquire_owned().await?])
        });
        let places = places.await.map_err(|_| SessionError::Busy)?;
        let places = places.map_err(|_: AcquireError| SessionError::Closed)?;
        session.touch();
        let sent = timeout(FRAME_TIMEOUT, async {
            let (mut send, receive) = session.connection.open_bi().await.map_err(lost)?;
            let written = write_request(&mut send, topic, frame).await;
            written.map_err(unsent)?;
            // An unfinished stream here means that the peer refused it; the answer says so.
            let _ = send.finish();
            Ok(receive)
        });
        let mut stream = sent.await.map_err(|_| SessionError::TimedOut)??;
        self.tally.count(Counter::RequestsSent);
        let first = read_in_time(&mut stream).await?;
        Ok(ResponseStream {
            stream,
            state: first.map_or(Reading::Ended, Reading::First),
            session,
            due: Instant::now() + ANSWER_TIMEOUT,
            tally: Arc::clone(&self.tally),
            _places: places,
        })
    }

    /// The connection to `peer`, and whether it was there before. All who ask while it is being
    /// made wait for the same attempt.
    async fn session(self: &Arc<Self>, peer: Peer) -> Result<(Arc<Session>, bool), SessionError> {
        let (mut dial, is_kept) = self.slot(peer)?;
        let dial = dial
            .wait_for(|dial| !matches!(dial, Dial::Pending))
            .await
            .map_err(|_| SessionError::Closed)?;
        match &*dial {
            Dial::Ready(session) => Ok((Arc::clone(session), is_kept)),
            Dial::Failed(error) => Err(error.clone()),
            Dial::Pending => Err(SessionError::Closed),
        }
    }

    fn slot(self: &Arc<Self>, peer: Peer) -> Result<(watch::Receiver<Dial>, bool), SessionError> {
        let mut slots = self.lock();
        if let Some(dial) = slots.get(&peer) {
            let kept = match &*dial.borrow() {
                Dial::Pending => Some(false),
                Dial::Ready(session) if session.connection.close_reason().is_none() => Some(true),
                Dial::Ready(_) | Dial::Failed(_) => None,
            };
            if let Some(is_kept) = kept {
                return Ok((dial.clone(), is_kept));
            }
            slots.remove(&peer);
        }
        if slots.len() >= CONNECTIONS {
            let idle = longest_idle(&slots).ok_or(SessionError::Busy)?;
            slots.remove(&idle);
        }
        let (sender, dial) = watch::channel(Dial::Pending);
        slots.insert(peer, dial.clone());
        drop(slots);
        tokio::spawn(Arc::clone(self).dial(peer, sender));
        Ok((dial, false))
    }

    /// Makes a connection and tells everybody who waits for it. Runs in a task of its own, so that
    /// a caller that gives up does not take the attempt away from the others.
    async fn dial(self: Arc<Self>, peer: Peer, outcome: watch::Sender<Dial>) {
        self.tally.count(Counter::SessionsDialed);
        let (_, addr) = peer;
        let dialed = timeout(DIAL_TIMEOUT, self.connect(peer)).await;
        let result = dialed.unwrap_or_else(|_| {
            Err(SessionError::Unreachable {
                addr,
                cause: format!("no answer within {DIAL_TIMEOUT:?}"),
            })
        });
        let dial = match result {
            Ok(session) => Dial::Ready(Arc::new(session)),
            Err(error) => {
                self.tally.count(Counter::DialFailed);
                tracing::debug!(node = %peer.0, %addr, %error, "no session");
                Dial::Failed(error)
            }
        };
        outcome.send_replace(dial);
    }

    async fn connect(&self, (node, addr): Peer) -> Result<Session, SessionError> {
        let unreachable = |cause: String| SessionError::Unreachable { addr, cause };
        let config = self
            .quic
            .client(Some(node))
            .map_err(|error| unreachable(error.to_string()))?;
        let connecting = self
            .endpoint
            .connect_with(config, addr, SERVER_NAME)
            .map_err(|error| match error {
                quinn::ConnectError::EndpointStopping => SessionError::Closed,
                error => unreachable(error.to_string()),
            })?;
        let connection = connecting.await.map_err(|error| undialed(addr, &error))?;
        let ours = self.credentials.keys.ids();
        let (epoch, key) = self
            .credentials
            .introduce(&connection, node)
            .await
            .map_err(|unproven| match unproven {
                Unproven::Refused(reason) => SessionError::Refused {
                    addr,
                    cause: reason.as_str().into(),
                },
                Unproven::UnknownKey(key) => SessionError::Refused {
                    addr,
                    cause: format!("its cluster key {key} is not accepted here"),
                },
                Unproven::Lost(Some(error)) => {
                    if is_closed_for(&error, Reason::WrongKey) {
                        let (lacked, counter) = (ours[0], Counter::DialKeyRefused);
                        self.tally
                            .refuse_key(counter, addr, Some(node), lacked, &ours);
                    }
                    undialed(addr, &error)
                }
                Unproven::Lost(None) => unreachable("the stream ended".into()),
            })?;
        let session = Session {
            node,
            requests: Arc::new(Semaphore::new(REQUESTS_TO_ONE)),
            _place: self.peers.enter(node, epoch, key, connection.clone()),
            connection,
            last_used: Mutex::new(Instant::now()),
        };
        // Whoever removed the key meanwhile did not find this connection among the open ones.
        if !self.credentials.keys.holds(key) {
            close_for(&session.connection, Reason::KeyRemoved);
        }
        Ok(session)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Peer, watch::Receiver<Dial>>> {
        self.slots
            .lock()
            .expect("no code panics while it holds the list of sessions")
    }
}

impl Session {
    fn touch(&self) {
        *self.used() = Instant::now();
    }

    fn used(&self) -> MutexGuard<'_, Instant> {
        self.last_used
            .lock()
            .expect("no code panics while it holds a time")
    }

    /// Whether nobody but its slot holds it.
    fn is_idle(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }

    fn is_over(self: &Arc<Self>) -> bool {
        self.connection.close_reason().is_some()
            || self.is_idle() && self.used().elapsed() > IDLE_TIMEOUT
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        close_for(&self.connection, Reason::Idle);
    }
}

fn longest_idle(slots: &BTreeMap<Peer, watch::Receiver<Dial>>) -> Option<Peer> {
    slots
        .iter()
        .filter_map(|(&peer, dial)| match &*dial.borrow() {
            Dial::Pending => None,
            Dial::Failed(_) => Some((None, peer)),
            Dial::Ready(session) if session.is_idle() => Some((Some(*session.used()), peer)),
            Dial::Ready(_) => None,
        })
        .min()
        .map(|(_, peer)| peer)
}

async fn read_in_time(stream: &mut RecvStream) -> Result<Option<Vec<u8>>, SessionError> {
    match timeout(FRAME_TIMEOUT, read_frame(stream)).await {
        Err(_) => Err(SessionError::TimedOut),
        Ok(Ok(frame)) => Ok(frame),
        Ok(Err(FrameError::Read(ReadError::Reset(_)))) => Err(SessionError::Abandoned),
        Ok(Err(FrameError::Read(ReadError::ConnectionLost(error)))) => Err(lost(error)),
        Ok(Err(error)) => Err(SessionError::Protocol(error.to_string())),
    }
}

fn unsent(error: WriteError) -> SessionError {
    match error {
        WriteError::ConnectionLost(error) => lost(error),
        WriteError::Stopped(_) => SessionError::Abandoned,
        error => SessionError::Protocol(error.to_string()),
    }
}

fn lost(error: ConnectionError) -> SessionError {
    SessionError::Lost(error.to_string())
}

/// Tells a peer that is not the one we want, or does not want us, from one that is not there.
fn undialed(addr: SocketAddr, error: &ConnectionError) -> SessionError {
    let refused = |cause: String| SessionError::Refused { addr, cause };
    match error {
        ConnectionError::ApplicationClosed(close) => match Reason::of(close.error_code) {
            Some(Reason::Busy | Reason::ShuttingDown) | None => SessionError::Unreachable {
                addr,
                cause: error.to_string(),
            },
            Some(reason) => refused(format!("the peer says: {}", reason.as_str())),
        },
        // A failed TLS handshake is a proof that failed.
        ConnectionError::TransportError(failed) if is_tls(u64::from(failed.code)) => refused(
            format!("its key is not that of the node asked for ({failed})"),
        ),
        ConnectionError::ConnectionClosed(closed) if is_tls(u64::from(closed.error_code)) => {
            refused(format!("it does not take our key ({closed})"))
        }
        ConnectionError::LocallyClosed => SessionError::Closed,
        error => SessionError::Unreachable {
            addr,
            cause: error.to_string(),
        },
    }
}

/// Whether the peer closed the connection for this reason.
fn is_closed_for(error: &ConnectionError, reason: Reason) -> bool {
    match error {
        ConnectionError::ApplicationClosed(close) => Reason::of(close.error_code) == Some(reason),
        _ => false,
    }
}

/// Whether a transport error code carries a TLS alert (RFC 9001, 4.8).
const fn is_tls(code: u64) -> bool {
    code >> 8 == 1
}

/// Requests under way at once: they share the socket's buffer.
pub(super) const REQUESTS: usize = 4;
/// Of these, requests to one peer: one that answers slowly leaves places for the others.
const REQUESTS_TO_ONE: usize = 2;
/// Streams that one peer may have open: our own requests, and the proof of membership.
pub(super) const REQUESTS_PER_PEER: u32 = 8;
/// Connections kept at once; the longest idle one makes room.
const CONNECTIONS: usize = 32;
/// How long a request waits for its turn.
const REQUEST_WAIT: Duration = Duration::from_secs(10);
/// How long a living peer may take for one frame, or for its first word: the smallest window carries
/// a frame over a long line in this time. A dead peer is noticed by the idle timeout of QUIC.
pub(super) const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a whole answer may take: a peer that sends a little now and then is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a connection with its proofs may take.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// An unused connection is closed after this.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_CHECK: Duration = Duration::from_secs(1);
/// quinn wants a name; it is not sent and nobody checks it, since the key is pinned.
pub(super) const SERVER_NAME: &str = "node.invalid";
