//! What the endpoints answer from.

use std::{
    fmt,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tidings_types::{CheckId, CheckKind, CheckStatus, ServiceId};
use tidings_view::{Commands, View};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{
    LogTap, Metrics,
    figures::Figures,
    keyring::{KeyringCall, KeyringFuture},
    setup::{KnockFuture, SetupFuture},
    whole::WholeAnswers,
};

/// What the endpoints answer from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpState {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    view: View,
    commands: Commands,
    info: AgentInfo,
    hooks: Box<dyn Hooks>,
    limits: Limits,
    figures: Figures,
    wholes: WholeAnswers,
    places: Arc<Semaphore>,
    waiters: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    closing: watch::Sender<bool>,
}

/// What the agent says of itself.
#[derive(Clone, Debug)]
pub struct AgentInfo {
    /// The version of tidings, such as `0.1.0`.
    pub version: String,
    /// The source revision it was built from, or empty.
    pub revision: String,
    /// Where other agents reach this one.
    pub gossip: SocketAddr,
    /// Where this API listens.
    pub http: SocketAddr,
    /// Where it listens for HTTPS, if it does.
    pub https: Option<SocketAddr>,
    /// Where DNS listens.
    pub dns: SocketAddr,
    /// Host names by which clients may call an agent that listens on loopback, beside those that
    /// no stranger can own.
    pub allowed_hosts: Vec<String>,
    /// The cluster's name.
    pub cluster: String,
    /// Whether this is a `dev` agent, whose JSON is always indented.
    pub dev: bool,
    /// When the agent started.
    pub started: SystemTime,
}

/// Something that a definition file may define.
#[derive(Clone, Copy, Debug)]
pub enum Defined<'a> {
    /// An instance.
    Service(&'a ServiceId),
    /// A check.
    Check(&'a CheckId),
}

/// The outcome of reading files anew, once it is there.
pub type ReloadFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What an endpoint needs of the agent beside view and commands.
pub trait Hooks: fmt::Debug + Send + Sync + 'static {
    /// A client reports on the TTL check `check`: its time starts anew. Called before the node hears
    /// of it, and whether or not the node takes it. Returns what the node is to hear: a check that has
    /// to succeed for a while before it passes stays critical until then.
    fn check_reported(
        &self,
        check: &CheckId,
        status: CheckStatus,
        output: String,
    ) -> (CheckStatus, String);

    /// Lets the check `check` run a program, because a remote caller asks for it. Returns false if
    /// the agent's settings do not allow that, or too many run already. Called before the node
    /// hears of the check.
    fn allow_program(&self, _check: &CheckId, _kind: &CheckKind) -> bool {
        false
    }

    /// The file that defines this, if one does: a client of the API does not change it then.
    fn definition_file(&self, _what: Defined<'_>) -> Option<String> {
        None
    }

    /// Reads the definition files and certificates anew; an error is a reason for people, and what it
    /// speaks of stays as it was.
    fn reload(&self) -> ReloadFuture {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Somebody asked the agent to leave the cluster for good and to end. Must not block.
    fn leave(&self);

    /// Looks at the cluster keys or changes them, on this agent or on all that are reachable.
    fn keyring(&self, call: KeyringCall, everywhere: bool) -> KeyringFuture;

    /// Looks at what the agent was set up with.
    fn setup(&self) -> SetupFuture;

    /// Who answers at these addresses: each is asked once. Takes as long as the slowest, which has a limit.
    fn knock(&self, addresses: Vec<SocketAddr>) -> KnockFuture;

    /// Where the agent's log can be listened to, if it can.
    fn log(&self) -> Option<LogTap> {
        None
    }

    /// Adds the figures of the agent's other parts. Must not block.
    fn metrics(&self, metrics: &mut Metrics);
}

/// How much is served at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections, 16,384 by default; a further one is told 429 and closed. Every long poll of
    /// HTTP/1.1 holds one, and there are fewer of those, so that there is room for writes.
    pub connections: usize,
    /// Blocking queries that wait, 10,000 by default; a further one is told 429.
    pub waiters: usize,
    /// Clients that follow all services, 256 by default; a further one is told 429. Each has a list
    /// of all names, and each change of a service is written for each.
    pub followers: usize,
    /// Bytes of a request's body, 1 MiB by default; a greater one is told 413.
    pub body_bytes: usize,
    /// Bytes of a request's line and headers, 64 KiB by default; more is told 431.
    pub head_bytes: usize,
    /// How long a request's head, and its body, may take to arrive; 30 s by default.
    pub read_timeout: Duration,
    /// How long a TLS handshake may take; 10 s by default.
    pub handshake_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            waiters: 10_000,
            followers: 256,
            body_bytes: 1 << 20,
            head_bytes: 64 << 10,
            read_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

impl HttpState {
    /// Puts the parts together.
    pub fn new(
        view: View,
        commands: Commands,
        info: AgentInfo,
        hooks: impl Hooks,
        limits: Limits,
    ) -> Self {
        let limits = Limits {
            connections: limits.connections.min(Semaphore::MAX_PERMITS),
            waiters: limits.waiters.min(Semaphore::MAX_PERMITS),
            followers: limits.followers.min(Semaphore::MAX_PERMITS),
            ..limits
        };
        Self {
            inner: Arc::new(Inner {
                view,
                commands,
                info,
                hooks: Box::new(hooks),
                limits,
                figures: Figures::default(),
                wholes: WholeAnswers::default(),
                places: Arc::new(Semaphore::new(limits.connections)),
                waiters: Arc::new(Semaphore::new(limits.waiters)),
                followers: Arc::new(Semaphore::new(limits.followers)),
                closing: watch::Sender::new(false),
            }),
        }
    }

    pub(crate) fn view(&self) -> &View {
        &self.inner.view
    }

    pub(crate) fn commands(&self) -> &Commands {
        &self.inner.commands
    }

    pub(crate) fn info(&self) -> &AgentInfo {
        &self.inner.info
    }

    pub(crate) fn hooks(&self) -> &dyn Hooks {
        &*self.inner.hooks
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.inner.figures
    }

    pub(crate) fn wholes(&self) -> &WholeAnswers {
        &self.inner.wholes
    }

    /// A place for a connection, unless all are taken.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.inner.places).try_acquire_owned().ok();
        if place.is_none() {
            self.figures().connections_refused.add();
        }
        place
    }

    /// A place for a blocking query, unless all are taken.
    pub(crate) fn waiter(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.inner.waiters).try_acquire_owned().ok();
        if place.is_none() {
            self.figures().queries_refused.add();
        }
        place
    }

    /// A place for a client that follows all services, unless all are taken.
    pub(crate) fn follower(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.inner.followers).try_acquire_owned().ok();
        if place.is_none() {
            self.figures().queries_refused.add();
        }
        place
    }

    /// Connections that are open.
    pub(crate) fn connections(&self) -> usize {
        self.limits().connections - self.inner.places.available_permits()
    }

    /// Blocking queries that wait.
    pub(crate) fn queries_waiting(&self) -> usize {
        self.limits().waiters - self.inner.waiters.available_permits()
    }

    /// Lets every blocking query answer now.
    pub(crate) fn close(&self) {
        self.inner.closing.send_replace(true);
    }

    /// Returns once [`HttpState::close`] was called.
    pub(crate) async fn closed(&self) {
        let mut closing = self.inner.closing.subscribe();
        // The sender lives in `self`, so the wait ends only by the value.
        let _ = closing.wait_for(|&closing| closing).await;
    }
}
