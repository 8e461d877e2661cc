//! Datagrams from one host's socket to another host's driver: links, jams, floods, and the inbox.

use std::{net::SocketAddr, time::Duration};

use tidings_node::Input;
use tidings_types::{Delta, NodeId, Timestamp, limits::ENVELOPE_BYTES};
use tidings_wire::{Datagram, datagram};

use super::{Event, Step, World};
use crate::{
    host::{Arrival, Packet},
    link::Lane,
    plan::What,
    recording::{Fate, Track},
    scenario::EventName,
    workload::{gossip_addr, host_at},
};

/// Packets that a jammed link holds; what comes after them is lost.
const HELD: usize = 8_192;
/// How long a flood's packet takes. It draws nothing, so that other packets' fates stay the same.
const FLOOD_DELAY: Duration = Duration::from_millis(1);

impl World {
    pub(super) fn send(
        &mut self,
        host: usize,
        to: SocketAddr,
        receiver: Option<NodeId>,
        payload: Vec<u8>,
    ) -> Step {
        self.checks.fits(self.now, host, &payload)?;
        if receiver.is_none() {
            self.checks.called(self.now, host, &self.hosts[host]);
        }
        let Some(target) = host_at(to, self.hosts.len()) else {
            return Ok(());
        };
        if self.network.is_refused(host, target) {
            self.note((host, target), &payload, Fate::SendError);
            self.arrive_at(self.now, host, Arrival::Input(Input::SendFailed { to }));
            return Ok(());
        }
        let bytes = payload.len() + ENVELOPE_BYTES;
        self.checks.traffic_mut().sent(bytes, false);
        let fate = self.network.datagram(host, target);
        if self.network.is_cut(host, target, Lane::Datagram) {
            self.note((host, target), &payload, Fate::Cut);
            return Ok(());
        }
        let turn = self.network.squeeze((host, target), self.now, bytes, true);
        let Some(waits) = turn else {
            self.note((host, target), &payload, Fate::Dropped);
            self.checks.saw(EventName::Squeezed);
            return Ok(());
        };
        if fate[0].is_none() {
            self.note((host, target), &payload, Fate::Lost);
            return Ok(());
        }
        let is_jammed = self.network.is_jammed(host, target);
        let packet = self.sealed(host, receiver, payload);
        for delay in fate.into_iter().flatten() {
            if is_jammed {
                self.hold((host, target), packet.clone());
                continue;
            }
            let at = self.now + waits + delay;
            self.deliver_noted(at, (host, target), packet.clone());
            if let Some(after) = self.network.echoes(host, target) {
                self.checks.saw(EventName::Replayed);
                self.deliver_noted(at + after, (host, target), packet.clone());
            }
        }
        Ok(())
    }

    fn deliver_noted(&mut self, at: Timestamp, ends: (usize, usize), packet: Packet) {
        let track = self.note(ends, &packet.payload, Fate::Underway);
        self.deliver(at, ends.1, Packet { track, ..packet });
    }

    /// Lets a jammed link hold a packet, if it holds not too many.
    fn hold(&mut self, ends: (usize, usize), packet: Packet) {
        let is_full = self.held.get(&ends).is_some_and(|held| held.len() >= HELD);
        let fate = if is_full { Fate::Dropped } else { Fate::Jammed };
        let track = self.note(ends, &packet.payload, fate);
        if !is_full {
            let packet = Packet { track, ..packet };
            self.held.entry(ends).or_default().push(packet);
        }
    }

    fn note(&mut self, ends: (usize, usize), payload: &[u8], fate: Fate) -> Option<Track> {
        self.recorder.datagram(self.now, ends, payload, fate)
    }

    pub(super) fn sealed(&self, host: usize, receiver: Option<NodeId>, payload: Vec<u8>) -> Packet {
        Packet {
            from: host,
            sender: self.hosts[host].me(),
            epoch: self.hosts[host].disk.epoch,
            cluster: self.hosts[host].cluster,
            receiver,
            payload,
            track: None,
        }
    }

    pub(super) fn deliver(&mut self, at: Timestamp, target: usize, packet: Packet) {
        let event = Event::Arrive {
            host: target,
            run: None,
            arrival: Arrival::Packet(packet),
        };
        self.heap.push(at, event);
    }

    /// Lets out what a link held, if it is free again: all at once, in order.
    pub(super) fn let_out(&mut self, from: usize, to: usize) {
        if self.network.is_jammed(from, to) {
            return;
        }
        for packet in self.held.remove(&(from, to)).unwrap_or_default() {
            self.checks.saw(EventName::Burst);
            self.deliver(self.now, to, packet);
        }
    }

