//! The proof of determinism: the same run in another process, and in another build.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tidings_types::Timestamp;

use crate::{Mutant, Report, World, catalogue, trace::Step};

/// What two runs of one scenario have to say about each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// They are the same.
    Same,
    /// They differ, in this second first.
    Differ {
        /// The second; `None` if they differ after the last full one.
        second: Option<usize>,
        /// The first event that differs, as it was here and there; `None` for an end of the run.
        ///
        /// Absent if the second was the same when both ran once more: what differs then differs from
        /// run to run, and in another place each time.
        event: Option<[Option<Step>; 2]>,
    },
}

/// What the other process says of its run.
#[derive(Debug, Deserialize)]
struct Other {
    trace: String,
    digests: Vec<String>,
    #[serde(default)]
    steps: Option<Vec<OtherStep>>,
}

/// An event as the other process says it.
#[derive(Debug, Deserialize)]
struct OtherStep {
    micros: u64,
    seq: u64,
    host: Option<usize>,
    kind: String,
    digest: String,
}

impl Other {
    /// The events of the second that was watched.
    fn steps(&self) -> Vec<Step> {
        let step = |step: &OtherStep| Step {
            at: Timestamp::from_micros(step.micros),
            seq: step.seq,
            host: step.host,
            kind: step.kind.clone(),
            digest: u64::from_str_radix(&step.digest, 16).unwrap_or_default(),
        };
        self.steps.iter().flatten().map(step).collect()
    }
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
    let run = Run {
        file,
        seed,
        settings,
    };
    let report = run.here(None)?;
    let other = run.elsewhere(binary, None)?;
    let Some(second) = first_second(&report, &other) else {
        return Ok((report, Comparison::Same));
    };
    // Once more, both keeping every event of that second.
    let again = run.here(Some(second))?;
    let other = run.elsewhere(binary, Some(second))?;
    let comparison = Comparison::Differ {
        second: (second < report.digests.len()).then_some(second),
        event: first_event(&again.steps, &other.steps()),
    };
    Ok((report, comparison))
}

/// What both processes run.
struct Run<'a> {
    file: &'a Path,
    seed: Option<u64>,
    settings: &'a [String],
}

impl Run<'_> {
    fn here(&self, watched: Option<usize>) -> Result<Report> {
        let plan = catalogue::load(self.file, self.seed, self.settings)?;
        let world = World::new(plan, Mutant::None, None);
        Ok(match watched {
            Some(second) => world.watching(second).run(),
            None => world.run(),
        })
    }

    fn elsewhere(&self, binary: &Path, watched: Option<usize>) -> Result<Other> {
        let mut command = Command::new(binary);
        command.args(["run", "--json", "--digests"]).arg(self.file);
        if let Some(second) = watched {
            command.args(["--watch", &second.to_string()]);
        }
        if let Some(seed) = self.seed {
            command.args(["--seed", &seed.to_string()]);
        }
        for setting in self.settings {
            command.args(["--set", setting]);
        }
        read(command, binary)
    }
}

fn read(mut command: Command, binary: &Path) -> Result<Other> {
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

/// The first second in which two runs differ; the one after the last full one counts.
fn first_second(report: &Report, other: &Other) -> Option<usize> {
    let hex = |hash: u64| format!("{hash:016x}");
    if hex(report.hash) == other.trace {
        return None;
    }
    // Each digest covers all before it, so the first difference is found by halving.
    let common = report.digests.len().min(other.digests.len());
    let seconds: Vec<usize> = (0..common).collect();
    Some(seconds.partition_point(|&second| hex(report.digests[second]) == other.digests[second]))
}

/// The first event that is not the same in two runs, found by halving as well.
fn first_event(here: &[Step], there: &[Step]) -> Option<[Option<Step>; 2]> {
    let pairs: Vec<_> = here.iter().zip(there).collect();
    let at = pairs.partition_point(|(here, there)| here.digest == there.digest);
    let event = [here.get(at).cloned(), there.get(at).cloned()];
    event.iter().any(Option::is_some).then_some(event)
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
            steps: Vec::new(),
        }
    }

    fn step(seq: u64, digest: u64) -> Step {
        Step {
            at: Timestamp::from_micros(seq),
            seq,
            host: Some(1),
            kind: "timeout".to_owned(),
            digest,
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
            steps: None,
        };
        let here = report(&[1, 2, 3, 4], 5);
        assert_eq!(first_second(&here, &other(&[1, 2, 3, 4], 5)), None);
        assert_eq!(first_second(&here, &other(&[1, 2, 7, 8], 9)), Some(2));
        assert_eq!(first_second(&here, &other(&[1, 2, 3, 4], 9)), Some(4));
    }

    #[test]
    fn the_first_event_that_differs_is_named_as_it_was_on_both_sides() {
        let here = [step(1, 10), step(2, 20), step(3, 30)];
        assert_eq!(first_event(&here, &here), None);
        let there = [step(1, 10), step(5, 25), step(3, 35)];
        let differ = [Some(step(2, 20)), Some(step(5, 25))];
        assert_eq!(first_event(&here, &there), Some(differ));
        let ended = [Some(step(3, 30)), None];
        assert_eq!(first_event(&here, &here[..2]), Some(ended));
    }
}
