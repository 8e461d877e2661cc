//! Notices when the driver stands still, and says so from outside of the runtime.
//!
//! A loop that hangs answers nobody and tells nobody; peers would find it dead while HTTP still
//! answers from memory. The watchdog is a plain thread, so a starved runtime cannot silence it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// How often the watchdog looks.
const LOOK: Duration = Duration::from_secs(1);
/// Looks without a turn of the loop after which it is reported, and again after as many more.
const REPORT_AFTER: u64 = 5;
/// Looks without a turn of the loop after which the process ends, so that its supervisor starts it
/// anew: peers took the agent for dead long before.
const ABORT_AFTER: u64 = 60;

/// The driver's side: counts turns of its loop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    turns: AtomicU64,
    over: AtomicBool,
}

impl Pulse {
    /// The loop has turned. Must be called about each second.
    pub(crate) fn turn(&self) {
        self.0.turns.fetch_add(1, Relaxed);
    }

    /// How often the loop has turned.
    pub(crate) fn turns(&self) -> u64 {
        self.0.turns.load(Relaxed)
    }
}

/// The watching thread; ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog(Pulse);

impl Watchdog {
    /// Begins to watch `pulse`.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub(crate) fn start(pulse: Pulse) -> std::io::Result<Self> {
        let watched = pulse.clone();
        thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || watch(&watched))?;
        Ok(Self(pulse))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.0.over.store(true, Relaxed);
    }
}

fn watch(pulse: &Pulse) {
    let mut judge = Judge::default();
    while !pulse.0.over.load(Relaxed) {
        let before = Instant::now();
        thread::sleep(LOOK);
        let paused = before.elapsed().saturating_sub(LOOK);
        if paused > LOOK {
            tracing::warn!(
                seconds = paused.as_secs_f32(),
                "this process stood still: it was stopped, or its host was overloaded"
            );
        }
        match judge.look(pulse.0.turns.load(Relaxed)) {
            Verdict::Turning => {}
            Verdict::Stalled(looks) => {
                tracing::error!(
                    seconds = looks,
                    "the driver's loop stands still: nothing is registered and no peer is answered"
                );
            }
            Verdict::Dead => {
                tracing::error!(
                    seconds = ABORT_AFTER,
                    "the driver's loop does not come back; the process ends so that it can be started anew"
                );
                std::process::abort();
            }
        }
    }
}

/// Counts looks and not seconds: a process that was stopped for an hour has missed no look.
#[derive(Debug, Default)]
struct Judge {
    turns: u64,
    looks: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Turning,
    Stalled(u64),
    Dead,
}

impl Judge {
    fn look(&mut self, turns: u64) -> Verdict {
        if turns != self.turns {
            *self = Self { turns, looks: 0 };
            return Verdict::Turning;
        }
        self.looks += 1;
        if self.looks >= ABORT_AFTER {
            Verdict::Dead
        } else if self.looks.is_multiple_of(REPORT_AFTER) {
            Verdict::Stalled(self.looks)
        } else {
            Verdict::Turning
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_still_is_reported_and_at_last_ended() {
        let mut judge = Judge::default();
        assert_eq!(judge.look(1), Verdict::Turning);
        let verdicts: Vec<_> = (0..ABORT_AFTER).map(|_| judge.look(1)).collect();
        assert_eq!(verdicts[3], Verdict::Turning);
        assert_eq!(verdicts[4], Verdict::Stalled(5));
        assert_eq!(verdicts[9], Verdict::Stalled(10));
        assert_eq!(verdicts.last(), Some(&Verdict::Dead));
    }

    #[test]
    fn one_turn_makes_up_for_all() {
        let mut judge = Judge::default();
        judge.look(1);
        (1..ABORT_AFTER).for_each(|_| {
            judge.look(1);
        });
        assert_eq!(judge.look(2), Verdict::Turning);
        assert_eq!(judge.look(2), Verdict::Turning);
    }
}
