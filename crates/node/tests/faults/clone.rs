//! A disk that was copied, and a run that is over.

use std::time::Duration;

use tidings_node::{Event, Input, registrations};
use tidings_types::{Body, Command, Key, Registration};

use crate::{
    own_feed, port, web,
    world::{START_MS, World, id, instance, register, service},
};

fn register_as(name: &str, port: u16) -> Command {
    Command::RegisterService(Registration {
        id: service(name),
        instance: Box::new(instance(name, port)),
        checks: Vec::new(),
        replace_checks: false,
    })
}

fn count(world: &World, n: u8, what: impl Fn(&Event) -> bool) -> usize {
    world.peers[&n].events.iter().filter(|e| what(e)).count()
}

#[test]
fn a_node_whose_disk_and_clock_went_back_is_told_so_and_heard_again() {
    let mut world = World::cluster(3);
    world.command(3, register(80));
    world.until("agreed", World::agree);
    let disk = own_feed(&world, 3);
    world.stop(3);
    world.epochs.remove(&3);
    world.epochs_from.insert(3, START_MS - 86_400_000);
    world.start(3, Some(disk));
    world.until("all are together again", |w| {
        w.agree() && w.peers.values().all(|peer| peer.roster.reachable == 3)
    });
    world.command(3, register(81));
    world.until("it is heard", |w| port(w, 1, &web(3)) == Some(81));
    assert_eq!(count(&world, 3, |e| matches!(e, Event::Cloned { .. })), 0);
}

#[test]
fn of_two_holders_of_one_identity_one_yields_with_what_it_registered() {
    let mut world = World::cluster(3);
    world.command(3, register(80));
    world.until("agreed", World::agree);
    let disk = own_feed(&world, 3);
    world.command(3, register_as("original", 81));
    world.until("agreed", World::agree);
    world.copies.insert(4, 3);
    world.epochs.insert(4, world.epochs[&3]);
    world.start(4, Some(disk));
    world.command(4, register_as("copied", 82));
    world.until("one of them yields", |w| {
        w.peers[&3].yielded || w.peers[&4].yielded
    });
    let (yields, keeps) = if world.peers[&3].yielded {
        (3, 4)
    } else {
        (4, 3)
    };
    let told = |yields| move |e: &Event| *e == Event::Cloned { yields };
    assert_eq!(count(&world, yields, told(true)), 1);
    assert_eq!(count(&world, keeps, told(false)), 1);
    assert!(!world.peers[&keeps].yielded);

    // What moves is what this run registered, and it is gone under the old identity.
    let moves = world.stop(yields).moves.expect("it had something kept");
    let (moved, stays) = if yields == 3 {
        ("original", "copied")
    } else {
        ("copied", "original")
    };
    // Node 3 has registered the first one in its present run, too.
    let names: Vec<&Key> = moves.iter().map(|(key, _)| key).collect();
    assert!(names.contains(&&Key::Instance(id(3), service(moved))));
    assert_eq!(names.len(), if yields == 3 { 2 } else { 1 });
    world.until("the others know", |w| {
        let of = |name| Key::Instance(id(3), service(name));
        w.agree() && port(w, 1, &of(moved)).is_none() && port(w, 1, &of(stays)).is_some()
    });

    // Started anew, it is another node with the same registrations.
    world.copies.remove(&yields);
    let newcomer = 5;
    world.start(newcomer, None);
    for call in registrations(moves) {
        assert!(world.command(newcomer, call).is_some_and(|r| r.is_ok()));
    }
    let moved = Key::Instance(id(newcomer), service(moved));
    world.until("all serve it", |w| {
        w.agree() && port(w, 1, &moved).is_some()
    });
}

#[test]
fn an_identity_that_the_disk_does_not_take_is_not_given_up() {
    let records = vec![(
        Key::Instance(id(1), service("web")),
        Body::Instance(instance("web", 80)),
    )];
    assert_eq!(registrations(records).len(), 1);
    let mut world = World::cluster(2);
    world.command(1, register(80));
    // Said though nobody asked.
    world.input(1, Input::IdentityKept(Err("disk full".to_owned())));
    world.input(1, Input::IdentityKept(Ok(())));
    world.run(Duration::from_secs(1));
    assert_eq!(port(&world, 2, &web(1)), Some(80));
    assert!(!world.peers[&1].yielded);
}
