//! The proof that the simulator notices: each guard of the core is taken away in turn, and made-up
//! scenarios whose seeds nobody chose must fail, in the invariant that names the broken promise.

use crate::{
    Mutant,
    explore::{Finding, Search, seeds_from},
    swarm::Profile,
};

/// Seeds that are tried, at most.
pub const SEEDS: usize = 200;

/// What must fail without a guard.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// The guard that is taken away.
    pub mutant: Mutant,
    /// What must fail.
    pub invariants: &'static [&'static str],
    /// The profile that makes up what notices it.
    pub profile: Profile,
}

/// Every mutant with what must fail.
pub const TRIALS: [Trial; 9] = [
    trial(Mutant::NoWatchdog, &["E1", "E3", "E8"]),
    trial(Mutant::NoTurnUndeadFilter, &["B2"]),
    // What a sick node says of healthy ones is seen where somebody is deaf and all others are well.
    Trial {
        profile: Profile::Deaf,
        ..trial(Mutant::NoAbstaining, &["B2"])
    },
    trial(Mutant::NoJitter, &["B3"]),
    trial(Mutant::NoTombstones, &["A4", "A5", "E2"]),
    trial(Mutant::ForgetsTombstones, &["A5"]),
    trial(Mutant::StampsByWall, &["A3", "A4"]),
    trial(Mutant::DeletesByAbsence, &["A2", "A3", "E2"]),
    trial(Mutant::ReusesDots, &["A7"]),
];

const fn trial(mutant: Mutant, invariants: &'static [&'static str]) -> Trial {
    Trial {
        mutant,
        invariants,
        profile: Profile::Swarm,
    }
}

/// How a mutant was caught.
#[derive(Clone, Debug)]
pub struct Caught {
    /// After how many seeds.
    pub seeds: usize,
    /// How it failed.
    pub finding: Finding,
}

impl Trial {
    /// Tries the seeds that `text` gives until one notices; `None` if none of [`SEEDS`] does.
    pub fn run(&self, text: &str) -> Option<Caught> {
        for (nth, seed) in seeds_from(text, SEEDS).into_iter().enumerate() {
            let told = |finding: &Finding| self.invariants.contains(&finding.violation.invariant);
            let finding = self.finding(seed, self.mutant).filter(told);
            // What fails with the guard as well says nothing about it.
            if let Some(finding) = finding.filter(|_| self.finding(seed, Mutant::None).is_none()) {
                let seeds = nth + 1;
                return Some(Caught { seeds, finding });
            }
        }
        None
    }

    fn finding(&self, seed: u64, mutant: Mutant) -> Option<Finding> {
        let search = Search {
            profiles: vec![self.profile],
            seeds: vec![seed],
            jobs: 1,
            budget: None,
            stop: true,
            mutant,
        };
        search.run(&|_| ()).findings.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_is_tried() {
        let tried: Vec<Mutant> = TRIALS.iter().map(|trial| trial.mutant).collect();
        assert_eq!(tried, Mutant::ALL);
    }

    #[test]
    fn a_mutant_is_caught_by_seeds_that_nobody_chose() {
        let caught = trial(Mutant::NoTombstones, &["A4", "A5", "E2"]).run("a text");
        assert!(caught.is_some());
    }
}
