//! `trace`: runs one scenario and draws what happened.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tidings_sim::{Mutant, Recording, Report, Verdict, catalogue, page, recording};

use crate::output;

/// What is drawn, and where to.
#[derive(Args)]
pub(crate) struct Trace {
    /// The scenario's file.
    file: PathBuf,
    /// A page to look at: all in one file, without a network request.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A picture of the whole run.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// A trace for ui.perfetto.dev.
    #[arg(long, value_name = "FILE")]
    perfetto: Option<PathBuf>,
    /// Prints what was recorded, one JSON object per line.
    #[arg(long)]
    json: bool,
    /// Replaces the file's seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Replaces a field of the file: `config.jitter=false`, `nodes=7`.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    settings: Vec<String>,
    /// Takes this guard out of the core. Needs a build with the feature `mutants`.
    #[arg(long, default_value = "none")]
    mutant: Mutant,
}

/// Runs and draws; the exit code is the run's, as of `run`.
pub(crate) fn run(args: &Trace) -> Result<u8> {
    let targets = [&args.html, &args.svg, &args.perfetto];
    ensure!(
        args.json || targets.iter().any(|target| target.is_some()),
        "say what to draw: --html FILE, --svg FILE, --perfetto FILE, or --json"
    );
    ensure!(
        cfg!(feature = "mutants") || args.mutant == Mutant::None,
        "this build has no mutants; build with --features mutants"
    );
    let (report, recording) =
        catalogue::record(&args.file, args.seed, &args.settings, args.mutant)?;
    if let Verdict::Waiting(mechanism) = report.verdict {
        bail!("it waits for {mechanism}, which the core is yet to have: there is no run to draw");
    }
    draw(args, recording, &report)?;
    Ok(report.verdict.exit_code())
}

fn draw(args: &Trace, recording: Recording, report: &Report) -> Result<()> {
    if args.json {
        for line in recording::lines(&recording, report) {
            output::line(&line);
        }
    } else {
        output::line(&report.line());
    }
    if let Some(file) = &args.svg {
        write(args, file, &page::svg(&recording, report))?;
    }
    if let Some(file) = &args.perfetto {
        write(args, file, &page::perfetto(&recording, report))?;
    }
    if let Some(file) = &args.html {
        write(
            args,
            file,
            &page::html(recording, report, &again(args, report)),
        )?;
    }
    Ok(())
}

fn write(args: &Trace, file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    if !args.json {
        let kilobytes = text.len().div_ceil(1_000);
        output::line(&format!("  wrote {} ({kilobytes} kB)", file.display()));
    }
    Ok(())
}

/// The command that makes the same run again.
fn again(args: &Trace, report: &Report) -> String {
    let mut command = format!(
        "tidings-sim trace {} --seed {}",
        args.file.display(),
        report.seed
    );
    for setting in &args.settings {
        command.push_str(" --set ");
        command.push_str(setting);
    }
    if args.mutant != Mutant::None {
        command.push_str(" --mutant ");
        command.push_str(args.mutant.name());
    }
    command
}
