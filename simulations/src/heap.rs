//! What will happen, in order of time; at equal times in the order in which it was scheduled.

use std::{cmp::Ordering, collections::BinaryHeap};

use tidings_types::Timestamp;

/// The events to come.
#[derive(Debug)]
pub struct EventHeap<T> {
    heap: BinaryHeap<Scheduled<T>>,
    next: u64,
}

#[derive(Debug)]
struct Scheduled<T> {
    at: Timestamp,
    seq: u64,
    event: T,
}

impl<T> Default for EventHeap<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            next: 0,
        }
    }
}

impl<T> EventHeap<T> {
    /// Lets `event` happen at `at`.
    pub fn push(&mut self, at: Timestamp, event: T) {
        let seq = self.next;
        self.next += 1;
        self.heap.push(Scheduled { at, seq, event });
    }

    /// The next event with its time and its number.
    pub fn pop(&mut self) -> Option<(Timestamp, u64, T)> {
        self.heap.pop().map(|s| (s.at, s.seq, s.event))
    }
}

// The standard heap gives the greatest first; the earliest is the greatest here.
impl<T> Ord for Scheduled<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

impl<T> PartialOrd for Scheduled<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Scheduled<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Scheduled<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_scheduling() {
        let mut heap = EventHeap::default();
        for (at, event) in [(5, "d"), (1, "a"), (3, "b"), (3, "c")] {
            heap.push(Timestamp::from_micros(at), event);
        }
        let order: Vec<_> = std::iter::from_fn(|| heap.pop())
            .map(|(_, _, e)| e)
            .collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
    }
}
