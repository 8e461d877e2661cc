//! `replay`: the exact run of a file, with its log.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use tidings_sim::{Mutant, Verdict, World, catalogue, span::Span, trace::Sink};
use tidings_types::Timestamp;

use crate::output;

#[derive(Args)]
pub(crate) struct Replay {
    /// The scenario.
    file: PathBuf,
    /// Replaces its seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Replaces a field, as in `config.jitter=false`.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    settings: Vec<String>,
    /// Ends at this moment, as in `12.5s`, and judges nothing after it.
    #[arg(long)]
    until: Option<Span>,
    /// Prints what happens at this host alone.
    #[arg(long)]
    node: Option<usize>,
    /// Takes this guard out of the core. Needs a build with the feature `mutants`.
    #[arg(long, default_value = "none")]
    mutant: Mutant,
}

/// Runs the scenario and prints one line per event; returns the exit code.
pub(crate) fn run(args: &Replay) -> Result<u8> {
    let mut plan = catalogue::load(&args.file, args.seed, &args.settings)?;
    if let Some(node) = args.node {
        ensure!(
            node < plan.hosts,
            "there is no host {node}; hosts are 0 to {}",
            plan.hosts - 1
        );
    }
    let until = args.until.map(|until| Timestamp::ZERO + until.get());
    let is_cut = until.is_some_and(|until| until < plan.end);
    plan.end = until.map_or(plan.end, |until| until.min(plan.end));
    let end = plan.end;
    let report = World::new(plan, args.mutant, Some(sink(args.node))).run();
    if is_cut && !broke_before(&report.verdict, end) {
        output::line(&format!(
            "{end:>14} --  ends here, before anything was judged that comes later"
        ));
        return Ok(0);
    }
    output::line(&report.line());
    if let Some(failure) = report.failure(&args.file, &args.settings) {
        output::line(&failure);
    }
    Ok(report.verdict.exit_code())
}

fn broke_before(verdict: &Verdict, end: Timestamp) -> bool {
    matches!(verdict, Verdict::Broken(violation) if violation.at < end)
}

/// Lines of one host, and of what happens to all.
fn sink(node: Option<usize>) -> Sink {
    let Some(node) = node else {
        return output::log();
    };
    let name = format!("n{node}");
    Box::new(move |line| {
        let at = line.split_whitespace().nth(1);
        if at.is_some_and(|at| at == "--" || at == name) {
            output::line(line);
        }
    })
}
