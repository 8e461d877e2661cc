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
    output_bytes: usize,
}

impl<S: Sink> Ttl<S> {
    pub(crate) fn new(
        id: &CheckId,
        check: &Check,
        shared: &Arc<Shared<S>>,
        facts: &watch::Receiver<Facts>,
    ) -> Self {
        let ttl_ms = match check.kind {
            CheckKind::Ttl { ttl_ms } => ttl_ms,
            _ => check.interval_ms,
        };
        Self {
            id: id.clone(),
            shared: Arc::clone(shared),
            facts: facts.clone(),
            // A time to live of nothing would spin; one millisecond expires as surely.
            ttl: Duration::from_millis(ttl_ms.max(1)),
            output_bytes: limit_of(check),
        }
    }

    /// Watches over the check until the task is stopped.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let first = self.facts.borrow_and_update().clone();
        let mut touches = first.touches;
        let mut due = shared.clock.now() + self.ttl;
        // An expiry from before a restart needs no second report.
        let mut expired =
            first.status == CheckStatus::Critical && first.output.starts_with(EXPIRED);
        loop {
            tokio::select! {
                biased;
                changed = self.facts.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let seen = self.facts.borrow_and_update().touches;
                    if seen != touches {
                        touches = seen;
                        due = shared.clock.now() + self.ttl;
                        expired = false;
                    }
                }
                () = shared.clock.reach(due), if !expired => {
                    expired = self.expire().await;
                    due = shared.clock.now() + RETRY;
                }
            }
        }
    }

    /// Reports the expiry. Returns false if that was refused.
    async fn expire(&self) -> bool {
        let last = self.facts.borrow().touched_output.clone();
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

impl<S> Clone for Ttl<S> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            shared: Arc::clone(&self.shared),
            facts: self.facts.clone(),
            ttl: self.ttl,
            output_bytes: self.output_bytes,
        }
    }
}
