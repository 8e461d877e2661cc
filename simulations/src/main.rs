//! The command line of the simulator.

mod commands;
mod output;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use tidings_sim::{
    Mutant, Scenario, Verdict, World, catalogue,
    meta::{self, Comparison},
    trace::Step,
};

/// Exit code of `meta` when two runs differ.
const NOT_DETERMINISTIC: u8 = 3;

/// Runs the core of tidings through faults, deterministically.
///
/// Exit codes: 0 all passed, 1 an invariant is broken, 2 it could not be decided, 3 a run is not
/// deterministic.
#[derive(Parser)]
#[command(name = "tidings-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs scenarios and judges them.
    Run {
        #[command(flatten)]
        what: What,
        /// Prints every event that people care about.
        #[arg(long, short)]
        verbose: bool,
        /// Prints one JSON object per scenario.
        #[arg(long)]
        json: bool,
        /// Adds the trace's hash of each second to the JSON.
        #[arg(long, requires = "json")]
        digests: bool,
        /// Adds every event of this second to the JSON: for `meta`.
        #[arg(long, requires = "json", value_name = "SECOND", hide = true)]
        watch: Option<usize>,
    },
    /// Runs each scenario here and in a fresh process and compares the traces.
    Meta {
        #[command(flatten)]
        what: What,
        /// Another build of this program to compare with, such as the release build.
        #[arg(long, value_name = "PROGRAM")]
        against: Option<PathBuf>,
    },
    /// Makes scenarios up and runs them.
    Explore(commands::explore::Explore),
    /// Runs one scenario again, exactly, and prints its log.
    Replay(commands::replay::Replay),
    /// Makes a failing scenario small.
    Shrink(commands::shrink::Shrink),
    /// Writes a scenario to start from.
    New(commands::new::New),
    /// Tells the numbers in which two builds, or two sets of results, differ.
    Compare(commands::compare::Compare),
    /// Runs a scenario and draws what happened.
    Trace(commands::trace::Trace),
    /// Tells how fast the simulator is.
    Bench(commands::bench::Bench),
    /// Lists the scenarios.
    List {
        /// Files or folders.
        #[arg(default_value = catalogue::SCENARIOS)]
        files: Vec<PathBuf>,
        /// Prints one JSON object per scenario.
        #[arg(long)]
        json: bool,
    },
    /// Takes single guards out of the core and expects made-up scenarios to notice.
    #[cfg(feature = "mutants")]
    Mutants(commands::mutants::Mutants),
}

#[derive(Args)]
struct What {
    /// Scenario files, or folders of them.
    #[arg(default_value = catalogue::SCENARIOS)]
    files: Vec<PathBuf>,
    /// Replaces the seed of each file.
    #[arg(long)]
    seed: Option<u64>,
    /// Replaces a field of each file: `config.jitter=false`, `nodes=7`.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    settings: Vec<String>,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Verb::Run {
            what,
            verbose,
            json,
            digests,
            watch,
        } => run(&what, verbose, json, (digests, watch)),
        Verb::Meta { what, against } => compare(&what, against),
        Verb::Bench(args) => commands::bench::run(&args),
        Verb::Trace(args) => commands::trace::run(&args),
        Verb::Explore(args) => commands::explore::run(&args),
        Verb::Shrink(args) => commands::shrink::run(&args),
        Verb::Replay(args) => commands::replay::run(&args),
        Verb::New(args) => commands::new::run(&args),
        Verb::Compare(args) => commands::compare::run(&args),
        Verb::List { files, json } => list(&files, json),
        #[cfg(feature = "mutants")]
        Verb::Mutants(args) => commands::mutants::run(&args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::error(&error);
            ExitCode::from(2)
        }
    }
}

fn run(
    what: &What,
    verbose: bool,
    json: bool,
    (digests, watch): (bool, Option<usize>),
) -> Result<u8> {
    let mut worst = 0;
    for file in catalogue::files(&what.files)? {
        let sink = verbose.then(output::log);
        let plan = catalogue::load(&file, what.seed, &what.settings)?;
        let world = World::new(plan, Mutant::None, sink);
        let report = match watch {
            Some(second) => world.watching(second).run(),
            None => world.run(),
        };
        if json {
            output::line(&report.json(digests).to_string());
        } else {
            output::line(&report.line());
            if let Some(failure) = report.failure(&file, &what.settings) {
                output::line(&failure);
            }
        }
        worst = worse(worst, report.verdict.exit_code());
    }
    Ok(worst)
}

/// A broken invariant weighs more than a run that says nothing.
const fn worse(a: u8, b: u8) -> u8 {
    match (a, b) {
        (1, _) | (_, 1) => 1,
        _ if a > b => a,
        _ => b,
    }
}

fn compare(what: &What, against: Option<PathBuf>) -> Result<u8> {
    let binary = against.map_or_else(meta::this_binary, Ok)?;
    let mut worst = 0;
    for file in catalogue::files(&what.files)? {
        let (report, comparison) = meta::compare(&file, what.seed, &what.settings, &binary)?;
        match comparison {
            Comparison::Same => {
                output::line(&format!("same   {:<32} {:016x}", report.name, report.hash));
            }
            Comparison::Differ { second, event } => {
                let when =
                    second.map_or_else(|| "at its end".to_owned(), |s| format!("in second {s}"));
                output::line(&format!("DIFFER {:<32} first {when}", report.name));
                tell(event.as_ref());
                worst = NOT_DETERMINISTIC;
            }
        }
        if worst == 0 && report.verdict != Verdict::Pass {
            worst = report.verdict.exit_code();
        }
    }
    Ok(worst)
}

/// Prints the first event that differs.
fn tell(event: Option<&[Option<Step>; 2]>) {
    let Some(event) = event else {
        let text =
            "       run once more, that second is the same: look for what differs from run to run";
        return output::line(text);
    };
    for (side, step) in ["here", "there"].into_iter().zip(event) {
        let step = step.as_ref();
        let step = step.map_or_else(|| "the run is over".to_owned(), ToString::to_string);
        output::line(&format!("       {side:<5} {step}"));
    }
}

fn list(files: &[PathBuf], json: bool) -> Result<u8> {
    for file in catalogue::files(files)? {
        let scenario = Scenario::load(&file, &[])?;
        let waits = scenario.waits_for.map(|mechanism| mechanism.to_string());
        output::line(&if json {
            serde_json::json!({
                "name": scenario.name,
                "about": scenario.about,
                "file": file,
                "nodes": scenario.nodes,
                "faults": scenario.fault.len(),
                "workload": scenario.workload.len(),
                "waits_for": waits,
            })
            .to_string()
        } else {
            let waits = waits.map(|mechanism| format!("[waits for {mechanism}] "));
            let waits = waits.unwrap_or_default();
            format!("{:<32} {waits}{}", scenario.name, scenario.about)
        });
    }
    Ok(0)
}
