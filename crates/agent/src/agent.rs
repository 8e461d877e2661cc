//! One agent: started whole or not at all, stopped in order.

use std::{fmt, io, net::SocketAddr};

use tidings_types::{Departure, NodeId};
use tokio::sync::watch;

use crate::{
    certificates::Certificates,
    definitions::Loaded,
    doors::Doors,
    error::StartError,
    reload::Reload,
    settings::{Programs, Settings},
    storage::Storage,
    transport::{self, KeyRing, Transport},
    wiring,
};

/// A running agent. Dropping it does not stop the agent.
#[derive(Debug)]
pub struct Agent {
    node: NodeId,
    addresses: Addresses,
    departure: Departure,
    stop: watch::Sender<Option<Departure>>,
    stopped: watch::Receiver<Option<Stop>>,
    reload: Reload,
}

/// Where an agent is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// By clients, over HTTP.
    pub http: SocketAddr,
    /// By clients, over HTTPS, if they can.
    pub https: Option<SocketAddr>,
    /// By clients, over DNS, UDP and TCP.
    pub dns: SocketAddr,
    /// By other agents.
    pub gossip: SocketAddr,
}

/// How an agent came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// It was asked to, said goodbye, and closed everything.
    Departed,
    /// Another agent holds its identity and keeps it; started again, it goes on under a new one.
    Yielded,
    /// A part that it cannot go on without ended. What was acknowledged is on disk.
    Failed {
        /// The part.
        part: &'static str,
        /// Why it ended.
        reason: String,
    },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Departed => f.write_str("the agent has left"),
            Self::Yielded => f.write_str("another agent keeps this one's identity"),
            Self::Failed { part, reason } => write!(
                f,
                "the agent stopped because its {part} ended: {reason}; what it acknowledged is on \
                 disk, start it again"
            ),
        }
    }
}

impl Agent {
    /// Starts an agent on the current tokio runtime. When this returns it answers.
    ///
    /// # Errors
    /// [`StartError`] if an address is taken or the disk cannot be used.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let programs = settings.programs != Programs::Never;
        let defined = Loaded::read(settings.definition_dir.as_deref(), programs)?;
        let https = settings.https.clone();
        let certificates = https.map(|https| Certificates::begin(https.files));
        let certificates = certificates.transpose()?;
        let https = settings.https.as_ref().map(|https| https.addr);
        let doors = Doors::bind(settings.http, https, settings.dns).await?;
        let data_dir = settings.data_dir.clone();
        let storage = tokio::task::spawn_blocking(move || Storage::open(data_dir.as_deref()))
            .await
            .map_err(|error| StartError::Thread(io::Error::other(error)))??;
        let keys = KeyRing::new(settings.keys.as_slice())?;
        let (transport, events) = Transport::bind(transport::Settings::new(
            settings.gossip,
            settings.cluster,
            keys,
            storage.key.clone(),
            storage.epoch,
        ))?;
        let bound = transport.local_addr();
        let gossip = settings.advertise.map_or(bound, |mut advertise| {
            // A wildcard with port 0 could not know its port before.
            if advertise.port() == 0 {
                advertise.set_port(bound.port());
            }
            advertise
        });
        let addresses = Addresses {
            http: doors.http_addr,
            https: doors.https_addr,
            dns: doors.dns_addr,
            gossip,
        };
        introduce(&settings, &storage, &addresses);
        let departure = if settings.leave_on_terminate() {
            Departure::Left
        } else {
            Departure::Restarting
        };
        let node = storage.key.node_id();
        let outside = wiring::Outside {
            doors,
            certificates,
            defined,
            transport,
            events,
        };
        let wiring::Reins {
            stop,
            stopped,
            reload,
        } = wiring::wire(&settings, addresses, storage, outside)?;
        Ok(Self {
            node,
            addresses,
            departure,
            stop,
            stopped,
            reload,
        })
    }

    /// Where it is reached.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Its lasting identity.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Asks it to say goodbye and stop, for good or to come back as its settings say.
    /// [`Agent::stopped`] tells when it has.
    pub fn request_stop(&self) {
        ask_to_stop(&self.stop, self.departure);
    }

    /// Reads the definition files and the certificate of the HTTPS port anew.
    ///
    /// # Errors
    /// The reason why it could not be done, for people; what it speaks of stays as it was.
    pub fn reload(&self) -> impl Future<Output = Result<(), String>> + Send + use<> {
        self.reload.clone().run()
    }

    /// Waits until the agent has stopped and everything of it is closed.
    pub async fn stopped(&self) -> Stop {
        let mut stopped = self.stopped.clone();
        let lost = || Stop::Failed {
            part: "supervisor",
            reason: "it ended without a word".to_owned(),
        };
        match stopped.wait_for(Option::is_some).await {
            Ok(stop) => stop.clone().unwrap_or_else(lost),
            Err(_) => lost(),
        }
    }
}

/// The first request counts: a second one cannot turn a goodbye into another.
pub(crate) fn ask_to_stop(stop: &watch::Sender<Option<Departure>>, departure: Departure) {
    stop.send_if_modified(|asked| {
        let first = asked.is_none();
        asked.get_or_insert(departure);
        first
    });
}

/// The first lines of an agent's log: who it is, where it is reached, and what may surprise.
fn introduce(settings: &Settings, storage: &Storage, addresses: &Addresses) {
    tracing::info!(
        node = %settings.name,
        id = %storage.key.node_id(),
        epoch = %storage.epoch,
        http = %addresses.http,
        https = addresses.https.map(tracing::field::display),
        dns = %addresses.dns,
        gossip = %addresses.gossip,
        cluster = settings.cluster_name,
        "tidings {} starts",
        env!("CARGO_PKG_VERSION")
    );
    match &settings.data_dir {
        Some(dir) => {
            let (own, others) = storage.found();
            tracing::info!(
                dir = %dir.display(),
                own,
                others,
                "registrations are kept on disk; so many records were found there"
            );
        }
        None => tracing::info!("registrations are kept in memory and end with this process"),
    }
    if settings.keys.are_public() {
        tracing::info!(
            "no key file is given: the cluster key follows from the cluster's name, which keeps \
             clusters on this host apart and nobody out"
        );
    }
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
}
