//! What reaches a host becomes an input of its node.

use std::time::Duration;

use tidings_node::{CommandId, Exchange, Input};
use tidings_types::{Command, Departure, Epoch};

use super::{Event, Step, World};
use crate::{
    check::moves_on,
    history::{Asked, keys_of},
    host::{Arrival, Packet, Saved},
    plan::Comeback,
    random::Stream,
    recording::Fate,
    workload::{Call, gossip_addr},
};

/// How often the seeds' names are resolved.
pub(super) const RESOLVE: Duration = Duration::from_secs(30);

impl World {
    pub(super) fn arrive(&mut self, host: usize, run: Option<u64>, arrival: Arrival) -> Step {
        let state = &mut self.hosts[host];
        if !state.is_up() || run.is_some_and(|run| run != state.run) {
            let track = arrival.track();
            self.recorder.arrived(self.now, track, Fate::NobodyThere);
            return Ok(());
        }
        if state.paused {
            self.recorder
                .arrived(self.now, arrival.track(), Fate::Unread);
            state.wait(arrival);
            return Ok(());
        }
        match self.take_in(host, arrival) {
            Some(arrival) => self.handle(host, arrival),
            None => Ok(()),
        }
    }

    /// The driver takes note of something.
    pub(super) fn handle(&mut self, host: usize, arrival: Arrival) -> Step {
        let state = &mut self.hosts[host];
        match arrival {
            Arrival::Timer => {
                self.quiet.timer(self.now, host);
                self.timer(host)
            }
            Arrival::Second => self.tell_time(host),
            Arrival::Seeds => {
                let at = self.now + RESOLVE;
                self.arrive_at(at, host, Arrival::Seeds);
                self.feed(host, Input::Seeds(self.seed_addrs()))
            }
            Arrival::Input(input) => self.feed(host, input),
            Arrival::Packet(packet) => self.hand_over(host, packet),
            Arrival::OwnId { from } => self.feed(host, Input::OwnId { from }),
            Arrival::OldRun {
                from,
                sender,
                newest,
            } => self.feed(
                host,
                Input::OldRun {
                    from,
                    sender,
                    newest,
                },
            ),
            Arrival::Request {
                session,
                from,
                frame,
            } => {
                let exchange = Exchange(state.next_exchange);
                state.next_exchange += 1;
                state.asked.insert(exchange, session);
                self.feed(
                    host,
                    Input::Request {
                        exchange,
                        from,
                        frame,
                    },
                )
            }
            Arrival::Persisted => self.persisted(host),
            Arrival::Saved(saved) => self.saved(host, saved),
            Arrival::Epoch { above } => self.take_epoch(host, above),
            Arrival::Identity(records) => self.keep_identity(host, records),
            Arrival::Inherit => self.inherit(host),
            Arrival::Op(nth) => self.op(host, nth),
            Arrival::Depart(how, comeback) => self.depart(host, how, comeback),
        }
    }

    /// A datagram reaches the node.
    fn hand_over(&mut self, host: usize, packet: Packet) -> Step {
        self.messages += 1;
        self.checks.heard(self.now, host);
        self.recorder.taken(self.now, host, packet.track);
        self.feed(
            host,
            Input::Datagram {
                from: gossip_addr(packet.from),
                sender: packet.sender,
                payload: packet.payload,
            },
        )
    }

    /// The node's timer, unless it has been set anew since.
    fn timer(&mut self, host: usize) -> Step {
        let state = &mut self.hosts[host];
        if state.timer != Some(self.now) {
            return Ok(());
        }
        state.timer = None;
        let (spins, last) = state.spins;
        state.spins = if last == self.now {
            (spins + 1, last)
        } else {
            (0, self.now)
        };
        moves_on(self.now, host, spins)?;
        self.feed(host, Input::Timeout)
    }

    /// A second has passed on the wall clock.
    fn tell_time(&mut self, host: usize) -> Step {
        let next = self.now + Duration::from_secs(1);
        self.arrive_at(next, host, Arrival::Second);
        self.read_clock(host)
    }

    fn read_clock(&mut self, host: usize) -> Step {
        let wall_ms = self.hosts[host].clock.read(self.now);
        #[cfg(feature = "mutants")]
        let wall_ms = wall_ms + self.drifted(host);
        self.feed(host, Input::WallClock(wall_ms))
    }

