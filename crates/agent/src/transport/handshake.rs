//! The proof of membership: the first frame of a connection, both ways.
//!
//! TLS proves the nodes' keys; it does not say that they belong to the cluster. Each side sends a
//! MAC under the cluster key over its role, the connection's TLS exporter, both nodes and its
//! epoch. The dialing side speaks first, so a stranger learns nothing by listening. TLS 1.3 lets
//! the dialing side finish before the accepting side has judged its key, so nothing counts before
//! the peer's MAC has been verified.

use std::sync::atomic::{AtomicU64, Ordering};

use quinn::{Connection, RecvStream, SendStream, VarInt};
use tidings_types::{ClusterId, ClusterKeyId, Epoch, NodeId};

use super::{keyring::KeyRing, tls::peer_of};

/// Who we are, as sessions need it.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) cluster: ClusterId,
    pub(super) node: NodeId,
    pub(super) keys: KeyRing,
    epoch: AtomicU64,
}

/// Why a connection was closed, as both sides see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The peer is done with the connection.
    Idle,
    /// The peer is shutting down.
    ShuttingDown,
    /// The peer has too many connections.
    Busy,
    /// A newer run of the node has been heard.
    Restarted,
    /// No accepted cluster key made the MAC.
    WrongKey,
    /// Another cluster.
    ForeignCluster,
    /// The peer broke the protocol or speaks another version of it.
    Protocol,
    /// The cluster key that proved the connection is no longer accepted.
    KeyRemoved,
}

/// The proof failed; the connection has been closed.
#[derive(Clone, Debug)]
pub(super) enum Unproven {
    /// We closed it for this reason.
    Refused(Reason),
    /// We closed it: the peer proves itself under this cluster key, which is not accepted.
    UnknownKey(ClusterKeyId),
    /// It ended under us, or the peer closed it.
    Lost(Option<quinn::ConnectionError>),
}

impl Credentials {
    /// The credentials of `node`'s run `epoch`.
    pub(super) fn new(cluster: ClusterId, node: NodeId, keys: KeyRing, epoch: Epoch) -> Self {
        Self {
            cluster,
            node,
            keys,
            epoch: AtomicU64::new(epoch.bits()),
        }
    }

    /// Changes the run that new connections name.
    pub(super) fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.bits(), Ordering::Relaxed);
    }

    fn epoch(&self) -> Epoch {
        Epoch::from_bits(self.epoch.load(Ordering::Relaxed))
    }

    /// Dialing side: proves our membership and checks that of `peer`, which TLS has pinned.
    /// Returns the peer's epoch and the cluster key of its proof.
    pub(super) async fn introduce(
        &self,
        connection: &Connection,
        peer: NodeId,
    ) -> Result<(Epoch, ClusterKeyId), Unproven> {
        let (mut send, mut receive) = connection.open_bi().await.map_err(lost)?;
        let key = self.keys.load().first().id;
        let ours = self.hello(connection, Role::Dialing, peer, key)?;
        write(connection, &mut send, &ours).await?;
        let theirs = read(connection, &mut receive).await?;
        self.check(connection, Role::Accepting, peer, &theirs)
    }

    /// Accepting side: checks the membership of whoever dialed and proves ours under the same key.
    /// Returns the peer, its epoch and the cluster key of both proofs.
    pub(super) async fn welcome(
        &self,
        connection: &Connection,
    ) -> Result<(NodeId, Epoch, ClusterKeyId), Unproven> {
        let peer = peer_of(connection).ok_or_else(|| close(connection, Reason::Protocol))?;
        let (mut send, mut receive) = connection.accept_bi().await.map_err(lost)?;
        let theirs = read(connection, &mut receive).await?;
        let (epoch, key) = self.check(connection, Role::Dialing, peer, &theirs)?;
        let ours = self.hello(connection, Role::Accepting, peer, key)?;
        write(connection, &mut send, &ours).await?;
        Ok((peer, epoch, key))
    }

    /// What a dialing node would say on this connection, for tests that say it elsewhere.
    #[cfg(test)]
    pub(super) fn hello_for_tests(&self, connection: &Connection, peer: NodeId) -> Vec<u8> {
        let key = self.keys.load().first().id;
        let hello = self.hello(connection, Role::Dialing, peer, key);
        hello.expect("an established connection").to_vec()
    }

    /// Our hello, under the cluster key `key`.
    fn hello(
        &self,
        connection: &Connection,
        role: Role,
        peer: NodeId,
        key: ClusterKeyId,
    ) -> Result<Hello, Unproven> {
        let mut hello = [0; HELLO_BYTES];
        hello[0] = VERSION;
        hello[1..17].copy_from_slice(self.cluster.as_bytes());
        hello[17..25].copy_from_slice(&self.epoch().bits().to_be_bytes());
        hello[25..FIELD_BYTES].copy_from_slice(key.as_bytes());
        let message = signed(connection, role, (self.node, peer), &hello[..FIELD_BYTES])?;
        let ring = self.keys.load();
        // A key that was removed at this very moment proves nothing any more.
        let key = ring
            .find(key)
            .ok_or_else(|| close(connection, Reason::KeyRemoved))?;
        hello[FIELD_BYTES..].copy_from_slice(key.sign(&message).as_ref());
        Ok(hello)
    }

    /// The epoch in the peer's hello and the cluster key that proves it.
    fn check(
        &self,
        connection: &Connection,
        role: Role,
        peer: NodeId,
        hello: &Hello,
    ) -> Result<(Epoch, ClusterKeyId), Unproven> {
        if hello[0] != VERSION {
            return Err(close(connection, Reason::Protocol));
        }
        if hello[1..17] != *self.cluster.as_bytes() {
            return Err(close(connection, Reason::ForeignCluster));
        }
        let (mut epoch, mut id) = ([0; 8], [0; ClusterKeyId::BYTES]);
        epoch.copy_from_slice(&hello[17..25]);
        id.copy_from_slice(&hello[25..FIELD_BYTES]);
        let id = ClusterKeyId::from_bytes(id);
        let message = signed(connection, role, (peer, self.node), &hello[..FIELD_BYTES])?;
        let ring = self.keys.load();
        let Some(key) = ring.find(id) else {
            close_for(connection, Reason::WrongKey);
            return Err(Unproven::UnknownKey(id));
        };
        if !key.verifies(&message, &hello[FIELD_BYTES..]) {
            return Err(close(connection, Reason::WrongKey));
        }
        Ok((Epoch::from_bits(u64::from_be_bytes(epoch)), id))
    }
}

