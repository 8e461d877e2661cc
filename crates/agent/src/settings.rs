//! What an operator may set, and what of it an agent can run with.
//!
//! [`Options`] hold what stands on the command line or in a file, unchecked. [`Settings`] hold what
//! follows from them: once made they are sound, and nothing below looks at options again.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs},
    path::PathBuf,
};

use tidings_http::LogTap;
use tidings_types::{ClusterId, NameError, NodeName};

use crate::{
    certificates::CertificateFiles,
    cluster::{self, ClusterNameError},
    keys::{KeyFileError, Keys},
    seeds::{Seed, SeedError},
};

/// The gossip port, UDP, unless set.
pub const GOSSIP_PORT: u16 = 8301;
/// The HTTP port unless set.
pub const HTTP_PORT: u16 = 8500;
/// The HTTPS port, unless set, of an agent that is given a certificate.
pub const HTTPS_PORT: u16 = 8501;
/// The DNS port, UDP and TCP, unless set.
pub const DNS_PORT: u16 = 8600;
/// The cluster's name unless set.
pub const CLUSTER: &str = "tidings";
/// The datacenter unless set.
pub const DATACENTER: &str = "dc1";
/// Seeds that one agent may name.
pub const SEEDS_MAX: usize = 64;
/// Host names that may be allowed.
pub const ALLOWED_HOSTS_MAX: usize = 64;
/// Characters of a datacenter's name, which is a DNS label.
const DATACENTER_CHARS: usize = 63;

/// What an operator wrote; nothing is checked yet. `None` and an empty list take the default.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What people call the node; by default the host's name.
    pub name: Option<String>,
    /// Where identity, feed and replicas are kept; by default in memory, lost at the end.
    pub data_dir: Option<PathBuf>,
    /// The address on which gossip is taken; by default loopback. Any other needs a key file.
    pub bind: Option<IpAddr>,
    /// `HOST:PORT` under which other agents reach this one; by default the address bound.
    pub advertise: Option<String>,
    /// The gossip port; by default [`GOSSIP_PORT`], 0 takes a free one.
    pub gossip_port: Option<u16>,
    /// The address on which HTTP and DNS are answered; by default loopback.
    pub client: Option<IpAddr>,
    /// The HTTP port; by default [`HTTP_PORT`], 0 takes a free one.
    pub http_port: Option<u16>,
    /// The address on which HTTPS is answered; by default `client`.
    pub https_address: Option<IpAddr>,
    /// The HTTPS port; by default [`HTTPS_PORT`] with a certificate and none without. 0 takes a free
    /// one.
    pub https_port: Option<u16>,
    /// The certificate of the HTTPS port, PEM, with those that lead to its authority.
    pub https_cert_file: Option<PathBuf>,
    /// Its private key, PEM.
    pub https_key_file: Option<PathBuf>,
    /// Authorities of clients' certificates, PEM; with them a client over HTTPS has to show one.
    pub https_ca_file: Option<PathBuf>,
    /// The DNS port; by default [`DNS_PORT`], 0 takes a free one.
    pub dns_port: Option<u16>,
    /// `HOST:PORT` of other agents to find the cluster by.
    pub join: Vec<String>,
    /// The cluster's name; by default [`CLUSTER`]. Agents of different clusters do not talk.
    pub cluster: Option<String>,
    /// A file of cluster keys, as [`Keys::read`] takes it.
    pub key_file: Option<PathBuf>,
    /// The datacenter to answer for; by default [`DATACENTER`].
    pub datacenter: Option<String>,
    /// Host names by which browsers may call this agent though it listens on loopback.
    pub allow_hosts: Vec<String>,
    /// A directory of definition files; by default none.
    pub definition_dir: Option<PathBuf>,
    /// Whether clients of the API may register checks that run programs; by default not.
    pub enable_script_checks: Option<bool>,
    /// Whether definition files may; by default not. Follows from `enable_script_checks`.
    pub enable_local_script_checks: Option<bool>,
    /// Whether a requested end is for good (the default) or a restart.
    pub leave_on_terminate: Option<bool>,
}

