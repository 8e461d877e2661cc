//! Swarm testing: many made-up scenarios, and what came of them.
//!
//! What is found depends on seeds and profiles alone, not on how many run at a time: results are
//! brought into the order of the seeds. Only a time budget can end the search elsewhere.

mod finding;

use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

pub use self::finding::{Finding, keep, signature};
use crate::{Mutant, Plan, Report, Verdict, World, swarm::Profile};

/// Events of one run, at most: a run that needs more is undecided.
pub const EVENTS: u64 = 30_000_000;
/// How many of the slowest runs are told.
const SLOWEST: usize = 5;

/// What to search.
#[derive(Clone, Debug)]
pub struct Search {
    /// Every profile is tried with each seed.
    pub profiles: Vec<Profile>,
    /// The seeds, in order.
    pub seeds: Vec<u64>,
    /// How many run at a time.
    pub jobs: usize,
    /// No run begins after so long.
    pub budget: Option<Duration>,
    /// Whether the first failure, in the order of the seeds, ends the search.
    pub stop: bool,
    /// The guard that is taken away.
    pub mutant: Mutant,
}

/// One made-up scenario that was run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its profile.
    pub profile: Profile,
    /// Its seed.
    pub seed: u64,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub report: Report,
}

/// What a search has found.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Runs.
    pub runs: usize,
    /// Runs that say nothing, with the reason.
    pub undecided: Vec<(Profile, u64, String)>,
    /// Failures, those alike together.
    pub findings: Vec<Finding>,
    /// In how many runs each rare state was met.
    pub probes: BTreeMap<&'static str, usize>,
    /// The slowest runs: profile, seed, time, events.
    pub slowest: Vec<(Profile, u64, Duration, u64)>,
    /// The times to convergence, sorted.
    pub converged: Vec<Duration>,
    /// Events in all runs.
    pub events: u64,
    /// Virtual time of all runs.
    pub virtual_time: Duration,
    /// How long the search took.
    pub took: Duration,
}