    /// What makes one host's clock differ from process to process, if a test asks for it.
    #[cfg(feature = "mutants")]
    fn drifted(&self, host: usize) -> u64 {
        let drifts = host == 0 && self.drift.is_some_and(|since| self.now >= since);
        u64::from(std::process::id()) * u64::from(drifts)
    }

    fn persisted(&mut self, host: usize) -> Step {
        let Some(batch) = self.hosts[host].batches.pop_front() else {
            return Ok(());
        };
        let result = if self.hosts[host].disk_full > 0 || batch.doomed {
            // What is on its way builds on this one.
            let waiting = &mut self.hosts[host].batches;
            waiting.iter_mut().for_each(|batch| batch.doomed = true);
            Err("no space left on device".to_owned())
        } else {
            self.make_durable(host, &batch.transfer)?;
            Ok(())
        };
        let batch = batch.number;
        self.feed(host, Input::Persisted { batch, result })
    }

    fn saved(&mut self, host: usize, saved: Saved) -> Step {
        let Saved {
            save,
            transfers,
            members,
            at,
        } = saved;
        let state = &mut self.hosts[host];
        let kept = state.disk_full == 0;
        if kept {
            let put = state.disk.save(transfers, members);
            put.map_err(|text| self.violation("A7", host, text))?;
            self.hosts[host].floors.kept(at);
        }
        self.feed(host, Input::Saved { save, kept })
    }

    fn take_epoch(&mut self, host: usize, above: Epoch) -> Step {
        let seed = self.plan.seed;
        let state = &mut self.hosts[host];
        let wall_ms = state.clock.read(self.now);
        let random = Stream::new(seed, &format!("epoch/{host}")).part(state.run, state.disk_asked);
        let epoch = Epoch::after(above.max(state.disk.epoch), wall_ms, random);
        state.disk.epoch = epoch;
        self.checks.booted(host, epoch);
        self.trace
            .log(self.now, Some(host), || format!("takes epoch {epoch:?}"));
        self.feed(host, Input::EpochTaken(epoch))
    }

    fn op(&mut self, host: usize, nth: usize) -> Step {
        self.checks.traffic_mut().asked();
        self.read_clock(host)?;
        let op = self.plan.ops[nth].clone();
        let member = |of: usize| self.hosts[of].me();
        let command = op.command(member);
        let calls = op.calls.into_iter().map(|call| self.note_call(host, call));
        let calls = calls.collect();
        self.command(host, command, calls)
    }

    /// Notes what a client asks for, and returns its number.
    fn note_call(&mut self, host: usize, call: Call) -> usize {
        let keys = keys_of(&call, host, |of| self.hosts[of].me());
        let rank_of = |key| {
            let shown = self.hosts[host].reads.record(key)?;
            self.checks.history().write(shown.dot)?.rank()
        };
        let before = keys.iter().map(rank_of).collect();
        // An operator at the owner's own agent deregisters as the owner does.
        let call = match call {
            Call::Override(of, Some(id)) if of == host => Call::Deregister(id),
            call => call,
        };
        self.checks.history_mut().asked(Asked {
            call,
            host,
            at: self.now,
            acked: None,
            refused: false,
            doubtful: false,
            keys,
            before,
        })
    }

    fn depart(&mut self, host: usize, how: Departure, comeback: Option<Comeback>) -> Step {
        if self.hosts[host].departing.is_some() {
            return Ok(());
        }
        self.hosts[host].departing = Some(comeback);
        self.command(host, Command::Depart(how), Vec::new())
    }

    pub(super) fn command(&mut self, host: usize, command: Command, calls: Vec<usize>) -> Step {
        let state = &mut self.hosts[host];
        let id = CommandId(state.next_command);
        state.next_command += 1;
        state.open.insert(id, (calls, self.now));
        self.trace.log(self.now, Some(host), || {
            format!("is asked {id:?}: {command:?}")
        });
        self.recorder.asked(self.now, host, id, &command);
        let command = Box::new(command);
        self.feed(host, Input::Command { id, command })
    }

    /// Lets everything that waited reach a process that goes on.
    pub(super) fn resume(&mut self, host: usize) {
        let state = &mut self.hosts[host];
        state.paused = false;
        state.timer = None;
        for (_, due) in state.open.values_mut() {
            *due = self.now;
        }
        let run = Some(state.run);
        for arrival in std::mem::take(&mut state.inbox) {
            self.heap
                .push(self.now, Event::Arrive { host, run, arrival });
        }
        self.set_timer(host);
    }
}
