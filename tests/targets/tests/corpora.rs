//! The corpora that fuzzing found, and mutations of them, on stable.

use std::{
    env,
    io::{Write, stderr},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Instant,
};

use tidings_fuzz_targets::{Mutator, TARGETS, corpus};

/// Mutations of all targets together; [`VARIABLE`] asks for another number.
const MUTATIONS: usize = 120_000;
const VARIABLE: &str = "TIDINGS_MUTATIONS";
const SEED: u64 = 0x0007_1d19_65ca_fe00;

#[test]
fn every_specimen_and_its_mutations_keep_the_promises() {
    let named = env::var(VARIABLE).ok();
    let mutations = named.map_or(MUTATIONS, |number| {
        number.parse().expect("TIDINGS_MUTATIONS is a number")
    });
    for (name, target) in TARGETS {
        let specimens = corpus(name);
        let begin = Instant::now();
        for (number, specimen) in specimens.iter().enumerate() {
            run(target, specimen, &format!("specimen {number} of {name}"));
        }
        let known = specimens.len();
        let mut mutator = Mutator::new(specimens, SEED);
        let share = mutations / TARGETS.len();
        for number in 0..share {
            let input = mutator.next_input();
            run(target, &input, &format!("mutation {number} of {name}"));
        }
        let ms = begin.elapsed().as_millis();
        // Past the harness, which hides what a passing test prints.
        let _ = writeln!(
            stderr().lock(),
            "measured: {name} specimens={known} mutations={share} seed={SEED:#x} took={ms}ms"
        );
    }
}

fn run(target: fn(&[u8]), input: &[u8], what: &str) {
    let done = catch_unwind(AssertUnwindSafe(|| target(input)));
    if let Err(panic) = done {
        let _ = writeln!(stderr().lock(), "{what}: {input:?}");
        resume_unwind(panic);
    }
}

#[test]
fn corpora_stay_small() {
    for (name, _) in TARGETS {
        let bytes: usize = corpus(name).iter().map(Vec::len).sum();
        assert!(bytes <= 64 << 10, "{name}: {bytes} bytes");
    }
}
