//! Makes a failing scenario small: the same invariant fails, with less of everything.
//!
//! It works on the file's own tree of tables, so it knows every kind of fault and call without a
//! line about any. A step that makes no scenario, or one that fails elsewhere or not at all, is
//! taken back. Chance is keyed, so what is left out changes no draw of what stays.
//!
//! | Module | Makes smaller |
//! |---|---|
//! | `lists` | faults, calls, hosts of a fault: delta debugging (Zeller and Hildebrandt, 2002) |
//! | `hosts` | the number of hosts |
//! | `times` | durations, gaps and counts |
//! | `fields` | everything that may be left out |

mod fields;
mod hosts;
mod lists;
mod times;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use toml::Table;

use crate::{Mutant, Plan, Scenario, Verdict, World, check::Violation};

/// Seeds that are tried when hosts are renumbered, since that changes every draw.
const SEEDS: u64 = 4;
/// What a smaller run may take of the events of the first, at most.
const EVENTS_FACTOR: u64 = 3;

/// A failure made small.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The small scenario.
    pub scenario: Scenario,
    /// How it fails.
    pub violation: Violation,
    /// What there was before.
    pub before: Size,
    /// What is left.
    pub after: Size,
    /// Runs that it took.
    pub runs: usize,
    /// Whether the time was up before nothing more could be left out.
    pub is_cut_short: bool,
}

/// How big a scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Hosts.
    pub hosts: usize,
    /// Faults.
    pub faults: usize,
    /// Calls, repetitions counted once.
    pub calls: usize,
}

impl Size {
    fn of(scenario: &Scenario) -> Self {
        Self {
            hosts: scenario.nodes,
            faults: scenario.fault.len(),
            calls: scenario.workload.len(),
        }
    }
}

/// Makes `scenario`, which fails, smaller for at most `budget`.
///
/// # Errors
/// It does not fail, or it fails without the mutant as well.
pub fn shrink(scenario: &Scenario, mutant: Mutant, budget: Duration) -> Result<Shrunk> {
    let (violation, events) = match run(scenario, mutant, u64::MAX)? {
        (Verdict::Broken(violation), events) => (violation, events),
        (verdict, _) => bail!("{} does not fail: {}", scenario.name, verdict.as_str()),
    };
    let mut shrinker = Shrinker {
        best: Table::try_from(scenario)?,
        violation,
        mutant,
        events: events.saturating_mul(EVENTS_FACTOR).max(100_000),
        until: Instant::now() + budget,
        runs: 0,
    };
    if !shrinker.keeps(&shrinker.best.clone()) {
        bail!("{} fails without the mutant as well", scenario.name);
    }
    shrinker.shrink();
    let small: Scenario = shrinker.best.clone().try_into()?;
    Ok(Shrunk {
        before: Size::of(scenario),
        after: Size::of(&small),
        is_cut_short: shrinker.is_late(),
        scenario: small,
        violation: shrinker.violation,
        runs: shrinker.runs,
    })
}

fn run(scenario: &Scenario, mutant: Mutant, events: u64) -> Result<(Verdict, u64)> {
    let world = World::new(Plan::new(scenario)?, mutant, None);
    let report = world.limited(events.min(crate::explore::EVENTS)).run();
    Ok((report.verdict, report.events))
}

/// The smallest scenario so far, and how it is judged.
struct Shrinker {
    best: Table,
    violation: Violation,
    mutant: Mutant,
    /// Events of one run, at most.
    events: u64,
    until: Instant,
    runs: usize,
}

impl Shrinker {
    fn shrink(&mut self) {
        self.cut_the_tail();
        loop {
            let before = self.best.clone();
            self.lists();
            self.hosts();
            self.fields();
            self.times();
            if self.best == before || self.is_late() {
                break;
            }
        }
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Takes a smaller scenario if it fails in the same way.
    fn offer(&mut self, smaller: Table) -> bool {
        let is_taken = smaller != self.best && self.keeps(&smaller);
        if is_taken {
            self.best = smaller;
        }
        is_taken
    }

    /// Takes the change of the smallest scenario that `change` makes, if it fails in the same way.
    fn attempt(&mut self, change: impl FnOnce(&mut Table)) -> bool {
        let mut smaller = self.best.clone();
        change(&mut smaller);
        self.offer(smaller)
    }

    /// As [`Shrinker::attempt`], with other seeds too: for changes that alter every draw.
    fn attempt_with_seeds(&mut self, change: impl FnOnce(&mut Table)) -> bool {
        let mut smaller = self.best.clone();
        change(&mut smaller);
        if self.offer(smaller.clone()) {
            return true;
        }
        (1..SEEDS).any(|seed| {
            let seed = i64::try_from(seed).expect("a few seeds");
            smaller.insert("seed".to_owned(), seed.into());
            self.offer(smaller.clone())
        })
    }

    /// Whether this fails in the same invariant, and only because of the mutant if there is one.
    fn keeps(&mut self, table: &Table) -> bool {
        if self.is_late() {
            return false;
        }
        let Ok(scenario) = table.clone().try_into::<Scenario>() else {
            return false;
        };
        self.runs += 1;
        let Ok((Verdict::Broken(violation), _)) = run(&scenario, self.mutant, self.events) else {
            return false;
        };
        let is_same = violation.invariant == self.violation.invariant
            && (self.mutant == Mutant::None || self.passes_without_mutant(&scenario));
        if is_same {
            self.violation = violation;
        }
        is_same
    }

    /// What breaks nothing runs to its end, however early the mutant broke something.
    fn passes_without_mutant(&mut self, scenario: &Scenario) -> bool {
        self.runs += 1;
        matches!(
            run(scenario, Mutant::None, u64::MAX),
            Ok((Verdict::Pass, _))
        )
    }
}
