//! What a node wants done is done here, in the order in which it wants it.

use std::net::SocketAddr;

use tidings_node::{CommandId, Exchange, Input, Output};
use tidings_types::{NodeId, Outcome, Refusal, Timestamp, Transfer, Update};

use super::{Event, Step, World};
use crate::{
    host::{Arrival, Batch, Saved},
    link::{Lane, in_order},
    random::uniform,
    recording::Fate,
    scenario::EventName,
    session::{Carried, RETRY, Session, TIMEOUT, Towards},
    workload::host_at,
};

impl World {
    pub(super) fn carry_out(&mut self, host: usize, output: Output) -> Step {
        match output {
            Output::Datagram {
                to,
                receiver,
                payload,
            } => self.tell(host, to, receiver, payload)?,
            Output::Request {
                exchange,
                to,
                addr,
                frame,
            } => {
                self.ask(host, exchange, to, addr, frame);
            }
            Output::Abandon { exchange } => self.sessions.abandon(host, exchange),
            Output::Respond { exchange, frame } => {
                let frame = self.as_answered(host, frame);
                self.answer(host, exchange, Carried::Response(frame));
            }
            Output::Finish { exchange, complete } => {
                self.answer(host, exchange, Carried::Finish(complete));
                self.hosts[host].asked.remove(&exchange);
            }
            Output::Persist { batch, transfer } => self.persist(host, batch, *transfer)?,
            Output::Save {
                save,
                transfers,
                members,
            } => {
                let saved = Saved {
                    save,
                    transfers,
                    members,
                    at: self.now,
                };
                self.ask_disk(host, Arrival::Saved(saved));
            }
            Output::TakeEpoch { above } => {
                self.ask_disk(host, Arrival::Epoch { above });
            }
            Output::KeepIdentity { records } => {
                self.ask_disk(host, Arrival::Identity(records));
            }
            Output::Yielded => self.give_way(host),
            Output::Publish(update) => self.publish(host, update)?,
            Output::Reply { id, result } => self.reply(host, id, &result)?,
            Output::Departed => {
                let run = self.hosts[host].run;
                let comeback = self.hosts[host].departing.flatten();
                self.heap.push(
                    self.now,
                    Event::Stop {
                        host,
                        run,
                        comeback,
                    },
                );
            }
            Output::Event(event) => {
                self.trace
                    .log(self.now, Some(host), || format!("{event:?}"));
                self.recorder.said(self.now, host, &event);
                self.cloned(host, &event)?;
                self.checks
                    .event(self.now, host, &event, &self.hosts, &self.network)?;
            }
        }
        Ok(())
    }

    fn reply(&mut self, host: usize, id: CommandId, result: &Result<Outcome, Refusal>) -> Step {
        let open = self.hosts[host].open.remove(&id);
        let line = || format!("answers {id:?}: {result:?}");
        self.trace.log(self.now, Some(host), line);
        self.recorder.answered(self.now, host, id, result);
        self.inherited(host, id, result.is_ok());
        let state = &self.hosts[host];
        self.checks.reply(self.now, host, state, open, result)
    }

    fn publish(&mut self, host: usize, update: Update) -> Step {
        self.checks
            .keeps_its_own(self.now, host, &self.hosts[host], &update)?;
        let state = &mut self.hosts[host];
        let me = state.me();
        self.checks
            .publish(self.now, (host, me), &mut state.floors, &update)?;
        if let Update::Roster(roster) = &update {
            self.checks.roster(self.now, (host, me), roster)?;
            self.trace
                .log_roster(self.now, host, state.reads.roster(), roster);
        }
        state.reads.apply(update);
        Ok(())
    }

    fn persist(&mut self, host: usize, number: u64, transfer: Transfer) -> Step {
        let me = self.hosts[host].me();
        self.checks.persist(self.now, host, me, &transfer)?;
        if let Transfer::Delta(delta) = &transfer {
            for change in delta.changes.iter().filter(|change| change.key.is_shared()) {
                self.checks
                    .look_for_split_writes(host, change, &self.network);
            }
        }
        let batch = Batch {
            number,
            transfer,
            doomed: false,
        };
        self.hosts[host].batches.push_back(batch);
        // Batches become durable in order.
        self.hosts[host].disk_busy = self.ask_disk(host, Arrival::Persisted);
        Ok(())
    }

    fn ask(
        &mut self,
        host: usize,
        exchange: Exchange,
        to: NodeId,
        addr: SocketAddr,
        frame: Vec<u8>,
    ) {
        let target = host_at(addr, self.hosts.len());
        let Some(target) = target.filter(|&target| !self.network.is_refused(host, target)) else {
            self.arrive_at(self.now, host, finished(exchange, false));
            return;
        };
        let traffic = self.checks.traffic_mut();
        traffic.opened();
        traffic.sent(frame.len(), true);
        let bytes = frame.len();
        let client = (host, self.hosts[host].run);
        let mut session = Session::new(client, exchange, target, to, self.now);
        let carried = Carried::Request(self.hosts[host].me(), frame);
        let track = self
            .recorder
            .frame(self.now, (host, target), &carried, Fate::Underway);
        session.send(Towards::Server, carried, track);
        // One round trip for the handshake, then the question itself.
        let handshake = self.network.frame(host, target) + self.network.frame(target, host);
        let link = (host, target);
        let waits = self.network.squeeze(link, self.now, bytes, false);
        let delay = handshake + self.network.frame(host, target) + waits.unwrap_or_default();
        let at = in_order(&mut session.last[Towards::Server.index()], self.now, delay);
        let number = self.sessions.open(session);
        self.heap.push(
            at,
            Event::Frame {
                session: number,
                towards: Towards::Server,
            },
        );
        self.heap
            .push(self.now + TIMEOUT, Event::Silence { session: number });
    }

