//! What a record says: nodes, instances and checks.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    CheckId, Event, Headers, NodeName, ServiceId, ServiceName, TaggedAddresses, Text, TextMap,
    Texts,
};

/// The content of a live record. The variant must fit its [`Key`](crate::Key).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Body {
    /// Of [`Key::Node`](crate::Key::Node).
    Node(Node),
    /// Of [`Key::Instance`](crate::Key::Instance) and
    /// [`Key::ExternalInstance`](crate::Key::ExternalInstance).
    Instance(Instance),
    /// Of [`Key::Check`](crate::Key::Check) and [`Key::ExternalCheck`](crate::Key::ExternalCheck).
    Check(Check),
    /// Of [`Key::ExternalNode`](crate::Key::ExternalNode).
    ExternalNode(ExternalNode),
    /// Of [`Key::Event`](crate::Key::Event).
    Event(Event),
    /// Of [`Key::Tags`](crate::Key::Tags): what readers see instead of the owner's tags.
    Tags(Texts),
}

/// Which kind of body. In the order of [`Body`]'s variants, whose numbers in an encoding these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum BodyKind {
    /// [`Body::Node`].
    Node,
    /// [`Body::Instance`].
    Instance,
    /// [`Body::Check`].
    Check,
    /// [`Body::ExternalNode`].
    ExternalNode,
    /// [`Body::Event`].
    Event,
    /// [`Body::Tags`].
    Tags,
}

/// A node's record about itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// What people call it.
    pub name: NodeName,
    /// Where other agents reach it.
    pub gossip: SocketAddr,
    /// The address under which its instances are found when they state none: an IP or a host name.
    pub address: Text,
    /// The datacenter that it answers for.
    pub datacenter: Text,
    /// Key/value metadata.
    pub meta: TextMap,
    /// The agent's version, for people.
    pub build: Text,
    /// Whether and how it said goodbye. Cleared by its next start.
    pub departure: Option<Departure>,
}

/// How a node went away on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Departure {
    /// For good: its instances are hidden at once.
    Left,
    /// To come back: its instances are served as stale for a while.
    Restarting,
}

/// A service instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// The name that clients look up.
    pub service: ServiceName,
    /// Labels to filter by, in the order given.
    pub tags: Texts,
    /// An IP or host name; empty means the node's address.
    pub address: Text,
    /// 0 if it has none.
    pub port: u16,
    /// A Unix socket instead of a port, for local clients.
    pub socket_path: Text,
    /// Key/value metadata.
    pub meta: TextMap,
    /// Further addresses, by tag.
    pub tagged_addresses: TaggedAddresses,
    /// Shares of traffic by health.
    pub weights: Weights,
    /// Whether others may change the tags through the catalog: a record of
    /// [`Key::Tags`](crate::Key::Tags) is shown instead of `tags`.
    pub enable_tag_override: bool,
    /// Consul's service kind; empty for a plain service.
    pub kind: Text,
    /// The checks that decide its health. One that is not here yet counts as critical.
    pub checks: Box<[CheckId]>,
}

impl Instance {
    /// An instance of `service` at its node's address, and nothing else said of it.
    pub fn new(service: ServiceName, port: u16) -> Self {
        Self {
            service,
            tags: Texts::new(),
            address: Text::new(),
            port,
            socket_path: Text::new(),
            meta: TextMap::new(),
            tagged_addresses: TaggedAddresses::new(),
            weights: Weights::default(),
            enable_tag_override: false,
            kind: Text::new(),
            checks: Box::default(),
        }
    }

    /// Adds a check to those that decide its health; whether it was not among them.
    pub fn name_check(&mut self, check: &CheckId) -> bool {
        let is_new = !self.checks.contains(check);
        if is_new {
            let named = self.checks.iter().chain([check]);
            self.checks = named.cloned().collect();
        }
        is_new
    }

    /// Takes a check away from those that decide its health; whether it was among them.
    pub fn unname_check(&mut self, check: &CheckId) -> bool {
        let was_named = self.checks.contains(check);
        if was_named {
            let named = self.checks.iter().filter(|named| *named != check);
            self.checks = named.cloned().collect();
        }
        was_named
    }
}

/// An address with its port, as `TaggedAddresses` hold it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaggedAddress {
    /// An IP or host name.
    pub address: String,
    /// Its port.
    pub port: u16,
}

/// An instance's share of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Weights {
    /// While all its checks pass.
    pub passing: u16,
    /// While one of them warns.
    pub warning: u16,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            passing: 1,
            warning: 1,
        }
    }
}

