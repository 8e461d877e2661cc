//! Processes that start and stop, and the disks that they find.

use std::net::SocketAddr;

use tidings_node::{Boot, Config, Input, Node};
use tidings_types::{Epoch, Timestamp};

use super::{Event, Step, World, liar::id_of, tear::Lost};
use crate::{
    check::Floors,
    disk::Disk,
    history::Setback,
    host::{Arrival, Host, identity},
    plan::Comeback,
    random::{Stream, below},
    scenario::{DiskFate, EventName},
    workload::{gossip_addr, node_name},
};

impl World {
    /// Starts a host's process, unless something else happened to it in the meantime.
    pub(super) fn boot(&mut self, host: usize, after_run: u64) -> Step {
        if self.hosts[host].is_up() || self.hosts[host].run != after_run {
            return Ok(());
        }
        self.succeed(host);
        let config = self.config(host);
        let seed = self.plan.seed;
        let state = &mut self.hosts[host];
        state.run += 1;
        state.monotonic.start(self.now);
        let wall_ms = state.clock.read(self.now);
        let random = Stream::new(seed, &format!("epoch/{host}")).draw(state.run);
        state.disk.epoch = Epoch::after(state.disk.epoch, wall_ms, random);
        let boot = Boot {
            node: state.me(),
            cluster: id_of(state.cluster),
            epoch: state.disk.epoch,
            addr: gossip_addr(host),
            seed: Stream::new(seed, &format!("node/{host}")).draw(state.run),
            wall_ms,
            own: state.disk.own(),
            own_damaged: state.disk.is_own_damaged(),
            replicas: state.disk.replicas(),
            members: state.disk.members(),
        };
        let is_damaged = boot.own_damaged || boot.replicas.iter().any(|(_, damaged)| *damaged);
        let (run, epoch) = (state.run, state.disk.epoch);
        let (me, cluster) = (state.me(), state.cluster);
        if run == 1 {
            state.first_epoch = epoch;
        }
        if is_damaged {
            self.checks.saw(EventName::SnapshotRejected);
        }
        self.checks.booted(host, epoch);
        self.checks.lives(me);
        self.checks.joined(me, cluster);
        self.trace.log(self.now, Some(host), || {
            format!("starts, run {run}, epoch {epoch:?}")
        });
        let made = std::panic::catch_unwind(|| Node::new(config, boot, Timestamp::ZERO));
        self.hosts[host].node = Some(self.survived(host, made)?);
        self.drain(host)?;
        self.feed(host, Input::Seeds(self.seed_addrs()))?;
        if !self.hosts[host].inherited.is_empty() {
            self.arrive_at(self.now, host, Arrival::Inherit);
        }
        let second = self.now + std::time::Duration::from_secs(1);
        self.heap.push(
            second,
            Event::Arrive {
                host,
                run: Some(run),
                arrival: Arrival::Second,
            },
        );
        let resolve = self.now + super::arrivals::RESOLVE;
        self.heap.push(
            resolve,
            Event::Arrive {
                host,
                run: Some(run),
                arrival: Arrival::Seeds,
            },
        );
        Ok(())
    }

    pub(super) fn seed_addrs(&self) -> Vec<SocketAddr> {
        self.plan
            .seeds
            .iter()
            .map(|&host| gossip_addr(host))
            .collect()
    }

    fn config(&self, host: usize) -> Config {
        let settings = self.plan.settings;
        let mut config = Config::new(node_name(host), gossip_addr(host).ip().to_string());
        if settings.jitter == Some(false) {
            config.membership.jitter_percent = 0;
        }
        for (setting, span) in [
            (&mut config.repair_after, settings.repair_after),
            (&mut config.stale_for, settings.stale_for),
            (&mut config.save_every, settings.save_every),
            (&mut config.island_half_life, settings.island_half_life),
        ] {
            if let Some(span) = span {
                *setting = span.get();
            }
        }
        for (kept, count) in [
            (&mut config.keeps.marks, settings.marks_kept),
            (&mut config.keeps.runs, settings.runs_kept),
        ] {
            if let Some(count) = count {
                *kept = usize::from(count);
            }
        }
        self.mutant.apply(&mut config);
        config
    }

