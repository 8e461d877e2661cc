//! What can be set.

use std::time::Duration;

use hickory_proto::rr::Name;

/// How names are answered. `Default` is Consul's behaviour for `consul.`, and the same for
/// `tidings.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSettings {
    /// The zones that are answered; a name in none of them is refused. A node's names in answers
    /// stand in the zone that was asked.
    pub domains: Vec<Domain>,
    /// Seconds that resolvers may keep addresses of nodes. 0 by default: liveness changes at once.
    pub node_ttl_s: u32,
    /// Seconds that resolvers may keep answers about services. 0 by default, for the same reason.
    pub service_ttl_s: u32,
    /// Leave instances out that warn. By default only critical ones are.
    pub only_passing: bool,
    /// Bytes of a UDP answer, whatever size the client offers. Greater ones go in fewer packets
    /// over loopback and in lost fragments over anything else. At least 512.
    pub udp_bytes_max: u16,
    /// Tell UDP clients with the TC flag that records were left out for size, so that they ask again
    /// over TCP. On by default, unlike Consul's `enable_truncate`. Off, clients that cannot ask over
    /// TCP use what they got; HAProxy, for one, throws a flagged answer of addresses away, though
    /// not one of SRV records.
    pub flag_truncation: bool,
    /// How long an idle or stuck TCP connection is kept.
    pub tcp_idle: Duration,
    /// The times in SOA records.
    pub soa: SoaTimes,
}

impl Default for DnsSettings {
    fn default() -> Self {
        let domain = |name| Domain::new(name).expect("the built-in domains are names");
        Self {
            domains: vec![domain("consul."), domain("tidings.")],
            node_ttl_s: 0,
            service_ttl_s: 0,
            only_passing: false,
            udp_bytes_max: 8_192,
            flag_truncation: true,
            tcp_idle: Duration::from_secs(10),
            soa: SoaTimes::default(),
        }
    }
}

/// The times in a SOA record, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoaTimes {
    /// Between two looks of a secondary; nobody transfers this zone, but the field must hold something.
    pub refresh_s: i32,
    /// Between two looks of a secondary that got no answer.
    pub retry_s: i32,
    /// Until a secondary gives up.
    pub expire_s: i32,
    /// How long resolvers may remember that something does not exist. 0 by default: a service that
    /// has just come must be found.
    pub negative_ttl_s: u32,
}

impl Default for SoaTimes {
    fn default() -> Self {
        Self {
            refresh_s: 3_600,
            retry_s: 600,
            expire_s: 86_400,
            negative_ttl_s: 0,
        }
    }
}

/// A zone that is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(Name);

/// The text cannot be a domain; use one like `consul.`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot be a DNS domain; one looks like \"consul.\"")]
pub struct DomainError {
    /// The text.
    pub text: String,
}

impl Domain {
    /// Takes `text` as a domain, in lower case, with or without the last dot.
    ///
    /// # Errors
    /// [`DomainError`] if it is not a name of at least one label, or leaves no room for names below
    /// it.
    pub fn new(text: &str) -> Result<Self, DomainError> {
        let bad = || DomainError {
            text: text.to_owned(),
        };
        let mut name = Name::from_ascii(text.to_ascii_lowercase()).map_err(|_| bad())?;
        name.set_fqdn(true);
        let fits = !name.is_root() && name.len() <= DOMAIN_BYTES;
        fits.then_some(Self(name)).ok_or_else(bad)
    }

    /// The domain's name, fully qualified and in lower case.
    pub(crate) const fn name(&self) -> &Name {
        &self.0
    }

    /// The labels of `name` that stand before this domain; `None` if it is not in this domain.
    pub(crate) fn labels_before<'a>(&self, name: &'a Name) -> Option<Vec<&'a [u8]>> {
        let mut labels: Vec<&[u8]> = name.iter().collect();
        let before = labels.len().checked_sub(self.0.iter().len())?;
        let same = labels[before..]
            .iter()
            .zip(self.0.iter())
            .all(|(asked, own)| asked.eq_ignore_ascii_case(own));
        labels.truncate(before);
        same.then_some(labels)
    }
}

/// Bytes of a domain: short enough that a node's name fits before it.
const DOMAIN_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_takes_any_case_and_an_optional_last_dot() {
        assert_eq!(Domain::new("Example.Org"), Domain::new("example.org."));
        for bad in ["", ".", "a..b", &"x".repeat(64), &"abc.".repeat(40)] {
            assert!(Domain::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_in_a_domain_whatever_its_case() {
        let domain = Domain::new("consul.").unwrap();
        let name = Name::from_ascii("Web.Service.CONSUL.").unwrap();
        let labels = domain.labels_before(&name).unwrap();
        assert_eq!(labels, [b"Web".as_slice(), b"Service"]);
        let outside = Name::from_ascii("web.notconsul.").unwrap();
        assert_eq!(domain.labels_before(&outside), None);
        assert_eq!(domain.labels_before(&Name::root()), None);
    }
}
