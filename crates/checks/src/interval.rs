//! The loop of a check that is run every so often.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tidings_types::{Check, CheckId, CheckStatus};
use tokio::sync::watch;

use crate::{
    Sink,
    checks::{Facts, RETRY, Shared},
    clock::RunTime,
    observation::{Observation, held},
    output::{cut, limit_of},
    probe::{Found, Probe, timeout_of},
    thresholds::Thresholds,
};

/// Shorter intervals are raised to this.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// A check that the agent runs.
pub(crate) struct Interval<S> {
    id: CheckId,
    shared: Arc<Shared<S>>,
    facts: watch::Receiver<Facts>,
    check: Check,
    interval: Duration,
    timeout: Duration,
    output_bytes: usize,
    thresholds: Thresholds,
    observation: Observation,
    /// The output that was passed on last; `None` if that may have failed.
    passed_on: Option<String>,
}

impl<S: Sink> Interval<S> {
    pub(crate) fn new(
        id: &CheckId,
        check: &Check,
        shared: &Arc<Shared<S>>,
        facts: &watch::Receiver<Facts>,
    ) -> Self {
        Self {
            id: id.clone(),
            shared: Arc::clone(shared),
            facts: facts.clone(),
            check: check.clone(),
            interval: Duration::from_millis(check.interval_ms).max(INTERVAL_MIN),
            timeout: timeout_of(check),
            output_bytes: limit_of(check),
            thresholds: Thresholds::new(check),
            observation: Observation::default(),
            passed_on: Some(facts.borrow().output.clone()),
        }
    }

    /// Runs the check until the task is stopped: at its beats, the first of which is drawn by chance. So
    /// checks that were registered together do not run together, and do not come to it either when
    /// something else than the interval (a node that took no results) set the time of a run.
    pub(crate) async fn run(mut self) {
        let mut probe = self.probe().await;
        let mut beat = self.shared.clock.now() + uniform(&self.id, self.interval);
        let mut due = beat;
        loop {
            self.shared.clock.reach(due).await;
            if matches!(probe, Probe::Unasked) {
                // Somebody may have asked since, in a call that changed no record.
                probe = self.probe().await;
            }
            let sooner = match self.run_once(&probe).await {
                Some(found) => self.judge(found).await,
                None => Some(RETRY),
            };
            let now = self.shared.clock.now();
            beat = next_beat(beat, self.interval, now);
            due = sooner.map_or(beat, |pause| now + pause);
        }
    }

    /// How to run the check. The first HTTP client reads the system's certificates, which must not
    /// hold up whoever registers the check; whoever comes meanwhile waits for it without a thread.
    async fn probe(&self) -> Probe {
        let (check, shared) = (self.check.clone(), Arc::clone(&self.shared));
        if check.kind.runs_program() && !shared.may_run(&self.id, &check.kind) {
            return Probe::Unasked;
        }
        let make = move |shared: &Shared<S>| {
            Probe::new(&check, &shared.clients, &shared.setup.container_engine)
        };
        let is_slow = || Probe::reads_certificates(&self.check, &shared.clients);
        if !is_slow() {
            return make(&shared);
        }
        let reading = Arc::clone(&shared.reading).acquire_owned().await;
        if !is_slow() {
            return make(&shared);
        }
        let made = tokio::task::spawn_blocking(move || {
            // A thread goes on when its check is stopped.
            let _reading = reading;
            make(&shared)
        });
        made.await
            .expect("making a probe neither panics nor is cancelled while its task lives")
    }

    /// One run; `None` if it failed while this process stood still, which says nothing about the
    /// service.
    async fn run_once(&self, probe: &Probe) -> Option<Found> {
        let is_light = !self.check.kind.runs_program();
        let run = async {
            let stalls = self.shared.clock.stalls();
            (probe.run(self.timeout).await, stalls)
        };
        let (found, stalls) = self.shared.places.carry_out(is_light, run).await;
        self.shared.counters.runs.fetch_add(1, Relaxed);
        let stalled = self.shared.clock.stalls() != stalls;
        (found.status != CheckStatus::Critical || !stalled).then_some(found)
    }

