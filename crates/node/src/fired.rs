//! The events that this node took: fired by its clients, and taken away when they are old.

use std::time::Duration;

use tidings_types::{
    Body, Event, EventId, Key, Refusal,
    limits::{EVENT_MS, EVENTS},
};

use crate::{Node, timers::Timer};

/// How long a removal waits that could not be written.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

impl Node {
    pub(crate) fn fire(&mut self, id: EventId, event: Event) -> Result<bool, Refusal> {
        let own = self.own_events();
        let above = (own.len() + 1).saturating_sub(EVENTS);
        for (number, old) in own.iter().enumerate() {
            if number < above || is_old(old, id.unix_ms()) {
                self.take_away(&Key::Event(self.me, *old))?;
            }
        }
        let fired = self.put(Key::Event(self.me, id), Body::Event(event));
        self.timers.set_by(
            Timer::Events,
            self.now + Duration::from_millis(EVENT_MS + 1),
        );
        fired
    }

    /// Sees to it that the events of an earlier run go too.
    pub(crate) fn watch_events(&mut self) {
        if !self.own_events().is_empty() {
            self.timers.set_by(Timer::Events, self.now + AGAIN_AFTER);
        }
    }

    /// Takes old events away, and looks again when the next one is old.
    pub(crate) fn on_events_due(&mut self) {
        let own = self.own_events();
        let wall_ms = self.wall_now_ms();
        let (old, young): (Vec<_>, Vec<_>) = own.into_iter().partition(|id| is_old(id, wall_ms));
        if let Some(next) = young.iter().map(|id| id.unix_ms()).min() {
            let left = (next + EVENT_MS + 1).saturating_sub(wall_ms);
            // A client's clock may be ahead; the look costs nothing.
            let left = Duration::from_millis(left.min(EVENT_MS)).max(AGAIN_AFTER);
            self.timers.set_by(Timer::Events, self.now + left);
        }
        if old.is_empty() {
            return;
        }
        if self.own.is_paused() || !self.durable.has_room() {
            self.timers.set_by(Timer::Events, self.now + AGAIN_AFTER);
            return;
        }
        let me = self.me;
        let mut keys = old.into_iter().map(|id| Key::Event(me, id));
        if keys.all(|key| self.take_away(&key).is_ok()) {
            self.persist(None);
        } else {
            self.writer.discard_staged();
            self.calls.discard_noted();
            self.timers.set_by(Timer::Events, self.now + AGAIN_AFTER);
        }
    }

    /// By age. Those that are still on their way to the disk go with a later look.
    fn own_events(&self) -> Vec<EventId> {
        let own = self.registry.owned_by(self.me).filter_map(|key| match key {
            Key::Event(_, id) => Some(*id),
            _ => None,
        });
        own.filter(|id| self.live(&Key::Event(self.me, *id)).is_some())
            .collect()
    }
}

fn is_old(event: &EventId, unix_ms: u64) -> bool {
    unix_ms.saturating_sub(event.unix_ms()) > EVENT_MS
}
