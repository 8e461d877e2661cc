//! How a check that was registered through the catalog could be run.

use serde::Serialize;
use tidings_types::{Check, CheckKind, Headers, Text};

use crate::duration::format_ms;

/// `HealthCheckDefinition`, without what is not stated.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Definition {
    #[serde(rename = "HTTP", skip_serializing_if = "str::is_empty")]
    http: Text,
    #[serde(rename = "TLSServerName", skip_serializing_if = "str::is_empty")]
    tls_server_name: Text,
    #[serde(rename = "TLSSkipVerify", skip_serializing_if = "is_false")]
    tls_skip_verify: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Headers>,
    #[serde(skip_serializing_if = "str::is_empty")]
    method: Text,
    #[serde(skip_serializing_if = "str::is_empty")]
    body: Text,
    #[serde(skip_serializing_if = "is_false")]
    disable_redirects: bool,
    #[serde(rename = "TCP", skip_serializing_if = "str::is_empty")]
    tcp: Text,
    #[serde(rename = "TCPUseTLS", skip_serializing_if = "is_false")]
    tcp_use_tls: bool,
    #[serde(rename = "UDP", skip_serializing_if = "str::is_empty")]
    udp: Text,
    #[serde(rename = "GRPC", skip_serializing_if = "str::is_empty")]
    grpc: Text,
    #[serde(rename = "GRPCUseTLS", skip_serializing_if = "is_false")]
    grpc_use_tls: bool,
    #[serde(rename = "H2PING", skip_serializing_if = "str::is_empty")]
    h2ping: Text,
    /// Told of each such check: it is true unless it is stated.
    #[serde(rename = "H2PingUseTLS", skip_serializing_if = "Option::is_none")]
    h2ping_use_tls: Option<bool>,
    #[serde(rename = "OSService", skip_serializing_if = "str::is_empty")]
    os_service: Text,
    #[serde(skip_serializing_if = "<[Text]>::is_empty")]
    script_args: Box<[Text]>,
    #[serde(rename = "DockerContainerID", skip_serializing_if = "str::is_empty")]
    docker_container_id: Text,
    #[serde(skip_serializing_if = "str::is_empty")]
    shell: Text,
    #[serde(skip_serializing_if = "str::is_empty")]
    alias_node: Text,
    #[serde(skip_serializing_if = "str::is_empty")]
    alias_service: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deregister_critical_service_after: Option<String>,
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
}

impl Definition {
    pub(super) fn of(check: &Check) -> Self {
        let mut told = Self {
            interval: span(check.interval_ms),
            timeout: span(check.timeout_ms),
            deregister_critical_service_after: span(check.deregister_after_ms),
            ..Self::default()
        };
        told.tell(&check.kind);
        told
    }

    fn tell(&mut self, kind: &CheckKind) {
        match kind {
            CheckKind::Manual { .. } => {}
            CheckKind::Ttl { ttl_ms } => self.ttl = span(*ttl_ms),
            CheckKind::Tcp { address } => self.tcp = address.clone(),
            CheckKind::Udp { address } => self.udp = address.clone(),
            CheckKind::OsService { name } => self.os_service = name.clone(),
            CheckKind::Script { args } => self.script_args = args.clone(),
            CheckKind::Http(http) => {
                self.http = http.url.clone();
                self.header = Some(http.header.clone()).filter(|header| !header.is_empty());
                self.method = http.method.clone();
                self.body = http.body.clone();
                self.disable_redirects = http.disable_redirects;
                self.trust(http.tls_skip_verify, &http.tls_server_name);
            }
            CheckKind::Grpc(grpc) => {
                (self.grpc, self.grpc_use_tls) = (grpc.address.clone(), grpc.use_tls);
                self.trust(grpc.tls_skip_verify, &grpc.tls_server_name);
            }
            CheckKind::TcpTls(tcp) => {
                (self.tcp, self.tcp_use_tls) = (tcp.address.clone(), true);
                self.trust(tcp.tls_skip_verify, &tcp.tls_server_name);
            }
            CheckKind::H2Ping(ping) => {
                (self.h2ping, self.h2ping_use_tls) = (ping.address.clone(), Some(ping.use_tls));
                self.trust(ping.tls_skip_verify, &ping.tls_server_name);
            }
            CheckKind::Docker(docker) => {
                self.docker_container_id = docker.container.clone();
                self.shell = docker.shell.clone();
                self.script_args = docker.args.clone();
            }
            CheckKind::Alias(alias) => {
                self.alias_node = alias.node.clone();
                self.alias_service = alias.service.clone();
            }
        }
    }

    fn trust(&mut self, any: bool, name: &Text) {
        (self.tls_skip_verify, self.tls_server_name) = (any, name.clone());
    }
}

fn span(ms: u64) -> Option<String> {
    (ms > 0).then(|| format_ms(ms))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the serializer hands fields over by reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}