impl Search {
    /// Runs everything and tells `ran` of each run as it ends, in any order.
    pub fn run(&self, ran: &(dyn Fn(&Ran) + Sync)) -> Outcome {
        let begun = Instant::now();
        let queue = Mutex::new(self.queue());
        let results = Mutex::new(BTreeMap::new());
        let next = || {
            let is_late = self.budget.is_some_and(|budget| begun.elapsed() >= budget);
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            if is_late {
                queue.clear();
            }
            queue.pop_front()
        };
        let work = || {
            while let Some((nth, profile, seed)) = next() {
                let one = self.one(profile, seed);
                ran(&one);
                if self.stop && matches!(one.report.verdict, Verdict::Broken(_)) {
                    // Those before this one may fail as well; those after it do not matter.
                    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    queue.retain(|&(later, ..)| later < nth);
                }
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.insert(nth, one);
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(work);
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = Outcome::default();
        for one in results.into_values() {
            let is_last = self.stop && matches!(one.report.verdict, Verdict::Broken(_));
            outcome.add(one);
            if is_last {
                break;
            }
        }
        outcome.took = begun.elapsed();
        outcome.converged.sort_unstable();
        outcome
    }

    fn queue(&self) -> VecDeque<(usize, Profile, u64)> {
        let seeds = self.seeds.iter();
        let runs = seeds.flat_map(|&seed| self.profiles.iter().map(move |&p| (p, seed)));
        let runs = runs.enumerate();
        runs.map(|(nth, (profile, seed))| (nth, profile, seed))
            .collect()
    }

    fn one(&self, profile: Profile, seed: u64) -> Ran {
        let begun = Instant::now();
        let scenario = profile.scenario(seed);
        let plan = Plan::new(&scenario).expect("a made-up scenario contradicts itself nowhere");
        let world = || World::new(plan, self.mutant, None).limited(EVENTS).run();
        // The node's own panics are broken invariants; this one would be the simulator's.
        let report = catch_unwind(AssertUnwindSafe(world)).unwrap_or_else(|_| {
            let reason = "the simulator panicked; `replay` shows where".to_owned();
            Report::undecided(&scenario, reason)
        });
        Ran {
            profile,
            seed,
            took: begun.elapsed(),
            report,
        }
    }
}

impl Outcome {
    fn add(&mut self, ran: Ran) {
        let Ran {
            profile,
            seed,
            took,
            report,
        } = ran;
        self.runs += 1;
        self.events += report.events;
        self.virtual_time += report.virtual_time;
        self.slowest.push((profile, seed, took, report.events));
        self.slowest.sort_by_key(|run| std::cmp::Reverse(run.2));
        self.slowest.truncate(SLOWEST);
        for (probe, count) in &report.probes {
            *self.probes.entry(probe).or_default() += usize::from(*count > 0);
        }
        match report.verdict {
            Verdict::Pass | Verdict::Waiting(_) => self.converged.extend(report.converged),
            Verdict::Undecided(reason) => self.undecided.push((profile, seed, reason)),
            Verdict::Broken(violation) => {
                Finding::add(&mut self.findings, profile, seed, violation);
            }
        }
    }

    /// The time within which so many percent of the runs that passed had converged.
    fn quantile(&self, percent: u8) -> Duration {
        let last = self.converged.len().saturating_sub(1);
        let at = last * usize::from(percent) / 100;
        self.converged.get(at).copied().unwrap_or_default()
    }

    /// One line.
    pub fn line(&self) -> String {
        let took = self.took.as_secs_f64().max(f64::MIN_POSITIVE);
        let failed: usize = self.findings.iter().map(|finding| finding.count).sum();
        format!(
            "{} runs, {failed} failed in {} ways, {} undecided; {:.1} s, {:.1} runs/s, {:.0} x real time; \
             converged in {:?} (half), {:?} (99 %), {:?} (all)",
            self.runs,
            self.findings.len(),
            self.undecided.len(),
            took,
            self.runs as f64 / took,
            self.virtual_time.as_secs_f64() / took,
            self.quantile(50),
            self.quantile(99),
            self.quantile(100),
        )
    }

    /// For programs; `files` are where the findings were written.
    pub fn json(&self, files: &[PathBuf]) -> serde_json::Value {
        let findings = self.findings.iter().zip(files);
        let findings = findings.map(|(finding, file)| {
            serde_json::json!({
                "invariant": finding.violation.invariant,
                "reason": finding.violation.to_string(),
                "profile": finding.profile.name(),
                "seed": finding.seed,
                "runs": finding.count,
                "file": file,
            })
        });
        let undecided = self.undecided.iter().map(|(profile, seed, reason)| {
            serde_json::json!({ "profile": profile.name(), "seed": seed, "reason": reason })
        });
        let slowest = self.slowest.iter().map(|(profile, seed, took, events)| {
            let seconds = took.as_secs_f64();
            serde_json::json!({
                "profile": profile.name(), "seed": seed, "seconds": seconds, "events": events,
            })
        });
        let converged = [50, 99, 100].map(|percent| self.quantile(percent).as_secs_f64());
        serde_json::json!({
            "runs": self.runs,
            "findings": findings.collect::<Vec<_>>(),
            "undecided": undecided.collect::<Vec<_>>(),
            "probes": self.probes,
            "slowest": slowest.collect::<Vec<_>>(),
            "converged_seconds": { "half": converged[0], "99%": converged[1], "all": converged[2] },
            "events": self.events,
            "virtual_seconds": self.virtual_time.as_secs_f64(),
            "seconds": self.took.as_secs_f64(),
        })
    }

    /// The exit code of a program that searched.
    pub const fn exit_code(&self) -> u8 {
        match (self.findings.is_empty(), self.undecided.is_empty()) {
            (false, _) => 1,
            (true, false) => 2,
            (true, true) => 0,
        }
    }
}

/// `count` seeds that nobody chose: a text, such as a commit's hash, gives them.
pub fn seeds_from(text: &str, count: usize) -> Vec<u64> {
    let stream = crate::random::Stream::new(0, text);
    // Numbers that every reader of JSON and TOML keeps whole.
    (0..count as u64)
        .map(|nth| stream.draw(nth) >> 16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(jobs: usize) -> Outcome {
        let search = Search {
            profiles: vec![Profile::Smoke],
            seeds: (0..12).collect(),
            jobs,
            budget: None,
            stop: false,
            mutant: Mutant::None,
        };
        search.run(&|_| ())
    }

    #[test]
    fn what_is_found_does_not_hang_on_how_many_run_at_a_time() {
        let (one, many) = (search(1), search(3));
        assert_eq!((one.runs, one.events), (12, many.events));
        assert_eq!(one.converged, many.converged);
        assert_eq!(one.probes, many.probes);
        assert_eq!(one.findings, many.findings);
    }

    #[test]
    fn a_text_gives_the_same_seeds_each_time() {
        assert_eq!(seeds_from("4f4d83", 20)[..10], seeds_from("4f4d83", 10));
        assert_ne!(seeds_from("4f4d83", 3), seeds_from("4f4d84", 3));
        assert!(seeds_from("x", 100).iter().all(|&seed| seed < 1 << 48));
    }
}
