//! Why an agent could not be started.

use std::{io, net::SocketAddr};

use crate::{
    certificates::CertificateError,
    definitions::DefinitionFileError,
    disk::DiskError,
    transport::{KeyError, KeyRingError, TransportError},
};

/// The agent could not be started; nothing of it runs. At most a new epoch was taken, which costs
/// nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process has the port.
    #[error(
        "{door} on {addr}: the port is taken by another process; end it or choose another port"
    )]
    AddressTaken {
        /// What the port was for.
        door: &'static str,
        /// The address.
        addr: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error(
        "{door} on {addr}: {source}; choose an address of this host and a port that you may use"
    )]
    Bind {
        /// What the address was for.
        door: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate of the HTTPS port cannot be used.
    #[error("HTTPS cannot be answered: {0}")]
    Certificate(#[from] CertificateError),
    /// The definition files cannot be used.
    #[error("the definition files cannot be used: {0}")]
    Definitions(#[from] DefinitionFileError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The node's key cannot be used.
    #[error("the node's key in the data directory cannot be used: {0}")]
    Key(#[from] KeyError),
    /// There are more cluster keys than are accepted at once.
    #[error(transparent)]
    ClusterKeys(#[from] KeyRingError),
    /// The gossip port cannot be used, for another reason than its address.
    #[error("gossip cannot be started: {0}")]
    Transport(TransportError),
    /// The system has no random bytes to give.
    #[error("the system gave no random bytes")]
    NoRandomness,
    /// The system has no thread to give.
    #[error("a thread could not be started: {0}")]
    Thread(io::Error),
}

impl StartError {
    /// Whether a file that the settings name is at fault, rather than the host.
    pub const fn is_of_settings(&self) -> bool {
        matches!(
            self,
            Self::Certificate(_) | Self::Definitions(_) | Self::ClusterKeys(_)
        )
    }

    pub(crate) fn of_bind(door: &'static str, addr: SocketAddr, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AddrInUse {
            Self::AddressTaken { door, addr }
        } else {
            Self::Bind { door, addr, source }
        }
    }
}

impl From<TransportError> for StartError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Bind { addr, source } => Self::of_bind("gossip", addr, source),
            other => Self::Transport(other),
        }
    }
}
