//! Restart of a task that panicked.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use tidings_types::CheckId;
use tokio::time::sleep;

/// The pause before a runner that panicked is started again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs what `make` makes until it ends by itself; a panic is logged, counted, and followed by a
/// fresh start. Dropping the future stops the run.
pub(crate) async fn supervise<F>(id: &CheckId, panics: &AtomicU64, make: impl Fn() -> F)
where
    F: Future<Output = ()>,
{
    while !ends_well(make()).await {
        panics.fetch_add(1, Relaxed);
        tracing::error!(check = %id, "a check runner panicked and is started again");
        sleep(PAUSE).await;
    }
}

/// Whether `run` ended without a panic. The panic is caught here and not at the edge of a task of
/// its own, so that stopping the one task leaves nothing behind.
async fn ends_well(run: impl Future<Output = ()>) -> bool {
    let mut run = Box::pin(run);
    poll_fn(move |cx| {
        // A run that panicked is never polled again, and what it shares with others is either
        // atomic or behind locks that ignore poison.
        match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(true),
            Err(_panic) => Poll::Ready(false),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_runner_that_panics_is_counted_and_started_again() {
        let id = CheckId::new("bad").unwrap();
        let panics = AtomicU64::new(0);
        let starts = AtomicU64::new(0);
        supervise(&id, &panics, || {
            let nth = starts.fetch_add(1, Relaxed);
            async move { assert!(nth >= 2, "a planned panic") }
        })
        .await;
        assert_eq!(panics.load(Relaxed), 2);
        assert_eq!(starts.load(Relaxed), 3);
    }
}
