//! The proof that the scenarios notice: each guard of the core is taken away in turn, and a named
//! scenario must fail.

use std::path::Path;

use anyhow::Result;

use crate::{Mutant, Report, catalogue};

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
        scenario: "blackout",
        invariants: &["E1", "E3"],
    },
    Trial {
        mutant: Mutant::NoTurnUndeadFilter,
        scenario: "pause-refuted",
        invariants: &["B2"],
    },
    Trial {
        mutant: Mutant::NoTombstones,
        scenario: "register-vs-deregister",
        invariants: &["A4", "A5", "E2"],
    },
];

impl Trial {
    /// Runs the scenario without the guard.
    ///
    /// # Errors
    /// The scenario cannot be read.
    pub fn run(&self) -> Result<Report> {
        let file = Path::new(catalogue::SCENARIOS).join(format!("{}.toml", self.scenario));
        catalogue::run(&file, None, &[], self.mutant, None)
    }

    /// Whether the run failed where it must.
    pub fn is_caught(&self, report: &Report) -> bool {
        matches!(&report.verdict, crate::Verdict::Broken(violation)
            if self.invariants.contains(&violation.invariant))
    }
}
