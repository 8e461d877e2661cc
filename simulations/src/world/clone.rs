//! A key that two hosts hold: the one that yields goes on under a new key, and registers there what
//! moved.

use std::time::Duration;

use tidings_node::{CommandId, Event as NodeEvent, Input, registrations};
use tidings_types::{Body, Key, Timestamp};

use super::{Event, Step, World};
use crate::{
    history::Setback,
    host::{Arrival, Host, identity},
    plan::Comeback,
    scenario::{DiskFate, EventName},
};

/// A key is given up in this time, whatever the network and the disk do meanwhile.
const YIELDED_WITHIN: Duration = Duration::from_secs(10);
/// How long a process takes to begin again under its new key.
const BEGINS_AGAIN: Duration = Duration::from_secs(1);
/// The pause before a registration is tried again that was refused.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl World {
    /// Puts a new key on disk with what moves to it.
    pub(super) fn keep_identity(&mut self, host: usize, records: Vec<(Key, Body)>) -> Step {
        let seed = self.plan.seed;
        let state = &mut self.hosts[host];
        let result = if state.disk_full > 0 {
            // It is tried again when the other holder is met again.
            state.yields_since = None;
            Err("no space left on device".to_owned())
        } else {
            let (old, new) = (state.me(), identity(seed, host, state.identity + 1));
            let keys: Vec<Key> = records.iter().map(|(key, _)| key.clone()).collect();
            state.identity += 1;
            state.disk.keep_successor(new, records);
            self.checks
                .history_mut()
                .moved(self.now, host, (old, new), &keys);
            Ok(())
        };
        self.feed(host, Input::IdentityKept(result))
    }

    /// A node says something: that another process holds its key can only be where a disk was copied.
    pub(super) fn cloned(&mut self, host: usize, event: &NodeEvent) -> Step {
        let NodeEvent::Cloned { yields } = event else {
            return Ok(());
        };
        if !self.plan.copies {
            let text = "it takes itself for a copy, and no disk was copied".to_owned();
            return Err(self.violation("A7", host, text));
        }
        if *yields {
            self.hosts[host].yields_since.get_or_insert(self.now);
        }
        Ok(())
    }

    /// Nobody hangs between two keys.
    pub(super) fn every_yield_ends(&self) -> Step {
        let hangs = |host: &Host| {
            let since = host.yields_since.filter(|_| host.is_running());
            since.is_some_and(|since| self.now.since(since) > YIELDED_WITHIN)
        };
        match self.hosts.iter().position(hangs) {
            Some(host) => {
                Err(self.violation("A9", host, "it gives its key up for ever".to_owned()))
            }
            None => Ok(()),
        }
    }

    /// The process ends, to begin again under its new key.
    pub(super) fn give_way(&mut self, host: usize) {
        let state = &self.hosts[host];
        let comeback = Comeback {
            after: BEGINS_AGAIN,
            disk: DiskFate::Intact,
            image: None,
            of: None,
            cluster: state.cluster,
        };
        self.heap.push(
            self.now,
            Event::Stop {
                host,
                run: state.run,
                comeback: Some(comeback),
            },
        );
    }

    /// At a start: takes the key that the last run decided to take. The old key's feed stays behind.
    pub(super) fn succeed(&mut self, host: usize) {
        let state = &mut self.hosts[host];
        let before = state.me();
        let Some(records) = state.disk.succeed() else {
            return;
        };
        state.inherited = registrations(records).into();
        let after = state.me();
        if after == before {
            return;
        }
        state.floors.parted_with(before);
        self.checks.saw(EventName::Yielded);
        let at = self.now;
        self.trace.log(at, Some(host), || {
            format!("goes on as {after:?} instead of {before:?}")
        });
        let image = Timestamp::ZERO;
        self.checks
            .history_mut()
            .set_back(Setback { host, at, image });
    }

    /// Makes the next registration that moved; once all stand, the disk forgets where they came from.
    pub(super) fn inherit(&mut self, host: usize) -> Step {
        let state = &mut self.hosts[host];
        let Some(call) = state.inherited.front().cloned() else {
            state.disk.forget_successor();
            return Ok(());
        };
        state.inheriting = Some(CommandId(state.next_command));
        self.command(host, call, Vec::new())
    }

    /// A call was answered: if it was one that moved, the next follows, or the same again.
    pub(super) fn inherited(&mut self, host: usize, id: CommandId, is_done: bool) {
        let state = &mut self.hosts[host];
        if state.inheriting != Some(id) {
            return;
        }
        state.inheriting = None;
        let pause = if is_done {
            state.inherited.pop_front();
            Duration::ZERO
        } else {
            AGAIN_AFTER
        };
        self.arrive_at(self.now + pause, host, Arrival::Inherit);
    }
}
