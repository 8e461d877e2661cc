//! The grammar of names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::RecordType;

/// What a name in one of our zones means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The zone itself.
    Apex,
    /// `ns`: this agent as a name server.
    NameServer,
    /// A name on the way to others; nothing stands there.
    Between,
    /// `[tag.]service.service[.dc]` or `_service._tag[.service][.dc]`, in lower case.
    Service {
        /// The service's name.
        name: String,
        /// Only instances that bear this tag.
        tag: Option<String>,
    },
    /// `node.node[.dc]`, in lower case.
    Node(String),
    /// `hex.addr[.dc]`.
    Address(IpAddr),
}

/// The labels that say what kind of name it is.
const KEYWORDS: [&str; 7] = [
    "service", "node", "addr", "query", "connect", "virtual", "ingress",
];

/// What the labels before the zone mean to an agent of `datacenter`; `None` if there is no such
/// name.
pub(crate) fn parse(labels: &[&[u8]], kind: RecordType, datacenter: &str) -> Option<Asked> {
    let labels: Vec<String> = labels
        .iter()
        .map(|label| std::str::from_utf8(label).ok().map(str::to_ascii_lowercase))
        .collect::<Option<_>>()?;
    match labels.as_slice() {
        [] => return Some(Asked::Apex),
        [only] if only == "ns" => return Some(Asked::NameServer),
        _ => {}
    }
    // The rightmost keyword decides, so that a service may be called "node".
    let keyword = labels
        .iter()
        .rposition(|label| KEYWORDS.contains(&label.as_str()));
    let Some(at) = keyword else {
        return without_keyword(&labels, kind, datacenter);
    };
    if !is_datacenter(&labels[at + 1..], datacenter) {
        return None;
    }
    let before = &labels[..at];
    match labels[at].as_str() {
        _ if before.is_empty() => Some(Asked::Between),
        "service" => service(before),
        "node" => Some(Asked::Node(before.join("."))),
        "addr" => address(before).map(Asked::Address),
        _ => None,
    }
}

/// `[tag.]name` or `_name._tag`. Everything left of the name is one tag, dots included.
fn service(labels: &[String]) -> Option<Asked> {
    if let [name, tag] = labels
        && let (Some(name), Some(tag)) = (name.strip_prefix('_'), tag.strip_prefix('_'))
    {
        return Some(rfc_2782(name, tag));
    }
    let (name, tag) = labels.split_last()?;
    // A resolver that walks down to `_name._tag` comes by here.
    if tag.is_empty() && name.starts_with('_') {
        return Some(Asked::Between);
    }
    Some(Asked::Service {
        name: name.clone(),
        tag: (!tag.is_empty()).then(|| tag.join(".")),
    })
}

/// Names without a keyword: `_name._tag[.dc]` for SRV only, and what lies on the way to names with
/// a datacenter.
fn without_keyword(labels: &[String], kind: RecordType, datacenter: &str) -> Option<Asked> {
    let is_suffix = |labels: &[String]| is_datacenter(labels, datacenter);
    match labels {
        [only] if only == "dc" => Some(Asked::Between),
        [only] if only.starts_with('_') => Some(Asked::Between),
        [tag, rest @ ..] if tag.starts_with('_') && is_suffix(rest) => Some(Asked::Between),
        [name, tag, rest @ ..] if name.starts_with('_') && is_suffix(rest) => {
            let (name, tag) = (name.strip_prefix('_')?, tag.strip_prefix('_')?);
            (kind == RecordType::SRV).then(|| rfc_2782(name, tag))
        }
        suffix => is_suffix(suffix).then_some(Asked::Between),
    }
}

fn rfc_2782(name: &str, tag: &str) -> Asked {
    Asked::Service {
        name: name.to_owned(),
        tag: (tag != "tcp").then(|| tag.to_owned()),
    }
}

/// Whether `labels` name this datacenter: nothing, `dc1` or `dc1.dc`.
fn is_datacenter(labels: &[String], datacenter: &str) -> bool {
    match labels {
        [] => true,
        [name] => name.eq_ignore_ascii_case(datacenter),
        [name, dc] => dc == "dc" && name.eq_ignore_ascii_case(datacenter),
        _ => false,
    }
}

