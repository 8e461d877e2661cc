//! Guards that a test takes away, to prove that it would notice. Without the feature `mutants`, and so
//! in every agent, each of them is there and nothing can be switched.

#[cfg(feature = "mutants")]
pub use self::switched::Mutants;

#[cfg(not(feature = "mutants"))]
mod inert {
    use tidings_types::{Entry, Hlc, Snapshot};

    use crate::{Registry, form::Checked};

    impl Registry {
        pub(crate) const fn counts(&self, _: &Entry) -> bool {
            true
        }

        pub(crate) const fn forget(&self, _: &mut Snapshot) {}

        pub(crate) const fn delete_by_absence(&self, _: &Checked) {}

        pub(crate) const fn stamp_by_wall(&self, _: u64) -> Option<Hlc> {
            None
        }
    }
}

#[cfg(feature = "mutants")]
mod switched {
    use std::collections::BTreeSet;

    use tidings_types::{Entry, Hlc, Key, Slot, Snapshot};

    use crate::{Registry, form::Checked};

    /// The guards, and whether each is taken away.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Mutants {
        /// Tombstones and overrides are not counted: what they remove stays in force.
        pub no_tombstones: bool,
        /// Tombstones and overrides are not found again on the disk.
        pub forgets_tombstones: bool,
        /// The stamp of a write is the wall clock, whatever was seen of its key.
        pub stamps_by_wall: bool,
        /// What a snapshot lacks is deleted, whether its giver has seen it or not.
        pub deletes_by_absence: bool,
    }

    impl Registry {
        /// Takes guards away, before anything is applied.
        pub const fn set_mutants(&mut self, mutants: Mutants) {
            self.mutants = mutants;
        }

        pub(crate) const fn counts(&self, entry: &Entry) -> bool {
            entry.body.is_some() || !self.mutants.no_tombstones
        }

        pub(crate) fn forget(&self, stored: &mut Snapshot) {
            let is_tombstone = |slot: &Slot| matches!(slot, Slot::Entry(e) if e.body.is_none());
            if self.mutants.forgets_tombstones {
                stored.changes.retain(|change| !is_tombstone(&change.slot));
            }
        }

        pub(crate) fn delete_by_absence(&mut self, snapshot: &Checked) {
            if self.mutants.deletes_by_absence {
                let changes = snapshot.changes.iter();
                let given: BTreeSet<&Key> = changes.map(|s| &s.change.key).collect();
                self.change(snapshot.state.owner, |feed, touched| {
                    feed.keep_only(&given, touched);
                });
            }
        }

        pub(crate) fn stamp_by_wall(&self, wall_ms: u64) -> Option<Hlc> {
            let stamps = self.mutants.stamps_by_wall;
            stamps.then(|| Hlc::from_unix_ms(wall_ms))
        }
    }
}
