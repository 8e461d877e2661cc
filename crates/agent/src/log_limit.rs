//! How often the log speaks of what others can make happen.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// Lets one line of a kind through per second and counts those that it holds back, so that nobody
/// fills the disk with a flood and no flood goes unmentioned.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    quiet_until_ms: AtomicU64,
    held_back: AtomicU64,
}

impl LogLimit {
    /// Nothing said yet.
    pub(crate) const fn new() -> Self {
        Self {
            quiet_until_ms: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
        }
    }

    /// Whether a line may be written now, and how many were held back since the last one.
    pub(crate) fn admit(&self) -> Option<u64> {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        self.admit_at(u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn admit_at(&self, now_ms: u64) -> Option<u64> {
        let until = self.quiet_until_ms.load(Relaxed);
        let next = now_ms.saturating_add(INTERVAL_MS);
        let is_free = now_ms >= until
            && self
                .quiet_until_ms
                .compare_exchange(until, next, Relaxed, Relaxed)
                .is_ok();
        if is_free {
            return Some(self.held_back.swap(0, Relaxed));
        }
        self.held_back.fetch_add(1, Relaxed);
        None
    }
}

/// Between two lines of one kind.
const INTERVAL_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_per_second_and_tells_how_many_did_not() {
        let limit = LogLimit::new();
        assert_eq!(limit.admit_at(5), Some(0));
        for ms in [5, 6, 1_004] {
            assert_eq!(limit.admit_at(ms), None);
        }
        assert_eq!(limit.admit_at(1_005), Some(3));
        assert_eq!(limit.admit_at(1_006), None);
        assert_eq!(limit.admit_at(9_000), Some(1));
    }
}
