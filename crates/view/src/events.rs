//! The events of all nodes. They hang on no liveness: what was fired stays said.

use std::{collections::BTreeMap, sync::Arc};

use tidings_types::{Content, Event, EventId, NodeId, limits::EVENTS};

/// One event.
#[derive(Clone, Debug)]
pub struct EventView {
    /// Its id.
    pub id: EventId,
    /// Its record.
    pub event: Arc<Event>,
}

/// Every event that stands, in the order in which they came here: whoever waits for the next one
/// finds it at the end, whatever the clocks of those who fired say. As many as the registry holds.
#[derive(Debug, Default)]
pub(crate) struct Events {
    by_arrival: BTreeMap<u64, EventView>,
    arrivals: BTreeMap<(EventId, NodeId), u64>,
    next: u64,
}

impl Events {
    /// Takes what stands under a key now; returns whether events came or went.
    pub(crate) fn record(&mut self, id: EventId, node: NodeId, body: Option<&Content>) -> bool {
        let key = (id, node);
        match body.and_then(Content::event) {
            Some(event) if !self.arrivals.contains_key(&key) => {
                self.arrivals.insert(key, self.next);
                let event = Arc::new(event);
                self.by_arrival.insert(self.next, EventView { id, event });
                self.next += 1;
                true
            }
            // An event is never changed: it is the same one again.
            Some(_) => false,
            None => {
                let arrival = self.arrivals.remove(&key);
                arrival.is_some_and(|arrival| self.by_arrival.remove(&arrival).is_some())
            }
        }
    }

    /// The last of them, the last one at the end.
    pub(crate) fn last(&self) -> Vec<EventView> {
        let last = self.by_arrival.values().rev().take(EVENTS).cloned();
        let mut last: Vec<_> = last.collect();
        last.reverse();
        last
    }
}