/// A check: its definition, its status, and the output at the last change of status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Check {
    /// What people call it.
    pub name: Text,
    /// For people.
    pub notes: Text,
    /// The instance that it speaks for; `None` for the whole node.
    pub service: Option<ServiceId>,
    /// How its owner runs it.
    pub kind: CheckKind,
    /// Milliseconds between runs; 0 for a TTL check.
    pub interval_ms: u64,
    /// Milliseconds that one run may take.
    pub timeout_ms: u64,
    /// Successes in a row before it passes; 0 and 1 mean at once.
    pub success_before_passing: u32,
    /// Failures in a row before it warns; 0 means as many as `failures_before_critical`.
    pub failures_before_warning: u32,
    /// Failures in a row before it is critical; 0 and 1 mean at once.
    pub failures_before_critical: u32,
    /// Milliseconds for which a critical check must succeed without a break before it leaves that
    /// state; 0 means at once.
    pub observe_ms: u32,
    /// Milliseconds in critical state after which the owner deregisters its instance; 0 never.
    pub deregister_after_ms: u64,
    /// Bytes of output kept.
    pub output_bytes_max: u32,
    /// What it found.
    pub status: CheckStatus,
    /// What it said when the status last changed.
    pub output: Text,
}

impl Check {
    /// A check of the whole node that has not passed yet, and nothing else said of it.
    pub fn new(name: impl Into<Text>, kind: CheckKind) -> Self {
        Self {
            name: name.into(),
            notes: Text::new(),
            service: None,
            kind,
            interval_ms: 0,
            timeout_ms: 0,
            success_before_passing: 0,
            failures_before_warning: 0,
            failures_before_critical: 0,
            observe_ms: 0,
            deregister_after_ms: 0,
            output_bytes_max: 0,
            status: CheckStatus::Critical,
            output: Text::new(),
        }
    }
}

/// How a check is run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CheckKind {
    /// Somebody else sets its status; nobody runs it (catalog registrations, maintenance).
    Manual {
        /// Consul's `Type` of the check, for clients; often empty.
        label: Text,
    },
    /// Critical unless its client reports within the time to live.
    Ttl {
        /// Milliseconds.
        ttl_ms: u64,
    },
    /// An HTTP request.
    Http(Box<HttpCheck>),
    /// A TCP connection.
    Tcp {
        /// `host:port`.
        address: Text,
    },
    /// A request to `grpc.health.v1.Health`; its address may end in `/service`.
    Grpc(Box<Endpoint>),
    /// A TCP connection with a TLS handshake.
    TcpTls(Box<Endpoint>),
    /// A ping of HTTP/2.
    H2Ping(Box<Endpoint>),
    /// A datagram that is not answered with "port unreachable".
    Udp {
        /// `host:port`.
        address: Text,
    },
    /// A program: exit code 0 passes, 1 warns, anything else is critical.
    Script {
        /// The program and its arguments.
        args: Box<[Text]>,
    },
    /// A program within a container, judged likewise.
    Docker(Box<DockerCheck>),
    /// A unit of the system's service manager.
    OsService {
        /// Its name.
        name: Text,
    },
    /// The worst of what is known of another service or node. Nothing is run.
    Alias(Box<AliasCheck>),
}

impl CheckKind {
    /// Whether running it runs a program that the definition names: what an agent must not do on
    /// another one's word.
    pub const fn runs_program(&self) -> bool {
        matches!(self, Self::Script { .. } | Self::Docker(_))
    }
}

/// Where a check connects to, and how it trusts what answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// `host:port`, and what the kind allows behind it.
    pub address: Text,
    /// Whether to speak TLS.
    pub use_tls: bool,
    /// Accept any certificate.
    pub tls_skip_verify: bool,
    /// The name to ask for and to verify, if not the address's host.
    pub tls_server_name: Text,
}

/// A program within a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DockerCheck {
    /// The container's id or name.
    pub container: Text,
    /// The shell that is given the arguments as one line; empty runs them as they are.
    pub shell: Text,
    /// The program and its arguments.
    pub args: Box<[Text]>,
}

/// What an alias check looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AliasCheck {
    /// The node's name; empty for the check's own node.
    pub node: Text,
    /// The instance's id; empty for the whole node.
    pub service: Text,
}

/// The request of an HTTP check: 2xx passes, 429 warns, anything else is critical.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HttpCheck {
    /// Where to.
    pub url: Text,
    /// `GET` unless stated.
    pub method: Text,
    /// Headers, each with its values.
    pub header: Headers,
    /// The request's body.
    pub body: Text,
    /// Take a redirect as the answer instead of following it.
    pub disable_redirects: bool,
    /// Accept any certificate.
    pub tls_skip_verify: bool,
    /// The name to ask for and to verify, if not the URL's host.
    pub tls_server_name: Text,
}

/// What a check found. The order is by badness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CheckStatus {
    /// Good.
    Passing,
    /// Usable, but look at it.
    Warning,
    /// Not to be used.
    Critical,
}

impl CheckStatus {
    /// The word in Consul's API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The status of that word; case matters.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Passing, Self::Warning, Self::Critical]
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

/// A node that runs no agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExternalNode {
    /// An id given by whoever registered it (a UUID), or empty.
    pub id: Text,
    /// An IP or host name.
    pub address: Text,
    /// Further addresses, by tag.
    pub tagged_addresses: TextMap,
    /// Key/value metadata.
    pub meta: TextMap,
}
