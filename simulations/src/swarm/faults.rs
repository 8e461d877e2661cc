//! What goes wrong in a made-up scenario.

mod stops;

use super::{Dice, Profile, shape, splits};
use crate::{
    scenario::{CutLane, DiskFate, Fault, Hosts, Lie, Scenario, Way},
    span::{Shift, Span},
};

/// Nothing begins before, in milliseconds: there would be nothing to break.
const EARLIEST: u64 = 1_000;
/// The host that lies, in scenarios in which one does.
const LIES: usize = 1;
/// A feed has so many epochs, and a liar makes them up by the second.
const LONGEST_LIE: Span = Span::from_millis(5_000);
/// How long two halves are apart at least, in milliseconds: each side declares all of the other down.
const APART: u64 = 15_000;
/// Faults of one scenario, at most.
const FAULTS: usize = 60;

/// Something that a scenario may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Split,
    Swizzle,
    Jam,
    Weather,
    Pause,
    ShortPause,
    Crash,
    CrashLoop,
    Outage,
    Depart,
    Clock,
    SendErrors,
    DiskFull,
    SlowNode,
    Flood,
    Deaf,
    Copy,
    Lie,
    Apart,
    Replay,
    Drift,
}

/// Each kind, with the probability that a scenario has it at all.
const SWARM: &[(Kind, f64)] = &[
    (Kind::Split, 0.55),
    (Kind::Swizzle, 0.1),
    (Kind::Jam, 0.15),
    (Kind::Weather, 0.2),
    (Kind::Pause, 0.3),
    (Kind::Crash, 0.55),
    (Kind::CrashLoop, 0.12),
    (Kind::Outage, 0.12),
    (Kind::Depart, 0.25),
    (Kind::Clock, 0.5),
    (Kind::SendErrors, 0.12),
    (Kind::DiskFull, 0.12),
    (Kind::SlowNode, 0.15),
    (Kind::Flood, 0.1),
    (Kind::Apart, 0.2),
    (Kind::Replay, 0.08),
    (Kind::Drift, 0.08),
];
const SMOKE: &[(Kind, f64)] = &[
    (Kind::Split, 0.6),
    (Kind::Pause, 0.3),
    (Kind::Crash, 0.6),
    (Kind::Depart, 0.2),
];
const LOSSY: &[(Kind, f64)] = &[
    (Kind::Weather, 0.8),
    (Kind::Jam, 0.3),
    (Kind::Swizzle, 0.2),
    (Kind::SlowNode, 0.3),
    (Kind::SendErrors, 0.2),
    (Kind::Crash, 0.2),
];
const DISK: &[(Kind, f64)] = &[
    (Kind::Crash, 0.9),
    (Kind::CrashLoop, 0.3),
    (Kind::Outage, 0.25),
    (Kind::Depart, 0.2),
    (Kind::DiskFull, 0.3),
    (Kind::Split, 0.4),
    (Kind::Clock, 0.4),
];
const SPLIT: &[(Kind, f64)] = &[
    (Kind::Split, 1.0),
    (Kind::Apart, 0.5),
    (Kind::Swizzle, 0.2),
    (Kind::Jam, 0.2),
    (Kind::Pause, 0.1),
    (Kind::Clock, 0.4),
    (Kind::Crash, 0.2),
];
/// What a healthy cluster bears without a false word.
const CALM: &[(Kind, f64)] = &[
    (Kind::ShortPause, 0.7),
    (Kind::Clock, 0.3),
    (Kind::DiskFull, 0.2),
];

/// What goes on beside a lie. A liar can make up what its victim wrote in an earlier run, or while it
/// cannot be asked: what is shown is true only as long as owners are there.
const LIAR: &[(Kind, f64)] = &[
    (Kind::Lie, 1.0),
    (Kind::ShortPause, 0.5),
    (Kind::Clock, 0.3),
];
/// Who is sick accuses nobody.
const DEAF: &[(Kind, f64)] = &[
    (Kind::Deaf, 1.0),
    (Kind::ShortPause, 0.3),
    (Kind::Clock, 0.3),
];
/// Disks that were cloned, and several that lost something at a time.
const DAMAGE: &[(Kind, f64)] = &[
    (Kind::Crash, 0.9),
    (Kind::Outage, 0.4),
    (Kind::Copy, 0.5),
    (Kind::Split, 0.3),
    (Kind::DiskFull, 0.2),
];

