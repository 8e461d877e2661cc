//! Service and check definitions as clients write them, checked and turned into records.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tidings_types::{
    Check, CheckId, CheckKind, CheckStatus, HttpCheck, Instance, ServiceId, ServiceName,
    TaggedAddress, Weights,
    limits::{
        ADDRESS_BYTES, CHECK_OUTPUT_BYTES, CHECKS_PER_INSTANCE, META_KEY_BYTES, META_PAIRS,
        META_VALUE_BYTES, TAG_BYTES, TAGS,
    },
};

use crate::{
    failure::Failure,
    json_in::{DecodeError, Object},
};

/// An instance with its checks.
#[derive(Debug)]
pub(crate) struct ServiceDefinition {
    pub(crate) id: ServiceId,
    pub(crate) instance: Instance,
    pub(crate) checks: Vec<(CheckId, Check)>,
}

/// The body of `agent/service/register`.
pub(crate) fn service(mut object: Object) -> Result<ServiceDefinition, Failure> {
    let written = WrittenService::decode(&mut object)?;
    let mut checks = Vec::new();
    if let Some(check) = object.object(&["Check"], "CheckType")? {
        checks.push(check);
    }
    checks.extend(object.objects(&["Checks"], "CheckType")?);
    // An all-zero check is what clients send that have none.
    checks.retain(|check| !check.is_zero());
    object.ignore(&[
        "Token",
        "CreateIndex",
        "ModifyIndex",
        "ContentHash",
        "Datacenter",
    ]);
    for (field, why) in UNSUPPORTED {
        object.unsupported(field, why)?;
    }
    let checks: Vec<_> = checks
        .into_iter()
        .map(WrittenCheck::decode)
        .collect::<Result<_, _>>()?;
    object.finish()?;

    if written.name.is_empty() {
        return Err(Failure::bad("Missing service name"));
    }
    let (id, instance) = written.into_instance()?;
    let checks = service_checks(&id, instance.service.as_str(), checks)?;
    Ok(ServiceDefinition {
        id,
        instance,
        checks,
    })
}

fn service_checks(
    service: &ServiceId,
    name: &str,
    checks: Vec<WrittenCheck>,
) -> Result<Vec<(CheckId, Check)>, Failure> {
    if checks.len() > CHECKS_PER_INSTANCE {
        return Err(Failure::bad(format_args!(
            "Invalid check: {} checks are given, an instance has at most {CHECKS_PER_INSTANCE}",
            checks.len()
        )));
    }
    let only = checks.len() == 1;
    let numbered = checks.into_iter().zip(1..);
    numbered
        .map(|(written, n)| {
            let id = match written.id.as_str() {
                "" if only => format!("service:{service}"),
                "" => format!("service:{service}:{n}"),
                id => id.to_owned(),
            };
            let status = initial_status(&written.status).ok_or_else(|| {
                Failure::bad("Status for checks must 'passing', 'warning', 'critical'")
            })?;
            let mut check = written.into_check(status)?;
            check.service = Some(service.clone());
            if check.name.is_empty() {
                check.name = format!("Service '{name}' check");
            }
            Ok((CheckId::new(id).map_err(invalid_check)?, check))
        })
        .collect()
}

/// The body of `agent/check/register`.
pub(crate) fn check(mut object: Object) -> Result<(CheckId, Check), Failure> {
    object.ignore(&["Token"]);
    let written = WrittenCheck::decode(object)?;
    if written.name.is_empty() {
        return Err(Failure::bad("Missing check name"));
    }
    let id = match written.id.as_str() {
        "" => CheckId::new(&written.name),
        id => CheckId::new(id),
    };
    let id = id.map_err(invalid_check)?;
    let status = initial_status(&written.status).ok_or_else(|| Failure::bad("Bad check status"))?;
    let service = match written.service_id.as_str() {
        "" => None,
        service => Some(ServiceId::new(service).map_err(|_| {
            Failure::not_found(format_args!("ServiceID {service:?} does not exist"))
        })?),
    };
    let mut check = written.into_check(status)?;
    check.service = service;
    Ok((id, check))
}

/// A check that says nothing, to build others from.
pub(crate) const fn blank_check() -> Check {
    Check {
        name: String::new(),
        notes: String::new(),
        service: None,
        kind: CheckKind::Manual {
            label: String::new(),
        },
        interval_ms: 0,
        timeout_ms: 0,
        success_before_passing: 0,
        failures_before_warning: 0,
        failures_before_critical: 0,
        deregister_after_ms: 0,
        output_bytes_max: OUTPUT_BYTES,
        status: CheckStatus::Critical,
        output: String::new(),
    }
}

