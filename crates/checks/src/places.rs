//! How many runs may be under way at the same time.
//!
//! A target that is silent holds its run until the timeout, 10 s unless stated. If those runs counted
//! as the others do, a few hundred dead targets would hold up the checks of everybody else. So one that
//! takes long moves to places of its own.

use std::{pin::pin, time::Duration};

use tokio::{sync::Semaphore, time::timeout};

/// Runs that may be under way at the same time, over all checks: each may hold a socket.
pub const RUNS_AT_ONCE: usize = 256;
/// Runs beside those that wait for a target that is silent.
pub const SLOW_RUNS_AT_ONCE: usize = 2_048;
/// A run that takes longer waits for a target that is silent. Most answer in milliseconds.
const SLOW_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Places {
    quick: Semaphore,
    slow: Semaphore,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            quick: Semaphore::new(RUNS_AT_ONCE),
            slow: Semaphore::new(SLOW_RUNS_AT_ONCE),
        }
    }
}

impl Places {
    /// Carries out `run` as soon as there is a place. `is_light`: it costs no more than a socket, so that
    /// many may wait.
    pub(crate) async fn carry_out<R: Future>(&self, is_light: bool, run: R) -> R::Output {
        let place = self.quick.acquire().await;
        if !is_light {
            let found = run.await;
            drop(place);
            return found;
        }
        let mut run = pin!(run);
        if let Ok(found) = timeout(SLOW_AFTER, run.as_mut()).await {
            return found;
        }
        let slow = self.slow.try_acquire().ok();
        // Without a place among the slow it keeps the one that it has.
        let place = slow.is_none().then_some(place);
        let found = run.await;
        drop((place, slow));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use tokio::time::Instant;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// Starts as many runs as there are places, which are never answered.
    async fn silent(places: &Arc<Places>, is_light: bool) {
        for _ in 0..RUNS_AT_ONCE {
            let places = Arc::clone(places);
            tokio::spawn(async move {
                let run = timeout(TIMEOUT, pending::<()>());
                let _ = places.carry_out(is_light, run).await;
            });
        }
        while places.quick.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// How long a run that ends at once has to wait.
    async fn wait(places: &Places) -> Duration {
        let begin = Instant::now();
        places.carry_out(true, async {}).await;
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn silent_targets_hold_up_the_others_for_a_second_at_most() {
        let places = Arc::new(Places::default());
        silent(&places, true).await;
        let waited = wait(&places).await;
        assert!(
            waited <= SLOW_AFTER + Duration::from_millis(2),
            "{waited:?}"
        );
        // Those that have moved hold up nobody.
        assert_eq!(wait(&places).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_an_end_to_silent_runs_and_programs_do_not_move() {
        let places = Arc::new(Places::default());
        let _full = places.slow.acquire_many(2_048).await;
        silent(&places, true).await;
        let waited = wait(&places).await;
        assert!(waited >= TIMEOUT - SLOW_AFTER, "{waited:?}");
        let places = Arc::new(Places::default());
        silent(&places, false).await;
        let waited = wait(&places).await;
        assert!(waited >= TIMEOUT, "{waited:?}");
    }
}
