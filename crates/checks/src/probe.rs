//! One run of a check.

use std::{future::ready, path::Path, pin::Pin, sync::Arc, time::Duration};

use tidings_types::{Check, CheckKind, CheckStatus};

use crate::{
    docker::DockerProbe,
    grpc::GrpcProbe,
    http::{HttpClients, HttpProbe},
    http2::PingProbe,
    output::limit_of,
    program, tcp,
    tls::Dial,
    udp,
};

/// A run may take this long if the check states nothing.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a check says whose program this run of the agent was not asked to run.
const UNASKED: &str = "nobody has asked this agent since its start to run this program, and it does not do so on the \
     word of its records alone; register the check again, or put it into a definition file";

/// What one run found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) status: CheckStatus,
    pub(crate) output: String,
}

impl Found {
    pub(crate) fn critical(output: impl Into<String>) -> Self {
        Self {
            status: CheckStatus::Critical,
            output: output.into(),
        }
    }
}

/// A run under way.
pub(crate) type Run<'a> = Pin<Box<dyn Future<Output = Found> + Send + 'a>>;

/// How to run a check.
#[derive(Clone)]
pub(crate) enum Probe {
    /// An HTTP request.
    Http(Arc<HttpProbe>),
    /// A TCP connection to this address.
    Tcp(String),
    /// The same with a TLS handshake.
    TcpTls(Arc<Dial>),
    /// A gRPC health request.
    Grpc(Arc<GrpcProbe>),
    /// An HTTP/2 ping.
    H2Ping(Arc<PingProbe>),
    /// A datagram to this address.
    Udp(String),
    /// A program with its arguments, and how much of its output is kept.
    Script(Arc<[String]>, usize),
    /// A program within a container.
    Docker(Arc<DockerProbe>),
    /// A unit of the system's service manager.
    OsService(String, usize),
    /// A program that this run of the agent was not asked to run.
    Unasked,
    /// The definition cannot be run, for this reason; each run says so.
    Impossible(String),
}

impl Probe {
    /// `engine` is the socket of the container engine.
    pub(crate) fn new(check: &Check, clients: &HttpClients, engine: &Path) -> Self {
        Self::of(check, clients, engine).unwrap_or_else(Self::Impossible)
    }

    /// Whether making it reads the system's certificates, which takes a while.
    pub(crate) fn reads_certificates(check: &Check, clients: &HttpClients) -> bool {
        match &check.kind {
            CheckKind::Http(http) => !clients.are_made_for(http),
            CheckKind::TcpTls(endpoint)
            | CheckKind::Grpc(endpoint)
            | CheckKind::H2Ping(endpoint) => endpoint.use_tls && !endpoint.tls_skip_verify,
            CheckKind::Manual { .. }
            | CheckKind::Ttl { .. }
            | CheckKind::Tcp { .. }
            | CheckKind::Udp { .. }
            | CheckKind::Script { .. }
            | CheckKind::Docker(_)
            | CheckKind::OsService { .. }
            | CheckKind::Alias(_) => false,
        }
    }

    fn of(check: &Check, clients: &HttpClients, engine: &Path) -> Result<Self, String> {
        Ok(match &check.kind {
            CheckKind::Http(http) => {
                Self::Http(Arc::new(HttpProbe::new(http, limit_of(check), clients)?))
            }
            CheckKind::Tcp { address } => Self::Tcp(address.to_string()),
            CheckKind::TcpTls(endpoint) => {
                Self::TcpTls(Arc::new(Dial::new(endpoint, &endpoint.address, &[])?))
            }
            CheckKind::Grpc(endpoint) => Self::Grpc(Arc::new(GrpcProbe::new(endpoint)?)),
            CheckKind::H2Ping(endpoint) => Self::H2Ping(Arc::new(PingProbe::new(endpoint)?)),
            CheckKind::Udp { address } => Self::Udp(address.to_string()),
            CheckKind::Script { args } => Self::Script(
                args.iter().map(ToString::to_string).collect(),
                limit_of(check),
            ),
            CheckKind::Docker(docker) => {
                Self::Docker(Arc::new(DockerProbe::new(docker, limit_of(check), engine)?))
            }
            CheckKind::OsService { name } => Self::OsService(name.to_string(), limit_of(check)),
            CheckKind::Manual { .. } | CheckKind::Ttl { .. } | CheckKind::Alias(_) => {
                return Err("this kind of check is not run by the agent".to_owned());
            }
        })
    }

    /// Runs the check once; never longer than `timeout`.
    ///
    /// A run takes some kilobytes, of which a check that waits for its next one must hold none: so it
    /// stands on the heap while it lasts.
    pub(crate) fn run(&self, timeout: Duration) -> Run<'_> {
        match self {
            Self::Http(probe) => Box::pin(probe.run(timeout)),
            Self::Tcp(address) => Box::pin(tcp::run(address, timeout)),
            Self::TcpTls(dial) => Box::pin(tcp::run_tls(dial, timeout)),
            Self::Grpc(probe) => Box::pin(probe.run(timeout)),
            Self::H2Ping(probe) => Box::pin(probe.run(timeout)),
            Self::Udp(address) => Box::pin(udp::run(address, timeout)),
            Self::Script(args, bytes) => Box::pin(program::script(args, *bytes, timeout)),
            Self::Docker(probe) => Box::pin(probe.run(timeout)),
            Self::OsService(name, bytes) => Box::pin(program::os_service(name, *bytes, timeout)),
            Self::Unasked => Box::pin(ready(Found::critical(UNASKED))),
            Self::Impossible(reason) => Box::pin(ready(Found::critical(reason.clone()))),
        }
    }
}

/// How long one run of `check` may take.
pub(crate) fn timeout_of(check: &Check) -> Duration {
    match check.timeout_ms {
        0 => TIMEOUT,
        stated => Duration::from_millis(stated),
    }
}
