//! What clients do in a made-up scenario.

use super::{Dice, Profile};
use crate::{
    scenario::{Fault, Hosts, Repeat, Scenario, Status, Work},
    span::Span,
};

/// Nothing is asked for before, in milliseconds.
const EARLIEST: u64 = 200;
/// Ids, services and external nodes: few, so that calls meet.
const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const SERVICES: [&str; 3] = ["web", "api", "db"];
const EXTERNAL: [&str; 3] = ["x0", "x1", "x2"];
const STATUSES: [Status; 3] = [Status::Passing, Status::Warning, Status::Critical];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Register,
    Deregister,
    Check,
    RegisterExternal,
    DeregisterExternal,
    Override,
    ForceLeave,
}

const KINDS: [(Kind, f64); 7] = [
    (Kind::Register, 0.95),
    (Kind::Deregister, 0.75),
    (Kind::Check, 0.5),
    (Kind::RegisterExternal, 0.65),
    (Kind::DeregisterExternal, 0.45),
    (Kind::Override, 0.4),
    (Kind::ForceLeave, 0.15),
];

/// Adds what clients do.
pub(super) fn add(scenario: &mut Scenario, profile: Profile) {
    let mut dice = Dice::new(scenario.seed, "traffic");
    let mut kinds = Vec::new();
    for (kind, p) in KINDS {
        let weight = 1 << dice.index(5);
        if dice.chance(p) {
            kinds.push((kind, weight));
        }
    }
    if kinds.is_empty() {
        return;
    }
    let most = if profile == Profile::Smoke { 30 } else { 150 };
    let mut maker = Maker::new(scenario, &mut dice);
    let chaos = maker.chaos;
    for _ in 0..dice.spread(4, most) {
        let kind = dice.weighted(&kinds);
        let (at, via) = (dice.between(EARLIEST, chaos), maker.host(&mut dice));
        maker.call(kind, &mut dice, at, via);
        if dice.chance(maker.twice) {
            // Somebody else does the like at nearly the same time.
            let (near, other) = (at + dice.between(0, 5), dice.index(maker.nodes));
            maker.call(kind, &mut dice, near.min(chaos), other);
        }
    }
    if dice.chance(0.4) {
        maker.race_crashes(&scenario.fault, &kinds, &mut dice);
    }
    if profile != Profile::Smoke && dice.chance(0.3) {
        maker.bulk(&mut dice);
    }
    scenario.workload = maker.work;
    scenario.workload.sort_by_key(Work::at);
}

struct Maker {
    nodes: usize,
    chaos: u64,
    /// The hosts that most calls go to.
    busy: Vec<usize>,
    ids: usize,
    externals: usize,
    /// The probability that two do the same at one time.
    twice: f64,
    port: u16,
    work: Vec<Work>,
}

impl Maker {
    fn new(scenario: &Scenario, dice: &mut Dice) -> Self {
        let nodes = scenario.nodes;
        let busy = 1 + dice.index(nodes);
        Self {
            nodes,
            chaos: u64::try_from(scenario.phases.chaos.get().as_millis()).unwrap_or(u64::MAX),
            busy: dice.some(busy, nodes),
            ids: 1 + dice.index(IDS.len()),
            externals: 1 + dice.index(EXTERNAL.len()),
            twice: dice.pick(&[0.0, 0.1, 0.4]),
            port: 1_000,
            work: Vec::new(),
        }
    }

    fn host(&self, dice: &mut Dice) -> usize {
        if dice.chance(0.8) {
            dice.pick(&self.busy)
        } else {
            dice.index(self.nodes)
        }
    }

    /// A port that nobody had yet; now and then always the same one, which asks for nothing new.
    fn port(&mut self, dice: &mut Dice) -> u16 {
        self.port += 1;
        if dice.chance(0.15) { 80 } else { self.port }
    }

    fn call(&mut self, kind: Kind, dice: &mut Dice, at: u64, via: usize) {
        let id = IDS[dice.index(self.ids)].to_owned();
        let node = EXTERNAL[dice.index(self.externals)].to_owned();
        let service = dice.pick(&SERVICES).to_owned();
        let status = dice.pick(&STATUSES);
        let (port, of, is_whole) = (self.port(dice), dice.index(self.nodes), dice.chance(0.2));
        let has_check = dice.chance(0.5);
        let at = Span::from_millis(at);
        self.work.push(match kind {
            Kind::Register => Work::Register {
                at,
                via,
                id,
                service,
                port,
                check: has_check.then_some(status),
                batch: None,
                repeat: None,
            },
            Kind::Deregister => Work::Deregister {
                at,
                via,
                id,
                repeat: None,
            },
            Kind::Check => Work::Check {
                at,
                via,
                id,
                status,
            },
            Kind::RegisterExternal => Work::RegisterExternal {
                at,
                via,
                node,
                id,
                service,
                port,
            },
            Kind::DeregisterExternal => Work::DeregisterExternal {
                at,
                via,
                node,
                id: (!is_whole).then_some(id),
            },
            Kind::Override => Work::Override {
                at,
                via,
                of,
                id: (!is_whole).then_some(id),
            },
            Kind::ForceLeave => Work::ForceLeave { at, via, of },
        });
    }

    /// Calls just before a process is killed, and just after it is back.
    fn race_crashes(&mut self, faults: &[Fault], kinds: &[(Kind, u32)], dice: &mut Dice) {
        for fault in faults {
            let Fault::Crash { at, node, restart } = fault else {
                continue;
            };
            let via = match node {
                Hosts::One(host) => *host,
                Hosts::Many(hosts) => hosts[dice.index(hosts.len())],
                Hosts::Group(_) => continue,
            };
            let millis = |span: &Span| u64::try_from(span.get().as_millis()).unwrap_or(u64::MAX);
            let crash = millis(at);
            for _ in 0..dice.between(1, 3) {
                let before = crash.saturating_sub(dice.spread(1, 30));
                self.call(dice.weighted(kinds), dice, before, via);
            }
            if let Some(restart) = restart {
                let after = crash + millis(&restart.after) + dice.between(0, 200);
                self.call(dice.weighted(kinds), dice, after.min(self.chaos), via);
            }
        }
    }

    /// So many registrations and deregistrations at one host that its watermark moves: who was away
    /// then needs a snapshot.
    fn bulk(&mut self, dice: &mut Dice) {
        for _ in 0..dice.between(1, 2) {
            let via = dice.pick(&self.busy);
            let times = dice.spread(80, 300);
            let every = dice.spread(1, 30).min((self.chaos / 3) / times).max(1);
            let length = every * times;
            let at = dice.between(EARLIEST, (self.chaos - 2 * length).max(EARLIEST + 1));
            let later = dice.between(at + length / 2, self.chaos - length);
            let repeat = Repeat {
                every: Span::from_millis(every),
                times: usize::try_from(times).unwrap_or(usize::MAX),
                keys: dice.spread(20, 150),
            };
            let id = dice.pick(&["bulk", "a"]).to_owned();
            self.work.push(Work::Register {
                at: Span::from_millis(at),
                via,
                id: id.clone(),
                service: "bulk".to_owned(),
                port: 20_000,
                check: None,
                batch: None,
                repeat: Some(repeat),
            });
            self.work.push(Work::Deregister {
                at: Span::from_millis(later.max(at)),
                via,
                id,
                repeat: Some(repeat),
            });
        }
    }
}
