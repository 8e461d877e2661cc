//! A node that has as much as it may: it takes nothing new, and goes on with what it has.

use std::time::Duration;

use tidings_types::{
    Body, CheckId, CheckStatus, Command, Departure, Key, Refusal, Registration,
    limits::CHECKS_PER_INSTANCE,
};

use crate::world::{World, id, instance, register, service, ttl_check};

fn check_id(id: &str) -> CheckId {
    CheckId::new(id).expect("a short id")
}

fn large(id: &str, bytes: usize) -> Command {
    Command::RegisterService(registration(id, bytes))
}

fn registration(id: &str, bytes: usize) -> Registration {
    let mut large = instance("large", 80);
    large.socket_path = "x".repeat(bytes).into();
    Registration {
        id: service(id),
        instance: Box::new(large),
        checks: Vec::new(),
        replace_checks: false,
    }
}

fn beat(status: CheckStatus, output: String) -> Command {
    Command::UpdateCheck {
        id: check_id("beat"),
        status,
        output,
    }
}

/// Fills node 1 to its last byte.
fn fill(world: &mut World) {
    let mut number = 0;
    for bytes in [60_000, 3_000, 200, 0] {
        let refusal = loop {
            number += 1;
            match world.command(1, large(&format!("large-{number}"), bytes)) {
                Some(Ok(_)) => {}
                other => break other,
            }
        };
        assert!(
            matches!(refusal, Some(Err(Refusal::RecordsTooLarge { .. }))),
            "{refusal:?}"
        );
    }
}

#[test]
fn of_many_registrations_all_stand_or_none() {
    let mut world = World::cluster(1);
    let all = |largest| [0, 0, largest, 0].into_iter().enumerate();
    let all = |largest| all(largest).map(|(n, bytes)| registration(&format!("s-{n}"), bytes));
    let records = |world: &World| world.peers[&1].records.len();
    let before = records(&world);
    let refused = world.command(1, Command::RegisterServices(all(70_000).collect()));
    assert!(
        matches!(refused, Some(Err(Refusal::RecordTooLarge { .. }))),
        "{refused:?}"
    );
    assert_eq!(records(&world), before);
    let persists = world.peers[&1].persists.len();
    let taken = world.command(1, Command::RegisterServices(all(0).collect()));
    assert!(taken.unwrap().unwrap().changed);
    assert_eq!(records(&world), before + 4);
    assert_eq!(
        world.peers[&1].persists.len(),
        persists + 1,
        "they go to the disk together"
    );
    let again = world.command(1, Command::RegisterServices(all(0).collect()));
    assert!(!again.unwrap().unwrap().changed);
}

#[test]
fn in_a_full_feed_a_check_turns_and_a_goodbye_is_said() {
    let mut world = World::cluster(1);
    let command = Command::RegisterService(Registration {
        id: service("web"),
        instance: Box::new(instance("web", 80)),
        checks: vec![(check_id("beat"), ttl_check())],
        replace_checks: false,
    });
    world.command(1, command).unwrap().unwrap();
    fill(&mut world);
    let status = |world: &World| {
        let key = Key::Check(id(1), check_id("beat"));
        match world.peers[&1].records[&key].body() {
            Body::Check(check) => check.status,
            other => panic!("no check but {other:?}"),
        }
    };
    for (turn, expected) in [CheckStatus::Passing, CheckStatus::Critical]
        .into_iter()
        .cycle()
        .take(300)
        .enumerate()
    {
        // It would say more each time than there is room for.
        let output = format!("{turn} é").repeat(500);
        let changed = world.command(1, beat(expected, output)).unwrap().unwrap();
        assert!(changed.changed, "turn {turn}");
        assert_eq!(status(&world), expected);
    }
    let gone = Command::DeregisterService {
        id: service("large-1"),
    };
    world.command(1, gone).unwrap().unwrap();
    fill(&mut world);
    world.call(1, Command::Depart(Departure::Left));
    let departed = world.peers[&1].records[&Key::Node(id(1))].body();
    let Body::Node(node) = departed else {
        panic!("no node but {departed:?}");
    };
    assert_eq!(node.departure, Some(Departure::Left));
}

#[test]
fn an_instance_names_no_more_checks_than_it_may() {
    let mut world = World::cluster(1);
    world.command(1, register(80)).unwrap().unwrap();
    let mut register_check = |number: usize| {
        let mut check = ttl_check();
        check.service = Some(service("web"));
        let id = check_id(&format!("c-{number}"));
        world.command(
            1,
            Command::RegisterCheck {
                id,
                check: Box::new(check),
            },
        )
    };
    for number in 0..CHECKS_PER_INSTANCE {
        register_check(number).unwrap().unwrap();
    }
    let refused = register_check(CHECKS_PER_INSTANCE);
    assert!(
        matches!(refused, Some(Err(Refusal::TooManyChecks { .. }))),
        "{refused:?}"
    );
}

/// A node does not forget soon after a start; but clients are not refused for what it remembers.
#[test]
fn removals_make_room_before_a_client_would_be_refused() {
    let mut world = World::cluster(2);
    world.until("agreed", World::agree);
    let begin = world.now;
    for number in 0..25_000 {
        let name = format!("gone-{number}");
        let mut command = register(80);
        if let Command::RegisterService(Registration { id, .. }) = &mut command {
            *id = service(&name);
        }
        let id = service(&name);
        for command in [command, Command::DeregisterService { id }] {
            let answer = world.command(1, command);
            assert!(matches!(answer, Some(Ok(_))), "{name}: {answer:?}");
        }
    }
    assert!(
        world.now.since(begin) < Duration::from_secs(1),
        "nothing had to go by then"
    );
}
