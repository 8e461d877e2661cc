//! Requests from other nodes.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, VarInt, WriteError};
use tidings_types::{ClusterKeyId, Epoch, NodeId, limits::FRAME_BYTES};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::{
    counters::{Counter, Tally},
    frame::{Topic, read_request, write_frame},
    handshake::{Credentials, Reason, Unproven, close_for},
    peers::Peers,
    port::Event,
    session::{FRAME_TIMEOUT, SessionError},
    shares::{SharePlace, Shares},
    socket::canonical,
};

/// Writes the answer to one request. Dropped before [`Responder::finish`], it tells the peer that
/// the answer is given up.
pub struct Responder {
    stream: SendStream,
    state: Answer,
    /// The request's place among its peer's, and among all.
    _places: [OwnedSemaphorePermit; 2],
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// All frames so far are whole.
    Whole,
    /// A frame was begun and not completed.
    Cut,
    /// The end was sent.
    Finished,
}

impl Responder {
    /// Sends one frame of at most [`FRAME_BYTES`]; waits while the peer does not keep up. Once a
    /// frame has failed, or its future was dropped halfway, the answer can only be given up.
    pub async fn send(&mut self, frame: &[u8]) -> Result<(), SessionError> {
        if frame.len() > FRAME_BYTES {
            return Err(SessionError::TooLong(frame.len()));
        }
        if self.state != Answer::Whole {
            return Err(SessionError::Abandoned);
        }
        self.state = Answer::Cut;
        match timeout(FRAME_TIMEOUT, write_frame(&mut self.stream, frame)).await {
            Err(_) => return Err(SessionError::TimedOut),
            Ok(Err(WriteError::Stopped(_))) => return Err(SessionError::Abandoned),
            Ok(Err(error)) => return Err(SessionError::Lost(error.to_string())),
            Ok(Ok(())) => {}
        }
        self.state = Answer::Whole;
        Ok(())
    }

