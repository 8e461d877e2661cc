//! The proof of determinism, tried on runs that are repeatable and on one that is not.

use std::{path::Path, thread};

use tidings_sim::{Mutant, Report, catalogue};

const SCENARIO: &str = "clean-split-half.toml";

fn run() -> Report {
    let file = Path::new(catalogue::SCENARIOS).join(SCENARIO);
    catalogue::run(&file, Some(3), &[], Mutant::None, None)
        .expect("the scenario ships with the simulator")
}

#[test]
fn many_jobs_give_the_same_trace_as_one() {
    let alone = run();
    let together: Vec<Report> = thread::scope(|scope| {
        let jobs: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    });
    for report in together {
        assert_eq!(
            (report.hash, report.digests),
            (alone.hash, alone.digests.clone())
        );
    }
}

/// From the seventh second on a clock shows something else in each process.
#[cfg(feature = "mutants")]
#[test]
fn the_event_is_named_that_differs_first() {
    let file = Path::new(catalogue::SCENARIOS).join(SCENARIO);
    let meta = |drift: Option<&str>| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidings-sim"));
        command.arg("meta").arg(&file);
        command.envs(drift.map(|second| ("TIDINGS_SIM_DRIFT", second)));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = meta(None);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("same "), "{text}");

    let (code, text) = meta(Some("7"));
    assert_eq!(code, Some(3), "{text}");
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    assert!(lines[0].ends_with("first in second 7"), "{text}");
    for (line, side) in lines[1..].iter().zip(["here", "there"]) {
        assert!(line.starts_with(side), "{text}");
        assert!(line.contains("at 7.000000s, number "), "{text}");
        assert!(line.contains(", n0, wall clock, digest "), "{text}");
    }
    assert_ne!(lines[1].get(5..), lines[2].get(5..));
}