/// What an agent runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) name: NodeName,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) gossip: SocketAddr,
    pub(crate) advertise: Option<SocketAddr>,
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<Https>,
    pub(crate) dns: SocketAddr,
    pub(crate) seeds: Vec<Seed>,
    pub(crate) cluster_name: String,
    pub(crate) cluster: ClusterId,
    pub(crate) keys: Keys,
    pub(crate) datacenter: String,
    pub(crate) leave_on_terminate: bool,
    pub(crate) programs: Programs,
    pub(crate) allow_hosts: Vec<String>,
    pub(crate) definition_dir: Option<PathBuf>,
    pub(crate) log: Option<LogTap>,
}

/// The HTTPS port.
#[derive(Clone, Debug)]
pub(crate) struct Https {
    pub(crate) addr: SocketAddr,
    pub(crate) files: CertificateFiles,
}

/// Whose checks may run programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Programs {
    /// Nobody's.
    Never,
    /// Those of definition files.
    OfFiles,
    /// Those of clients of the API too.
    OfAnybody,
}

/// The options cannot be run with; nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The node's name cannot be one.
    #[error("{0}; choose another with --name")]
    Name(#[from] NameError),
    /// The cluster's name cannot be one.
    #[error(transparent)]
    Cluster(#[from] ClusterNameError),
    /// The datacenter's name cannot be one.
    #[error(
        "the datacenter {0:?} is no DNS label: 1 to {DATACENTER_CHARS} lower-case letters, digits, - and _"
    )]
    Datacenter(String),
    /// Gossip would be open to others and nothing would prove who belongs to the cluster.
    #[error(
        "gossip on {addr} can be reached from other hosts, and without a cluster key anybody there \
         could join; run `tidings keygen > cluster.key`, give the file to each agent with \
         --key-file, or bind to 127.0.0.1"
    )]
    KeyMissing {
        /// The address that is not loopback.
        addr: IpAddr,
    },
    /// HTTPS cannot be answered without a certificate and its key.
    #[error(
        "HTTPS needs a certificate and its private key, and {missing} is not given; give both \
         --https-cert-file FILE and --https-key-file FILE, or no option of HTTPS"
    )]
    CertificateMissing {
        /// The option that lacks.
        missing: &'static str,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The advertised address names no place that other agents could send to.
    #[error("the advertised address {text:?} cannot be used: {reason}; give HOST:PORT")]
    Advertise {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A wildcard address says nothing about how others reach this agent.
    #[error(
        "{bind} takes gossip on every address, and which of them others reach is not known: {reason}; \
         say it with --advertise HOST:PORT"
    )]
    AdvertiseUnknown {
        /// The wildcard.
        bind: IpAddr,
        /// Why it could not be found out.
        reason: String,
    },
    /// A seed cannot be one.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// What is no host name cannot be allowed.
    #[error("the allowed host {0:?} is no host name; give a name without scheme, port or wildcard")]
    AllowedHost(String),
    /// More host names than an agent compares each request with.
    #[error("{0} host names are allowed, {ALLOWED_HOSTS_MAX} are the limit; leave some out")]
    TooManyHosts(usize),
    /// More seeds than an agent keeps resolving.
    #[error("{0} seeds are given, {SEEDS_MAX} are enough for any cluster; leave some out")]
    TooManySeeds(usize),
}