/// Critical unless the client says otherwise: nothing is passing before it was looked at.
fn initial_status(word: &str) -> Option<CheckStatus> {
    match word {
        "" => Some(CheckStatus::Critical),
        word => CheckStatus::parse(word),
    }
}

/// The fields of a service that `agent/service/register` and `catalog/register` share.
#[derive(Debug)]
pub(crate) struct WrittenService {
    pub(crate) name: String,
    pub(crate) id: String,
    kind: String,
    tags: Vec<String>,
    address: String,
    tagged_addresses: Vec<(String, String, i64)>,
    meta: BTreeMap<String, String>,
    port: i64,
    socket_path: String,
    enable_tag_override: bool,
    weights: Option<(i64, i64)>,
}

impl WrittenService {
    /// Takes the shared fields; `Name` is called `Service` in the catalog.
    pub(crate) fn decode(object: &mut Object) -> Result<Self, DecodeError> {
        let mut tagged_addresses = Vec::new();
        let names = ["TaggedAddresses", "tagged_addresses"];
        for (tag, mut tagged) in object.object_map(&names, "ServiceAddress")? {
            let address = tagged.string(&["Address"])?;
            let port = tagged.int(&["Port"])?.unwrap_or_default();
            tagged.finish()?;
            tagged_addresses.push((tag, address, port));
        }
        let weights = match object.object(&["Weights"], "Weights")? {
            None => None,
            Some(mut weights) => {
                let passing = weights.int(&["Passing"])?.unwrap_or_default();
                let warning = weights.int(&["Warning"])?.unwrap_or_default();
                weights.finish()?;
                Some((passing, warning))
            }
        };
        let enable = ["EnableTagOverride", "enable_tag_override"];
        Ok(Self {
            name: object.string(&["Name", "Service"])?,
            id: object.string(&["ID"])?,
            kind: object.string(&["Kind"])?,
            tags: object.strings(&["Tags"])?,
            address: object.string(&["Address"])?,
            tagged_addresses,
            meta: object.string_map(&["Meta"])?,
            port: object.int(&["Port"])?.unwrap_or_default(),
            socket_path: object.string(&["SocketPath"])?,
            enable_tag_override: object.bool(&enable)?.unwrap_or_default(),
            weights,
        })
    }

    /// Checks everything; the id is the name unless it is given.
    pub(crate) fn into_instance(self) -> Result<(ServiceId, Instance), Failure> {
        let invalid = |error| Failure::bad(format_args!("Validation failed: {error}"));
        let service = ServiceName::new(&self.name).map_err(invalid)?;
        let id = if self.id.is_empty() {
            &self.name
        } else {
            &self.id
        };
        let id = ServiceId::new(id).map_err(invalid)?;
        check_address(&self.address)?;
        check_tags(&self.tags)?;
        check_meta("Service Meta", &self.meta)?;
        if MESH_KINDS.contains(&self.kind.as_str()) || self.kind.len() > TAG_BYTES {
            return Err(Failure::bad(format_args!(
                "Invalid Kind: {:?} is not supported, tidings has no service mesh",
                self.kind
            )));
        }
        if self.socket_path.len() > META_VALUE_BYTES {
            return Err(Failure::bad("Invalid SocketPath: it is too long"));
        }
        let instance = Instance {
            service,
            tags: self.tags,
            address: self.address,
            port: port(self.port)?,
            socket_path: self.socket_path,
            meta: self.meta,
            tagged_addresses: tagged_addresses(self.tagged_addresses)?,
            weights: weights(self.weights)?,
            enable_tag_override: self.enable_tag_override,
            kind: self.kind,
            checks: Vec::new(),
        };
        Ok((id, instance))
    }
}

fn port(port: i64) -> Result<u16, Failure> {
    u16::try_from(port).map_err(|_| {
        Failure::bad(format_args!(
            "Invalid port: {port} is not within 0 and 65535"
        ))
    })
}

