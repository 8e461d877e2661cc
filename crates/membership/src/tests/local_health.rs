//! The sick accuse nobody, and the dead are noticed all the same.

use super::world::{World, report, seconds, spread};
use crate::{Config, State};

/// Rejoins of the nodes from `first` on.
fn rejoins_from(world: &mut World, first: usize) -> u64 {
    let size = world.nodes.len();
    (first..size)
        .map(|n| world.node(n).counters().rejoins)
        .sum()
}

#[test]
fn the_deaf_do_not_get_the_healthy_declared_down() {
    for (size, deaf) in [(100, 5), (10, 1), (5, 1), (5, 2)] {
        let mut world = World::joined(size, 21, Config::default());
        world.pulls = true;
        let (rejoins, downs) = (rejoins_from(&mut world, deaf), downs_of(&world, deaf));
        world.deaf = deaf;
        let given_up = world.run_until(seconds(60), |world| {
            (deaf..size).all(|n| (0..deaf).all(|d| world.sees(n, d) == Some(State::Down)))
        });
        world.run(seconds(120) - given_up.expect("the deaf are given up"));
        assert_eq!(rejoins_from(&mut world, deaf), rejoins, "{size} nodes");
        let among_healthy = (deaf..size).all(|n| {
            let mut others = (deaf..size).filter(|&m| m != n);
            others.all(|m| world.sees(n, m) == Some(State::Alive))
        });
        assert!(among_healthy, "{size} nodes");
        // Each deaf one was given up once by each healthy one, and nobody else ever was.
        let all = u64::try_from(deaf * (size - deaf)).unwrap();
        assert_eq!(downs_of(&world, deaf) - downs, all, "{size} nodes");
        world.deaf = 0;
        let full = world.run_until_full(seconds(20));
        report(&format!(
            "{deaf} of {size} deaf: given up in {:.2?}, all well again in {:.2?}",
            given_up.unwrap_or_default(),
            full.unwrap_or_else(|| panic!("{:?}", unseen(&world)))
        ));
        assert_eq!(rejoins_from(&mut world, deaf), rejoins, "{size} nodes");
    }
}

/// Who does not see whom alive.
fn unseen(world: &World) -> Vec<(usize, usize, Option<State>)> {
    let pairs = (0..world.nodes.len()).flat_map(|n| (0..world.nodes.len()).map(move |m| (n, m)));
    pairs
        .filter(|&(n, m)| n != m && world.sees(n, m) != Some(State::Alive))
        .map(|(n, m)| (n, m, world.sees(n, m)))
        .collect()
}

/// Members that the nodes from `first` on have seen going down.
fn downs_of(world: &World, first: usize) -> u64 {
    let nodes = world.nodes.iter().flatten().skip(first);
    nodes.map(|node| node.counters().downs).sum()
}

#[test]
fn a_node_that_is_cut_off_makes_nobody_else_rejoin() {
    let mut noticed = Vec::new();
    for seed in 0..100 {
        let mut world = World::joined(3, seed, Config::default());
        let before = rejoins_from(&mut world, 1);
        world.split(&[1, 2]);
        let alone = world.run_until(seconds(30), |world| {
            [1, 2]
                .iter()
                .all(|&n| world.sees(0, n) == Some(State::Down))
        });
        noticed.push(alone.expect("it notices"));
        world.run(seconds(20));
        world.heal();
        assert!(world.run_until_full(seconds(5)).is_some(), "seed {seed}");
        world.run(seconds(10));
        assert_eq!(rejoins_from(&mut world, 1), before, "seed {seed}");
    }
    let (median, slowest) = spread(noticed);
    report(&format!(
        "cut off from 2: noticed median {median:.2?} slowest {slowest:.2?}"
    ));
    assert!(slowest <= seconds(7), "{slowest:?}");
}

#[test]
fn the_dead_are_found_by_all_even_if_there_are_many() {
    for (size, dead, bound) in [(20, 1, 15), (5, 2, 12), (20, 8, 40), (3, 2, 8)] {
        let mut times = Vec::new();
        for seed in 0..20 {
            let mut world = World::joined(size, seed, Config::default());
            (0..dead).for_each(|n| world.kill(n));
            let found = world.run_until(seconds(120), |world| {
                (dead..size).all(|n| (0..dead).all(|d| world.sees(n, d) == Some(State::Down)))
            });
            times.push(found.expect("they are found"));
            assert_eq!(rejoins_from_running(&world), 0, "seed {seed}");
        }
        let (median, slowest) = spread(times);
        report(&format!(
            "{dead} of {size} killed: known to all in median {median:.2?} slowest {slowest:.2?}"
        ));
        assert!(slowest <= seconds(bound), "{dead} of {size}: {slowest:?}");
    }
}

fn rejoins_from_running(world: &World) -> u64 {
    let running = world.nodes.iter().flatten();
    running.map(|node| node.counters().rejoins).sum()
}

#[test]
fn a_verdict_that_was_held_is_given_once_the_node_may_trust_itself() {
    let mut world = World::joined(5, 3, Config::default());
    world.kill(0);
    world.kill(1);
    world.run(seconds(60));
    for n in 2..5 {
        let view = world.node(n).snapshot();
        let down = view.iter().filter(|member| member.state == State::Down);
        assert_eq!(down.count(), 2, "both are down for the others' sake, too");
        assert_eq!(world.node(n).local_health(), 1);
    }
}