impl Settings {
    /// Checks `options`; reads the key file and resolves the advertised name.
    ///
    /// # Errors
    /// [`SettingsError`] says which option cannot be run with and what to do about it.
    pub fn check(options: Options) -> Result<Self, SettingsError> {
        let bind = options.bind.unwrap_or(LOOPBACK);
        let client = options.client.unwrap_or(LOOPBACK);
        let https = https(&options, client)?;
        let gossip = SocketAddr::new(bind, options.gossip_port.unwrap_or(GOSSIP_PORT));
        let advertise = advertised(options.advertise.as_deref(), gossip)?;
        let cluster_name = options.cluster.unwrap_or_else(|| CLUSTER.to_owned());
        let cluster = cluster::id_of(&cluster_name)?;
        let keys = match &options.key_file {
            Some(path) => Keys::read(path)?,
            None => {
                let public = [Some(bind), advertise.map(|at| at.ip())]
                    .into_iter()
                    .flatten()
                    .find(|ip| !ip.is_loopback());
                if let Some(addr) = public {
                    return Err(SettingsError::KeyMissing { addr });
                }
                Keys::of_cluster_name(&cluster_name)
            }
        };
        if options.join.len() > SEEDS_MAX {
            return Err(SettingsError::TooManySeeds(options.join.len()));
        }
        let seeds = options.join.iter().map(|text| text.parse());
        Ok(Self {
            name: NodeName::new(options.name.unwrap_or_else(host_name))?,
            data_dir: options.data_dir,
            gossip,
            advertise,
            http: SocketAddr::new(client, options.http_port.unwrap_or(HTTP_PORT)),
            https,
            dns: SocketAddr::new(client, options.dns_port.unwrap_or(DNS_PORT)),
            seeds: seeds.collect::<Result<_, _>>()?,
            cluster_name,
            cluster,
            keys,
            datacenter: datacenter(options.datacenter)?,
            leave_on_terminate: options.leave_on_terminate.unwrap_or(true),
            allow_hosts: allowed_hosts(options.allow_hosts)?,
            definition_dir: options.definition_dir,
            programs: match (
                options.enable_script_checks,
                options.enable_local_script_checks,
            ) {
                (Some(true), _) => Programs::OfAnybody,
                (_, Some(true)) => Programs::OfFiles,
                _ => Programs::Never,
            },
            log: None,
        })
    }

    /// Lets clients listen to the log, which whoever writes it passes on to `log`.
    #[must_use]
    pub fn with_log(self, log: LogTap) -> Self {
        Self {
            log: Some(log),
            ..self
        }
    }

    /// Whether a requested end is for good; otherwise the node says that it will be back.
    pub const fn leave_on_terminate(&self) -> bool {
        self.leave_on_terminate
    }

    /// What the operator should know before it surprises them, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let client = self.http.ip();
        if !client.is_loopback() {
            warnings.push(format!(
                "HTTP and DNS on {client} can be reached from other hosts, which may register and \
                 deregister anything; keep them out with a firewall"
            ));
        }
        if let Some(https) = &self.https
            && https.files.ca.is_none()
            && !https.addr.ip().is_loopback()
        {
            warnings.push(format!(
                "HTTPS on {} can be reached from other hosts, which may register and deregister \
                 anything; demand certificates of clients with --https-ca-file",
                https.addr
            ));
        }
        if self.gossip.ip().is_loopback() && self.seeds.iter().any(Seed::is_elsewhere) {
            warnings.push(format!(
                "gossip on {} cannot reach other hosts; give --bind an address of this host",
                self.gossip.ip()
            ));
        }
        if self.programs == Programs::OfAnybody && !client.is_loopback() {
            warnings.push(format!(
                "checks that run programs can be registered from other hosts, over HTTP on {client}: \
                 whoever reaches it runs what they like here; prefer enable_local_script_checks"
            ));
        }
        warnings.extend(self.keys.warnings().iter().cloned());
        warnings
    }
}

