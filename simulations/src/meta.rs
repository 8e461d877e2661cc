//! The proof of determinism: the same run in another process, and in another build.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{Mutant, Report, catalogue};

/// What two runs of one scenario have to say about each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// They are the same.
    Same,
    /// They differ, in this second first.
    Differ {
        /// The second; `None` if they differ after the last full one.
        second: Option<usize>,
    },
}

/// What the other process says of its run.
#[derive(Debug, Deserialize)]
struct Other {
    trace: String,
    digests: Vec<String>,
}

/// Runs a scenario here and in a fresh process of `binary`, and compares the traces.
///
/// # Errors
/// The scenario cannot be read, or the other process cannot be run.
pub fn compare(
    file: &Path,
    seed: Option<u64>,
    settings: &[String],
    binary: &Path,
) -> Result<(Report, Comparison)> {
    let report = catalogue::run(file, seed, settings, Mutant::None, None)?;
    let other = elsewhere(file, seed, settings, binary)?;
    let comparison = judge(&report, &other);
    Ok((report, comparison))
}

fn elsewhere(file: &Path, seed: Option<u64>, settings: &[String], binary: &Path) -> Result<Other> {
    let mut command = Command::new(binary);
    command.args(["run", "--json", "--digests"]).arg(file);
    if let Some(seed) = seed {
        command.args(["--seed", &seed.to_string()]);
    }
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with('{'));
    ensure!(
        line.is_some(),
        "{} gave no report: {}",
        binary.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(line.unwrap_or_default()).context("the report cannot be read")
}

fn judge(report: &Report, other: &Other) -> Comparison {
    let hex = |hash: u64| format!("{hash:016x}");
    if hex(report.hash) == other.trace {
        return Comparison::Same;
    }
    // Each digest covers all before it, so the first difference is found by halving.
    let common = report.digests.len().min(other.digests.len());
    let seconds: Vec<usize> = (0..common).collect();
    let at =
        seconds.partition_point(|&second| hex(report.digests[second]) == other.digests[second]);
    Comparison::Differ {
        second: (at < common).then_some(at),
    }
}

/// The program that is running now.
///
/// # Errors
/// The system does not say.
pub fn this_binary() -> Result<PathBuf> {
    std::env::current_exe().context("cannot find this program's own file")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Verdict;

    fn report(digests: &[u64], hash: u64) -> Report {
        Report {
            name: "r".to_owned(),
            seed: 1,
            mutant: Mutant::None,
            hosts: 1,
            virtual_time: Duration::ZERO,
            events: 0,
            messages: 0,
            converged: None,
            false_downs: 0,
            rejoins: 0,
            figures: crate::figures::Figures::default(),
            pending: None,
            probes: std::collections::BTreeMap::new(),
            verdict: Verdict::Pass,
            hash,
            digests: digests.to_vec(),
        }
    }

    #[test]
    fn the_first_second_that_differs_is_named() {
        let other = |digests: &[u64], hash: u64| Other {
            trace: format!("{hash:016x}"),
            digests: digests
                .iter()
                .map(|digest| format!("{digest:016x}"))
                .collect(),
        };
        let here = report(&[1, 2, 3, 4], 5);
        assert_eq!(judge(&here, &other(&[1, 2, 3, 4], 5)), Comparison::Same);
        let differ = |second| Comparison::Differ { second };
        assert_eq!(judge(&here, &other(&[1, 2, 7, 8], 9)), differ(Some(2)));
        assert_eq!(judge(&here, &other(&[1, 2, 3, 4], 9)), differ(None));
    }
}
