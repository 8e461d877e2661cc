//! A link that carries only so many bytes in a second: what comes faster waits, as far as there is
//! room.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidings_types::Timestamp;

/// How narrow a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Narrow {
    /// Bytes that pass in a second.
    pub bytes_per_second: u32,
    /// Bytes that may wait; a datagram that finds no room is lost, a session's frame waits in its
    /// sender.
    pub queue: u32,
}

/// Until when a narrow link is busy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backlog {
    until: Timestamp,
}

impl Backlog {
    /// When something of `bytes` that comes at `now` has passed; `None` if it finds no room and
    /// `may_drop`.
    pub(super) fn pass(
        &mut self,
        now: Timestamp,
        bytes: usize,
        narrow: Narrow,
        may_drop: bool,
    ) -> Option<Duration> {
        let rate = u64::from(narrow.bytes_per_second.max(1));
        let time_of = |bytes: u64| Duration::from_micros(bytes.saturating_mul(1_000_000) / rate);
        let waits = self.until.max(now).since(now);
        if may_drop && waits > time_of(u64::from(narrow.queue)) {
            return None;
        }
        let passed = waits + time_of(bytes as u64);
        self.until = now + passed;
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_too_fast_waits_and_then_is_lost() {
        let narrow = Narrow {
            bytes_per_second: 1_000,
            queue: 1_000,
        };
        let (mut backlog, now) = (Backlog::default(), Timestamp::ZERO);
        let mut pass = |now, may_drop| backlog.pass(now, 600, narrow, may_drop);
        assert_eq!(pass(now, true), Some(Duration::from_millis(600)));
        assert_eq!(pass(now, true), Some(Duration::from_millis(1_200)));
        assert_eq!(pass(now, true), None);
        assert_eq!(pass(now, false), Some(Duration::from_millis(1_800)));
        let later = now + Duration::from_millis(1_500);
        assert_eq!(pass(later, true), Some(Duration::from_millis(900)));
    }
}
