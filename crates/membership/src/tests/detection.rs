//! The dead are noticed soon, the living are left in peace.

use super::world::{World, addr, identity, node_id, report, seconds, spread};
use crate::{Config, State};

#[test]
fn a_killed_node_of_three_is_down_for_both_others_within_six_seconds() {
    let mut times = Vec::new();
    for seed in 0..200 {
        let mut world = World::joined(3, seed, Config::default());
        world.kill(0);
        let both = world.run_until(seconds(30), |world| {
            [1, 2]
                .iter()
                .all(|&n| world.sees(n, 0) == Some(State::Down))
        });
        times.push(both.expect("it is noticed"));
    }
    let (median, slowest) = spread(times);
    report(&format!(
        "kill of 1 of 3: median {median:.2?} slowest {slowest:.2?}"
    ));
    assert!(slowest <= seconds(6), "{slowest:?}");
}

#[test]
fn a_node_that_says_goodbye_is_down_at_once() {
    for seed in 0..20 {
        let mut world = World::joined(5, seed, Config::default());
        world.call(0, |node, now| node.leave(now));
        let all = world.run_until(seconds(2), |world| {
            (1..5).all(|n| world.sees(n, 0) == Some(State::Down))
        });
        assert!(all.is_some_and(|time| time.as_millis() <= 500), "{all:?}");
        assert_eq!(world.node(0).poll_timeout(), None);
    }
}

#[test]
fn a_restart_at_the_same_address_replaces_the_life_before_at_once() {
    let mut world = World::joined(3, 3, Config::default());
    world.kill(0);
    world.run(std::time::Duration::from_millis(300));
    world.start(0, 2);
    assert!(world.run_until_full(seconds(1)).is_some());
    world.run(seconds(30));
    for other in [1, 2] {
        let view = world.node(other);
        let member = view.members().find(|m| m.node == node_id(0)).unwrap();
        assert_eq!(member.generation, identity(0, 2).generation);
        assert_eq!(member.state, State::Alive);
        assert_eq!(view.counters().downs, 0);
    }
    assert_eq!(world.node(0).counters().rejoins, 0);
}

#[test]
fn another_node_at_an_old_address_is_another_member() {
    let mut world = World::joined(3, 4, Config::default());
    let before: u64 = (1..3).map(|n| world.node(n).counters().rejoins).sum();
    // The node at the first address is gone; one with another id takes its place.
    let newcomer = crate::MemberId {
        addr: addr(0),
        ..identity(9, 1)
    };
    world.take_over(0, newcomer);
    world.run(seconds(60));
    for other in [1, 2] {
        let view: Vec<_> = world.node(other).members().collect();
        let state = |id| view.iter().find(|m| m.node == id).map(|m| m.state);
        assert_eq!(state(node_id(0)), Some(State::Down));
        assert_eq!(state(node_id(9)), Some(State::Alive));
    }
    assert_eq!(world.node(0).counters().rejoins, 0);
    let after: u64 = (1..3).map(|n| world.node(n).counters().rejoins).sum();
    assert_eq!(before, after);
}

#[test]
fn heavy_loss_makes_nobody_rejoin() {
    for (size, loss) in [(3, 20), (10, 20), (20, 30)] {
        let mut world = World::joined(size, 5, Config::default());
        let downs = |world: &World| -> u64 {
            let nodes = world.nodes.iter().flatten();
            nodes.map(|node| node.counters().downs).sum()
        };
        let before = downs(&world);
        world.loss = loss;
        world.run(seconds(300));
        let suspected: u64 = world
            .nodes
            .iter()
            .flatten()
            .map(|n| n.counters().suspicions)
            .sum();
        report(&format!(
            "{size} nodes at {loss} % loss for 300 s: {} false downs, {suspected} suspicions",
            downs(&world) - before
        ));
        assert_eq!(downs(&world), before);
    }
}

#[test]
fn an_idle_cluster_is_quiet() {
    for size in [3, 20] {
        let mut world = World::joined(size, 6, Config::default());
        world.run(seconds(60));
        let (packets, bytes) = (world.packets, world.bytes);
        world.run(seconds(100));
        let share = u64::try_from(size).unwrap() * 100;
        report(&format!(
            "idle, {size} nodes: {} packets, {} bytes per 100 s and node",
            (world.packets - packets) * 100 / share,
            (world.bytes - bytes) * 100 / share
        ));
        assert!((world.bytes - bytes) / share < 400);
    }
}
