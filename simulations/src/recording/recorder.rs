//! What the world tells, as it goes. Nothing is done and nothing kept when nobody records.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use tidings_node::{CommandId, Event};
use tidings_types::{Command, NodeId, Outcome, Refusal, Roster, Timestamp};

use super::{
    Happening, MOMENTS, Moment, Process, Recording, View,
    decode::{self, Content},
    kind::Fate,
    packet::{Packet, Track},
    words::{self, Names},
};
use crate::{host::Host, plan::Plan, scenario::Cluster, session::Carried};

/// Texts of packets that are kept, at most; a packet with another one says only what it is.
const DETAILS: usize = 3_000;

/// Takes down what happens, if somebody wants it.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Option<Box<Tape>>);

/// A recording in the making, with what the next look is compared with.
#[derive(Debug)]
struct Tape {
    recording: Recording,
    names: Names,
    details: BTreeMap<String, usize>,
    /// Numbers of what hosts hold: fingerprint and content.
    contents: BTreeMap<(u128, u64), usize>,
    seen: Vec<Seen>,
}

/// What was seen of a host at the last look.
#[derive(Clone, Debug)]
struct Seen {
    me: NodeId,
    cluster: Cluster,
    process: Process,
    roster: Option<Arc<Roster>>,
    holds: Option<(u128, u64)>,
    views: Vec<View>,
    island: bool,
}

impl Recorder {
    /// One that takes everything down.
    pub(crate) fn new(plan: &Plan, hosts: &[Host]) -> Self {
        let seen = |host: &Host| Seen {
            me: host.me(),
            cluster: host.cluster,
            process: Process::Gone,
            roster: None,
            holds: None,
            views: vec![View::UNKNOWN; hosts.len()],
            island: false,
        };
        let tape = Tape {
            recording: Recording::new(plan),
            names: Names::new(hosts.iter().map(Host::me)),
            details: BTreeMap::from([(String::new(), 0)]),
            contents: BTreeMap::new(),
            seen: hosts.iter().map(seen).collect(),
        };
        Self(Some(Box::new(tape)))
    }

    /// What was taken down until `end`.
    pub(crate) fn finish(self, end: Timestamp) -> Option<Recording> {
        self.0.map(|tape| Recording {
            end: tape.recording.full.unwrap_or(end),
            ..tape.recording
        })
    }

    /// A datagram goes out, or is stopped from it.
    pub(crate) fn datagram(
        &mut self,
        now: Timestamp,
        ends: (usize, usize),
        payload: &[u8],
        fate: Fate,
    ) -> Option<Track> {
        let tape = self.0.as_mut()?;
        let content = decode::datagram(payload, &tape.names);
        tape.sent(now, ends, content, payload.len(), fate)
    }

    /// A frame of a session goes out, or is stopped from it.
    pub(crate) fn frame(
        &mut self,
        now: Timestamp,
        ends: (usize, usize),
        carried: &Carried,
        fate: Fate,
    ) -> Option<Track> {
        let tape = self.0.as_mut()?;
        let (content, bytes) = match carried {
            Carried::Request(_, frame) => (decode::request(frame, &tape.names), frame.len()),
            Carried::Response(frame) => (decode::response(frame, &tape.names), frame.len()),
            Carried::Finish(complete) => (decode::finish(*complete), 0),
        };
        tape.sent(now, ends, content, bytes, fate)
    }

    /// A packet comes to its receiver's host.
    pub(crate) fn arrived(&mut self, now: Timestamp, track: Option<Track>, fate: Fate) {
        if let (Some(tape), Some(track)) = (&mut self.0, track) {
            tape.recording.packets.arrived(track, now, fate);
        }
    }

    /// A node is handed a packet.
    pub(crate) fn taken(&mut self, now: Timestamp, host: usize, track: Option<Track>) {
        if let Some(tape) = &mut self.0 {
            tape.recording.packets.counts.taken(now, host);
        }
        self.arrived(now, track, Fate::Delivered);
    }

    /// A client asks for something.
    pub(crate) fn asked(&mut self, now: Timestamp, host: usize, id: CommandId, command: &Command) {
        if let Some(tape) = &mut self.0 {
            let text = words::command(command, &tape.names);
            tape.note(now, host, Happening::Asked { call: id.0, text });
        }
    }

    /// A client is answered.
    pub(crate) fn answered(
        &mut self,
        now: Timestamp,
        host: usize,
        id: CommandId,
        result: &Result<Outcome, Refusal>,
    ) {
        if let Some(tape) = &mut self.0 {
            let refusal = result.as_ref().err().map(ToString::to_string);
            tape.note(
                now,
                host,
                Happening::Answered {
                    call: id.0,
                    refusal,
                },
            );
        }
    }

    /// A node says something about itself.
    pub(crate) fn said(&mut self, now: Timestamp, host: usize, event: &Event) {
        if let Some(tape) = &mut self.0
            && let Some(text) = words::event(event, &tape.names)
        {
            tape.note(now, host, Happening::Said(text));
        }
    }

    /// Compares all hosts with what they were at the last look.
    pub(crate) fn look(&mut self, now: Timestamp, hosts: &[Host]) {
        if let Some(tape) = &mut self.0
            && tape.recording.full.is_none()
        {
            tape.look(now, hosts);
        }
    }
}

impl Tape {
    fn note(&mut self, at: Timestamp, host: usize, what: Happening) {
        if self.recording.moments.len() < MOMENTS {
            self.recording.moments.push(Moment { at, host, what });
        } else {
            self.recording.full.get_or_insert(at);
        }
    }

