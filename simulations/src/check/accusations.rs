//! B2: no healthy node is called down, or made to rejoin, more often than the scenario permits.
//!
//! An accusation is false if both are healthy, the accused runs, and packets pass both ways between the
//! two at that moment.

use tidings_types::NodeId;

use super::Checks;
use crate::{host::Host, link::Network};

impl Checks {
    /// A host calls a member down.
    pub(super) fn accused(&mut self, host: usize, node: NodeId, hosts: &[Host], network: &Network) {
        let about = hosts.iter().position(|h| h.is_running() && h.me() == node);
        let is_false = about.is_some_and(|about| self.is_false(host, about, network));
        self.false_downs += u64::from(is_false);
    }

    fn is_false(&self, host: usize, about: usize, network: &Network) -> bool {
        !self.sick.contains(&about)
            && !self.sick.contains(&host)
            && network.passes(host, about)
            && network.passes(about, host)
    }

    /// How often a healthy, connected node was called down.
    pub(crate) const fn false_downs(&self) -> u64 {
        self.false_downs
    }
}

/// What was done to healthy nodes more often than it may have been, in words: calling them down, or
/// making them rejoin, each with the most that is permitted.
pub(crate) fn too_many(
    downs: (u64, Option<u64>),
    rejoins: (u64, Option<u64>),
) -> Result<(), String> {
    for ((count, max), what) in [(downs, "called down"), (rejoins, "made to rejoin")] {
        if max.is_some_and(|max| count > max) {
            return Err(format!("healthy nodes were {what} {count} times"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Lane, Link};

    #[test]
    fn an_accusation_is_false_between_healthy_hosts_that_reach_each_other() {
        let mut checks = Checks::default();
        let mut network = Network::new(1, 2, Link::default());
        assert!(checks.is_false(0, 1, &network));
        checks.sick.insert(0);
        assert!(!checks.is_false(0, 1, &network));
        checks.sick.clear();
        network.cut(1, 0, Lane::Datagram);
        assert!(!checks.is_false(0, 1, &network));
    }

    #[test]
    fn more_than_is_permitted_is_told() {
        assert_eq!(too_many((3, None), (3, Some(3))), Ok(()));
        assert!(too_many((1, Some(0)), (0, Some(0))).is_err());
        let text = too_many((0, Some(0)), (2, Some(1))).unwrap_err();
        assert_eq!(text, "healthy nodes were made to rejoin 2 times");
    }
}
