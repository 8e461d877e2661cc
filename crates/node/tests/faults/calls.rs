//! Calls that took no dot, and records that an operator took away.

use std::time::Duration;

use tidings_node::Event;
use tidings_types::{Change, Command, Slot, Snapshot};

use crate::{
    own_feed, port, web,
    world::{World, name, register, service},
};

fn deregister() -> Command {
    Command::DeregisterService { id: service("web") }
}

/// Node 3 is put back to what its disk held before `since`, which its peers have seen; it has met
/// nobody yet.
fn rolled_back(since: impl IntoIterator<Item = Command>) -> World {
    let mut world = World::cluster(3);
    world.command(3, register(80));
    world.until("agreed", World::agree);
    let disk = own_feed(&world, 3);
    for command in since {
        let answer = world.command(3, command).expect("the disk answers");
        answer.expect("it is taken");
    }
    world.until("agreed", World::agree);
    restart_alone(&mut world, disk);
    world
}

fn restart_alone(world: &mut World, disk: Snapshot) {
    world.stop(3);
    world.run(Duration::from_secs(1));
    world.cut.extend([(1, 3), (2, 3)]);
    world.start(3, Some(disk));
}

fn meet(world: &mut World) {
    world.cut.clear();
    world.until("agreed", |w| w.agree() && w.peers[&3].roster.reachable == 3);
    world.run(Duration::from_secs(3));
    world.until("still agreed", World::agree);
}

#[test]
fn a_call_that_changed_nothing_is_not_undone_by_a_forgotten_removal() {
    let mut world = rolled_back([deregister()]);
    let answer = world.command(3, register(80));
    assert!(matches!(answer, Some(Ok(outcome)) if !outcome.changed));
    meet(&mut world);
    for n in 1..=3 {
        assert_eq!(port(&world, n, &web(3)), Some(80), "at node {n}");
    }
    let relearned = |event: &Event| matches!(event, Event::Relearned { .. });
    assert!(world.peers[&3].events.iter().any(relearned));
}

#[test]
fn a_call_that_changed_nothing_is_not_undone_by_a_forgotten_change() {
    let mut world = rolled_back([register(81)]);
    world.command(3, register(80)).unwrap().unwrap();
    meet(&mut world);
    for n in 1..=3 {
        assert_eq!(port(&world, n, &web(3)), Some(80), "at node {n}");
    }
}

#[test]
fn without_a_call_the_forgotten_removal_counts() {
    let mut world = rolled_back([deregister()]);
    meet(&mut world);
    for n in 1..=3 {
        assert_eq!(port(&world, n, &web(3)), None, "at node {n}");
    }
}

#[test]
fn a_later_call_takes_the_place_of_one_that_changed_nothing() {
    let mut world = rolled_back([register(81)]);
    world.command(3, register(80)).unwrap().unwrap();
    world.command(3, deregister()).unwrap().unwrap();
    meet(&mut world);
    for n in 1..=3 {
        assert_eq!(port(&world, n, &web(3)), None, "at node {n}");
    }
}

/// Node 1 takes away what node 3 has registered.
fn overridden() -> World {
    let mut world = World::cluster(3);
    world.command(3, register(80));
    world.until("agreed", World::agree);
    let command = Command::DeregisterCatalog {
        node: name(3),
        service: Some(service("web")),
        check: None,
    };
    let answer = world.command(1, command).expect("the disk answers");
    answer.expect("it is taken");
    world.until("obeyed", |w| {
        w.agree()
            && own_feed(w, 3)
                .changes
                .iter()
                .all(|c| c.key != web(3) || is_mark(c))
    });
    world
}

fn is_mark(change: &Change) -> bool {
    matches!(change.slot, Slot::RemovalMark)
}

#[test]
fn what_was_overridden_stays_away_though_the_override_was_forgotten() {
    let mut world = overridden();
    let disk = own_feed(&world, 3);
    // The replicas that node 3 has saved, the override among them, are lost.
    restart_alone(&mut world, disk);
    assert_eq!(port(&world, 3, &web(3)), None);
    let told = |event: &Event| matches!(event, Event::Overridden { .. });
    assert!(!world.peers[&3].events.iter().any(told), "it is no news");
    meet(&mut world);
    assert_eq!(port(&world, 1, &web(3)), None);
    assert!(!world.peers[&3].events.iter().any(told), "nor is it now");
}

#[test]
fn a_registration_after_an_override_wins_as_ever() {
    let mut world = overridden();
    world.command(3, register(80)).unwrap().unwrap();
    world.until("back", |w| {
        w.agree() && (1..=3).all(|n| port(w, n, &web(3)) == Some(80))
    });
    let disk = own_feed(&world, 3);
    restart_alone(&mut world, disk);
    assert_eq!(port(&world, 3, &web(3)), Some(80));
    meet(&mut world);
    assert_eq!(port(&world, 2, &web(3)), Some(80));
}

#[test]
fn an_obeyed_override_is_no_call_that_comes_after_a_forgotten_run() {
    // A run that node 3 has forgotten registers again what had been overridden.
    let mut world = overridden();
    let disk = own_feed(&world, 3);
    world.command(3, register(81)).unwrap().unwrap();
    world.until("agreed", World::agree);
    assert!(
        own_feed(&world, 3)
            .state
            .lineage
            .covers(&disk.state.lineage)
    );
    restart_alone(&mut world, disk);
    meet(&mut world);
    for n in 1..=3 {
        assert_eq!(port(&world, n, &web(3)), Some(81), "at node {n}");
    }
}
