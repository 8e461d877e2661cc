//! `mutants`: guards are taken out of the core, and the swarm must notice.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::Args;
use tidings_sim::{
    commit,
    mutants::{Caught, SEEDS, TRIALS, Trial},
    shrink,
};

use crate::output;

/// How long one failure is made smaller.
const SHRINKING: Duration = Duration::from_secs(120);

#[derive(Args)]
pub(crate) struct Mutants {
    /// The text that the seeds come from; the commit if absent.
    #[arg(long, value_name = "TEXT")]
    seeds_from: Option<String>,
    /// Makes each failure small, and writes it into this folder.
    #[arg(long, value_name = "DIR")]
    shrink: Option<PathBuf>,
}

/// Tries every mutant; 1 if one is missed.
pub(crate) fn run(args: &Mutants) -> Result<u8> {
    let text = args.seeds_from.clone().unwrap_or_else(commit::describe);
    let mut missed = 0;
    for trial in TRIALS {
        match output::without_panics(|| trial.run(&text)) {
            Some(caught) => tell(&trial, &caught, args)?,
            None => {
                missed = 1;
                output::line(&format!(
                    "MISSED {:<22} in {SEEDS} seeds",
                    trial.mutant.name()
                ));
            }
        }
    }
    Ok(missed)
}

fn tell(trial: &Trial, caught: &Caught, args: &Mutants) -> Result<()> {
    let (name, seeds) = (trial.mutant.name(), caught.seeds);
    let violation = &caught.finding.violation;
    let mut line = format!(
        "caught {name:<22} in {} after {seeds:>3} seeds, {}",
        violation.invariant,
        caught.finding.name()
    );
    if let Some(folder) = &args.shrink {
        let scenario = caught.finding.profile.scenario(caught.finding.seed);
        let small = output::without_panics(|| shrink::shrink(&scenario, trial.mutant, SHRINKING))?;
        let mut scenario = small.scenario;
        scenario.name = format!("mutant-{name}");
        tidings_sim::explore::keep(&scenario, folder)?;
        let after = small.after;
        line = format!(
            "{line}; shrunk to {} nodes, {} faults, {} calls in {} runs",
            after.hosts, after.faults, after.calls, small.runs
        );
    }
    output::line(&line);
    Ok(())
}