    /// Counts a result and passes it on if it is news. Returns the pause before the next run, if that is
    /// not for the next beat.
    async fn judge(&mut self, found: Found) -> Option<Duration> {
        let in_force = self.facts.borrow().status;
        let now = self.shared.clock.now();
        let left = self
            .observation
            .left(&self.check, in_force, found.status, now);
        // What ends an observation is a run at its end.
        let pause = left.filter(|left| *left < self.interval);
        let Some(status) = self.thresholds.count(found.status) else {
            return pause;
        };
        let is_observed = self.check.observe_ms > 0 && in_force == CheckStatus::Critical;
        let (status, output) = match left {
            Some(_) => (CheckStatus::Critical, held(&self.check, &found.output)),
            // Too few failures in a row for critical are no success yet.
            None if is_observed && found.status == CheckStatus::Critical => {
                (in_force, found.output)
            }
            None => (status, found.output),
        };
        let output = cut(&output, self.output_bytes).to_owned();
        if status == in_force && self.passed_on.as_deref() == Some(&*output) {
            return pause;
        }
        let answer = self.shared.report(&self.id, status, output.clone()).await;
        self.passed_on = answer.then_some(output);
        if answer { pause } else { Some(RETRY) }
    }
}

impl<S> Clone for Interval<S> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            shared: Arc::clone(&self.shared),
            facts: self.facts.clone(),
            check: self.check.clone(),
            interval: self.interval,
            timeout: self.timeout,
            output_bytes: self.output_bytes,
            thresholds: self.thresholds.clone(),
            observation: self.observation,
            passed_on: self.passed_on.clone(),
        }
    }
}

impl<S: Sink> Shared<S> {
    /// Passes a result on. Returns false if it was refused.
    pub(crate) async fn report(&self, id: &CheckId, status: CheckStatus, output: String) -> bool {
        let answer = self.sink.report(id.clone(), status, output).await;
        let was_refusing = self.counters.refusing.swap(answer.is_err(), Relaxed);
        match &answer {
            Ok(()) => {
                self.counters.reports.fetch_add(1, Relaxed);
                tracing::debug!(check = %id, status = status.as_str(), "reported");
            }
            Err(refusal) => {
                self.counters.reports_refused.fetch_add(1, Relaxed);
                if !was_refusing {
                    tracing::warn!(check = %id, status = status.as_str(), %refusal, "the results of checks are refused and will be sent again");
                }
            }
        }
        answer.is_ok()
    }
}

/// The first of the beats, an interval apart, that leaves at least half of an interval after a run which
/// ends `now`: runs of one check never overlap, and a slow one has its pause too.
fn next_beat(last: RunTime, interval: Duration, now: RunTime) -> RunTime {
    let behind = (now + interval / 2).saturating_sub(last);
    let beats = behind.as_nanos().div_ceil(interval.as_nanos()).max(1);
    last + interval.saturating_mul(u32::try_from(beats).unwrap_or(u32::MAX))
}

/// A span drawn evenly from zero to `max`, so that checks that were registered together do not run
/// together.
fn uniform(id: &CheckId, max: Duration) -> Duration {
    let millis = u64::try_from(max.as_millis()).unwrap_or(u64::MAX);
    // The hasher is keyed by the operating system's randomness at each call.
    Duration::from_millis(RandomState::new().hash_one(id) % millis.max(1))
}

#[cfg(test)]
mod tests {
    use tidings_view::Commands;

    use super::*;

    /// An agent has 10,000 of them, nearly all of which wait at any time.
    #[test]
    fn a_check_that_waits_holds_little() {
        const fn bytes<A, F>(_: &impl Fn(A) -> F) -> usize {
            size_of::<F>()
        }
        let held = bytes(&Interval::<Commands>::run);
        assert!(held <= 5_000, "{held} bytes");
    }

    #[test]
    fn beats_are_kept_whatever_a_run_takes() {
        let beat_after = |taken: u64| {
            let [last, interval] = [3, 10].map(Duration::from_secs);
            let now = last + Duration::from_secs(taken);
            next_beat(last, interval, now).as_secs()
        };
        assert_eq!(
            [0, 1, 5, 6, 10, 15, 16].map(beat_after),
            [13, 13, 13, 23, 23, 23, 33]
        );
    }

    /// Each tenth of a second has 100 of 10,000 first runs, give or take seven times the deviation
    /// of chance, 10.
    #[test]
    fn checks_that_are_registered_together_do_not_begin_together() {
        let interval = Duration::from_secs(10);
        let mut starts = [0; 100];
        for number in 0..10_000 {
            let id = CheckId::new(format!("check-{number}")).unwrap();
            let start = uniform(&id, interval).as_millis();
            starts[usize::try_from(start / 100).unwrap()] += 1;
        }
        assert!(
            starts.iter().all(|at| (30..=170).contains(at)),
            "{starts:?}"
        );
    }
}
