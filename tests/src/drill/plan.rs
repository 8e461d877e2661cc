//! The faults of a drill: what, to whom, from when until when. A seed tells all of it.
//!
//! Four lanes run beside each other: cuts, losses, processes, clocks. In each lane faults follow one
//! another, dealt from a shuffled deck, so that a short drill has as many kinds as fit.

use std::{fmt, time::Duration};

use super::AGENTS;
use crate::random::Random;

/// The faults, in the order of their begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What tells it.
    pub seed: u64,
    /// How long faults go on.
    pub chaos: Duration,
    /// The faults.
    pub faults: Vec<Planned>,
    /// The agent that stays away in the end.
    pub victim: usize,
}

/// A fault and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When it begins.
    pub at: Duration,
    /// When it is taken back.
    pub until: Duration,
    /// What it is.
    pub fault: Fault,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// These and the others do not hear each other.
    Split(Vec<usize>),
    /// These do not hear the others, who hear them.
    Deaf(Vec<usize>),
    /// What these send to the others is refused on the way out.
    Mute(Vec<usize>),
    /// Nobody hears anybody.
    Blackout,
    /// Two do not hear each other; everybody else hears both.
    Link(usize, usize),
    /// Each of these loses so many of a hundred packets that come.
    Loss(Vec<usize>, u32),
    /// SIGKILL, and a start with the disk in this state.
    Kill(Vec<usize>, Disk),
    /// SIGSTOP, and SIGCONT.
    Pause(usize),
    /// The wall clock is off by so many seconds.
    Shift(usize, i64),
}

/// What a killed agent finds on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// All that it had saved.
    Kept,
    /// Its identity, and nothing else.
    Emptied,
    /// Nothing: it becomes another node of the same name.
    Lost,
}

/// Nothing goes wrong for so long in the beginning, nor begins so late.
const CALM: Duration = Duration::from_secs(2);
/// A lane rests for so many milliseconds between two faults.
const REST_MS: (u64, u64) = (500, 2_500);
const CUT_MS: (u64, u64) = (3_000, 12_000);
const LOSS_MS: (u64, u64) = (3_000, 15_000);
const DOWN_MS: (u64, u64) = (100, 6_000);
const PAUSE_MS: (u64, u64) = (500, 8_000);
const SHIFTED_MS: (u64, u64) = (5_000, 20_000);
/// How far clocks are shifted, in seconds, either way: within what is tolerated, and far beyond.
const SHIFTS: [u64; 4] = [1, 60, 3_600, 26 * 3_600];

/// The kinds of each lane; what stands twice is dealt twice as often.
const CUTS: [Kind; 7] = [
    Kind::Split,
    Kind::Split,
    Kind::Isolated,
    Kind::Deaf,
    Kind::Mute,
    Kind::Blackout,
    Kind::Link,
];
const LOSSES: [Kind; 1] = [Kind::Loss];
const PROCESSES: [Kind; 9] = [
    Kind::Kill(1, Disk::Kept),
    Kind::Pause,
    Kind::Kill(1, Disk::Lost),
    Kind::Kill(2, Disk::Kept),
    Kind::Pause,
    Kind::Kill(1, Disk::Emptied),
    Kind::Kill(1, Disk::Kept),
    Kind::Kill(AGENTS, Disk::Kept),
    Kind::Pause,
];
const CLOCKS: [Kind; 1] = [Kind::Shift];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Split,
    Isolated,
    Deaf,
    Mute,
    Blackout,
    Link,
    Loss,
    Kill(usize, Disk),
    Pause,
    Shift,
}

impl Plan {
    /// The plan that `seed` tells. Without `clocks` it has no shifts, and all else is the same.
    pub fn new(seed: u64, chaos: Duration, clocks: bool) -> Self {
        // Each lane has a chance of its own, so that it does not hang on the others.
        let lane = |kinds: &[Kind], lasts, salt: u64| {
            let mut random = Random::of(mixed(seed.wrapping_add(salt)));
            deal(kinds, lasts, chaos, &mut random)
        };
        let mut faults = lane(&CUTS, CUT_MS, 1);
        faults.extend(lane(&LOSSES, LOSS_MS, 2));
        faults.extend(lane(&PROCESSES, DOWN_MS, 3));
        if clocks {
            faults.extend(lane(&CLOCKS, SHIFTED_MS, 4));
        }
        faults.sort_by_key(|planned| planned.at);
        let victim = Random::of(mixed(seed)).below(AGENTS);
        Self {
            seed,
            chaos,
            faults,
            victim,
        }
    }
}

/// One lane.
fn deal(kinds: &[Kind], lasts: (u64, u64), chaos: Duration, random: &mut Random) -> Vec<Planned> {
    let mut faults = Vec::new();
    let mut deck = Vec::new();
    let mut at = CALM + pause(REST_MS, random);
    while at + CALM < chaos {
        if deck.is_empty() {
            deck = shuffled(kinds.to_vec(), random);
        }
        let kind = deck.pop().expect("it was filled");
        let lasts = if matches!(kind, Kind::Pause) {
            PAUSE_MS
        } else {
            lasts
        };
        let until = (at + pause(lasts, random)).min(chaos);
        let fault = kind.fault(random);
        faults.push(Planned { at, until, fault });
        at = until + pause(REST_MS, random);
    }
    faults
}

