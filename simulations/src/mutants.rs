//! The proof that the scenarios notice: each guard of the core is taken away in turn, and a named
//! scenario must fail.

use std::path::Path;

use anyhow::Result;

use crate::{Mutant, Report, Verdict, catalogue};

/// A guard, the scenario that must notice its absence, and what must fail there.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// The guard that is taken away.
    pub mutant: Mutant,
    /// The scenario.
    pub scenario: &'static str,
    /// What must fail there.
    pub invariants: &'static [&'static str],
}

/// Every mutant with its scenario.
pub const TRIALS: &[Trial] = &[
    Trial {
        mutant: Mutant::NoWatchdog,
        scenario: "dark-start",
        invariants: &["E1", "E3"],
    },
    Trial {
        mutant: Mutant::NoTurnUndeadFilter,
        scenario: "pause-refuted",
        invariants: &["B2"],
    },
    Trial {
        mutant: Mutant::NoAbstaining,
        scenario: "one-deaf-of-ten",
        invariants: &["B2"],
    },
    Trial {
        mutant: Mutant::NoTombstones,
        scenario: "register-vs-deregister",
        invariants: &["A4", "A5", "E2"],
    },
];

impl Trial {
    /// Runs the scenario with the guard and without it.
    ///
    /// # Errors
    /// The scenario cannot be read.
    pub fn run(&self) -> Result<[Report; 2]> {
        let file = Path::new(catalogue::SCENARIOS).join(format!("{}.toml", self.scenario));
        let run = |mutant| catalogue::run(&file, None, &[], mutant, None);
        Ok([run(Mutant::None)?, run(self.mutant)?])
    }

    /// Whether the run with the guard passed, and the one without it failed where it must.
    pub fn is_caught(&self, [with, without]: &[Report; 2]) -> bool {
        with.verdict == Verdict::Pass
            && matches!(&without.verdict, Verdict::Broken(violation)
                if self.invariants.contains(&violation.invariant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_is_caught() {
        for trial in TRIALS {
            let reports = trial.run().unwrap();
            assert!(
                trial.is_caught(&reports),
                "{trial:?}: {:?}",
                reports[1].verdict
            );
        }
    }
}