    fn sent(
        &mut self,
        now: Timestamp,
        ends: (usize, usize),
        Content { kind, text }: Content,
        bytes: usize,
        fate: Fate,
    ) -> Option<Track> {
        if self.recording.full.is_some() {
            return None;
        }
        let detail = self.detail(text);
        let packet = Packet::new(now, ends, (kind, detail), bytes, fate);
        self.recording.packets.sent(packet)
    }

    fn detail(&mut self, text: String) -> usize {
        let next = self.details.len();
        match self.details.entry(text) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(_) if next >= DETAILS => 0,
            Entry::Vacant(new) => {
                self.recording.details.push(new.key().clone());
                *new.insert(next)
            }
        }
    }

    fn look(&mut self, now: Timestamp, hosts: &[Host]) {
        let mut renamed = false;
        for (host, state) in hosts.iter().enumerate() {
            if self.seen[host].me != state.me() {
                self.seen[host].me = state.me();
                self.names.add(state.me(), host);
                renamed = true;
            }
        }
        for (host, state) in hosts.iter().enumerate() {
            self.look_at_process(now, host, state);
            self.look_at_roster(now, host, state, renamed);
            self.look_at_content(now, host, state);
        }
    }

    fn look_at_process(&mut self, now: Timestamp, host: usize, state: &Host) {
        let process = match state.node {
            None => Process::Gone,
            Some(_) if state.paused => Process::Paused,
            Some(_) => Process::Runs(state.run),
        };
        if self.seen[host].cluster != state.cluster {
            self.seen[host].cluster = state.cluster;
            self.note(now, host, Happening::Moved(state.cluster));
        }
        if self.seen[host].process != process {
            self.seen[host].process = process;
            self.note(now, host, Happening::Process(process));
        }
    }

    fn look_at_roster(&mut self, now: Timestamp, host: usize, state: &Host, renamed: bool) {
        let roster = state.reads.shared_roster();
        let is_same = |seen: &Arc<Roster>| Arc::ptr_eq(seen, roster);
        if !renamed && self.seen[host].roster.as_ref().is_some_and(is_same) {
            return;
        }
        self.seen[host].roster = Some(Arc::clone(roster));
        if self.seen[host].island != roster.island {
            self.seen[host].island = roster.island;
            self.note(now, host, Happening::Island(roster.island));
        }
        for of in (0..self.seen.len()).filter(|&of| of != host) {
            let view = self.view(roster, of);
            if self.seen[host].views[of] != view {
                self.seen[host].views[of] = view;
                self.note(now, host, Happening::Sees { of, view });
            }
        }
    }

    /// What a roster says of a host: of its present node, or else of the last one that it embodied.
    fn view(&self, roster: &Roster, of: usize) -> View {
        let known = |node: &NodeId| roster.members.get(node);
        let present = known(&self.seen[of].me);
        let member = present.or_else(|| self.names.of_host(of).rev().find_map(known));
        member.map_or(View::UNKNOWN, |member| View {
            status: Some(member.status),
            overlay: member.liveness,
        })
    }

    fn look_at_content(&mut self, now: Timestamp, host: usize, state: &Host) {
        let holds = state
            .node
            .as_ref()
            .map(|node| (node.registry().fingerprint(), state.reads.content()));
        if self.seen[host].holds == holds {
            return;
        }
        self.seen[host].holds = holds;
        if let Some(holds) = holds {
            let next = self.contents.len();
            let number = *self.contents.entry(holds).or_insert(next);
            self.note(now, host, Happening::Holds(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    const SMALL: &str = r#"
        name = "small"
        about = "One node."
        nodes = 1
        phases = { chaos = "10s", quiet = "5s" }
        [expect]
    "#;

    fn recorder() -> Recorder {
        let plan = Plan::new(&Scenario::parse(SMALL, &[]).unwrap()).unwrap();
        Recorder::new(&plan, &[Host::new(1, 0, Cluster::First)])
    }

    #[test]
    fn a_full_recording_ends_there_and_says_so() {
        let mut recorder = recorder();
        for at in 0..MOMENTS as u64 + 10 {
            let join = Command::Join { addrs: Vec::new() };
            recorder.asked(Timestamp::from_micros(at), 0, CommandId(at), &join);
        }
        let recording = recorder.finish(Timestamp::from_micros(10_000_000)).unwrap();
        let full = Timestamp::from_micros(MOMENTS as u64);
        assert_eq!(recording.moments.len(), MOMENTS);
        assert_eq!((recording.full, recording.end), (Some(full), full));
    }

    #[test]
    fn a_packet_says_what_it_is_once_however_often_it_is_sent() {
        let mut recorder = recorder();
        for at in 0..5 {
            let now = Timestamp::from_micros(at);
            let finish = Carried::Finish(false);
            let track = recorder.frame(now, (0, 0), &finish, Fate::Underway);
            recorder.taken(now, 0, track);
        }
        let recording = recorder.finish(Timestamp::from_micros(9)).unwrap();
        assert_eq!(recording.details, ["", "broken off"]);
        let kept = recording.packets.by_time();
        assert_eq!(kept.len(), 5);
        assert!(kept.iter().all(|packet| packet.fate == Fate::Delivered));
    }

    #[test]
    fn who_does_not_record_keeps_nothing() {
        let mut recorder = Recorder::default();
        let finish = Carried::Finish(true);
        let track = recorder.frame(Timestamp::ZERO, (0, 0), &finish, Fate::Lost);
        assert!(track.is_none() && recorder.finish(Timestamp::ZERO).is_none());
    }
}
