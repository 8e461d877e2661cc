//! The agent's flags. Each may also stand in a file, under the same name with underscores; a flag
//! wins over the file.

use std::{net::IpAddr, path::Path, path::PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Deserialize;
use tidings_agent::Options;

use crate::{
    exit::{Code, Failure},
    logging::LogFormat,
    output,
};

/// What stands on the command line or in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AgentOptions {
    /// What people call this node [default: the host's name].
    #[arg(long)]
    name: Option<String>,
    /// Where identity and registrations are kept; made if it does not exist.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The address for gossip [default: 127.0.0.1]. Any but loopback needs --key-file.
    #[arg(long, value_name = "IP")]
    bind: Option<IpAddr>,
    /// Where other agents reach this one [default: the address bound].
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// The UDP port for gossip [default: 8301].
    #[arg(long, value_name = "PORT")]
    gossip_port: Option<u16>,
    /// The address for HTTP and DNS [default: 127.0.0.1].
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// The port for HTTP [default: 8500].
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// The address for HTTPS [default: that of --client].
    #[arg(long, value_name = "IP")]
    https_address: Option<IpAddr>,
    /// The port for HTTPS [default: 8501 with --https-cert-file; none without].
    #[arg(long, value_name = "PORT")]
    https_port: Option<u16>,
    /// The certificate for HTTPS, PEM, followed by those that lead to its authority. It is read anew
    /// when it changes and on SIGHUP.
    #[arg(long, value_name = "FILE")]
    https_cert_file: Option<PathBuf>,
    /// The private key of that certificate, PEM.
    #[arg(long, value_name = "FILE")]
    https_key_file: Option<PathBuf>,
    /// Authorities of clients' certificates, PEM. With it a client over HTTPS has to show one.
    #[arg(long, value_name = "FILE")]
    https_ca_file: Option<PathBuf>,
    /// The port for DNS, UDP and TCP [default: 8600].
    #[arg(long, value_name = "PORT")]
    dns_port: Option<u16>,
    /// Another agent to find the cluster by; may be repeated. Names are resolved anew on each try.
    #[arg(long, value_name = "HOST:PORT")]
    join: Vec<String>,
    /// The cluster's name [default: tidings]. Agents of different clusters do not talk.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The file of the cluster's keys, as `tidings keygen` prints it; the first one sends.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The datacenter to answer for [default: dc1].
    #[arg(long, value_name = "NAME")]
    datacenter: Option<String>,
    /// A host name by which browsers may call this agent though it listens on loopback; may be
    /// repeated.
    #[arg(long = "allow-host", value_name = "NAME")]
    allow_hosts: Vec<String>,
    /// A directory of definition files (*.json, *.hcl, *.toml), read at the start, within a second of
    /// a change and on SIGHUP. Names that begin with a dot are left out.
    #[arg(long, value_name = "DIR")]
    definition_dir: Option<PathBuf>,
    /// Whether clients of the API may register checks that run programs [default: false]. Whoever
    /// reaches the HTTP port then runs what they like as this agent's user.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    enable_script_checks: Option<bool>,
    /// Whether definition files may hold checks that run programs [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    enable_local_script_checks: Option<bool>,
    /// Whether SIGTERM and SIGINT leave the cluster for good [default: true]; otherwise the
    /// instances are served as stale for a while, until the agent is back.
    #[arg(long, value_name = "BOOL")]
    leave_on_terminate: Option<bool>,
    /// How log lines are written [default: text].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// What is logged [default: info]: a level or a filter such as info,tidings_http=debug.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl AgentOptions {
    /// Reads a file of options.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the configuration {} cannot be read", path.display()))
            .map_err(usage)?;
        toml::from_str(&text).map_err(|error| {
            usage(anyhow::anyhow!(
                "the configuration {} is wrong: {error}",
                path.display()
            ))
        })
    }

    /// These options, and those of `file` where these say nothing.
    pub(crate) fn or(self, file: Self) -> Self {
        Self {
            name: self.name.or(file.name),
            data_dir: self.data_dir.or(file.data_dir),
            bind: self.bind.or(file.bind),
            advertise: self.advertise.or(file.advertise),
            gossip_port: self.gossip_port.or(file.gossip_port),
            client: self.client.or(file.client),
            http_port: self.http_port.or(file.http_port),
            https_address: self.https_address.or(file.https_address),
            https_port: self.https_port.or(file.https_port),
            https_cert_file: self.https_cert_file.or(file.https_cert_file),
            https_key_file: self.https_key_file.or(file.https_key_file),
            https_ca_file: self.https_ca_file.or(file.https_ca_file),
            dns_port: self.dns_port.or(file.dns_port),
            join: if self.join.is_empty() {
                file.join
            } else {
                self.join
            },
            cluster: self.cluster.or(file.cluster),
            key_file: self.key_file.or(file.key_file),
            datacenter: self.datacenter.or(file.datacenter),
            allow_hosts: if self.allow_hosts.is_empty() {
                file.allow_hosts
            } else {
                self.allow_hosts
            },
            definition_dir: self.definition_dir.or(file.definition_dir),
            enable_script_checks: self.enable_script_checks.or(file.enable_script_checks),
            enable_local_script_checks: self
                .enable_local_script_checks
                .or(file.enable_local_script_checks),
            leave_on_terminate: self.leave_on_terminate.or(file.leave_on_terminate),
            log_format: self.log_format.or(file.log_format),
            log_level: self.log_level.or(file.log_level),
        }
    }

    pub(crate) fn log_format(&self) -> LogFormat {
        self.log_format.unwrap_or_default()
    }

    pub(crate) fn log_level(&self) -> &str {
        self.log_level.as_deref().unwrap_or("info")
    }

    pub(crate) const fn data_dir(&self) -> Option<&PathBuf> {
        self.data_dir.as_ref()
    }
}