    /// Kills a host's process: what was on its way to the disk is there in part.
    pub(super) fn crash(&mut self, host: usize, comeback: Option<Comeback>) -> Step {
        if !self.hosts[host].is_up() {
            return Ok(());
        }
        let state = &mut self.hosts[host];
        let waiting = state.batches.len();
        let draw = state.disk_draws.draw(u64::MAX - state.run);
        let bound = u64::try_from(waiting).unwrap_or(u64::MAX).saturating_add(1);
        let kept = if state.disk_full > 0 {
            0
        } else {
            usize::try_from(below(draw, bound)).unwrap_or(waiting)
        };
        let batches: Vec<_> = state.batches.drain(..kept).collect();
        for batch in batches.iter().take_while(|batch| !batch.doomed) {
            self.make_durable(host, &batch.transfer)?;
        }
        self.checks.killed(self.now, host, &self.hosts);
        self.trace.log(self.now, Some(host), || {
            format!("is killed, {kept} of {waiting} batches on disk")
        });
        self.stop(host, comeback);
        Ok(())
    }

    /// Stops a host's process after its goodbye: the disk is closed properly.
    pub(super) fn leave(&mut self, host: usize, comeback: Option<Comeback>) {
        self.trace.log(self.now, Some(host), || "stops".to_owned());
        self.stop(host, comeback);
    }

    fn stop(&mut self, host: usize, comeback: Option<Comeback>) {
        self.sessions.forget_client(host);
        let is_torn = comeback.is_some_and(|comeback| comeback.disk == DiskFate::Torn);
        let lost = if is_torn {
            self.tear(host)
        } else {
            Lost::default()
        };
        let state = &mut self.hosts[host];
        state.stop();
        self.checks.stopped(host);
        let run = state.run;
        let Some(comeback) = comeback else {
            // What it holds counts for nobody until it is back.
            self.checks.history_mut().forgot(host, Timestamp::ZERO);
            return;
        };
        self.replace_disk(host, comeback, lost);
        let kept = self.hosts[host].floors.kept_until();
        self.checks.history_mut().forgot(host, kept);
        let at = self.now + comeback.after;
        self.heap.push(
            at,
            Event::Boot {
                host,
                after_run: run,
            },
        );
    }

    fn replace_disk(&mut self, host: usize, comeback: Comeback, lost: Lost) {
        let seed = self.plan.seed;
        let state = &mut self.hosts[host];
        state.cluster = comeback.cluster.max(state.cluster);
        let image = match comeback.disk {
            DiskFate::Intact => {
                // What came to a damaged replica is saved when it is whole.
                state.floors = if state.disk.has_damage() {
                    state.floors.of_a_torn_disk()
                } else {
                    state.floors.saved()
                };
                return;
            }
            DiskFate::Torn => {
                state.floors = if lost.registry {
                    Floors::default()
                } else {
                    state.floors.saved()
                };
                if !lost.own {
                    return;
                }
                // The own tombstones held down what others wrote, and they may be gone.
                state.floors = state.floors.of_a_torn_disk();
                Timestamp::ZERO
            }
            DiskFate::Empty | DiskFate::Lost => {
                if comeback.disk == DiskFate::Lost {
                    state.identity += 1;
                }
                state.disk = Disk::new(identity(seed, host, state.identity));
                state.floors = Floors::default();
                Timestamp::ZERO
            }
            DiskFate::Copied => {
                let of = comeback.of.unwrap_or(host);
                let (disk, floors) = (self.hosts[of].disk.clone(), self.hosts[of].floors.saved());
                let state = &mut self.hosts[host];
                state.disk = disk;
                state.floors = floors;
                Timestamp::ZERO
            }
            DiskFate::RolledBack | DiskFate::Stale | DiskFate::Unsynced => {
                let at = comeback.image.unwrap_or(Timestamp::ZERO);
                go_back(state, comeback.disk, at);
                if comeback.disk == DiskFate::Stale {
                    // What it wrote itself is all there.
                    return;
                }
                at
            }
            DiskFate::Flipped => {
                let draws = Stream::new(seed, &format!("flip/{host}"));
                state.floors = Floors::default();
                if !state.disk.flip_bits(draws, state.run) {
                    return;
                }
                Timestamp::ZERO
            }
        };
        let at = self.now;
        self.checks
            .history_mut()
            .set_back(Setback { host, at, image });
        self.trace.log(self.now, Some(host), || {
            format!("has its disk {:?}", comeback.disk)
        });
    }
}

/// Puts on a disk what it held at an earlier moment, as far as its fate says.
fn go_back(state: &mut Host, fate: DiskFate, at: Timestamp) {
    let Some((image, floors)) = state.images.get(&at) else {
        return;
    };
    // Own tombstones hold down what others write. Where the two are of different times a replica may
    // show again what had been gone.
    match fate {
        DiskFate::Stale => {
            state.disk.forget_replicas_since(image);
            state.floors = floors.of_a_torn_disk();
        }
        DiskFate::Unsynced => {
            state.disk.forget_own_since(image);
            state.floors = state.floors.of_a_torn_disk();
        }
        _ => {
            state.disk = image.clone();
            state.floors = floors.clone();
        }
    }
}