    /// Ends the answer. What was sent still reaches the peer, if it can.
    pub fn finish(mut self) {
        if self.state == Answer::Whole {
            // A stream that the peer has stopped needs no end.
            let _ = self.stream.finish();
            self.state = Answer::Finished;
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if self.state != Answer::Finished {
            abandon(&mut self.stream);
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}

/// Lets other nodes' connections in and passes their requests on.
#[derive(Debug)]
pub(super) struct Server {
    endpoint: Endpoint,
    credentials: Arc<Credentials>,
    peers: Arc<Peers>,
    events: mpsc::Sender<Event>,
    tally: Arc<Tally>,
    /// Strangers: connections that have not proved their membership.
    handshakes: Arc<Semaphore>,
    /// Members' connections.
    connections: Arc<Semaphore>,
    /// What each member has of them, and of requests.
    shares: Arc<Shares>,
    /// Requests that are read or answered.
    served: Arc<Semaphore>,
}

impl Server {
    /// Nobody let in yet.
    pub(super) fn new(
        endpoint: Endpoint,
        credentials: Arc<Credentials>,
        peers: Arc<Peers>,
        events: mpsc::Sender<Event>,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            endpoint,
            credentials,
            peers,
            events,
            tally,
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            shares: Arc::default(),
            served: Arc::new(Semaphore::new(SERVED)),
        }
    }

    /// Accepts connections until the endpoint is closed.
    pub(super) async fn run(self: Arc<Self>) {
        while let Some(incoming) = self.endpoint.accept().await {
            self.meet(incoming);
        }
    }

    /// Decides on a connection attempt before any cipher runs for it.
    fn meet(self: &Arc<Self>, incoming: Incoming) {
        let from = canonical(incoming.remote_address());
        let is_loaded = self.handshakes.available_permits() < HANDSHAKES / 2;
        if is_loaded && !incoming.remote_address_validated() && incoming.may_retry() {
            self.tally.count(Counter::SessionsRetried);
            // It may retry, so this cannot fail; if it did, the attempt would be refused.
            let _ = incoming.retry();
            return;
        }
        let Ok(permit) = Arc::clone(&self.handshakes).try_acquire_owned() else {
            self.tally.refuse(Counter::SessionsRefused, from);
            incoming.refuse();
            return;
        };
        tokio::spawn(Arc::clone(self).receive(incoming, from, permit));
    }

    async fn receive(
        self: Arc<Self>,
        incoming: Incoming,
        from: SocketAddr,
        handshake: OwnedSemaphorePermit,
    ) {
        let proof = timeout(HANDSHAKE_TIMEOUT, async {
            let connection = incoming
                .await
                .map_err(|error| Unproven::Lost(Some(error)))?;
            let (node, epoch, key) = self.credentials.welcome(&connection).await?;
            Ok((connection, node, epoch, key))
        });
        // A connection that has not proved itself in time is dropped here, and so closed.
        let proven = proof.await.unwrap_or(Err(Unproven::Lost(None)));
        let (connection, node, epoch, key) = match proven {
            Ok(proven) => proven,
            Err(unproven) => return self.turn_away(&unproven, from),
        };
        drop(handshake);
        let Some(share) = self.shares.enter(node) else {
            let counter = Counter::SessionsOverShare;
            self.tally.refuse_node(counter, from, node);
            close_for(&connection, Reason::Busy);
            return;
        };
        let Ok(_place) = Arc::clone(&self.connections).try_acquire_owned() else {
            self.tally.refuse(Counter::SessionsRefused, from);
            close_for(&connection, Reason::Busy);
            return;
        };
        self.tally.count(Counter::SessionsAccepted);
        self.serve(connection, node, epoch, key, share).await;
    }

    fn turn_away(&self, unproven: &Unproven, from: SocketAddr) {
        self.tally.count(Counter::HandshakeFailed);
        match unproven {
            Unproven::Refused(Reason::ForeignCluster) => {
                self.tally.refuse(Counter::SessionsForeign, from);
            }
            Unproven::Refused(Reason::WrongKey) => {
                self.tally.refuse(Counter::SessionsUnverified, from);
            }
            Unproven::UnknownKey(key) => self.tally.refuse_key(
                Counter::SessionsUnknownKey,
                from,
                None,
                *key,
                &self.credentials.keys.ids(),
            ),
            unproven => tracing::debug!(?unproven, peer = %from, "a session was not established"),
        }
    }

    /// Passes on the requests of one member until its connection ends.
    async fn serve(
        self: &Arc<Self>,
        connection: Connection,
        node: NodeId,
        epoch: Epoch,
        key: ClusterKeyId,
        share: SharePlace,
    ) {
        let share = Arc::new(share);
        let _place = self.peers.enter(node, epoch, key, connection.clone());
        // Whoever removed the key meanwhile did not find this connection among the open ones.
        if !self.credentials.keys.holds(key) {
            return close_for(&connection, Reason::KeyRemoved);
        }
        while let Ok((send, receive)) = connection.accept_bi().await {
            let (server, share) = (Arc::clone(self), Arc::clone(&share));
            let addr = canonical(connection.remote_address());
            tokio::spawn(async move { server.pass_on(node, addr, &share, send, receive).await });
        }
    }

    /// Reads one request and passes it on with its [`Responder`].
    async fn pass_on(
        &self,
        from: NodeId,
        addr: SocketAddr,
        share: &SharePlace,
        mut send: SendStream,
        mut receive: RecvStream,
    ) {
        let Some(own_place) = share.request().await else {
            self.tally
                .refuse_node(Counter::RequestsOverShare, addr, from);
            return abandon(&mut send);
        };
        let permit = timeout(SERVE_WAIT, Arc::clone(&self.served).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            self.tally.refuse(Counter::RequestsRefused, addr);
            return abandon(&mut send);
        };
        let (topic, frame) = match timeout(FRAME_TIMEOUT, read_request(&mut receive)).await {
            Ok(Ok(Some(request))) => request,
            unread => {
                tracing::debug!(?unread, node = %from, "a request could not be read");
                return abandon(&mut send);
            }
        };
        let responder = Responder {
            stream: send,
            state: Answer::Whole,
            _places: [own_place, permit],
        };
        let event = match topic {
            Topic::Node => Event::Request {
                from,
                addr,
                frame,
                responder,
            },
            Topic::Keyring => Event::Keyring {
                from,
                addr,
                frame,
                responder,
            },
        };
        match self.events.send_timeout(event, EVENT_WAIT).await {
            Ok(()) => self.tally.count(Counter::RequestsReceived),
            Err(_) => self.tally.refuse(Counter::RequestsRefused, addr),
        }
    }
}

fn abandon(stream: &mut SendStream) {
    // A stream that is closed already needs no reset.
    let _ = stream.reset(VarInt::from_u32(ABANDONED));
}

/// Connections that may be proving themselves at once. From half of it on, an address is asked to
/// prove that it can be reached before it costs us a signature.
const HANDSHAKES: usize = 32;
/// Members' connections at once.
const CONNECTIONS: usize = 128;
/// Requests read or answered at once: they share the socket's buffer.
pub(super) const SERVED: usize = 16;
/// How long a stranger may take to prove itself.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request waits for its turn.
const SERVE_WAIT: Duration = Duration::from_secs(5);
/// How long a request waits for a place in the driver's queue.
const EVENT_WAIT: Duration = Duration::from_secs(1);
/// The code of a stream whose answer was given up.
const ABANDONED: u32 = 1;