fn weights(written: Option<(i64, i64)>) -> Result<Weights, Failure> {
    let Some((passing, warning)) = written else {
        return Ok(Weights::default());
    };
    let weight = |value: i64, least: u16, name: &str| {
        let weight = u16::try_from(value).ok().filter(|weight| *weight >= least);
        weight.ok_or_else(|| {
            let max = u16::MAX;
            Failure::bad(format_args!(
                "Invalid Weights: {name} must be within {least} and {max}, not {value}"
            ))
        })
    };
    Ok(Weights {
        passing: weight(passing, 1, "Passing")?,
        warning: weight(warning, 0, "Warning")?,
    })
}

fn tagged_addresses(
    written: Vec<(String, String, i64)>,
) -> Result<BTreeMap<String, TaggedAddress>, Failure> {
    if written.len() > META_PAIRS {
        return Err(Failure::bad("Validation failed: too many tagged addresses"));
    }
    let mut tagged = BTreeMap::new();
    for (tag, address, number) in written {
        let family = match (tag.as_str(), address.parse::<IpAddr>()) {
            ("lan_ipv4" | "wan_ipv4", Ok(IpAddr::V6(_)) | Err(_)) => Some("ipv4"),
            ("lan_ipv6" | "wan_ipv6", Ok(IpAddr::V4(_)) | Err(_)) => Some("ipv6"),
            _ => None,
        };
        if let Some(family) = family {
            return Err(Failure::semantic(format_args!(
                "Service tagged address {tag:?} must be a valid {family} address"
            )));
        }
        if tag.len() > TAG_BYTES || address.len() > ADDRESS_BYTES {
            return Err(Failure::bad(
                "Validation failed: a tagged address is too long",
            ));
        }
        let port = port(number)?;
        tagged.insert(tag, TaggedAddress { address, port });
    }
    Ok(tagged)
}