    fn answer(&mut self, host: usize, exchange: Exchange, carried: Carried) {
        let Some(&number) = self.hosts[host].asked.get(&exchange) else {
            return;
        };
        let Some(session) = self.sessions.get(number) else {
            return;
        };
        let bytes = match &carried {
            Carried::Response(frame) => frame.len(),
            Carried::Request(..) | Carried::Finish(_) => 0,
        };
        self.checks.traffic_mut().sent(bytes, true);
        let (from, to) = session.ends(Towards::Client);
        let track = self
            .recorder
            .frame(self.now, (from, to), &carried, Fate::Underway);
        session.send(Towards::Client, carried, track);
        let waits = self.network.squeeze((from, to), self.now, bytes, false);
        let delay = self.network.frame(from, to) + waits.unwrap_or_default();
        let at = in_order(&mut session.last[Towards::Client.index()], self.now, delay);
        self.heap.push(
            at,
            Event::Frame {
                session: number,
                towards: Towards::Client,
            },
        );
    }

    /// A frame of a session comes to its end of the link: it passes, waits for a cut to end, or
    /// finds that its process is gone.
    pub(super) fn frame(&mut self, number: u64, towards: Towards) {
        let Some(session) = self.sessions.get(number) else {
            return;
        };
        let (from, to) = session.ends(towards);
        let cut = |from, to| {
            self.network.is_cut(from, to, Lane::Session) || self.network.is_jammed(from, to)
        };
        // Without acknowledgements nothing passes for long: one direction is enough to block both.
        if cut(from, to) || cut(to, from) || !self.hosts[to].is_up() {
            self.heap.push(
                self.now + RETRY,
                Event::Frame {
                    session: number,
                    towards,
                },
            );
            return;
        }
        let run = self.hosts[to].run;
        let expected = match towards {
            Towards::Server => session.server.1.unwrap_or(run),
            Towards::Client => session.client.1,
        };
        let stranger = towards == Towards::Server && self.hosts[to].me() != session.to;
        let foreign = self.hosts[from].cluster != self.hosts[to].cluster;
        if run != expected || stranger || foreign || self.network.breaks(from, to) {
            if foreign {
                self.checks.saw(EventName::ForeignCluster);
            }
            self.break_off(number);
            return;
        }
        let Some((carried, track)) = session.receive(towards) else {
            return;
        };
        self.messages += 1;
        self.recorder.taken(self.now, to, track);
        session.progress = self.now;
        session.server.1.get_or_insert(run);
        let exchange = session.exchange;
        let arrival = match carried {
            Carried::Request(from, frame) => Arrival::Request {
                session: number,
                from,
                frame,
            },
            Carried::Response(frame) => Arrival::Input(Input::Response { exchange, frame }),
            Carried::Finish(complete) => {
                self.sessions.close(number);
                finished(exchange, complete)
            }
        };
        self.arrive_at(self.now, to, arrival);
    }

    /// Breaks a session of which nothing has arrived for too long.
    pub(super) fn silence(&mut self, number: u64) {
        let Some(session) = self.sessions.get(number) else {
            return;
        };
        let due = session.progress + TIMEOUT;
        if due > self.now {
            self.heap.push(due, Event::Silence { session: number });
        } else {
            self.break_off(number);
        }
    }

    fn break_off(&mut self, number: u64) {
        if let Some(session) = self.sessions.close(number) {
            let (host, run) = session.client;
            self.checks.broke(host);
            let arrival = finished(session.exchange, false);
            self.heap.push(
                self.now,
                Event::Arrive {
                    host,
                    run: Some(run),
                    arrival,
                },
            );
        }
    }

    /// Lets the disk do something after the batches before it; says when it is done.
    fn ask_disk(&mut self, host: usize, done: Arrival) -> Timestamp {
        let speed = self.plan.disk;
        let state = &mut self.hosts[host];
        let draw = state.disk_draws.draw(state.disk_asked);
        state.disk_asked += 1;
        let at = (self.now + uniform(draw, speed.min.get(), speed.max.get())).max(state.disk_busy);
        self.arrive_at(at, host, done);
        at
    }

    /// Puts a batch on a host's disk.
    pub(super) fn make_durable(&mut self, host: usize, transfer: &Transfer) -> Step {
        let put = self.hosts[host].disk.persist(transfer);
        put.map_err(|text| self.violation("A7", host, text))?;
        self.checks
            .durable(self.now, self.hosts[host].me(), transfer);
        Ok(())
    }

    /// Lets something reach the present run of a host's process at `at`.
    pub(super) fn arrive_at(&mut self, at: Timestamp, host: usize, arrival: Arrival) {
        let run = Some(self.hosts[host].run);
        self.heap.push(at, Event::Arrive { host, run, arrival });
    }
}

const fn finished(exchange: Exchange, complete: bool) -> Arrival {
    Arrival::Input(Input::Finished { exchange, complete })
}
