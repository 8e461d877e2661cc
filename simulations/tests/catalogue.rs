//! Every regression, once. The scenarios are run by `tidings-sim run`.

use std::{
    path::{Path, PathBuf},
    thread,
};

use tidings_sim::{Mutant, Verdict, catalogue};

/// Runs every scenario of a folder, two at a time, and names those that fail.
fn run_all(folder: &str) -> usize {
    let files =
        catalogue::files(&[PathBuf::from(folder)]).expect("the folder ships with the simulator");
    let (even, odd): (Vec<_>, Vec<_>) = files.iter().enumerate().partition(|(nth, _)| nth % 2 == 0);
    let run = |files: Vec<(usize, &PathBuf)>| -> Vec<String> {
        files.iter().filter_map(|(_, file)| failure(file)).collect()
    };
    let failures: Vec<String> = thread::scope(|scope| {
        let other = scope.spawn(|| run(odd));
        let mut failures = run(even);
        failures.extend(other.join().expect("a broken run is a report, not a panic"));
        failures
    });
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    files.len()
}

fn failure(file: &Path) -> Option<String> {
    match catalogue::run(file, None, &[], Mutant::None, None) {
        Ok(report) if report.verdict == Verdict::Pass => None,
        Ok(report) => Some(format!(
            "{}\n{}",
            report.line(),
            report.failure(file, &[]).unwrap_or_default()
        )),
        Err(error) => Some(format!("{}: {error:#}", file.display())),
    }
}

#[test]
fn every_regression_passes() {
    assert!(run_all(catalogue::REGRESSIONS) > 5);
}

/// Who mends one moves it to the regressions.
#[test]
fn every_open_finding_still_fails_as_its_name_says() {
    for file in catalogue::files(&[PathBuf::from(catalogue::OPEN)]).unwrap() {
        let report = catalogue::run(&file, None, &[], Mutant::None, None).unwrap();
        let invariant = report.name.split('-').next().unwrap().to_uppercase();
        assert!(
            matches!(&report.verdict, Verdict::Broken(violation) if violation.invariant == invariant),
            "{} does not break {invariant} any more",
            report.name
        );
    }
}

/// A scenario whose mechanism has come is refused until its mark is taken away.
#[test]
fn every_scenario_can_be_made_concrete_and_none_waits_in_vain() {
    let files = catalogue::files(&[PathBuf::from(catalogue::SCENARIOS)]).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for file in files {
        let plan = catalogue::load(&file, None, &[]).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(names.insert(plan.name));
    }
    assert!(names.len() > 40);
}

#[test]
fn two_runs_of_one_seed_are_the_same_and_two_seeds_are_not() {
    let file = Path::new(catalogue::SCENARIOS).join("clean-split-half.toml");
    let run = |seed| catalogue::run(&file, Some(seed), &[], Mutant::None, None).unwrap();
    let (first, again, other) = (run(3), run(3), run(4));
    assert_eq!((first.hash, &first.digests), (again.hash, &again.digests));
    assert_ne!(first.hash, other.hash);
}
