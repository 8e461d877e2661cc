//! E6: whoever follows what an agent publishes ends with exactly what is in force there, deletions
//! included.
//!
//! The follower is the model of the read view, which every update has passed through since the
//! process began. Watches in the node itself are yet to come.

use tidings_types::Timestamp;

use super::{Checks, Violation};
use crate::{host::Host, reads::Shown};

impl Checks {
    /// What was published adds up to what is in force, at one host.
    pub(crate) fn followers_see_it_all(
        &self,
        now: Timestamp,
        host: usize,
        state: &Host,
    ) -> Result<(), Violation> {
        let Some(node) = &state.node else {
            return Ok(());
        };
        let registry = node.registry();
        let broken = |text| Violation {
            invariant: "E6",
            at: now,
            host: Some(host),
            text,
        };
        let mut live = 0;
        for key in registry.keys() {
            let in_force = registry.in_force(key).map(|found| Shown {
                dot: found.dot,
                body: found.entry.body.clone(),
                conflicts: found.conflicts,
            });
            live += usize::from(in_force.is_some());
            let followed = state.reads.record(key);
            if followed != in_force.as_ref() {
                let text = format!("{key:?} is {in_force:?}, and followers were told {followed:?}");
                return Err(broken(text));
            }
        }
        if state.reads.records().len() != live {
            let shown = state.reads.records().keys();
            let kept = shown.filter(|key| registry.in_force(key).is_none());
            let text = format!(
                "followers were never told that it is gone: {:?}",
                kept.min()
            );
            return Err(broken(text));
        }
        Ok(())
    }
}
