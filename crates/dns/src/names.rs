//! Names of nodes and addresses in a zone.

use std::net::IpAddr;

use hickory_proto::rr::Name;

/// `<node>.node.<dc>.<zone>`; `None` if the node's name does not fit into DNS labels.
pub(crate) fn of_node(node: &str, datacenter: &str, zone: &Name) -> Option<Name> {
    let labels = node.split('.').chain(["node", datacenter]);
    within(labels, zone)
}

/// `<service>.service.<dc>.<zone>`; `None` if the service's name does not fit into a DNS label.
pub(crate) fn of_service(service: &str, datacenter: &str, zone: &Name) -> Option<Name> {
    within([service, "service", datacenter], zone)
}

/// `<hex>.addr.<dc>.<zone>`.
pub(crate) fn of_address(address: IpAddr, datacenter: &str, zone: &Name) -> Option<Name> {
    let hex = match address {
        IpAddr::V4(v4) => format!("{:08x}", v4.to_bits()),
        IpAddr::V6(v6) => format!("{:032x}", v6.to_bits()),
    };
    within([hex.as_str(), "addr", datacenter], zone)
}

/// `<label>.<zone>`.
pub(crate) fn below(label: &str, zone: &Name) -> Option<Name> {
    within([label], zone)
}

/// The host name `text`, fully qualified; `None` if it is none.
pub(crate) fn of_host(text: &str) -> Option<Name> {
    let labels: Vec<&str> = text.strip_suffix('.').unwrap_or(text).split('.').collect();
    within(labels, &Name::root())
}

fn within<'a>(labels: impl IntoIterator<Item = &'a str>, zone: &Name) -> Option<Name> {
    let mut name = Name::new();
    for label in labels {
        name = name.append_label(label.as_bytes()).ok()?;
    }
    name.append_domain(zone).ok()
}

#[cfg(test)]
mod tests {
    use tidings_types::Address;

    use super::*;

    #[test]
    fn names_keep_their_dots_and_refuse_what_is_no_label() {
        let zone = Name::from_ascii("consul.").unwrap();
        let text = |name: Option<Name>| name.map(|name| name.to_ascii());
        assert_eq!(
            text(of_node("a.b", "dc1", &zone)).as_deref(),
            Some("a.b.node.dc1.consul.")
        );
        assert_eq!(
            text(of_address("192.0.2.10".parse().unwrap(), "dc1", &zone)).as_deref(),
            Some("c000020a.addr.dc1.consul.")
        );
        assert_eq!(
            text(of_host("web.example")).as_deref(),
            Some("web.example.")
        );
        assert_eq!(of_node("a..b", "dc1", &zone), None);
        assert_eq!(of_node(&"x".repeat(64), "dc1", &zone), None);
        assert_eq!(of_host(""), None);
    }

    /// Others say by the same rule what DNS will answer.
    #[test]
    fn whatever_is_a_host_in_a_record_can_be_said_in_dns_and_nothing_else() {
        let longest = ["x".repeat(63), "y".repeat(63), "z".repeat(63)].join(".");
        for tail in [60, 61, 62] {
            let text = format!("{longest}.{}", "t".repeat(tail));
            assert_eq!(
                Address::of(&text).is_some(),
                of_host(&text).is_some(),
                "{tail}"
            );
        }
        for text in [
            "db", "db.", "a b", "a..b", "", ".", "..", "x.\u{fc}", "_s", "-", "a/b",
        ] {
            let is_host = matches!(Address::of(text), Some(Address::Host(_)));
            assert_eq!(is_host, of_host(text).is_some(), "{text:?}");
        }
        let label = "x".repeat(64);
        assert_eq!((Address::of(&label), of_host(&label)), (None, None));
    }
}
