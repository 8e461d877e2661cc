//! Faults begin and end.

use std::time::Duration;

use super::{Event, Step, World};
use crate::{clock::WallClock, host::Arrival, plan::What};

impl World {
    pub(super) fn begin(&mut self, nth: usize) -> Step {
        let what = self.plan.trouble[nth].what.clone();
        self.trace
            .log(self.now, None, || format!("begins: {what:?}"));
        match what {
            What::Cut(links, lanes) => {
                for (from, to) in links {
                    lanes
                        .iter()
                        .for_each(|&lane| self.network.cut(from, to, lane));
                }
            }
            What::Weather(links, link) => {
                links
                    .iter()
                    .for_each(|&(from, to)| self.network.disturb(from, to, link));
            }
            What::Pause(hosts) => {
                for host in hosts {
                    self.hosts[host].paused = self.hosts[host].is_up();
                }
            }
            What::Crash(hosts, comeback) => {
                return hosts
                    .into_iter()
                    .try_for_each(|host| self.crash(host, comeback));
            }
            What::Depart(hosts, how, comeback) => {
                for host in hosts {
                    self.arrive_at(self.now, host, Arrival::Depart(how.into(), comeback));
                }
            }
            What::Clock(hosts, offset_ms, rate_ppm, frozen) => {
                let clock = WallClock::wrong(offset_ms, rate_ppm, frozen, self.now);
                hosts
                    .iter()
                    .for_each(|&host| self.hosts[host].clock = clock);
            }
            What::SendErrors(links) => {
                links
                    .iter()
                    .for_each(|&(from, to)| self.network.refuse(from, to, true));
            }
            What::DiskFull(hosts) => {
                hosts
                    .iter()
                    .for_each(|&host| self.hosts[host].disk_full += 1);
            }
            What::Jam(links) => {
                links
                    .iter()
                    .for_each(|&(from, to)| self.network.jam(from, to));
            }
            What::SlowNode(hosts, late) => {
                for host in hosts {
                    let state = &mut self.hosts[host];
                    state.late = late;
                    state.late_max = state.late_max.max(late);
                }
            }
            What::Replay(links, after) => {
                links
                    .iter()
                    .for_each(|&(from, to)| self.network.echo(from, to, Some(after)));
            }
            What::Drift(hosts, rate_ppm) => self.drift(&hosts, rate_ppm),
            What::Flood(..) => self.heap.push(self.now, Event::Flood(nth)),
            What::Lie(host, about, of) => self.begin_lying(nth, host, about, of),
        }
        Ok(())
    }

    pub(super) fn end(&mut self, nth: usize) {
        let what = self.plan.trouble[nth].what.clone();
        if !matches!(what, What::Crash(..) | What::Depart(..)) {
            self.trace.log(self.now, None, || format!("ends: {what:?}"));
        }
        match what {
            What::Cut(links, lanes) => {
                for (from, to) in links {
                    lanes
                        .iter()
                        .for_each(|&lane| self.network.mend(from, to, lane));
                }
            }
            What::Weather(links, _) => {
                links
                    .iter()
                    .for_each(|&(from, to)| self.network.settle(from, to));
            }
            What::Pause(hosts) => {
                for host in hosts {
                    if self.hosts[host].paused {
                        self.resume(host);
                    }
                }
            }
            What::Crash(..) | What::Depart(..) => {}
            What::Clock(hosts, ..) => {
                hosts
                    .iter()
                    .for_each(|&host| self.hosts[host].clock = WallClock::default());
            }
            What::SendErrors(links) => {
                links
                    .iter()
                    .for_each(|&(from, to)| self.network.refuse(from, to, false));
            }
            What::DiskFull(hosts) => {
                hosts
                    .iter()
                    .for_each(|&host| self.hosts[host].disk_full -= 1);
            }
            What::Jam(links) => {
                for (from, to) in links {
                    self.network.free(from, to);
                    self.let_out(from, to);
                }
            }
            What::SlowNode(hosts, _) => {
                for host in hosts {
                    self.hosts[host].late = Duration::ZERO;
                }
            }
            What::Replay(links, _) => {
                links
                    .iter()
                    .for_each(|&(from, to)| self.network.echo(from, to, None));
            }
            What::Drift(hosts, _) => self.drift(&hosts, 0),
            What::Flood(..) => {}
            What::Lie(host, ..) => {
                self.lying.remove(&host);
            }
        }
    }

    /// Lets monotonic clocks go at another speed, with the timers that hang on them.
    fn drift(&mut self, hosts: &[usize], rate_ppm: i64) {
        for &host in hosts {
            self.hosts[host].monotonic.turn(self.now, rate_ppm);
            self.set_timer(host);
        }
    }
}
