//! Made-up scenarios: a seed and a profile give a scenario in which every fault and call stands
//! written out.
//!
//! Swarm testing (Groce and others, ISSTA 2012): each scenario first decides which kinds of faults
//! and calls exist in it at all, then how often each of them comes, and both differ wildly. What a
//! mixture of everything would hide, such as an overflow that needs many calls of one kind and none
//! of another, is met by leaving things out.
//!
//! Each part has draws of its own, so a new kind of fault leaves the workload of a seed as it was.
//!
//! | Module | Makes up |
//! |---|---|
//! | `shape` | hosts, links, disks, settings |
//! | `faults`, `splits` | what goes wrong |
//! | `traffic` | what clients do |
//! | `promise` | what must come of it |
//! | `dice` | the draws |

mod dice;
mod faults;
mod promise;
mod shape;
mod splits;
mod traffic;

use std::str::FromStr;

use self::dice::Dice;
use crate::scenario::Scenario;

/// A family of scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Everything.
    Swarm,
    /// A few hosts, for a short time.
    Smoke,
    /// Bad links.
    Lossy,
    /// Processes that are killed, and disks that lost something.
    Disk,
    /// Splits of every shape.
    Split,
    /// Nothing that a healthy cluster should notice: nobody may be called down.
    Calm,
    /// A dishonest host.
    Liar,
    /// Like calm, with hosts that hear nothing or are slow: nobody else may be called down.
    Deaf,
    /// Disks that were cloned, and several that lost something at a time. No part of the swarm: it
    /// meets more than the core mends.
    Damage,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 9] = [
        Self::Swarm,
        Self::Smoke,
        Self::Lossy,
        Self::Disk,
        Self::Split,
        Self::Calm,
        Self::Liar,
        Self::Deaf,
        Self::Damage,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Swarm => "swarm",
            Self::Smoke => "smoke",
            Self::Lossy => "lossy",
            Self::Disk => "disk",
            Self::Split => "split",
            Self::Calm => "calm",
            Self::Liar => "liar",
            Self::Deaf => "deaf",
            Self::Damage => "damage",
        }
    }

    /// What it gives for `seed`.
    pub fn scenario(self, seed: u64) -> Scenario {
        let profile = self.mood(seed);
        let mut scenario = shape::make(profile, seed);
        scenario.name = format!("{}-{seed}", self.name());
        scenario.about = format!("Made up: profile {}, seed {seed}.", self.name());
        faults::add(&mut scenario, profile);
        traffic::add(&mut scenario, profile);
        promise::derive(&mut scenario, profile);
        scenario
    }

    /// A swarm has seeds of every kind: in some of them nothing bad happens, which is the only time
    /// in which nobody may be called down.
    fn mood(self, seed: u64) -> Self {
        match self {
            Self::Swarm => Dice::new(seed, "mood").weighted(&[
                (Self::Swarm, 58),
                (Self::Split, 12),
                (Self::Disk, 25),
                (Self::Calm, 12),
                (Self::Liar, 3),
            ]),
            other => other,
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|profile| profile.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no profile {text:?}; there are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;

    #[test]
    fn every_seed_gives_a_scenario_that_can_run_and_be_kept() {
        for profile in Profile::ALL {
            for seed in 0..300 {
                let scenario = profile.scenario(seed);
                let name = &scenario.name;
                Plan::new(&scenario).unwrap_or_else(|error| panic!("{name}: {error:#}"));
                let again = Scenario::parse(&scenario.text(), &[]).unwrap();
                assert_eq!(scenario, again, "{name}");
                assert_eq!(scenario, profile.scenario(seed), "{name}");
            }
        }
    }

    #[test]
    fn every_kind_of_fault_and_call_is_made_up() {
        use std::{collections::BTreeSet, mem::discriminant};
        let scenarios: Vec<_> = (0..300).map(|seed| Profile::Swarm.scenario(seed)).collect();
        let faults: Vec<_> = scenarios.iter().flat_map(|s| &s.fault).collect();
        let calls: Vec<_> = scenarios.iter().flat_map(|s| &s.workload).collect();
        let words = |text: String| text.split([' ', '{']).next().unwrap_or_default().to_owned();
        let kinds: BTreeSet<_> = faults.iter().map(|f| words(format!("{f:?}"))).collect();
        assert_eq!(kinds.len(), 14, "{kinds:?}");
        let kinds: BTreeSet<_> = calls.iter().map(|c| words(format!("{c:?}"))).collect();
        assert_eq!(kinds.len(), 7, "{kinds:?}");
        let one = |seed: usize| scenarios[seed].fault.first().map(discriminant);
        assert!((1..300).any(|seed| one(seed) != one(0)));
    }
}
