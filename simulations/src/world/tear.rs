//! A crash in the middle of a save: what the agent's stores can yield then.
//!
//! Each store is one file. A save is one transaction, so a sound disk has all of it or nothing, as
//! after any crash. On a disk that lied about what it had written some rows are there and others
//! are not: the store finds checksums that do not fit, leaves those rows out and marks their feed as
//! damaged; or the file cannot be read at all and is set aside.

use tidings_types::Transfer;

use super::World;
use crate::{
    random::{Stream, below},
    scenario::EventName,
};

/// One in so many torn registries cannot be read at all.
const SET_ASIDE: u64 = 4;

/// What was lost beyond what was being saved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lost {
    /// Some of the own feed.
    pub(super) own: bool,
    /// Every replica.
    pub(super) registry: bool,
}

impl World {
    /// Tears a host's disk, while its process still knows what it had yet to save.
    pub(super) fn tear(&mut self, host: usize) -> Lost {
        let draws = Stream::new(self.plan.seed, &format!("tear/{host}"));
        let run = self.hosts[host].run;
        let unsaved = self.unsaved(host);
        let state = &mut self.hosts[host];
        let changes: u64 = unsaved.iter().map(|t| changes_in(t) as u64).sum();
        let registry = below(draws.part(run, 0), SET_ASIDE) == 0;
        let mut damaged = 0;
        if registry {
            state.disk.set_registry_aside();
        } else if changes > 0 {
            let kept = below(draws.part(run, 1), changes);
            damaged = state.disk.tear(unsaved, kept);
        }
        let own = match below(draws.part(run, 2), 3) {
            0 => false,
            1 => state.disk.set_own_aside(),
            _ => state.disk.damage_own(draws.part(run, 3)),
        };
        damaged += u64::from(own) + u64::from(registry);
        (0..damaged).for_each(|_| self.checks.saw(EventName::Damaged));
        self.trace.log(self.now, Some(host), || {
            format!(
                "has its disk torn: {changes} changes were unsaved; own feed damaged: {own}, \
                 registry set aside: {registry}"
            )
        });
        Lost { own, registry }
    }

    /// What a host's process holds of others' feeds and its disk does not.
    fn unsaved(&self, host: usize) -> Vec<Transfer> {
        let state = &self.hosts[host];
        let Some(node) = &state.node else {
            return Vec::new();
        };
        let registry = node.registry();
        let others = registry.owners().filter(|&owner| owner != state.me());
        others
            .filter_map(|owner| registry.transfer(owner, &state.disk.lineage(owner)))
            .collect()
    }
}

fn changes_in(transfer: &Transfer) -> usize {
    match transfer {
        Transfer::Delta(delta) => delta.changes.len(),
        Transfer::Snapshot(snapshot) => snapshot.changes.len(),
    }
}