impl From<AgentOptions> for Options {
    fn from(options: AgentOptions) -> Self {
        Self {
            name: options.name,
            data_dir: options.data_dir,
            bind: options.bind,
            advertise: options.advertise,
            gossip_port: options.gossip_port,
            client: options.client,
            http_port: options.http_port,
            https_address: options.https_address,
            https_port: options.https_port,
            https_cert_file: options.https_cert_file,
            https_key_file: options.https_key_file,
            https_ca_file: options.https_ca_file,
            dns_port: options.dns_port,
            join: options.join,
            cluster: options.cluster,
            key_file: options.key_file,
            datacenter: options.datacenter,
            allow_hosts: options.allow_hosts,
            definition_dir: options.definition_dir,
            enable_script_checks: options.enable_script_checks,
            enable_local_script_checks: options.enable_local_script_checks,
            leave_on_terminate: options.leave_on_terminate,
        }
    }
}

/// Takes `error` for one of usage.
pub(crate) fn usage(error: impl Into<anyhow::Error>) -> anyhow::Error {
    Failure::new(Code::Usage, output::with_causes(&error.into())).into()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: AgentOptions,
    }

    /// Each flag with a value, as a command line and as a file.
    const ALL: &[(&str, &str, &str)] = &[
        ("--name", "a", "name = 'a'"),
        ("--data-dir", "d", "data_dir = 'd'"),
        ("--bind", "127.0.0.2", "bind = '127.0.0.2'"),
        ("--advertise", "h:1", "advertise = 'h:1'"),
        ("--gossip-port", "1", "gossip_port = 1"),
        ("--client", "::1", "client = '::1'"),
        ("--http-port", "2", "http_port = 2"),
        ("--https-address", "::2", "https_address = '::2'"),
        ("--https-port", "4", "https_port = 4"),
        ("--https-cert-file", "c", "https_cert_file = 'c'"),
        ("--https-key-file", "p", "https_key_file = 'p'"),
        ("--https-ca-file", "r", "https_ca_file = 'r'"),
        ("--dns-port", "3", "dns_port = 3"),
        ("--join", "s:1", "join = ['s:1']"),
        ("--cluster", "c", "cluster = 'c'"),
        ("--key-file", "k", "key_file = 'k'"),
        ("--datacenter", "dc2", "datacenter = 'dc2'"),
        ("--allow-host", "h.example", "allow_hosts = ['h.example']"),
        ("--definition-dir", "x", "definition_dir = 'x'"),
        (
            "--enable-script-checks",
            "true",
            "enable_script_checks = true",
        ),
        (
            "--enable-local-script-checks",
            "true",
            "enable_local_script_checks = true",
        ),
        (
            "--leave-on-terminate",
            "false",
            "leave_on_terminate = false",
        ),
        ("--log-format", "json", "log_format = 'json'"),
        ("--log-level", "debug", "log_level = 'debug'"),
    ];

    fn line(words: &[&str]) -> AgentOptions {
        Line::parse_from([&["tidings"], words].concat()).options
    }

    #[test]
    fn a_file_says_whatever_a_flag_can() {
        let words: Vec<_> = ALL
            .iter()
            .flat_map(|(flag, value, _)| [*flag, *value])
            .collect();
        let file: Vec<_> = ALL.iter().map(|(_, _, entry)| *entry).collect();
        let file: AgentOptions = toml::from_str(&file.join("\n")).unwrap();
        assert_eq!(line(&words), file);
        assert_eq!(AgentOptions::default().or(file.clone()), file);
        assert_eq!(file.clone().or(AgentOptions::default()), file);
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file: AgentOptions = toml::from_str("name = 'file'\njoin = ['f:1']").unwrap();
        let merged = line(&["--name", "flag"]).or(file.clone());
        assert_eq!(merged.name.as_deref(), Some("flag"));
        assert_eq!(merged.join, ["f:1"]);
        let merged = line(&["--join", "x:1", "--join", "y:1"]).or(file);
        assert_eq!(merged.join, ["x:1", "y:1"]);
    }

    #[test]
    fn an_unknown_word_in_a_file_is_refused_by_name() {
        let error = toml::from_str::<AgentOptions>("data-dir = 'd'").unwrap_err();
        assert!(error.to_string().contains("data-dir"), "{error}");
    }
}
