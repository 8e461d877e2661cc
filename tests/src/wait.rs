//! States are waited for, never slept for.

use std::{
    thread,
    time::{Duration, Instant},
};

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Deadlines are this many times the target: a busy machine is slow, a broken agent never gets there.
const PATIENCE: u32 = 10;

/// Looks until `probe` says `Ok`; returns what it found and how long that took.
///
/// # Panics
/// After ten times `target`, with the last thing that `probe` said.
pub fn until<T>(
    what: &str,
    target: Duration,
    probe: impl FnMut() -> Result<T, String>,
) -> (T, Duration) {
    since(Instant::now(), what, target, probe)
}

/// As [`until`], with the clock started at `begin`.
///
/// # Panics
/// As [`until`].
pub fn since<T>(
    begin: Instant,
    what: &str,
    target: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> (T, Duration) {
    let deadline = begin + target * PATIENCE;
    loop {
        match probe() {
            Ok(found) => return (found, begin.elapsed()),
            Err(reason) if Instant::now() >= deadline => {
                panic!("{what}: not within {:?}; last: {reason}", target * PATIENCE)
            }
            Err(_) => thread::sleep(LOOK_EVERY),
        }
    }
}

/// Looks until `end` and expects `probe` to say `Ok` each time; returns how often it did.
///
/// # Panics
/// At the first `Err`, with it.
pub fn throughout(
    what: &str,
    end: Instant,
    mut probe: impl FnMut() -> Result<(), String>,
) -> usize {
    let mut looks = 0;
    loop {
        if let Err(reason) = probe() {
            panic!("{what}: no longer so: {reason}");
        }
        looks += 1;
        if Instant::now() >= end {
            return looks;
        }
        thread::sleep(LOOK_EVERY * 20);
    }
}

/// `Ok` if `true`, else the text that `otherwise` gives.
///
/// # Errors
/// That text.
pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
