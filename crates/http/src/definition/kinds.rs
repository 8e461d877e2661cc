//! The kinds of checks beside HTTP, TCP and TTL, as written.

use tidings_types::{AliasCheck, CheckKind, DockerCheck, Endpoint, HttpCheck};

use super::check::invalid_check;
use crate::{
    failure::Failure,
    json_in::{DecodeError, Object},
};

/// The fields of those kinds; nothing but their JSON types has been looked at.
#[derive(Debug)]
pub(crate) struct OtherKinds {
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

impl OtherKinds {
    pub(crate) fn decode(object: &mut Object) -> Result<Self, DecodeError> {
        let mut args = Vec::new();
        for field in ["Args", "ScriptArgs", "script_args"] {
            let given = object.strings(&[field])?;
            if !given.is_empty() {
                args = given;
            }
        }
        object.unsupported(
            "Script",
            "use Args: the program and its arguments, as a list",
        )?;
        Ok(Self {
            grpc: object.string(&["GRPC"])?,
            grpc_use_tls: object
                .bool(&["GRPCUseTLS", "grpc_use_tls"])?
                .unwrap_or_default(),
            udp: object.string(&["UDP"])?,
            alias_node: object.string(&["AliasNode", "alias_node"])?,
            alias_service: object.string(&["AliasService", "alias_service"])?,
            docker_container: object.string(&["DockerContainerID", "docker_container_id"])?,
            shell: object.string(&["Shell"])?,
            args,
            h2ping: object.string(&["H2PING"])?,
            h2ping_use_tls: object
                .bool(&["H2PingUseTLS", "h2ping_use_tls"])?
                .unwrap_or(true),
            os_service: object.string(&["OSService", "os_service"])?,
        })
    }

    pub(crate) const fn is_alias(&self) -> bool {
        !self.alias_node.is_empty() || !self.alias_service.is_empty()
    }

    /// Whether one of them is run every so often, as all but aliases are.
    pub(crate) const fn need_interval(&self) -> bool {
        !self.grpc.is_empty()
            || !self.udp.is_empty()
            || !self.docker_container.is_empty()
            || !self.args.is_empty()
            || !self.h2ping.is_empty()
            || !self.os_service.is_empty()
    }

    /// The gRPC check, which goes before HTTP, TTL and TCP.
    pub(crate) fn grpc(&self, tls: &HttpCheck) -> Option<CheckKind> {
        let asked = !self.grpc.is_empty();
        asked.then(|| CheckKind::Grpc(endpoint(&self.grpc, self.grpc_use_tls, tls)))
    }

    /// The kind that is asked for, which goes behind them.
    pub(crate) fn kind(&self, tls: &HttpCheck) -> Result<CheckKind, Failure> {
        let args = || self.args.iter().map(|arg| arg.as_str().into()).collect();
        Ok(if !self.udp.is_empty() {
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
            CheckKind::H2Ping(endpoint(&self.h2ping, self.h2ping_use_tls, tls))
        } else if !self.os_service.is_empty() {
            CheckKind::OsService {
                name: self.os_service.as_str().into(),
            }
        } else {
            return Err(invalid_check("TTL must be > 0 for TTL checks"));
        })
    }
}

/// Where a check connects to. The fields on trust are called as those of HTTP checks.
pub(crate) fn endpoint(address: &str, use_tls: bool, tls: &HttpCheck) -> Box<Endpoint> {
    Box::new(Endpoint {
        address: address.into(),
        use_tls,
        tls_skip_verify: tls.tls_skip_verify,
        tls_server_name: tls.tls_server_name.clone(),
    })
}