/// Adds what goes wrong.
pub(super) fn add(scenario: &mut Scenario, profile: Profile) {
    let mut dice = Dice::new(scenario.seed, "faults");
    let table = match profile {
        Profile::Swarm => SWARM,
        Profile::Smoke => SMOKE,
        Profile::Lossy => LOSSY,
        Profile::Disk => DISK,
        Profile::Split => SPLIT,
        Profile::Calm => CALM,
        Profile::Liar => LIAR,
        Profile::Deaf => DEAF,
        Profile::Damage => DAMAGE,
    };
    let mut kinds = Vec::new();
    for &(kind, p) in table {
        let weight = 1 << dice.index(6);
        if dice.chance(p) {
            kinds.push((kind, weight));
        }
    }
    if kinds.is_empty() {
        return;
    }
    let maker = Maker::new(scenario, &mut dice);
    let count = dice.spread(1, if profile == Profile::Smoke { 4 } else { 16 });
    for nth in 0..count {
        let kind = dice.weighted(&kinds);
        let mut own = Dice::new(scenario.seed, &format!("fault/{nth}"));
        scenario.fault.extend(maker.make(kind, &mut own));
    }
    scenario.fault.truncate(FAULTS);
    scenario.fault.sort_by_key(Fault::at);
    if profile != Profile::Damage {
        tear_once(&mut scenario.fault);
    }
}

/// Leaves one disk torn at most: what it lost is mended from the others, which must be whole.
fn tear_once(faults: &mut [Fault]) {
    let mut is_torn = false;
    for fault in faults {
        let (Fault::Crash { node, restart, .. } | Fault::Depart { node, restart, .. }) = fault
        else {
            continue;
        };
        let Some(restart) = restart.as_mut().filter(|r| r.disk == DiskFate::Torn) else {
            continue;
        };
        if std::mem::replace(&mut is_torn, true) {
            restart.disk = DiskFate::Intact;
        } else if let Hosts::Many(hosts) = node {
            *node = Hosts::One(hosts[0]);
        }
    }
}

/// Makes faults of one scenario.
struct Maker {
    nodes: usize,
    chaos: u64,
    /// How often each fate of a disk comes in this scenario.
    fates: Vec<(DiskFate, u32)>,
    /// How long a process is away, at most.
    away: u64,
    /// The probability that a process that stops stays away.
    gone: f64,
}

impl Maker {
    fn new(scenario: &Scenario, dice: &mut Dice) -> Self {
        let mut fates = vec![(DiskFate::Intact, 1 << dice.index(5))];
        if dice.chance(0.35) {
            // Nor may the others have lost theirs.
            fates.push((DiskFate::Torn, 8));
        } else {
            for fate in [
                DiskFate::Lost,
                DiskFate::Empty,
                DiskFate::RolledBack,
                DiskFate::Stale,
                DiskFate::Unsynced,
            ] {
                let weight = 1 << dice.index(4);
                if dice.chance(0.4) {
                    fates.push((fate, weight));
                }
            }
        }
        Self {
            nodes: scenario.nodes,
            chaos: u64::try_from(scenario.phases.chaos.get().as_millis()).unwrap_or(u64::MAX),
            fates,
            away: dice.spread(50, 30_000),
            gone: if dice.chance(0.3) { 0.3 } else { 0.0 },
        }
    }

    fn make(&self, kind: Kind, dice: &mut Dice) -> Vec<Fault> {
        let at = dice.between(EARLIEST, self.chaos - 1_000);
        let length = dice.spread(100, (self.chaos - at).min(60_000));
        let span = (Span::from_millis(at), Some(Span::from_millis(length)));
        match kind {
            Kind::Split => splits::split(dice, self.nodes, at, length),
            Kind::Swizzle => splits::swizzle(dice, self.nodes, at, length),
            Kind::Crash => vec![self.crash(dice, at)],
            Kind::CrashLoop => self.crash_loop(dice),
            Kind::Outage => self.outage(dice, at),
            Kind::Depart => vec![self.depart(dice, at)],
            Kind::Copy => self.copy(dice, at),
            Kind::Pause | Kind::ShortPause => vec![self.pause(kind, dice, span)],
            Kind::Jam | Kind::Weather | Kind::SendErrors => vec![self.link(kind, dice, span)],
            Kind::Clock => vec![self.clock(dice, span)],
            Kind::DiskFull => vec![Fault::DiskFull {
                at: span.0,
                r#for: span.1,
                node: self.few(dice),
            }],
            Kind::SlowNode => vec![Fault::SlowNode {
                at: span.0,
                r#for: span.1,
                node: self.few(dice),
                late: Span::from_millis(dice.spread(10, 2_000)),
            }],
            Kind::Flood => self.flood(dice, span),
            Kind::Lie => self.lie(dice, span),
            Kind::Deaf => self.deaf(span),
            Kind::Apart => self.apart(dice, at, length),
            Kind::Replay => vec![self.replay(dice, at)],
            Kind::Drift => vec![Fault::Drift {
                at: span.0,
                r#for: span.1,
                node: self.few(dice),
                rate_ppm: dice.pick(&[-50_000, -500, 500, 50_000]),
            }],
        }
    }

