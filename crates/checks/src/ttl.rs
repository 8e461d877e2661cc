//! The loop of a check that its client keeps alive.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tidings_types::{Check, CheckId, CheckKind, CheckStatus};
use tokio::sync::watch;

use crate::{
    Sink,
    checks::{Facts, RETRY, Shared},
    clock::RunTime,
    observation::held,
    output::{cut, limit_of},
};

/// What an expired check says first.
const EXPIRED: &str = "TTL expired";

/// A check that turns critical unless its client reports in time.
pub(crate) struct Ttl<S> {
    id: CheckId,
    shared: Arc<Shared<S>>,
    facts: watch::Receiver<Facts>,
    ttl: Duration,
    check: Check,
    output_bytes: usize,
}

impl<S: Sink> Ttl<S> {
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
            ttl: ttl_of(check).unwrap_or(Duration::MAX),
            check: check.clone(),
            output_bytes: limit_of(check),
        }
    }

    /// Watches over the check until the task is stopped.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let first = self.facts.borrow_and_update().clone();
        let mut times = first.touched.times;
        // The end of an observation that was refused is told again.
        let mut again = Duration::ZERO;
        let mut due = shared.clock.now() + self.ttl;
        // An expiry from before a restart needs no second report.
        let mut expired =
            first.status == CheckStatus::Critical && first.output.starts_with(EXPIRED);
        loop {
            let ends = self.observation_ends().map(|ends| ends.max(again));
            tokio::select! {
                biased;
                changed = self.facts.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let seen = self.facts.borrow_and_update().touched.times;
                    if seen != times {
                        times = seen;
                        due = shared.clock.now() + self.ttl;
                        expired = false;
                    }
                }
                () = shared.clock.reach(due), if !expired => {
                    expired = self.expire().await;
                    due = shared.clock.now() + RETRY;
                }
                () = shared.clock.reach(ends.unwrap_or(Duration::MAX)), if !expired && ends.is_some() => {
                    self.pass_on().await;
                    again = shared.clock.now() + RETRY;
                }
            }
        }
    }

    /// When what the client last said counts, if that is still to come.
    fn observation_ends(&self) -> Option<RunTime> {
        let facts = self.facts.borrow();
        let is_held = facts.status == CheckStatus::Critical;
        let ends = facts.touched.observation.ends(&self.check);
        ends.filter(|_| is_held)
    }

    /// Reports what the client last said, once it counts. What the client says meanwhile goes to the node
    /// by itself and may come there first: then it is reported again, so that it is the last word.
    async fn pass_on(&self) {
        loop {
            let touched = self.facts.borrow().touched.clone();
            let ends = touched.observation.ends(&self.check);
            let is_held = ends.is_some_and(|ends| ends > self.shared.clock.now());
            let (status, output) = if is_held {
                (CheckStatus::Critical, held(&self.check, &touched.output))
            } else {
                (touched.status, touched.output)
            };
            let output = cut(&output, self.output_bytes).to_owned();
            self.shared.report(&self.id, status, output).await;
            if self.facts.borrow().touched.times == touched.times {
                return;
            }
        }
    }

    /// Reports the expiry. Returns false if that was refused.
    async fn expire(&self) -> bool {
        let last = self.facts.borrow().touched.output.clone();
        let text = if last.is_empty() || last.starts_with(EXPIRED) {
            EXPIRED.to_owned()
        } else {
            format!("{EXPIRED} (last output before timeout follows): {last}")
        };
        let output = cut(&text, self.output_bytes).to_owned();
        let taken = self
            .shared
            .report(&self.id, CheckStatus::Critical, output)
            .await;
        if taken {
            self.shared.counters.expirations.fetch_add(1, Relaxed);
        }
        taken
    }
}

/// The time to live of a TTL check.
pub(crate) fn ttl_of(check: &Check) -> Option<Duration> {
    match check.kind {
        // A time to live of nothing would spin; one millisecond expires as surely.
        CheckKind::Ttl { ttl_ms } => Some(Duration::from_millis(ttl_ms.max(1))),
        _ => None,
    }
}

impl<S> Clone for Ttl<S> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            shared: Arc::clone(&self.shared),
            facts: self.facts.clone(),
            ttl: self.ttl,
            check: self.check.clone(),
            output_bytes: self.output_bytes,
        }
    }
}
