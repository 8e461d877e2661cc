//! `explore`: made-up scenarios by the thousand.

use std::{ops::Range, path::PathBuf};

use anyhow::{Result, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tidings_sim::{
    Mutant, Verdict, commit,
    explore::{Finding, Outcome, Ran, Search, keep, seeds_from},
    span::Span,
    swarm::Profile,
};

use crate::output;

/// Columns of a name in a table.
const NAME: usize = 28;

#[derive(Args)]
pub(crate) struct Explore {
    /// The seeds to try: the first, and the one after the last.
    #[arg(long, value_name = "A..B", default_value = "0..500", value_parser = range)]
    seeds: Range<u64>,
    /// Takes as many seeds as `--seeds` has from this text instead, such as a commit's hash.
    #[arg(long, value_name = "TEXT")]
    seeds_from: Option<String>,
    /// What kind of scenarios to make up: swarm, smoke, lossy, disk, split, calm, liar, damage; several with commas.
    #[arg(long, value_delimiter = ',', default_value = "swarm")]
    profile: Vec<Profile>,
    /// Begins no run after so long, as in `5m`.
    #[arg(long)]
    budget: Option<Span>,
    /// How many to run at a time; as many as there are cores if absent.
    #[arg(long)]
    jobs: Option<usize>,
    /// Ends at the first failure.
    #[arg(long)]
    stop: bool,
    /// Takes this guard out of the core. Needs a build with the feature `mutants`.
    #[arg(long, default_value = "none")]
    mutant: Mutant,
    /// Where failures are written.
    #[arg(long, default_value = "failures")]
    out: PathBuf,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Searches, prints what it found, and returns the exit code.
pub(crate) fn run(args: &Explore) -> Result<u8> {
    let count = args.seeds.end - args.seeds.start;
    let seeds = match &args.seeds_from {
        Some(text) => seeds_from(text, usize::try_from(count)?),
        None => args.seeds.clone().collect(),
    };
    let jobs = args.jobs.map_or_else(cores, Ok)?;
    ensure!(jobs > 0, "--jobs wants at least one");
    let search = Search {
        profiles: args.profile.clone(),
        seeds,
        jobs,
        budget: args.budget.map(Span::get),
        stop: args.stop,
        mutant: args.mutant,
    };
    let bar = progress(search.seeds.len() * search.profiles.len());
    let outcome = output::without_panics(|| {
        search.run(&|ran: &Ran| {
            bar.inc(1);
            if matches!(ran.report.verdict, Verdict::Broken(_)) {
                bar.set_message("failures!");
            }
        })
    });
    bar.finish_and_clear();
    let files = outcome
        .findings
        .iter()
        .map(|finding| finding.keep(&args.out));
    let files = files.collect::<Result<Vec<PathBuf>>>()?;
    for (profile, seed, _) in &outcome.undecided {
        keep(&profile.scenario(*seed), &args.out)?;
    }
    if args.json {
        output::line(&outcome.json(&files).to_string());
    } else {
        tell(&outcome, &files, args.mutant);
    }
    Ok(outcome.exit_code())
}

/// Only on a terminal: a pipe gets results alone.
fn progress(runs: usize) -> ProgressBar {
    let style = "{bar:30} {pos}/{len} runs, {per_sec}, {eta} left {msg}";
    let style = ProgressStyle::with_template(style).expect("the template is right");
    ProgressBar::new(runs as u64).with_style(style)
}

fn tell(outcome: &Outcome, files: &[PathBuf], mutant: Mutant) {
    for (finding, file) in outcome.findings.iter().zip(files) {
        tell_finding(finding, file, mutant);
    }
    for (profile, seed, reason) in &outcome.undecided {
        output::line(&format!(
            "UNDECIDED {} seed {seed}: {reason}",
            profile.name()
        ));
    }
    if outcome.exit_code() != 0 {
        output::line(&format!("  {}", commit::describe()));
    }
    output::line(&format!(
        "{:<NAME$} {:>8} {:>8}",
        "met in", "runs", "of all"
    ));
    for (probe, &runs) in &outcome.probes {
        let share = 100.0 * runs as f64 / outcome.runs.max(1) as f64;
        output::line(&format!("  {probe:<26} {runs:>8} {share:>7.1}%"));
    }
    output::line("slowest");
    for (profile, seed, took, events) in &outcome.slowest {
        let name = format!("{} {seed}", profile.name());
        output::line(&format!(
            "  {name:<26} {:>7.2}s {events:>10} events",
            took.as_secs_f64()
        ));
    }
    output::line(&outcome.line());
}

fn tell_finding(finding: &Finding, file: &std::path::Path, mutant: Mutant) {
    let Finding {
        violation, count, ..
    } = finding;
    let (features, mutant) = match mutant {
        Mutant::None => ("", String::new()),
        other => (" --features mutants", format!(" --mutant {}", other.name())),
    };
    output::line(&format!("FAIL in {count} runs: {violation}"));
    output::line(&format!(
        "  replay: cargo run --release -p tidings-sim{features} -- replay {}{mutant}",
        file.display()
    ));
}

fn cores() -> Result<usize> {
    Ok(std::thread::available_parallelism()?.get())
}

fn range(text: &str) -> Result<Range<u64>> {
    let Some((first, end)) = text.split_once("..") else {
        bail!("write the first seed and the one after the last, as in 0..500");
    };
    let seeds = first.parse()?..end.parse()?;
    ensure!(!seeds.is_empty(), "there is no seed in {text}");
    Ok(seeds)
}
