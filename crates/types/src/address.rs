//! What an address in a record is: an IP address, the name of a host, or nothing to go to.

use std::net::IpAddr;

/// Where an address leads, as DNS can say it. HTTP hands any address out as it stands; DNS leaves
/// out what is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// An IP address.
    Ip(IpAddr),
    /// A host name: labels of 1 to 63 bytes, together no more than a name may have.
    Host(&'a str),
}

impl<'a> Address<'a> {
    /// `None` if the text is neither.
    pub fn of(address: &'a str) -> Option<Self> {
        if let Ok(ip) = address.parse() {
            return Some(Self::Ip(ip));
        }
        let labels = address.strip_suffix('.').unwrap_or(address).split('.');
        let mut bytes = 1; // The root.
        for label in labels {
            if !(1..=LABEL_BYTES).contains(&label.len()) {
                return None;
            }
            bytes += 1 + label.len();
        }
        (bytes <= NAME_BYTES).then_some(Self::Host(address))
    }
}

/// Bytes of a label, and of a whole name on the wire with a byte before each label (RFC 1035, 2.3.4).
const LABEL_BYTES: usize = 63;
const NAME_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_hosts_and_both_from_nonsense() {
        let ip = "2001:db8::1".parse().unwrap();
        assert_eq!(Address::of("2001:db8::1"), Some(Address::Ip(ip)));
        for host in ["db", "db.example", "db.example.", &"x".repeat(63)] {
            assert_eq!(Address::of(host), Some(Address::Host(host)));
        }
        for none in ["", ".", "a..b", ".a", &"x".repeat(64), &"a.".repeat(128)] {
            assert_eq!(Address::of(none), None, "{none:?}");
        }
    }
}
