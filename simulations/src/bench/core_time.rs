//! Time on a core: what this thread really had of one, where the system says so.

use std::{fs, time::Instant};

/// Where Linux says for how many nanoseconds this thread ran.
const THREAD: &str = "/proc/thread-self/schedstat";

/// A moment on this thread's core.
#[derive(Clone, Copy, Debug)]
pub struct CoreTime {
    ran: Option<u64>,
    /// For systems that do not say; there a quiet machine is up to whoever measures.
    clock: Instant,
}

impl CoreTime {
    /// This moment.
    pub fn now() -> Self {
        Self {
            ran: ran(),
            clock: Instant::now(),
        }
    }

    /// Seconds that this thread has had of a core since then.
    pub fn elapsed(self) -> f64 {
        match (self.ran, ran()) {
            (Some(then), Some(now)) => now.saturating_sub(then) as f64 / 1e9,
            _ => self.clock.elapsed().as_secs_f64(),
        }
    }
}

fn ran() -> Option<u64> {
    let text = fs::read_to_string(THREAD).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_time() {
        let begun = CoreTime::now();
        let clock = Instant::now();
        let mut sum = 0_u64;
        while clock.elapsed().as_millis() < 50 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(begun.elapsed() > 0.0);
    }
}
