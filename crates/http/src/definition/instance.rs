//! An instance as written: the fields that `agent/service/register` and `catalog/register` share.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tidings_types::{
    Instance, ServiceId, ServiceName, TaggedAddress, TaggedAddresses, Weights,
    limits::{
        ADDRESS_BYTES, META_KEY_BYTES, META_PAIRS, META_VALUE_BYTES, NAME_BYTES, TAG_BYTES, TAGS,
    },
};

use crate::{
    failure::Failure,
    json_in::{DecodeError, Object},
};

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
        if MESH_KINDS.contains(&self.kind.as_str()) || self.kind.len() > NAME_BYTES {
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
            tags: self.tags.into(),
            address: self.address.into(),
            port: port(self.port)?,
            socket_path: self.socket_path.into(),
            meta: self.meta.into(),
            tagged_addresses: tagged_addresses(self.tagged_addresses)?,
            weights: weights(self.weights)?,
            enable_tag_override: self.enable_tag_override,
            kind: self.kind.into(),
            checks: Vec::new().into(),
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
    // Clients that have no weights in mind send two zeros.
    let Some((passing, warning)) = written.filter(|weights| *weights != (0, 0)) else {
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

fn tagged_addresses(written: Vec<(String, String, i64)>) -> Result<TaggedAddresses, Failure> {
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
        if tag.len() > NAME_BYTES || address.len() > ADDRESS_BYTES {
            return Err(Failure::bad(
                "Validation failed: a tagged address is too long",
            ));
        }
        let port = port(number)?;
        tagged.insert(tag, TaggedAddress { address, port });
    }
    Ok(tagged.into())
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
    if tags.len() > TAGS {
        let count = tags.len();
        return Err(Failure::bad(format_args!(
            "Validation failed: a service has at most {TAGS} tags, and this has {count}"
        )));
    }
    if let Some(tag) = tags.iter().find(|tag| tag.len() > TAG_BYTES) {
        let (begin, bytes): (String, _) = (tag.chars().take(32).collect(), tag.len());
        return Err(Failure::bad(format_args!(
            "Validation failed: a tag has at most {TAG_BYTES} bytes, and the one that begins with \
             {begin:?} has {bytes}"
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

/// Kinds of services that only a mesh has.
const MESH_KINDS: &[&str] = &[
    "connect-proxy",
    "mesh-gateway",
    "terminating-gateway",
    "ingress-gateway",
    "api-gateway",
    "destination",
];
