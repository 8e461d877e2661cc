//! B1: while nothing goes wrong, a reader anywhere is behind the newest acknowledged write by no more
//! than a stated time.

use std::time::Duration;

use tidings_types::Key;

use super::Checks;

/// How long after a write was durable other hosts showed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staleness {
    /// For half of the writes and hosts.
    pub p50: Duration,
    /// For 99 % of them.
    pub p99: Duration,
    /// For all of them.
    pub max: Duration,
}

impl Checks {
    /// Over every write that another host has shown; what was replaced before counts for nothing.
    pub(crate) fn staleness(&self) -> Option<Staleness> {
        let writes = self.history.writes();
        // Before it has met anybody, a node's word about itself has no reader.
        let writes = writes.filter(|write| write.durable && !matches!(write.key, Key::Node(_)));
        let mut waits: Vec<Duration> = writes
            .flat_map(|write| write.held.values().map(|shown| shown.since(write.stored)))
            .collect();
        waits.sort_unstable();
        let max = *waits.last()?;
        let at = |percent| waits[(waits.len() - 1) * percent / 100];
        Some(Staleness {
            p50: at(50),
            p99: at(99),
            max,
        })
    }
}