/// The host's name, by which a node is called unless it is told otherwise.
pub fn host_name() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let found = files
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .chain(std::env::var("HOSTNAME"))
        .map(|text| text.trim().to_owned())
        .find(|text| NodeName::new(text).is_ok());
    found.unwrap_or_else(|| "localhost".to_owned())
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where others reach an agent that takes gossip on `gossip`; `None` if that address itself says it.
fn advertised(text: Option<&str>, gossip: SocketAddr) -> Result<Option<SocketAddr>, SettingsError> {
    let Some(text) = text else {
        return if gossip.ip().is_unspecified() {
            route_address(gossip.ip()).map(|ip| Some(SocketAddr::new(ip, gossip.port())))
        } else {
            Ok(None)
        };
    };
    let refuse = |reason: String| SettingsError::Advertise {
        text: text.to_owned(),
        reason,
    };
    let same_family = |addr: &SocketAddr| {
        gossip.ip().is_unspecified() && gossip.is_ipv6() || addr.is_ipv4() == gossip.is_ipv4()
    };
    let addr = text
        .to_socket_addrs()
        .map_err(|error| refuse(error.to_string()))?
        .find(same_family)
        .ok_or_else(|| refuse(format!("it has no address of the kind of {}", gossip.ip())))?;
    if addr.port() == 0 || addr.ip().is_unspecified() {
        return Err(refuse("nobody can send to it".to_owned()));
    }
    Ok(Some(addr))
}

/// The address of this host from which packets to other hosts go. Nothing is sent: a connected UDP
/// socket only asks the routing table.
fn route_address(bind: IpAddr) -> Result<IpAddr, SettingsError> {
    let beyond = if bind.is_ipv4() {
        "192.0.2.1:9" // A documentation address (RFC 5737): routed like any, used by nobody.
    } else {
        "[2001:db8::1]:9"
    };
    let ask = || -> std::io::Result<IpAddr> {
        let socket = std::net::UdpSocket::bind((bind, 0))?;
        socket.connect(beyond)?;
        Ok(socket.local_addr()?.ip())
    };
    ask().map_err(|error| SettingsError::AdvertiseUnknown {
        bind,
        reason: error.to_string(),
    })
}

/// The HTTPS port, if anything is said of it.
fn https(options: &Options, client: IpAddr) -> Result<Option<Https>, SettingsError> {
    let missing = |missing| SettingsError::CertificateMissing { missing };
    let (cert, key) = match (&options.https_cert_file, &options.https_key_file) {
        (Some(cert), Some(key)) => (cert, key),
        (Some(_), None) => return Err(missing("--https-key-file")),
        (None, Some(_)) => return Err(missing("--https-cert-file")),
        (None, None) => {
            let is_wanted = options.https_port.is_some()
                || options.https_address.is_some()
                || options.https_ca_file.is_some();
            return if is_wanted {
                Err(missing("--https-cert-file"))
            } else {
                Ok(None)
            };
        }
    };
    let port = options.https_port.unwrap_or(HTTPS_PORT);
    Ok(Some(Https {
        addr: SocketAddr::new(options.https_address.unwrap_or(client), port),
        files: CertificateFiles {
            cert: cert.clone(),
            key: key.clone(),
            ca: options.https_ca_file.clone(),
        },
    }))
}

fn allowed_hosts(hosts: Vec<String>) -> Result<Vec<String>, SettingsError> {
    if hosts.len() > ALLOWED_HOSTS_MAX {
        return Err(SettingsError::TooManyHosts(hosts.len()));
    }
    let is_name = |host: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !host.is_empty() && host.chars().all(plain) && !host.ends_with('.')
    };
    match hosts.iter().find(|host| !is_name(host)) {
        Some(bad) => Err(SettingsError::AllowedHost(bad.clone())),
        None => Ok(hosts),
    }
}

