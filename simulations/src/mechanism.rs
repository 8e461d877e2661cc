//! What the core is designed to have and may not have yet.
//!
//! A scenario or a probe that needs such a mechanism is committed before it, with a mark. Each crate of the
//! core says which mechanisms it has; from then on the mark is an error, so that what was waiting is
//! not forgotten.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// A mechanism of the design that is known by name to a crate of the core once it is there.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Mechanism {
    /// Beaten entries leave their feed once that is safe.
    Yield,
    /// Tombstones and overrides leave their feed once that is safe.
    Collection,
    /// The feed of a node that is gone for good is taken over and forgotten.
    Retirement,
    /// The feeds that differ are named by a set sketch in one round trip.
    Sketch,
    /// News flows along a tree, and costs about one copy per node.
    TreeBroadcast,
    /// A suspect that speaks is told of it, so that it can refute.
    Buddy,
    /// A suspicion that others confirm ends sooner.
    Dogpile,
    /// A node tells a watcher what changed.
    Watch,
    /// Two versions of the wire format are understood.
    SecondWireVersion,
}

impl Mechanism {
    /// Every mechanism.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Its name in scenario files.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the core says that it has it.
    pub fn exists(self) -> bool {
        named().any(|name| name == self.as_str())
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The mechanisms that the crates of the core name.
fn named() -> impl Iterator<Item = &'static str> {
    [
        tidings_registry::MECHANISMS,
        tidings_wire::MECHANISMS,
        tidings_membership::MECHANISMS,
        tidings_node::MECHANISMS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mechanism_that_a_crate_names_is_known_here() {
        for name in named() {
            assert!(
                Mechanism::ALL.iter().any(|known| known.as_str() == name),
                "{name:?} is named by a crate, and nothing can wait for it: is it spelled right?"
            );
        }
        assert!(Mechanism::Buddy.exists());
    }
}
