//! Deregistration of an instance whose check stays critical.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tidings_types::{Check, CheckId, ServiceId};
use tokio::sync::watch;

use crate::{
    Sink,
    checks::{Facts, RETRY, Shared},
};

/// Asks for the deregistration of one check's instance.
pub(crate) struct Reaper<S> {
    id: CheckId,
    service: ServiceId,
    after: Duration,
    shared: Arc<Shared<S>>,
    facts: watch::Receiver<Facts>,
}

impl<S: Sink> Reaper<S> {
    /// `None` if the check never deregisters anything.
    pub(crate) fn new(
        id: &CheckId,
        check: &Check,
        shared: &Arc<Shared<S>>,
        facts: &watch::Receiver<Facts>,
    ) -> Option<Self> {
        let service = check.service.clone()?;
        (check.deregister_after_ms > 0).then(|| Self {
            id: id.clone(),
            service,
            after: Duration::from_millis(check.deregister_after_ms),
            shared: Arc::clone(shared),
            facts: facts.clone(),
        })
    }

    /// Waits for the time to come, until the task is stopped.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut not_before = Duration::ZERO;
        loop {
            let since = self.facts.borrow_and_update().critical_since;
            let due = since.map_or(Duration::MAX, |since| {
                since.saturating_add(self.after).max(not_before)
            });
            tokio::select! {
                biased;
                changed = self.facts.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = shared.clock.reach(due), if since.is_some() => {
                    self.deregister().await;
                    // The instance's removal stops this task; if it was refused, ask again.
                    not_before = shared.clock.now() + RETRY;
                }
            }
        }
    }

    async fn deregister(&self) {
        let after_s = self.after.as_secs_f64();
        match self.shared.sink.deregister(self.service.clone()).await {
            Ok(()) => {
                self.shared.counters.deregistrations.fetch_add(1, Relaxed);
                tracing::info!(check = %self.id, service = %self.service, after_s, "deregistered: its check was critical for too long");
            }
            Err(refusal) => {
                self.shared.counters.reports_refused.fetch_add(1, Relaxed);
                tracing::warn!(check = %self.id, service = %self.service, %refusal, "a deregistration was refused and will be asked for again");
            }
        }
    }
}

impl<S> Clone for Reaper<S> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            service: self.service.clone(),
            after: self.after,
            shared: Arc::clone(&self.shared),
            facts: self.facts.clone(),
        }
    }
}