fn datacenter(text: Option<String>) -> Result<String, SettingsError> {
    let text = text.unwrap_or_else(|| DATACENTER.to_owned());
    let sound = (1..=DATACENTER_CHARS).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if sound {
        Ok(text)
    } else {
        Err(SettingsError::Datacenter(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            name: Some("a".to_owned()),
            ..Options::default()
        }
    }

    #[test]
    fn nothing_set_is_a_loopback_agent_in_memory() {
        let settings = Settings::check(options()).unwrap();
        assert_eq!(settings.gossip, "127.0.0.1:8301".parse().unwrap());
        assert_eq!(settings.http, "127.0.0.1:8500".parse().unwrap());
        assert_eq!(settings.dns, "127.0.0.1:8600".parse().unwrap());
        assert!(settings.leave_on_terminate());
        assert!(settings.warnings().is_empty(), "{:?}", settings.warnings());
    }

    #[test]
    fn gossip_beyond_loopback_needs_a_key() {
        for (bind, advertise) in [
            (Some("192.0.2.7".parse().unwrap()), None),
            (None, Some("192.0.2.7:8301".to_owned())),
        ] {
            let open = Options {
                bind,
                advertise,
                ..options()
            };
            let error = Settings::check(open).unwrap_err();
            assert!(matches!(error, SettingsError::KeyMissing { .. }));
            assert!(error.to_string().contains("tidings keygen"), "{error}");
        }
    }

    #[test]
    fn a_public_client_address_warns() {
        let open = Options {
            client: Some("0.0.0.0".parse().unwrap()),
            ..options()
        };
        assert_eq!(Settings::check(open).unwrap().warnings().len(), 1);
    }

    #[test]
    fn a_certificate_with_its_key_opens_https() {
        assert!(Settings::check(options()).unwrap().https.is_none());
        let both = || Options {
            https_cert_file: Some("c".into()),
            https_key_file: Some("k".into()),
            ..options()
        };
        let https = Settings::check(both()).unwrap().https.unwrap();
        assert_eq!(https.addr, "127.0.0.1:8501".parse().unwrap());
        let public = Options {
            https_address: Some("192.0.2.7".parse().unwrap()),
            https_port: Some(443),
            ..both()
        };
        let settings = Settings::check(public.clone()).unwrap();
        assert_eq!(settings.http, "127.0.0.1:8500".parse().unwrap());
        assert!(settings.warnings()[0].contains("--https-ca-file"));
        let authenticated = Options {
            https_ca_file: Some("ca".into()),
            ..public
        };
        let settings = Settings::check(authenticated).unwrap();
        assert!(settings.warnings().is_empty(), "{:?}", settings.warnings());
        let halves: [fn(&mut Options); 5] = [
            |o| o.https_cert_file = Some("c".into()),
            |o| o.https_key_file = Some("k".into()),
            |o| o.https_ca_file = Some("ca".into()),
            |o| o.https_port = Some(8501),
            |o| o.https_address = Some("127.0.0.1".parse().unwrap()),
        ];
        for half in halves {
            let mut bad = options();
            half(&mut bad);
            let error = Settings::check(bad).unwrap_err();
            assert!(
                error.to_string().contains("--https-cert-file FILE"),
                "{error}"
            );
        }
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        let refused = |change: fn(&mut Options)| {
            let mut bad = options();
            change(&mut bad);
            Settings::check(bad).unwrap_err()
        };
        assert!(matches!(
            refused(|o| o.name = Some(String::new())),
            SettingsError::Name(_)
        ));
        assert!(matches!(
            refused(|o| o.datacenter = Some("Dc.1".to_owned())),
            SettingsError::Datacenter(_)
        ));
        assert!(matches!(
            refused(|o| o.advertise = Some("127.0.0.1:0".to_owned())),
            SettingsError::Advertise { .. }
        ));
        assert!(matches!(
            refused(|o| o.advertise = Some("no port".to_owned())),
            SettingsError::Advertise { .. }
        ));
        assert!(matches!(
            refused(|o| o.join = vec!["a:b".to_owned()]),
            SettingsError::Seed(_)
        ));
        assert!(matches!(
            refused(|o| o.join = vec!["a:1".to_owned(); SEEDS_MAX + 1]),
            SettingsError::TooManySeeds(_)
        ));
        assert!(matches!(
            refused(|o| o.allow_hosts = vec!["*.example".to_owned()]),
            SettingsError::AllowedHost(_)
        ));
        assert!(matches!(
            refused(|o| o.key_file = Some("/does/not/exist".into())),
            SettingsError::KeyFile(_)
        ));
    }
}
