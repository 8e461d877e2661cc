//! What will happen, in order of time; at equal times in the order in which it was scheduled.

use std::{cmp::Reverse, collections::BinaryHeap};

use tidings_types::Timestamp;

/// The events to come.
///
/// The heap itself holds times and places: moving whole events about in it took a tenth of a run.
#[derive(Debug)]
pub struct EventHeap<T> {
    heap: BinaryHeap<Reverse<Scheduled>>,
    next: u64,
    events: Vec<Option<T>>,
    /// Places in `events` that are free.
    free: Vec<usize>,
}

/// When, in which order of scheduling, and where the event is.
type Scheduled = (Timestamp, u64, usize);

impl<T> Default for EventHeap<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            next: 0,
            events: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> EventHeap<T> {
    /// Lets `event` happen at `at`.
    pub fn push(&mut self, at: Timestamp, event: T) {
        let seq = self.next;
        self.next += 1;
        let place = if let Some(place) = self.free.pop() {
            self.events[place] = Some(event);
            place
        } else {
            self.events.push(Some(event));
            self.events.len() - 1
        };
        self.heap.push(Reverse((at, seq, place)));
    }

    /// The next event with its time and its number.
    pub fn pop(&mut self) -> Option<(Timestamp, u64, T)> {
        let Reverse((at, seq, place)) = self.heap.pop()?;
        self.free.push(place);
        let event = self.events[place].take()?;
        Some((at, seq, event))
    }
}

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