    /// Finds out when the driver gets to what has reached its host, and lets that happen. Returns
    /// what it gets to at once.
    pub(super) fn take_in(&mut self, host: usize, arrival: Arrival) -> Option<Arrival> {
        let (now, inbox) = (self.now, self.plan.inbox);
        let arrival = match arrival {
            Arrival::Packet(packet) => {
                let track = packet.track;
                let Some(opened) = self.open(host, packet) else {
                    self.recorder.arrived(now, track, Fate::Stranger);
                    return None;
                };
                opened
            }
            arrival => arrival,
        };
        let state = &mut self.hosts[host];
        if arrival.is_own() {
            return Some(arrival);
        }
        let mut at = now;
        if let Some(inbox) = inbox
            && arrival.takes_a_place()
        {
            let may_wait = matches!(arrival, Arrival::Request { .. });
            let Some(turn) = state.intake.take_in(now, inbox, may_wait) else {
                self.checks.saw(EventName::Shed);
                self.recorder.arrived(now, arrival.track(), Fate::Dropped);
                return None;
            };
            at = turn;
        }
        at = state.intake.delay(at, state.late);
        if at <= now {
            if inbox.is_some() && arrival.takes_a_place() {
                state.intake.taken_out();
            }
            return Some(arrival);
        }
        let run = state.run;
        self.heap.push(at, Event::Turn { host, run, arrival });
        None
    }

    /// Opens a datagram: what a stranger, this very node or a run that is over has sealed counts for
    /// nothing. The node is told of the last two.
    fn open(&mut self, host: usize, packet: Packet) -> Option<Arrival> {
        let state = &mut self.hosts[host];
        if packet.cluster != state.cluster {
            self.checks.saw(EventName::ForeignCluster);
            return None;
        }
        let is_for_others = packet.receiver.is_some_and(|who| who != state.me());
        if is_for_others {
            return None;
        }
        let (from, sender) = (gossip_addr(packet.from), packet.sender);
        if sender == state.me() {
            return Some(Arrival::OwnId { from });
        }
        let newest = state.heard.entry(sender).or_insert(packet.epoch);
        if packet.epoch < *newest {
            let newest = *newest;
            return Some(Arrival::OldRun {
                from,
                sender,
                newest,
            });
        }
        *newest = packet.epoch;
        Some(Arrival::Packet(packet))
    }

    /// The driver gets to something that has waited for it.
    pub(super) fn turn(&mut self, host: usize, run: u64, arrival: Arrival) -> Step {
        let state = &mut self.hosts[host];
        if !state.is_up() || run != state.run {
            return Ok(());
        }
        if self.plan.inbox.is_some() && arrival.takes_a_place() {
            state.intake.taken_out();
        }
        if state.paused {
            state.wait(arrival);
            return Ok(());
        }
        self.handle(host, arrival)
    }

    /// Sends one round of a flood, as long as it lasts.
    pub(super) fn flood(&mut self, nth: usize) -> Step {
        let until = self.plan.trouble[nth].until;
        let What::Flood(from, to, per_second) = self.plan.trouble[nth].what.clone() else {
            return Ok(());
        };
        if self.now >= until {
            return Ok(());
        }
        let pause = Duration::from_secs(1) / per_second;
        self.heap.push(self.now + pause, Event::Flood(nth));
        if !self.hosts[from].is_running() {
            return Ok(());
        }
        let Some(payload) = self.idle_talk(from) else {
            return Ok(());
        };
        for target in to {
            if self.network.passes(from, target) {
                let receiver = Some(self.hosts[target].me());
                let packet = self.sealed(from, receiver, payload.clone());
                self.deliver_noted(self.now + FLOOD_DELAY, (from, target), packet);
            }
        }
        Ok(())
    }

    /// A datagram that is true and tells nothing: a position that is known, or a rumor without
    /// news, in turns. Of a damaged feed its owner's word would not be true, and a node gives none.
    fn idle_talk(&mut self, from: usize) -> Option<Vec<u8>> {
        self.floods_sent += 1;
        let me = self.hosts[from].me();
        let registry = self.hosts[from].node.as_ref()?.registry();
        if registry.is_damaged(me) {
            return None;
        }
        let state = registry.state(me)?;
        let lineage = state.lineage.clone();
        let body = if self.floods_sent.is_multiple_of(2) {
            datagram::Body::Have { owner: me, lineage }
        } else {
            datagram::Body::Rumors(vec![Delta {
                from: lineage,
                state,
                changes: Vec::new(),
            }])
        };
        let datagram = Datagram {
            fingerprint: registry.fingerprint(),
            wall_ms: self.hosts[from].clock.read(self.now),
            body,
        };
        datagram.encode().ok()
    }
}
