//! B4: a change costs about one copy of it per node, and a heal costs few sessions.

use super::Checks;
use crate::host::Host;

/// What the nodes that run in the end were told, in their present runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Rumors that brought something new.
    pub new: u64,
    /// Rumors that brought nothing.
    pub known: u64,
}

impl Told {
    /// The total over `hosts`.
    pub(crate) fn of(hosts: &[Host]) -> Self {
        let nodes = hosts.iter().filter_map(|host| host.node.as_ref());
        nodes.fold(Self::default(), |told, node| {
            let counters = node.counters();
            Self {
                new: told.new + counters.rumors_new,
                known: told.known + counters.rumors_known,
            }
        })
    }

    /// Rumors that brought nothing, to one that did; 0 if there were none.
    pub fn duplicates(self) -> f64 {
        self.known as f64 / self.new.max(1) as f64
    }
}

impl Checks {
    /// How many times a change has reached a host that did not write it.
    pub(crate) fn delivered(&self) -> u64 {
        let writes = self.history.writes();
        writes.map(|write| write.held.len() as u64).sum()
    }
}