/// Refuses an address that nobody could connect to.
pub(crate) fn check_address(address: &str) -> Result<(), Failure> {
    let unspecified = [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    let bare = address.trim_matches(['[', ']']);
    let is_unspecified = bare
        .parse()
        .is_ok_and(|ip: IpAddr| unspecified.contains(&ip));
    let is_bad =
        is_unspecified || address.len() > ADDRESS_BYTES || address.chars().any(char::is_control);
    if is_bad {
        return Err(Failure::bad("Invalid service address"));
    }
    Ok(())
}

fn check_tags(tags: &[String]) -> Result<(), Failure> {
    if tags.len() > TAGS || tags.iter().any(|tag| tag.len() > TAG_BYTES) {
        return Err(Failure::bad(format_args!(
            "Validation failed: a service has at most {TAGS} tags of {TAG_BYTES} bytes"
        )));
    }
    Ok(())
}

/// Holds metadata to Consul's limits. `what` stands first in the message.
pub(crate) fn check_meta(what: &str, meta: &BTreeMap<String, String>) -> Result<(), Failure> {
    let bad = |why: String| Err(Failure::bad(format_args!("Invalid {what}: {why}")));
    if meta.len() > META_PAIRS {
        return bad(format!(
            "it cannot contain more than {META_PAIRS} key/value pairs"
        ));
    }
    for (key, value) in meta {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let why = if key.is_empty() {
            "Key cannot be blank".to_owned()
        } else if !key.chars().all(is_plain) {
            "Key contains invalid characters".to_owned()
        } else if key.len() > META_KEY_BYTES {
            format!("Key is too long (limit: {META_KEY_BYTES} characters)")
        } else if value.len() > META_VALUE_BYTES {
            format!("Value is too long (limit: {META_VALUE_BYTES} characters)")
        } else {
            continue;
        };
        return bad(format!(
            "Couldn't load metadata pair ('{key}', '{value}'): {why}"
        ));
    }
    Ok(())
}

/// A check definition as written; nothing but its JSON types has been looked at.
#[derive(Debug)]
struct WrittenCheck {
    id: String,
    name: String,
    notes: String,
    status: String,
    service_id: String,
    http: HttpCheck,
    tcp: String,
    tcp_use_tls: bool,
    ttl_ms: u64,
    interval_ms: u64,
    timeout_ms: u64,
    success_before_passing: i64,
    failures_before_warning: i64,
    failures_before_critical: i64,
    deregister_after_ms: u64,
    output_bytes_max: i64,
    /// The kinds asked for that nobody runs here: their names.
    others: Vec<&'static str>,
    /// Whether one of them is run every so often, as all but aliases are.
    others_need_interval: bool,
}

impl WrittenCheck {
    fn decode(mut object: Object) -> Result<Self, DecodeError> {
        let mut others = Vec::new();
        for (kind, fields) in OTHER_KINDS {
            for field in *fields {
                let lists = object.strings_or_text(&[field])?;
                if lists.iter().any(|text| !text.is_empty()) && !others.contains(kind) {
                    others.push(kind);
                }
            }
        }
        for field in OTHER_FLAGS {
            object.bool(&[field])?;
        }
        object.ignore(&["Namespace", "Partition", "Shell"]);
        let number = |object: &mut Object, name| object.int(&[name]).map(Option::unwrap_or_default);
        let written = Self {
            id: object.string(&["CheckID", "ID"])?,
            name: object.string(&["Name"])?,
            notes: object.string(&["Notes"])?,
            status: object.string(&["Status"])?,
            service_id: object.string(&["ServiceID", "service_id"])?,
            http: http_fields(&mut object)?,
            tcp: object.string(&["TCP"])?,
            tcp_use_tls: object
                .bool(&["TCPUseTLS", "tcp_use_tls"])?
                .unwrap_or_default(),
            ttl_ms: object.duration_ms(&["TTL"])?,
            interval_ms: object.duration_ms(&["Interval"])?,
            timeout_ms: object.duration_ms(&["Timeout"])?,
            success_before_passing: number(&mut object, "SuccessBeforePassing")?,
            failures_before_warning: number(&mut object, "FailuresBeforeWarning")?,
            failures_before_critical: number(&mut object, "FailuresBeforeCritical")?,
            deregister_after_ms: object.duration_ms(DEREGISTER)?,
            output_bytes_max: number(&mut object, "OutputMaxSize")?,
            others_need_interval: others.iter().any(|kind| *kind != "alias"),
            others,
        };
        object.finish()?;
        Ok(written)
    }

    fn into_check(self, status: CheckStatus) -> Result<Check, Failure> {
        self.validate()?;
        let kind = self.kind()?;
        let is_ttl = matches!(kind, CheckKind::Ttl { .. });
        let count = |value: i64| u32::try_from(value.max(0)).unwrap_or(u32::MAX);
        let output_bytes_max = match usize::try_from(self.output_bytes_max) {
            Ok(1..=CHECK_OUTPUT_BYTES) => count(self.output_bytes_max),
            _ => OUTPUT_BYTES,
        };
        Ok(Check {
            name: self.name,
            notes: self.notes,
            service: None,
            kind,
            interval_ms: if is_ttl {
                0
            } else {
                self.interval_ms.max(INTERVAL_MS_MIN)
            },
            timeout_ms: match self.timeout_ms {
                _ if is_ttl => 0,
                0 => TIMEOUT_MS,
                timeout_ms => timeout_ms,
            },
            success_before_passing: count(self.success_before_passing),
            failures_before_warning: count(self.failures_before_warning),
            failures_before_critical: count(self.failures_before_critical),
            deregister_after_ms: self.deregister_after_ms,
            output_bytes_max,
            status,
            output: String::new(),
        })
    }

    /// The rules that hold between the fields, in Consul's words.
    fn validate(&self) -> Result<(), Failure> {
        let is_alias = self.others.contains(&"alias");
        let needs_interval =
            !self.http.url.is_empty() || !self.tcp.is_empty() || self.others_need_interval;
        let broken = if self.interval_ms > 0 && self.ttl_ms > 0 {
            "Interval and TTL cannot both be specified"
        } else if needs_interval && self.interval_ms == 0 {
            "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"
        } else if is_alias && self.interval_ms > 0 {
            "Interval cannot be set for Alias checks"
        } else if is_alias && self.ttl_ms > 0 {
            "TTL must be not be set for Alias checks"
        } else if !needs_interval && !is_alias && self.ttl_ms == 0 {
            "TTL must be > 0 for TTL checks"
        } else if self.output_bytes_max < 0 {
            "MaxOutputMaxSize must be positive"
        } else if self.failures_before_warning > self.failures_before_critical {
            "FailuresBeforeWarning can't be higher than FailuresBeforeCritical"
        } else {
            return Ok(());
        };
        Err(invalid_check(broken))
    }

    /// Of several kinds the first of gRPC, HTTP, TTL, TCP counts, then any other.
    fn kind(&self) -> Result<CheckKind, Failure> {
        let unsupported = |kind: &str| {
            invalid_check(format_args!(
                "{kind} checks are not supported yet; use an HTTP, TCP or TTL check"
            ))
        };
        if self.others.contains(&"gRPC") {
            Err(unsupported("gRPC"))
        } else if !self.http.url.is_empty() {
            Ok(CheckKind::Http(self.http.clone()))
        } else if self.ttl_ms > 0 {
            Ok(CheckKind::Ttl {
                ttl_ms: self.ttl_ms,
            })
        } else if !self.tcp.is_empty() && self.tcp_use_tls {
            Err(unsupported("TCP with TLS"))
        } else if !self.tcp.is_empty() {
            Ok(CheckKind::Tcp {
                address: self.tcp.clone(),
            })
        } else {
            Err(unsupported(self.others.first().copied().unwrap_or("such")))
        }
    }
}

/// Cuts `output` at a character's end to `bytes_max`, or if that is 0 to the general limit.
pub(crate) fn cut_output(mut output: String, bytes_max: u32) -> String {
    let limit = match bytes_max {
        0 => OUTPUT_BYTES,
        bytes_max => bytes_max.min(OUTPUT_BYTES),
    };
    let limit = usize::try_from(limit).unwrap_or(CHECK_OUTPUT_BYTES);
    if output.len() > limit {
        let ends = (0..=limit).rev();
        let end = ends.into_iter().find(|&at| output.is_char_boundary(at));
        output.truncate(end.unwrap_or_default());
    }
    output
}

/// The fields of an HTTP check.
pub(crate) fn http_fields(object: &mut Object) -> Result<HttpCheck, DecodeError> {
    Ok(HttpCheck {
        url: object.string(&["HTTP"])?,
        method: object.string(&["Method"])?,
        header: object.string_lists(&["Header"])?,
        body: object.string(&["Body"])?,
        disable_redirects: object.bool(&["DisableRedirects"])?.unwrap_or_default(),
        tls_skip_verify: object
            .bool(&["TLSSkipVerify", "tls_skip_verify"])?
            .unwrap_or_default(),
        tls_server_name: object.string(&["TLSServerName", "tls_server_name"])?,
    })
}

fn invalid_check(why: impl std::fmt::Display) -> Failure {
    Failure::bad(format_args!("Invalid check: {why}"))
}

/// The spellings of the span after which a critical check takes its instance away.
pub(crate) const DEREGISTER: &[&str] = &[
    "DeregisterCriticalServiceAfter",
    "deregister_critical_service_after",
];

/// Kinds of checks that nobody runs here yet, in Consul's order of precedence, and the fields that
/// ask for them.
const OTHER_KINDS: &[(&str, &[&str])] = &[
    ("gRPC", &["GRPC"]),
    ("UDP", &["UDP"]),
    (
        "alias",
        &["AliasNode", "AliasService", "alias_node", "alias_service"],
    ),
    ("Docker", &["DockerContainerID", "docker_container_id"]),
    ("script", &["Args", "ScriptArgs", "script_args", "Script"]),
    ("H2PING", &["H2PING"]),
    ("OSService", &["OSService"]),
    ("proxied", &["ProxyHTTP", "ProxyGRPC"]),
];

/// Flags of those kinds; without the kind they mean nothing.
const OTHER_FLAGS: &[&str] = &[
    "GRPCUseTLS",
    "grpc_use_tls",
    "H2PingUseTLS",
    "h2ping_use_tls",
];

/// Fields that ask for what tidings does not do.
pub(crate) const UNSUPPORTED: &[(&str, &str)] = &[
    ("Connect", "tidings has no service mesh"),
    ("Proxy", "tidings has no service mesh"),
    ("Locality", "localities are not kept yet, use Meta"),
    ("Ports", "an instance has one port"),
    ("Namespace", "there are no namespaces"),
    ("Partition", "there are no partitions"),
    ("PeerName", "there is no cluster peering"),
];

/// Kinds of services that only a mesh has.
const MESH_KINDS: &[&str] = &[
    "connect-proxy",
    "mesh-gateway",
    "terminating-gateway",
    "ingress-gateway",
    "api-gateway",
    "destination",
];

/// A shorter interval is raised to this.
const INTERVAL_MS_MIN: u64 = 1_000;
/// How long one run of a check may take unless it says.
const TIMEOUT_MS: u64 = 10_000;
/// [`CHECK_OUTPUT_BYTES`], as a check's record holds it.
const OUTPUT_BYTES: u32 = 4_096;
const _: () = assert!(OUTPUT_BYTES as usize == CHECK_OUTPUT_BYTES);
