//! Knocking: who answers at an address, without a session coming of it.
//!
//! A whole handshake on the gossip port, as for a session, with whoever is there. QUIC fills the
//! first datagrams of both sides up to 1,200 bytes and none may be cut on the way, so that an answer
//! proves as well that our largest datagrams pass there and back.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use quinn::ConnectionError;
use tidings_types::{ClusterKeyId, NodeId};
use tokio::time::timeout;

use super::{
    handshake::{Reason, Unproven, close_for},
    port::Transport,
    session::{SERVER_NAME, Sessions},
    tls::peer_of,
};

/// What a knock met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// A member, under this cluster key.
    Member(ClusterKeyId),
    /// An agent that does not accept the key under which we send, or proves itself under this one,
    /// which is not accepted here.
    OtherKey(Option<ClusterKeyId>),
    /// An agent of another cluster.
    OtherCluster,
    /// Something that has no time now.
    Busy,
    /// Something that does not end the handshake as an agent of this version does; why, in words.
    Strange(String),
    /// Nothing, or a network that does not take our datagrams; why, in words.
    Silent(String),
}

/// One knock and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Knock {
    pub(crate) met: Met,
    /// The node that proved its key, member or not.
    pub(crate) node: Option<NodeId>,
}

impl Transport {
    /// Knocks at `addr`; ends within [`KNOCK_TIMEOUT`].
    pub(crate) async fn knock(&self, addr: SocketAddr) -> Knock {
        let sessions = Arc::clone(self.sessions());
        let mut node = None;
        let met = timeout(KNOCK_TIMEOUT, sessions.knock(addr, &mut node)).await;
        let met = met.unwrap_or_else(|_| {
            Met::Silent(format!("no answer within {} s", KNOCK_TIMEOUT.as_secs()))
        });
        Knock { met, node }
    }
}

impl Sessions {
    /// `node` is told as soon as it is known, since what follows may be cut off.
    async fn knock(&self, addr: SocketAddr, node: &mut Option<NodeId>) -> Met {
        let config = match self.quic.client(None) {
            Ok(config) => config,
            Err(error) => return Met::Silent(error.to_string()),
        };
        let connecting = match self.endpoint.connect_with(config, addr, SERVER_NAME) {
            Ok(connecting) => connecting,
            Err(error) => return Met::Silent(error.to_string()),
        };
        let connection = match connecting.await {
            Ok(connection) => connection,
            Err(error) => return unconnected(&error),
        };
        let Some(peer) = peer_of(&connection) else {
            return Met::Strange("it proves no node key".to_owned());
        };
        *node = Some(peer);
        let proven = self.credentials.introduce(&connection, peer).await;
        close_for(&connection, Reason::Idle);
        match proven {
            Ok((_, key)) => Met::Member(key),
            Err(Unproven::UnknownKey(key)) => Met::OtherKey(Some(key)),
            Err(Unproven::Refused(reason)) => refused(reason),
            Err(Unproven::Lost(Some(error))) => unconnected(&error),
            Err(Unproven::Lost(None)) => Met::Strange("the stream ended".to_owned()),
        }
    }
}

/// What an end of the connection says of who is there.
fn unconnected(error: &ConnectionError) -> Met {
    match error {
        ConnectionError::ApplicationClosed(close) => match Reason::of(close.error_code) {
            Some(reason) => refused(reason),
            None => Met::Strange(error.to_string()),
        },
        ConnectionError::ConnectionClosed(closed)
            if closed.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED =>
        {
            Met::Busy
        }
        ConnectionError::TimedOut => Met::Silent(error.to_string()),
        ConnectionError::LocallyClosed => Met::Silent("this agent is shutting down".to_owned()),
        error => Met::Strange(error.to_string()),
    }
}

fn refused(reason: Reason) -> Met {
    match reason {
        Reason::WrongKey | Reason::KeyRemoved => Met::OtherKey(None),
        Reason::ForeignCluster => Met::OtherCluster,
        Reason::Busy | Reason::ShuttingDown | Reason::Restarted | Reason::Idle => Met::Busy,
        Reason::Protocol => Met::Strange(reason.as_str().to_owned()),
    }
}

/// How long a knock waits: QUIC asks three times meanwhile.
const KNOCK_TIMEOUT: Duration = Duration::from_secs(3);