impl Kind {
    fn fault(self, random: &mut Random) -> Fault {
        let mut some = |least: usize, most: usize| {
            let count = least + random.below(most - least + 1);
            let mut hosts = shuffled((0..AGENTS).collect(), random);
            hosts.truncate(count);
            hosts.sort_unstable();
            hosts
        };
        match self {
            Self::Split => Fault::Split(some(2, AGENTS - 2)),
            Self::Isolated => Fault::Split(some(1, 1)),
            Self::Deaf => Fault::Deaf(some(1, 2)),
            Self::Mute => Fault::Mute(some(1, 2)),
            Self::Blackout => Fault::Blackout,
            Self::Link => {
                let two = some(2, 2);
                Fault::Link(two[0], two[1])
            }
            Self::Loss => {
                let hosts = some(1, AGENTS);
                let percent = u32::try_from(random.between((5, 41))).expect("it is below 41");
                Fault::Loss(hosts, percent)
            }
            Self::Kill(count, disk) => Fault::Kill(some(count, count), disk),
            Self::Pause => Fault::Pause(some(1, 1)[0]),
            Self::Shift => {
                let host = some(1, 1)[0];
                let by = i64::try_from(SHIFTS[random.below(SHIFTS.len())]).expect("it is small");
                let back = random.below(2) == 1;
                Fault::Shift(host, if back { -by } else { by })
            }
        }
    }
}

fn pause(ms: (u64, u64), random: &mut Random) -> Duration {
    Duration::from_millis(random.between(ms))
}

fn shuffled<T>(mut items: Vec<T>, random: &mut Random) -> Vec<T> {
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at + 1));
    }
    items
}

/// Seeds that lie side by side must not tell chances that do: the finaliser of splitmix64.
const fn mixed(seed: u64) -> u64 {
    let a = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for planned in &self.faults {
            let (at, until) = (planned.at.as_secs_f64(), planned.until.as_secs_f64());
            writeln!(f, "  {at:>6.1} s to {until:>6.1} s  {}", planned.fault)?;
        }
        let end = self.chaos.as_secs_f64();
        write!(f, "  {end:>6.1} s  all is well again; when all agree, ")?;
        write!(f, "{} is killed and stays away", name(self.victim))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Split(side) => write!(f, "{} and the others are cut off", names(side)),
            Self::Deaf(side) => write!(f, "{} hears nothing of the others", names(side)),
            Self::Mute(side) => write!(f, "{} cannot send to the others", names(side)),
            Self::Blackout => write!(f, "nobody hears anybody"),
            Self::Link(a, b) => write!(f, "{} and {} are cut off", name(*a), name(*b)),
            Self::Loss(hosts, percent) => {
                write!(f, "{} loses {percent} % of what comes", names(hosts))
            }
            Self::Kill(hosts, disk) => {
                let disk = match disk {
                    Disk::Kept => "kept",
                    Disk::Emptied => "emptied but for its identity",
                    Disk::Lost => "lost",
                };
                write!(f, "{} is killed, its disk {disk}", names(hosts))
            }
            Self::Pause(host) => write!(f, "{} stands still", name(*host)),
            Self::Shift(host, by) => write!(f, "the clock of {} is off by {by} s", name(*host)),
        }
    }
}

/// The name of a host's agent.
pub fn name(host: usize) -> String {
    format!("n{}", host + 1)
}

fn names(hosts: &[usize]) -> String {
    let names: Vec<_> = hosts.iter().map(|&host| name(host)).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE_MINUTES: Duration = Duration::from_secs(300);

    #[test]
    fn a_seed_tells_one_plan_and_another_seed_another() {
        let plan = |seed| Plan::new(seed, FIVE_MINUTES, true);
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7).faults, plan(8).faults);
    }

    #[test]
    fn clocks_that_cannot_be_shifted_change_no_other_fault() {
        let mut with = Plan::new(7, FIVE_MINUTES, true);
        let is_shift = |planned: &Planned| matches!(planned.fault, Fault::Shift(..));
        assert!(with.faults.iter().any(is_shift));
        with.faults.retain(|planned| !is_shift(planned));
        assert_eq!(with, Plan::new(7, FIVE_MINUTES, false));
    }

    #[test]
    fn faults_lie_within_the_chaos_and_a_long_one_has_every_kind() {
        for seed in 0..50 {
            let plan = Plan::new(seed, FIVE_MINUTES, true);
            let mut kinds = std::collections::BTreeSet::new();
            for Planned { at, until, fault } in &plan.faults {
                assert!(CALM < *at && at < until && *until <= FIVE_MINUTES);
                let words = format!("{fault:?}");
                let kind = words.split(['(', '[']).next().unwrap_or_default();
                kinds.insert(kind.to_owned());
                if let Fault::Kill(_, disk) = fault {
                    kinds.insert(format!("{disk:?}"));
                }
            }
            assert_eq!(kinds.len(), 9 + 3, "seed {seed}: {kinds:?}");
        }
    }
}