impl Reason {
    const ALL: [Self; 8] = [
        Self::Idle,
        Self::ShuttingDown,
        Self::Busy,
        Self::Restarted,
        Self::WrongKey,
        Self::ForeignCluster,
        Self::Protocol,
        Self::KeyRemoved,
    ];

    /// The code on the wire.
    pub(super) const fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Idle => 0,
            Self::ShuttingDown => 1,
            Self::Busy => 2,
            Self::Restarted => 3,
            Self::WrongKey => 4,
            Self::ForeignCluster => 5,
            Self::Protocol => 6,
            Self::KeyRemoved => 7,
        })
    }

    /// The reason with this code, if there is one.
    pub(super) fn of(code: VarInt) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// In words, for the peer's log.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "no longer needed",
            Self::ShuttingDown => "shutting down",
            Self::Busy => "too many sessions",
            Self::Restarted => "a newer run of the node was heard",
            Self::WrongKey => "no accepted cluster key proves it",
            Self::ForeignCluster => "another cluster",
            Self::Protocol => "another version or a broken protocol",
            Self::KeyRemoved => "its cluster key is no longer accepted",
        }
    }
}

/// Closes a connection for a reason that the peer is told.
pub(super) fn close_for(connection: &Connection, reason: Reason) {
    connection.close(reason.code(), reason.as_str().as_bytes());
}

fn close(connection: &Connection, reason: Reason) -> Unproven {
    close_for(connection, reason);
    Unproven::Refused(reason)
}

fn lost(error: quinn::ConnectionError) -> Unproven {
    Unproven::Lost(Some(error))
}

async fn write(
    connection: &Connection,
    send: &mut SendStream,
    hello: &Hello,
) -> Result<(), Unproven> {
    let sent = send.write_all(hello).await;
    sent.map_err(|_| Unproven::Lost(connection.close_reason()))?;
    send.finish()
        .map_err(|_| Unproven::Lost(connection.close_reason()))
}

async fn read(connection: &Connection, receive: &mut RecvStream) -> Result<Hello, Unproven> {
    let mut hello = [0; HELLO_BYTES];
    match receive.read_exact(&mut hello).await {
        Ok(()) => Ok(hello),
        Err(_) => match connection.close_reason() {
            Some(error) => Err(lost(error)),
            None => Err(close(connection, Reason::Protocol)),
        },
    }
}

/// What the MAC covers: role, this very connection, sender, receiver, and the hello's own fields.
fn signed(
    connection: &Connection,
    role: Role,
    (sender, receiver): (NodeId, NodeId),
    fields: &[u8],
) -> Result<Vec<u8>, Unproven> {
    let mut exporter = [0; 32];
    connection
        .export_keying_material(&mut exporter, b"EXPORTER-tidings/0", b"")
        .map_err(|_| close(connection, Reason::Protocol))?;
    let parts: [&[u8]; 5] = [
        &[role as u8],
        &exporter,
        sender.as_bytes(),
        receiver.as_bytes(),
        fields,
    ];
    Ok(parts.concat())
}

/// Which side made a MAC; neither can be played back as the other's.
#[derive(Clone, Copy, Debug)]
enum Role {
    Dialing = 1,
    Accepting = 2,
}

/// Version, cluster, epoch, cluster key's id, MAC.
type Hello = [u8; HELLO_BYTES];
/// What stands before the MAC, which covers it.
const FIELD_BYTES: usize = 1 + 16 + 8 + ClusterKeyId::BYTES;
const HELLO_BYTES: usize = FIELD_BYTES + 32;
const VERSION: u8 = 0;
