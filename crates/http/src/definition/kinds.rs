//! What a check does, as written: the fields that tell its kind.

use tidings_types::{AliasCheck, CheckKind, DockerCheck, Endpoint, HttpCheck};

use super::check::invalid_check;
use crate::{
    failure::Failure,
    json_in::{DecodeError, Object},
};

/// The fields of all kinds; nothing but their JSON types has been looked at.
#[derive(Debug)]
pub(crate) struct WrittenKind {
    http: HttpCheck,
    ttl_ms: u64,
    tcp: String,
    tcp_use_tls: bool,
    grpc: String,
    grpc_use_tls: bool,
    udp: String,
    alias_node: String,
    alias_service: String,
    docker_container: String,
    shell: String,
    args: Vec<String>,
    h2ping: String,
    h2ping_use_tls: bool,
    os_service: String,
}

impl WrittenKind {
    pub(crate) fn decode(object: &mut Object) -> Result<Self, DecodeError> {
        object.unsupported(
            "Script",
            "use Args: the program and its arguments, as a list",
        )?;
        let mut args = Vec::new();
        for field in ["Args", "ScriptArgs", "script_args"] {
            let given = object.strings(&[field])?;
            if !given.is_empty() {
                args = given;
            }
        }
        let mut flag = |names: &[&str], else_it_is: bool| {
            let given = object.bool(names);
            given.map(|given| given.unwrap_or(else_it_is))
        };
        let (tcp_use_tls, grpc_use_tls, h2ping_use_tls) = (
            flag(&["TCPUseTLS", "tcp_use_tls"], false)?,
            flag(&["GRPCUseTLS", "grpc_use_tls"], false)?,
            flag(&["H2PingUseTLS", "h2ping_use_tls"], true)?,
        );
        Ok(Self {
            http: http_fields(object)?,
            ttl_ms: object.duration_ms(&["TTL"])?,
            tcp: object.string(&["TCP"])?,
            tcp_use_tls,
            grpc: object.string(&["GRPC"])?,
            grpc_use_tls,
            udp: object.string(&["UDP"])?,
            alias_node: object.string(&["AliasNode", "alias_node"])?,
            alias_service: object.string(&["AliasService", "alias_service"])?,
            docker_container: object.string(&["DockerContainerID", "docker_container_id"])?,
            shell: object.string(&["Shell"])?,
            args,
            h2ping: object.string(&["H2PING"])?,
            h2ping_use_tls,
            os_service: object.string(&["OSService", "os_service"])?,
        })
    }

    /// Milliseconds, 0 if none is stated.
    pub(crate) const fn ttl_ms(&self) -> u64 {
        self.ttl_ms
    }

    pub(crate) const fn is_alias(&self) -> bool {
        !self.alias_node.is_empty() || !self.alias_service.is_empty()
    }

    /// Whether it is run every so often, as all but reports and aliases are.
    pub(crate) fn needs_interval(&self) -> bool {
        let texts = [
            &*self.http.url,
            &self.tcp,
            &self.grpc,
            &self.udp,
            &self.docker_container,
            &self.h2ping,
            &self.os_service,
        ];
        texts.iter().any(|text| !text.is_empty()) || !self.args.is_empty()
    }

    /// The kind that is asked for, `None` if none is. Of several the first counts, in Consul's order of
    /// precedence.
    pub(crate) fn kind(&self) -> Result<Option<CheckKind>, Failure> {
        let endpoint = |address, use_tls| endpoint(address, use_tls, &self.http);
        let args = || self.args.iter().map(|arg| arg.as_str().into()).collect();
        Ok(Some(if !self.grpc.is_empty() {
            CheckKind::Grpc(endpoint(&self.grpc, self.grpc_use_tls))
        } else if !self.http.url.is_empty() {
            CheckKind::Http(Box::new(self.http.clone()))
        } else if self.ttl_ms > 0 {
            CheckKind::Ttl {
                ttl_ms: self.ttl_ms,
            }
        } else if !self.tcp.is_empty() && self.tcp_use_tls {
            CheckKind::TcpTls(endpoint(&self.tcp, true))
        } else if !self.tcp.is_empty() {
            CheckKind::Tcp {
                address: self.tcp.as_str().into(),
            }
        } else if !self.udp.is_empty() {
            CheckKind::Udp {
                address: self.udp.as_str().into(),
            }
        } else if self.is_alias() {
            CheckKind::Alias(Box::new(AliasCheck {
                node: self.alias_node.as_str().into(),
                service: self.alias_service.as_str().into(),
            }))
        } else if !self.docker_container.is_empty() {
            if self.args.is_empty() {
                return Err(invalid_check(
                    "a Docker check needs Args: the program to run within the container",
                ));
            }
            CheckKind::Docker(Box::new(DockerCheck {
                container: self.docker_container.as_str().into(),
                shell: self.shell.as_str().into(),
                args: args(),
            }))
        } else if !self.args.is_empty() {
            CheckKind::Script { args: args() }
        } else if !self.h2ping.is_empty() {
            CheckKind::H2Ping(endpoint(&self.h2ping, self.h2ping_use_tls))
        } else if !self.os_service.is_empty() {
            CheckKind::OsService {
                name: self.os_service.as_str().into(),
            }
        } else {
            return Ok(None);
        }))
    }
}

/// Where a check connects to. The fields on trust are called as those of HTTP checks.
fn endpoint(address: &str, use_tls: bool, tls: &HttpCheck) -> Box<Endpoint> {
    Box::new(Endpoint {
        address: address.into(),
        use_tls,
        tls_skip_verify: tls.tls_skip_verify,
        tls_server_name: tls.tls_server_name.clone(),
    })
}

/// The fields of an HTTP check.
fn http_fields(object: &mut Object) -> Result<HttpCheck, DecodeError> {
    Ok(HttpCheck {
        url: object.string(&["HTTP"])?.into(),
        method: object.string(&["Method"])?.into(),
        header: object.string_lists(&["Header"])?.into(),
        body: object.string(&["Body"])?.into(),
        disable_redirects: object.bool(&["DisableRedirects"])?.unwrap_or_default(),
        tls_skip_verify: object
            .bool(&["TLSSkipVerify", "tls_skip_verify"])?
            .unwrap_or_default(),
        tls_server_name: object.string(&["TLSServerName", "tls_server_name"])?.into(),
    })
}