    /// Two halves are apart until each has given up the other, if the scenario is long enough: then
    /// everybody has to take a new identity at once.
    fn apart(&self, dice: &mut Dice, at: u64, length: u64) -> Vec<Fault> {
        let length = length.max(APART).min(self.chaos - EARLIEST);
        splits::halves(dice, self.nodes, at.min(self.chaos - length), length)
    }

    /// One host, or a few.
    fn few(&self, dice: &mut Dice) -> Hosts {
        if dice.chance(0.7) {
            return Hosts::One(dice.index(self.nodes));
        }
        let count = 1 + dice.index(self.nodes);
        Hosts::Many(dice.some(count, self.nodes))
    }

    fn pause(&self, kind: Kind, dice: &mut Dice, (at, length): (Span, Option<Span>)) -> Fault {
        if kind == Kind::Pause {
            return Fault::Pause {
                at,
                r#for: length,
                node: self.few(dice),
            };
        }
        let left = self.chaos - u64::try_from(at.get().as_millis()).unwrap_or(0);
        Fault::Pause {
            at,
            r#for: Some(dice.span(200, left.min(super::promise::BORNE_PAUSE))),
            node: Hosts::One(dice.index(self.nodes)),
        }
    }

    fn link(&self, kind: Kind, dice: &mut Dice, (at, length): (Span, Option<Span>)) -> Fault {
        let between = [
            self.few(dice),
            if dice.chance(0.5) {
                splits::all()
            } else {
                self.few(dice)
            },
        ];
        match kind {
            Kind::Jam => Fault::Jam {
                at,
                r#for: length,
                between,
                way: splits::way(dice),
            },
            Kind::Weather => Fault::Weather {
                at,
                r#for: length,
                between,
                link: shape::bad(dice),
            },
            _ => {
                let [node, to] = between;
                Fault::SendErrors {
                    at,
                    r#for: length,
                    node,
                    to,
                }
            }
        }
    }

    /// The last of it comes again before the chaos ends.
    fn replay(&self, dice: &mut Dice, at: u64) -> Fault {
        let left = self.chaos - at;
        let after = dice.spread(500, (left / 2).max(500));
        Fault::Replay {
            at: Span::from_millis(at),
            r#for: Some(dice.span(100, left - after)),
            between: [self.few(dice), splits::all()],
            way: splits::way(dice),
            after: Span::from_millis(after),
        }
    }

    fn clock(&self, dice: &mut Dice, (at, length): (Span, Option<Span>)) -> Fault {
        let millis = i64::try_from(dice.spread(100, 7_200_000)).unwrap_or(i64::MAX);
        let offset = if dice.chance(0.5) { millis } else { -millis };
        let (offset, rate_ppm, frozen) = match dice.index(4) {
            0 => (0, dice.pick(&[-50_000, -500, 500, 50_000]), false),
            1 => (0, 0, true),
            _ => (offset, 0, false),
        };
        // Some are never put right.
        let length = length.filter(|_| dice.chance(0.6));
        Fault::Clock {
            at,
            r#for: length,
            node: self.few(dice),
            offset: Shift::from_millis(offset),
            rate_ppm,
            frozen,
        }
    }

    /// The last host hears nobody.
    fn deaf(&self, (at, length): (Span, Option<Span>)) -> Vec<Fault> {
        vec![Fault::Cut {
            at,
            r#for: length,
            between: [splits::all(), Hosts::One(self.nodes - 1)],
            way: Way::AToB,
            lane: CutLane::Datagram,
        }]
    }

    fn flood(&self, dice: &mut Dice, (at, length): (Span, Option<Span>)) -> Vec<Fault> {
        let pair = dice.shuffled(self.nodes);
        let Some(&to) = pair.get(1) else {
            return Vec::new();
        };
        let longest = Span::from_millis(5_000);
        vec![Fault::Flood {
            at,
            r#for: length.map(|length| length.min(longest)),
            from: pair[0],
            to: Hosts::One(to),
            per_second: u32::try_from(dice.spread(200, 5_000)).unwrap_or(u32::MAX),
        }]
    }

    fn lie(&self, dice: &mut Dice, (at, length): (Span, Option<Span>)) -> Vec<Fault> {
        let order = dice.shuffled(self.nodes);
        // Alone with a liar there is nobody to know better, and there is one liar in a scenario.
        if self.nodes < 3 {
            return Vec::new();
        }
        let of = order.into_iter().find(|&of| of != LIES);
        let about = dice.pick(&[
            Lie::FalseHeads,
            Lie::ForeignRecords,
            Lie::EqualPosition,
            Lie::EndlessEpochs,
        ]);
        vec![Fault::Lie {
            at,
            r#for: length.map(|length| length.min(LONGEST_LIE)),
            node: LIES,
            about,
            of,
        }]
    }
}
