//! A4 and A9: an agent that is up answers each call, and its reads show what it answered.

use std::time::Duration;

use tidings_types::{Body, Content, Key, Outcome, Refusal, Timestamp};

use super::{Checks, Violation};
use crate::{
    history::{Asked, Write, same},
    host::Host,
    workload::Call,
};

/// How long an answer may take beyond the disk, in a process that goes and is not slow.
const PATIENCE: Duration = Duration::from_secs(1);

impl Checks {
    /// A call is answered.
    pub(crate) fn reply(
        &mut self,
        now: Timestamp,
        host: usize,
        state: &Host,
        open: Option<(Vec<usize>, Timestamp)>,
        result: &Result<Outcome, Refusal>,
    ) -> Result<(), Violation> {
        let broken = |invariant, text| Violation {
            invariant,
            at: now,
            host: Some(host),
            text,
        };
        let Some((calls, _)) = open else {
            return Err(broken(
                "A9",
                "it answers a call that nobody waits for".to_owned(),
            ));
        };
        // Of a batch all are answered alike.
        let mut calls = calls.into_iter();
        calls.try_for_each(|number| self.answered(now, number, state, result, broken))
    }

    fn answered(
        &mut self,
        now: Timestamp,
        number: usize,
        state: &Host,
        result: &Result<Outcome, Refusal>,
        broken: impl Fn(&'static str, String) -> Violation,
    ) -> Result<(), Violation> {
        match result {
            Ok(_) => {
                self.history.call_mut(number).acked = Some(now);
                let asked = self.history.call(number);
                self.reads_its_writes(number, asked, state)
                    .map_err(|text| broken("A4", text))
            }
            Err(refusal) if is_due(refusal, state) => {
                let asked = self.history.call_mut(number);
                // The disk may have taken what it said it could not.
                asked.refused = !matches!(refusal, Refusal::NotSaved { .. });
                asked.doubtful = !asked.refused;
                Ok(())
            }
            Err(refusal) => {
                let asked = &self.history.call(number).call;
                Err(broken("A9", format!("it refuses {asked:?}: {refusal}")))
            }
        }
    }

    /// Each call of a process that goes has been answered in time.
    pub(crate) fn every_call_is_answered(
        &self,
        now: Timestamp,
        hosts: &[Host],
        disk: Duration,
    ) -> Result<(), Violation> {
        for (host, state) in hosts
            .iter()
            .enumerate()
            .filter(|(_, state)| state.is_running() && state.yields_since.is_none())
        {
            // A slow process gets to the call late, and to each word of its disk.
            let patience = PATIENCE + (disk + state.late_max) * 2;
            let late = state
                .open
                .values()
                .find(|(_, due)| now.since(*due) > patience);
            if let Some((calls, since)) = late {
                let what = calls.first().map_or_else(
                    || "the goodbye".to_owned(),
                    |&number| format!("{:?}", self.history.call(number).call),
                );
                let text = format!("{what} has waited for an answer since {since}");
                return Err(Violation {
                    invariant: "A9",
                    at: now,
                    host: Some(host),
                    text,
                });
            }
        }
        Ok(())
    }

    /// What a client was told is what a read shows, unless a later write replaced it.
    fn reads_its_writes(&self, number: usize, asked: &Asked, state: &Host) -> Result<(), String> {
        for (key, before) in asked.keys.iter().zip(&asked.before) {
            let last = self
                .history
                .calls_on(key)
                .rfind(|(_, call)| call.host == asked.host);
            if last.is_some_and(|(last, _)| last != number) {
                continue;
            }
            let shown = state.reads.record(key);
            let live = shown.and_then(|shown| shown.body.as_ref());
            let live = live.map(Content::body);
            let write = shown.and_then(|shown| self.history.write(shown.dot));
            if write.is_some_and(|write| write.lost || write.relearned) {
                // Peers gave it back in the meantime: the call could not know of it.
                continue;
            }
            let rank = write.and_then(Write::rank);
            // What a later call has staged since is not shown before it is on disk.
            let own = self.history.last_durable(asked.host, key, asked.at);
            let own = own.and_then(Write::rank);
            let newer = rank.is_some() && rank > own.max(*before);
            if !newer && !says(&asked.call, key, live.as_ref()) {
                return Err(format!(
                    "{:?} was acknowledged, and a read of {key:?} gives {shown:?}",
                    asked.call
                ));
            }
        }
        Ok(())
    }
}

/// Whether `live` is what `call` made of `key`.
fn says(call: &Call, key: &Key, live: Option<&Body>) -> bool {
    match (call, key, live) {
        (Call::Deregister(_) | Call::DeregisterExternal(..) | Call::Override(..), _, live)
        | (Call::Register(_, _, None), Key::Check(..), live) => live.is_none(),
        (Call::Check(_, status), _, Some(Body::Check(check))) => check.status == *status,
        // A check that is known keeps its status when its instance is registered again.
        (Call::Register(_, _, Some(_)), Key::Check(..), Some(Body::Check(_)))
        | (Call::RegisterExternal(..), Key::ExternalNode(_), Some(Body::ExternalNode(_))) => true,
        (Call::Register(..) | Call::RegisterExternal(..), _, Some(Body::Instance(found))) => {
            call.instance().is_some_and(|asked| same(asked, found))
        }
        _ => false,
    }
}

/// Whether the refusal is about the call itself, or about a disk that is full.
const fn is_due(refusal: &Refusal, state: &Host) -> bool {
    match refusal {
        Refusal::UnknownService { .. }
        | Refusal::UnknownCheck { .. }
        | Refusal::NoSuchServiceForCheck { .. }
        | Refusal::MissingService
        | Refusal::MissingNode
        | Refusal::UnknownNode { .. }
        | Refusal::NodeAlive { .. } => true,
        Refusal::NotSaved { .. } => state.disk_full > 0,
        Refusal::ShuttingDown => state.departing.is_some() || state.yields_since.is_some(),
        _ => false,
    }
}