/// An address in hexadecimal: 8 digits for IPv4, 32 for IPv6.
fn address(labels: &[String]) -> Option<IpAddr> {
    let [hex] = labels else {
        return None;
    };
    if !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    match hex.len() {
        8 => Some(Ipv4Addr::from_bits(u32::from_str_radix(hex, 16).ok()?).into()),
        32 => Some(Ipv6Addr::from_bits(u128::from_str_radix(hex, 16).ok()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str, kind: RecordType) -> Option<Asked> {
        let labels: Vec<&[u8]> = name
            .split('.')
            .filter(|label| !label.is_empty())
            .map(str::as_bytes)
            .collect();
        parse(&labels, kind, "dc1")
    }

    fn service(name: &str, tag: Option<&str>) -> Option<Asked> {
        Some(Asked::Service {
            name: name.to_owned(),
            tag: tag.map(str::to_owned),
        })
    }

    #[test]
    fn services_have_an_optional_tag_with_dots_and_an_optional_datacenter() {
        for (name, expected) in [
            ("web.service", service("web", None)),
            ("WEB.Service.DC1", service("web", None)),
            ("web.service.dc1.dc", service("web", None)),
            ("blue.web.service", service("web", Some("blue"))),
            ("a.b.web.service.dc1", service("web", Some("a.b"))),
            ("_web._tcp.service", service("web", None)),
            ("_web._udp.service", service("web", Some("udp"))),
            ("_web._blue.service.dc1", service("web", Some("blue"))),
            ("node.service", service("node", None)),
            ("web.service.dc2", None),
            ("web.service.dc1.dc.x", None),
            ("web.service.dc1.ns", None),
        ] {
            assert_eq!(parsed(name, RecordType::A), expected, "{name}");
        }
    }

    #[test]
    fn the_word_service_is_optional_for_srv_only() {
        assert_eq!(parsed("_web._tcp", RecordType::SRV), service("web", None));
        assert_eq!(
            parsed("_web._blue.dc1", RecordType::SRV),
            service("web", Some("blue"))
        );
        assert_eq!(parsed("_web._tcp", RecordType::A), None);
        assert_eq!(parsed("web.tcp", RecordType::SRV), None);
        assert_eq!(parsed("_web._tcp.dc9", RecordType::SRV), None);
    }

    #[test]
    fn node_names_may_contain_dots() {
        let node = |name: &str| Some(Asked::Node(name.to_owned()));
        assert_eq!(parsed("a.node", RecordType::A), node("a"));
        assert_eq!(parsed("a.b.node.dc1", RecordType::A), node("a.b"));
        assert_eq!(parsed("service.node", RecordType::A), node("service"));
    }

    #[test]
    fn addresses_are_eight_or_thirty_two_hexadecimal_digits() {
        let address = |text: &str| Some(Asked::Address(text.parse().unwrap()));
        assert_eq!(
            parsed("c000020A.addr", RecordType::A),
            address("192.0.2.10")
        );
        assert_eq!(
            parsed("20010db8000000000000000000000001.addr.dc1", RecordType::A),
            address("2001:db8::1")
        );
        for bad in [
            "c000020.addr",
            "c000020g.addr",
            "+0000201.addr",
            "1.c000020a.addr",
        ] {
            assert_eq!(parsed(bad, RecordType::A), None, "{bad}");
        }
    }

    #[test]
    fn what_lies_between_exists_without_records() {
        for name in [
            "service",
            "node.dc1",
            "addr.dc1.dc",
            "dc1",
            "dc1.dc",
            "dc",
            "_tcp",
            "_tcp.dc1",
            "_tcp.service",
        ] {
            assert_eq!(parsed(name, RecordType::A), Some(Asked::Between), "{name}");
        }
        assert_eq!(parsed("", RecordType::A), Some(Asked::Apex));
        assert_eq!(parsed("ns", RecordType::A), Some(Asked::NameServer));
        for name in [
            "web",
            "dc2",
            "x.connect",
            "x.virtual",
            "x.query",
            "x.y.peer",
        ] {
            assert_eq!(parsed(name, RecordType::A), None, "{name}");
        }
    }
}
