//! Time without the stalls of this process.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// How often the clock is read even if nobody asks for the time.
const BEAT: Duration = Duration::from_millis(250);
/// A longer gap between two readings means that the process was stopped or starved.
const STALL: Duration = Duration::from_secs(1);
/// How long the clock stands still after a stall, while clients' waiting reports come in.
const SETTLE: Duration = Duration::from_secs(1);

/// Time since the clock's start in which this process was running.
pub(crate) type RunTime = Duration;

/// A clock that does not count the time in which this process was stopped (SIGSTOP, a frozen
/// virtual machine, a starved runtime), nor the second after it.
#[derive(Debug)]
pub(crate) struct RunClock(Mutex<Reading>);

#[derive(Debug)]
struct Reading {
    last: Instant,
    running: RunTime,
    hold_until: Instant,
    stalls: u64,
}

impl RunClock {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(Reading {
            last: now,
            running: RunTime::ZERO,
            hold_until: now,
            stalls: 0,
        }))
    }

    /// The time now.
    pub(crate) fn now(&self) -> RunTime {
        self.read(|reading| reading.running)
    }

    /// Stalls seen so far, one that has just ended included.
    pub(crate) fn stalls(&self) -> u64 {
        self.read(|reading| reading.stalls)
    }

    /// Waits until the clock shows `due`.
    pub(crate) async fn reach(&self, due: RunTime) {
        loop {
            let left = self.read(|reading| {
                let held = reading.hold_until.saturating_duration_since(reading.last);
                match due.saturating_sub(reading.running) {
                    Duration::ZERO => Duration::ZERO,
                    left => held.saturating_add(left),
                }
            });
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    /// Keeps the clock honest; must run for as long as the clock is used.
    pub(crate) async fn beat(&self) {
        loop {
            self.now();
            sleep(BEAT).await;
        }
    }

    /// Brings the reading up to date. Each reader does this, so a timer that wakes after a stall
    /// before the heartbeat does cannot mistake the stall for time that passed.
    fn read<T>(&self, look: impl FnOnce(&Reading) -> T) -> T {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.saturating_duration_since(reading.last) > STALL {
            reading.stalls += 1;
            reading.hold_until = now + SETTLE;
        } else {
            let from = reading.last.max(reading.hold_until);
            reading.running += now.saturating_duration_since(from);
        }
        reading.last = now;
        look(&reading)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_passes_while_the_heartbeat_beats() {
        let clock = Arc::new(RunClock::new());
        let beating = Arc::clone(&clock);
        let heart = tokio::spawn(async move { beating.beat().await });
        let start = Instant::now();
        clock.reach(Duration::from_secs(30)).await;
        let took = start.elapsed();
        heart.abort();
        assert_eq!(clock.stalls(), 0);
        assert!(took >= Duration::from_secs(30) && took < Duration::from_millis(30_010));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_and_the_second_after_it_do_not_count() {
        let clock = RunClock::new();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.now(), Duration::ZERO);
        assert_eq!(clock.stalls(), 1);
        tokio::time::advance(Duration::from_millis(900)).await;
        assert_eq!(clock.now(), Duration::ZERO);
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!(clock.now(), Duration::from_millis(200));
    }
}
