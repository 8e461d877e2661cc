//! How a made-up cluster is built: hosts, links, disks and settings.

use super::{Dice, Profile};
use crate::{
    link::{Bursts, Latency, Link, Narrow, PathLink, Paths, Tail},
    scenario::{DiskSpeed, Expect, Hosts, Inbox, Phases, Scenario, Settings},
    span::Span,
};

/// Host-seconds of chaos, at most: big clusters run for a shorter time.
const HOST_SECONDS: u64 = 600;
/// The longest chaos phase, in milliseconds, and the shortest.
const CHAOS_MS: (u64, u64) = (15_000, 120_000);

/// A cluster to which nothing happens yet.
pub(super) fn make(profile: Profile, seed: u64) -> Scenario {
    let mut dice = Dice::new(seed, "shape");
    let nodes = hosts(profile, &mut dice);
    let longest = match profile {
        Profile::Smoke => 30_000,
        _ => (HOST_SECONDS * 1_000 / nodes as u64).clamp(CHAOS_MS.0 * 2, CHAOS_MS.1),
    };
    let chaos = Span::from_millis(dice.spread(CHAOS_MS.0, longest));
    Scenario {
        name: String::new(),
        about: String::new(),
        seed,
        nodes,
        groups: std::collections::BTreeMap::new(),
        phases: Phases {
            chaos,
            quiet: Span::default(),
        },
        stagger: stagger(nodes, chaos, &mut dice),
        seeds: seeds(nodes, &mut dice),
        core: None,
        waits_for: None,
        second_cluster: None,
        config: settings(profile, seed),
        links: links(profile, seed, nodes),
        disk: disk(profile, seed),
        inbox: inbox(profile, seed, nodes),
        workload: Vec::new(),
        fault: Vec::new(),
        expect: Expect::default(),
    }
}

fn hosts(profile: Profile, dice: &mut Dice) -> usize {
    let (min, max) = match profile {
        Profile::Smoke => (2, 5),
        Profile::Deaf => (5, 15),
        _ => dice.weighted(&[
            ((1, 1), 1),
            ((2, 2), 14),
            ((3, 3), 25),
            ((4, 5), 28),
            ((6, 8), 18),
            ((9, 15), 10),
            ((16, 50), 4),
        ]),
    };
    min + dice.index(max - min + 1)
}

/// A third starts all at once, in lock-step; the others have all started in the first quarter.
fn stagger(nodes: usize, chaos: Span, dice: &mut Dice) -> Span {
    let quarter = u64::try_from(chaos.get().as_millis()).unwrap_or(u64::MAX) / 4;
    let longest = (quarter / nodes as u64).clamp(1, 3_000);
    let stagger = dice.spread(1, longest);
    Span::from_millis(if dice.chance(0.33) { 0 } else { stagger })
}

/// Seldom one seed, or all.
fn seeds(nodes: usize, dice: &mut Dice) -> Option<Vec<usize>> {
    match dice.index(10) {
        0 => Some(vec![0]),
        1 => Some((0..nodes).collect()),
        2 => Some(std::iter::once(0).chain(nodes.checked_sub(1)).collect()),
        _ => None,
    }
}

fn settings(profile: Profile, seed: u64) -> Settings {
    let mut dice = Dice::new(seed, "settings");
    let mut settings = Settings::default();
    let mut knob = |p: f64, min: u64, max: u64| {
        let value = Span::from_millis(dice.spread(min, max));
        dice.chance(p).then_some(value)
    };
    settings.repair_after = knob(0.25, 100, 3_000);
    settings.stale_for = knob(0.25, 1_000, 60_000);
    settings.save_every = knob(0.25, 100, 5_000);
    settings.island_half_life = knob(0.25, 5_000, 60_000);
    // Exact timers stay in phase and make accusations that jitter prevents.
    if !matches!(profile, Profile::Calm | Profile::Deaf) && dice.chance(0.15) {
        settings.jitter = Some(false);
    }
    // A feed that forgets only after hours never forgets in a scenario.
    let mut dice = Dice::new(seed, "keeps");
    let mut few = |p: f64, min: u64, max: u64| {
        let count = u8::try_from(dice.between(min, max)).unwrap_or(u8::MAX);
        dice.chance(p).then_some(count)
    };
    settings.marks_kept = few(0.7, 0, 4);
    settings.runs_kept = few(0.3, 2, 4);
    settings
}

