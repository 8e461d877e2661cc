//! After any split the members find each other again, and soon.
//!
//! Each shape runs over many seeds; the slowest must stay below a bound. The measured times are
//! printed with `--nocapture`.

use std::time::Duration;

use super::world::{World, report, seconds, spread};
use crate::{Config, State};

const SEEDS: u64 = 100;

fn lock_step() -> Config {
    Config {
        jitter_percent: 0,
        ..Config::default()
    }
}

/// Splits a cluster until each side has given the other up, heals it, and asserts how long the
/// slowest of many runs took to a full view.
fn heals_within(name: &str, config: &Config, size: usize, groups: &[usize], bound: Duration) {
    let mut healed = Vec::new();
    let mut given_up = Vec::new();
    let mut rejoins = 0;
    for seed in 0..SEEDS {
        let mut world = World::joined(size, seed, config.clone());
        let rejoins_before = rejoins_of(&world);
        world.split(groups);
        let up = world.run_until(seconds(60), sides_have_given_up);
        given_up.push(up.unwrap_or_else(|| panic!("{name}: seed {seed} sees no split")));
        world.run(seconds(10));
        world.heal();
        let full = world.run_until_full(seconds(60));
        healed.push(full.unwrap_or_else(|| panic!("{name}: seed {seed} never heals")));
        rejoins += rejoins_of(&world) - rejoins_before;
    }
    let (median, slowest) = spread(healed);
    let (split_median, split_slowest) = spread(given_up);
    report(&format!(
        "{name}: heal median {median:.2?} slowest {slowest:.2?}; \
         split seen median {split_median:.2?} slowest {split_slowest:.2?}; \
         rejoins per heal {:.1}",
        f64::from(u32::try_from(rejoins).unwrap()) / f64::from(u32::try_from(SEEDS).unwrap())
    ));
    assert!(slowest <= bound, "{name}: {slowest:?} > {bound:?}");
}

fn sides_have_given_up(world: &World) -> bool {
    let nodes = 0..world.nodes.len();
    nodes.clone().all(|n| {
        nodes.clone().all(|m| {
            let together = world.sides[n] == world.sides[m];
            n == m || together || world.sees(n, m) == Some(State::Down)
        })
    })
}

fn rejoins_of(world: &World) -> u64 {
    world
        .nodes
        .iter()
        .flatten()
        .map(|node| node.counters().rejoins)
        .sum()
}

/// How long the slowest heal of a small cluster may take.
const HEALED: Duration = Duration::from_secs(3);

#[test]
fn two_against_one() {
    heals_within("2|1", &Config::default(), 3, &[2, 1], HEALED);
}

#[test]
fn two_nodes_only() {
    heals_within("1|1", &Config::default(), 2, &[], HEALED);
}

#[test]
fn half_against_half() {
    heals_within("3|3", &Config::default(), 6, &[3, 3], HEALED);
}

#[test]
fn every_link_down_at_once() {
    heals_within("blackout of 3", &Config::default(), 3, &[], HEALED);
    heals_within("blackout of 5", &Config::default(), 5, &[], HEALED);
}

#[test]
fn nodes_in_lock_step() {
    heals_within("lock-step 1|1", &lock_step(), 2, &[], HEALED);
    heals_within("lock-step 2|1", &lock_step(), 3, &[2, 1], HEALED);
    heals_within("lock-step 3|3", &lock_step(), 6, &[3, 3], HEALED);
    heals_within("lock-step blackout of 5", &lock_step(), 5, &[], HEALED);
}

#[test]
fn links_that_flap_at_random_leave_nobody_wedged() {
    let mut healed = Vec::new();
    for seed in 0..2 * SEEDS {
        let size = 2 + usize::try_from(seed % 6).unwrap();
        let config = if seed % 2 == 0 {
            Config::default()
        } else {
            lock_step()
        };
        let mut world = World::joined(size, seed, config);
        world.loss = 10;
        for round in 0..12 {
            let salt = seed * 31 + round * 17;
            let one = 1 + usize::try_from(salt).unwrap() % size;
            let two = usize::try_from(salt / 3).unwrap() % (size - one + 1);
            world.heal();
            world.run(Duration::from_millis(53 * salt % 2_500));
            world.split(&[one, two, size - one - two]);
            world.run(Duration::from_millis(700 + 311 * salt % 7_000));
        }
        world.heal();
        world.loss = 0;
        let full = world.run_until_full(seconds(60));
        healed.push(full.unwrap_or_else(|| panic!("seed {seed} never heals")));
    }
    let (median, slowest) = spread(healed);
    report(&format!(
        "flapping links: heal median {median:.2?} slowest {slowest:.2?}"
    ));
    assert!(slowest <= seconds(8), "{slowest:?}");
}

#[test]
fn a_cluster_forms_from_seeds_and_pulls_the_list_once() {
    let mut formed = Vec::new();
    for seed in 0..SEEDS {
        let config = if seed % 2 == 0 {
            Config::default()
        } else {
            lock_step()
        };
        let mut world = World::boot(5, seed, config);
        formed.push(world.run_until_full(seconds(30)).expect("it forms"));
        world.run(seconds(20));
        for node in 0..5 {
            assert_eq!(world.contacts.iter().filter(|(n, _)| *n == node).count(), 1);
        }
    }
    let (median, slowest) = spread(formed);
    report(&format!(
        "boot of 5: median {median:.2?} slowest {slowest:.2?}"
    ));
    assert!(slowest <= seconds(3));
}

#[test]
fn a_split_of_a_day_heals_like_a_short_one() {
    let mut world = World::joined(3, 7, Config::default());
    world.split(&[2, 1]);
    world.run(seconds(26 * 3_600));
    world.heal();
    assert!(world.run_until_full(seconds(4)).is_some());
}

#[test]
fn equal_seeds_give_equal_traces() {
    let run = |seed| {
        let mut world = World::joined(6, seed, Config::default());
        world.loss = 10;
        world.split(&[3, 3]);
        world.run(seconds(20));
        world.heal();
        world.run(seconds(20));
        (world.trace, world.packets)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
