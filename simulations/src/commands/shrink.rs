//! `shrink`: a failing scenario made small.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use tidings_sim::{Mutant, Scenario, catalogue, shrink};

use crate::output;

#[derive(Args)]
pub(crate) struct Shrink {
    /// A scenario that fails.
    file: PathBuf,
    /// How long to try.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The guard without which it fails. Needs a build with the feature `mutants`.
    #[arg(long, default_value = "none")]
    mutant: Mutant,
    /// Where the small scenario is written; into the folder of regressions if absent.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Makes the scenario small and writes it.
pub(crate) fn run(args: &Shrink) -> Result<u8> {
    let scenario = Scenario::load(&args.file, &[])?;
    let out = args.out.clone().unwrap_or_else(|| {
        let file = format!("{}.toml", scenario.name);
        PathBuf::from(catalogue::REGRESSIONS).join(file)
    });
    let budget = Duration::from_secs(args.minutes * 60);
    let mut small = output::without_panics(|| shrink::shrink(&scenario, args.mutant, budget))?;
    let stem = out.file_stem().and_then(|stem| stem.to_str());
    stem.unwrap_or(&scenario.name)
        .clone_into(&mut small.scenario.name);
    fs::write(&out, small.scenario.text())
        .with_context(|| format!("cannot write {}", out.display()))?;
    let (before, after) = (small.before, small.after);
    if args.json {
        let size = |size: shrink::Size| {
            serde_json::json!({
                "nodes": size.hosts, "faults": size.faults, "workload": size.calls,
            })
        };
        let report = serde_json::json!({
            "file": out,
            "invariant": small.violation.invariant,
            "reason": small.violation.to_string(),
            "before": size(before),
            "after": size(after),
            "runs": small.runs,
            "cut_short": small.is_cut_short,
        });
        output::line(&report.to_string());
        return Ok(0);
    }
    output::line(&format!("{:<10} {:>6} {:>6}", "", "before", "after"));
    for (what, before, after) in [
        ("nodes", before.hosts, after.hosts),
        ("faults", before.faults, after.faults),
        ("workload", before.calls, after.calls),
    ] {
        output::line(&format!("{what:<10} {before:>6} {after:>6}"));
    }
    let more = if small.is_cut_short {
        "; the time was up, and there may be more to leave out"
    } else {
        ""
    };
    output::line(&format!("{}", small.violation));
    output::line(&format!(
        "{} after {} runs{more}",
        out.display(),
        small.runs
    ));
    Ok(0)
}