fn links(profile: Profile, seed: u64, nodes: usize) -> Paths {
    let mut dice = Dice::new(seed, "links");
    let default = match profile {
        // A lie has an end in seconds only where its owner is heard at once.
        Profile::Calm | Profile::Deaf | Profile::Liar => mild(&mut dice),
        Profile::Lossy => bad(&mut dice),
        _ if dice.chance(0.3) => bad(&mut dice),
        _ => mild(&mut dice),
    };
    let mut paths = Paths {
        default,
        path: Vec::new(),
    };
    if nodes > 2 && !matches!(profile, Profile::Calm | Profile::Deaf) && dice.chance(0.1) {
        let far = dice.index(nodes - 1) + 1;
        let (here, there) = ((0..far).collect(), (far..nodes).collect());
        let between = [Hosts::Many(here), Hosts::Many(there)];
        let link = Link {
            latency: wide(&mut dice),
            ..default
        };
        let way = |from: usize, to: usize| PathLink {
            from: between[from].clone(),
            to: between[to].clone(),
            link,
        };
        paths.path = vec![way(0, 1), way(1, 0)];
    }
    paths
}

/// A link that a healthy cluster does not notice.
pub(super) fn mild(dice: &mut Dice) -> Link {
    let latency = match dice.index(4) {
        0 => Latency::Const {
            value: Span::from_millis(dice.spread(1, 20)),
        },
        1 => Latency::Uniform {
            min: Span::from_millis(1),
            max: Span::from_millis(dice.spread(2, 50)),
        },
        _ => Latency::default(),
    };
    let mut link = Link {
        latency,
        ..Link::default()
    };
    if dice.chance(0.3) {
        link.loss = dice.odds(1, 50);
    }
    if dice.chance(0.2) {
        link.duplicate = dice.odds(5, 200);
    }
    if dice.chance(0.2) {
        link.reorder = dice.odds(5, 300);
    }
    link
}

/// A link that loses, delays and doubles.
pub(super) fn bad(dice: &mut Dice) -> Link {
    let mut link = mild(dice);
    if dice.chance(0.5) {
        link.latency = wide(dice);
    }
    if dice.chance(0.7) {
        link.loss = dice.odds(20, 300);
    }
    if dice.chance(0.2) {
        link.breaks = dice.odds(1, 50);
    }
    if dice.chance(0.1) {
        link.narrow = Some(Narrow {
            bytes_per_second: u32::try_from(dice.spread(50_000, 1_000_000)).unwrap_or(u32::MAX),
            queue: u32::try_from(dice.spread(1_500, 50_000)).unwrap_or(u32::MAX),
        });
    }
    if dice.chance(0.25) {
        link.bursts = Some(Bursts {
            begin: dice.odds(2, 20),
            end: dice.odds(50, 500),
            loss: dice.odds(300, 900),
        });
    }
    link
}

/// Between regions, now and then with a long tail.
fn wide(dice: &mut Dice) -> Latency {
    let tail = Tail {
        p: dice.odds(1, 20),
        add: Span::from_millis(dice.spread(50, 1_000)),
    };
    Latency::Exp {
        base: Span::from_millis(dice.spread(5, 100)),
        mean: Span::from_millis(dice.spread(1, 30)),
        tail: dice.chance(0.4).then_some(tail),
    }
}

fn disk(profile: Profile, seed: u64) -> DiskSpeed {
    let mut dice = Dice::new(seed, "disk");
    let slow = profile == Profile::Disk || dice.chance(0.3);
    if !slow {
        return DiskSpeed::default();
    }
    let max = dice.spread(2, 500);
    DiskSpeed {
        min: Span::from_millis(dice.between(0, max)),
        max: Span::from_millis(max),
    }
}

fn inbox(profile: Profile, seed: u64, nodes: usize) -> Option<Inbox> {
    let mut dice = Dice::new(seed, "inbox");
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
    let inbox = Inbox {
        places: 32 << dice.index(4),
        per_second: 500 + 200 * nodes * (1 + u32::from(dice.chance(0.5))),
    };
    (!matches!(profile, Profile::Calm | Profile::Deaf) && dice.chance(0.1)).then_some(inbox)
}
