//! A11: whatever happens, what an agent holds stays under caps that have names.

use tidings_node::{BATCHES_WAITING, REPLIES_WAITING, REQUESTS_OPEN};
use tidings_registry::{AHEAD_BYTES, AHEAD_DELTAS_PER_FEED, FEED_SLOTS_ACCEPTED};
use tidings_types::{
    Timestamp,
    limits::{FEEDS, LINEAGE_EPOCHS},
};

use super::{Checks, Violation};
use crate::host::{Host, SOCKET_BUFFER};

impl Checks {
    /// The caps that are cheap to look at, of one host. `sessions` counts the ones that it opened.
    pub(crate) fn holds_little(
        &self,
        now: Timestamp,
        host: usize,
        state: &Host,
        sessions: usize,
    ) -> Result<(), Violation> {
        let Some(node) = &state.node else {
            return Ok(());
        };
        let registry = node.registry();
        let (deltas, bytes) = registry.ahead();
        let feeds = registry.feeds();
        within(
            now,
            host,
            &[
                ("feeds", feeds, FEEDS),
                ("members", state.reads.roster().members.len(), FEEDS),
                ("deltas ahead", deltas, AHEAD_DELTAS_PER_FEED * FEEDS),
                ("bytes ahead", bytes, AHEAD_BYTES),
                ("batches that wait", state.batches.len(), BATCHES_WAITING),
                ("calls that wait", state.open.len(), REPLIES_WAITING),
                ("requests", sessions, REQUESTS_OPEN),
                ("datagrams that wait", state.waiting(), SOCKET_BUFFER),
            ],
        )
    }

    /// The caps of each feed, of one honest host: dear to look at.
    pub(crate) fn holds_small_feeds(
        &self,
        now: Timestamp,
        host: usize,
        state: &Host,
    ) -> Result<(), Violation> {
        let Some(node) = state.node.as_ref().filter(|_| !self.liars.contains(&host)) else {
            return Ok(());
        };
        let registry = node.registry();
        for owner in registry.owners() {
            let epochs = registry.lineage(owner).epochs();
            let slots = registry.changes(owner).count();
            within(
                now,
                host,
                &[
                    ("epochs in a feed", epochs, LINEAGE_EPOCHS),
                    ("entries and marks in a feed", slots, FEED_SLOTS_ACCEPTED),
                ],
            )?;
        }
        Ok(())
    }
}

fn within(now: Timestamp, host: usize, held: &[(&str, usize, usize)]) -> Result<(), Violation> {
    match held.iter().find(|(_, held, cap)| held > cap) {
        None => Ok(()),
        Some((what, held, cap)) => Err(Violation {
            invariant: "A11",
            at: now,
            host: Some(host),
            text: format!("it holds {held} {what}, and the cap is {cap}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_its_cap_is_named() {
        assert_eq!(within(Timestamp::ZERO, 0, &[("feeds", 3, 3)]), Ok(()));
        let held = [("feeds", 3, 3), ("requests", 33, REQUESTS_OPEN)];
        let broken = within(Timestamp::ZERO, 1, &held).unwrap_err();
        assert_eq!((broken.invariant, broken.host), ("A11", Some(1)));
        assert!(broken.text.contains("33 requests"), "{}", broken.text);
    }
}
