//! One event as a proof of determinism names it.

use tidings_node::Input;

use super::{Event, World};
use crate::{host::Arrival, session::Towards, trace::Step};

impl World {
    /// The step that `event` is going to be, if somebody watches this second; its digest comes later.
    pub(super) fn watch(&self, seq: u64, event: &Event) -> Option<Step> {
        self.trace.is_watched().then(|| Step {
            at: self.now,
            seq,
            host: self.host_of(event),
            kind: kind(event).to_owned(),
            digest: 0,
        })
    }

    fn host_of(&self, event: &Event) -> Option<usize> {
        match event {
            Event::Boot { host, .. }
            | Event::Arrive { host, .. }
            | Event::Turn { host, .. }
            | Event::Stop { host, .. }
            | Event::Image(host) => Some(*host),
            Event::Frame { session, towards } => {
                let session = self.sessions.look(*session)?;
                Some(session.ends(*towards).1)
            }
            Event::Silence { session } => {
                let session = self.sessions.look(*session)?;
                Some(session.ends(Towards::Client).1)
            }
            _ => None,
        }
    }
}

const fn kind(event: &Event) -> &'static str {
    match event {
        Event::Boot { .. } => "boot",
        Event::Arrive { arrival, .. } | Event::Turn { arrival, .. } => kind_of_arrival(arrival),
        Event::Frame { .. } => "frame",
        Event::Silence { .. } => "silence",
        Event::Stop { .. } => "stop",
        Event::Begin(_) => "fault begins",
        Event::End(_) => "fault ends",
        Event::Flood(_) => "flood",
        Event::Lie(_) => "lie",
        Event::Image(_) => "disk image",
        Event::Query(_) => "query",
        Event::Second => "second of the world",
        Event::Heal => "heal",
        Event::Look => "look",
    }
}

const fn kind_of_arrival(arrival: &Arrival) -> &'static str {
    match arrival {
        Arrival::Timer => "timeout",
        Arrival::Second => "wall clock",
        Arrival::Seeds => "seeds",
        Arrival::Input(input) => kind_of_input(input),
        Arrival::Packet(_) => "datagram",
        Arrival::OldRun { .. } => "old run",
        Arrival::OwnId { .. } => "own id",
        Arrival::Request { .. } => "request",
        Arrival::Persisted => "persisted",
        Arrival::Saved(_) => "saved",
        Arrival::Epoch { .. } => "epoch",
        Arrival::Identity(_) => "identity",
        Arrival::Inherit => "inherit",
        Arrival::Op(_) => "command",
        Arrival::Depart(..) => "depart",
    }
}

const fn kind_of_input(input: &Input) -> &'static str {
    match input {
        Input::Response { .. } => "response",
        Input::Finished { .. } => "finished",
        Input::SendFailed { .. } => "send failed",
        _ => "input",
    }
}
