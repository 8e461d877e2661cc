//! Short dialogues between a few nodes, one story per test.

mod external;
mod faults;
mod holders;
mod tags;
mod world;

use std::time::Duration;

use tidings_node::{Event, Input};
use tidings_types::{
    Body, CheckId, CheckStatus, Command, Content, Departure, EventId, Instance, Key, Liveness,
    MemberStatus, NodeName, Refusal, Registration, Snapshot, Sync, Text, Transfer,
};
use world::{START_MS, World, external_node, id, instance, name, register, service, ttl_check};

fn web(owner: u8) -> Key {
    Key::Instance(id(owner), service("web"))
}

fn port(world: &World, at: u8, key: &Key) -> Option<u16> {
    match world.peers[&at].records.get(key).map(Content::body) {
        Some(Body::Instance(Instance { port, .. })) => Some(port),
        _ => None,
    }
}

fn own_feed(world: &World, n: u8) -> Snapshot {
    world.peers[&n]
        .node
        .registry()
        .snapshot(id(n))
        .expect("it has a feed")
}

fn fire(unix_ms: u64, name: &str) -> Command {
    let event = tidings_types::Event {
        name: name.into(),
        payload: Box::default(),
        node_filter: Text::new(),
        service_filter: Text::new(),
        tag_filter: Text::new(),
    };
    Command::FireEvent {
        id: EventId::new(unix_ms, [0; 10]),
        event: Box::new(event),
    }
}

fn events(world: &World, at: u8) -> Vec<u64> {
    let keys = world.peers[&at].records.keys();
    keys.filter_map(|key| match key {
        Key::Event(_, id) => Some(id.unix_ms()),
        _ => None,
    })
    .collect()
}

#[test]
fn an_event_reaches_everybody_and_goes_when_it_is_old_or_one_too_many() {
    let mut world = World::cluster(2);
    for n in 1..=260 {
        world.command(1, fire(START_MS + n, "e"));
    }
    world.run(Duration::from_secs(3));
    let last: Vec<u64> = (5..=260).map(|n| START_MS + n).collect();
    assert_eq!(events(&world, 1), last);
    assert_eq!(events(&world, 2), last);
    // Ten minutes after the last but one.
    world.command(1, fire(START_MS + 600_260, "late"));
    world.run(Duration::from_secs(3));
    assert_eq!(events(&world, 2), [START_MS + 260, START_MS + 600_260]);
    // Without another one they go too, each in its time.
    world.run(Duration::from_secs(650));
    assert_eq!(events(&world, 2), [START_MS + 600_260]);
    world.run(Duration::from_secs(660));
    assert_eq!(events(&world, 1), [0; 0]);
    assert_eq!(events(&world, 2), [0; 0]);
}

#[test]
fn nobody_sees_a_registration_before_it_is_on_disk() {
    let mut world = World::cluster(2);
    world.peers.get_mut(&1).unwrap().disk_holds = true;
    let before = world.peers[&1].node.registry().fingerprint();

    assert_eq!(world.command(1, register(80)), None);
    world.run(Duration::from_secs(3));
    assert_eq!(port(&world, 1, &web(1)), None);
    assert_eq!(port(&world, 2, &web(1)), None);
    assert_eq!(world.peers[&1].node.registry().fingerprint(), before);

    let (batch, _) = *world.peers[&1].persists.last().as_ref().unwrap();
    world.input(
        1,
        Input::Persisted {
            batch: *batch,
            result: Ok(()),
        },
    );
    assert_eq!(port(&world, 1, &web(1)), Some(80));
    assert_eq!(port(&world, 2, &web(1)), Some(80));
    assert_eq!(world.peers[&1].replies.len(), 1);
}

#[test]
fn an_identical_registration_takes_no_dot_and_waits_for_the_first() {
    let mut world = World::cluster(1);
    world.peers.get_mut(&1).unwrap().disk_holds = true;
    assert_eq!(world.command(1, register(80)), None);
    assert_eq!(world.command(1, register(80)), None);
    assert_eq!(
        world.peers[&1].persists.len(),
        2,
        "the node's own record and one registration"
    );
    world.input(
        1,
        Input::Persisted {
            batch: 1,
            result: Ok(()),
        },
    );
    let replies: Vec<_> = world.peers[&1]
        .replies
        .values()
        .cloned()
        .map(|r| r.unwrap().changed)
        .collect();
    assert_eq!(replies, [true, false]);
}

#[test]
fn a_report_that_is_no_news_does_not_wait_for_the_disk() {
    let mut world = World::cluster(1);
    let check = CheckId::new("beat").unwrap();
    let registered = Command::RegisterCheck {
        id: check.clone(),
        check: Box::new(ttl_check()),
    };
    let report = |status| Command::UpdateCheck {
        id: check.clone(),
        status,
        output: String::new(),
    };
    assert!(matches!(world.command(1, registered), Some(Ok(o)) if o.changed));
    world.peers.get_mut(&1).unwrap().disk_holds = true;
    assert_eq!(world.command(1, register(80)), None);
    let same = world.command(1, report(CheckStatus::Critical));
    assert!(matches!(same, Some(Ok(o)) if !o.changed), "{same:?}");
    assert_eq!(world.command(1, report(CheckStatus::Passing)), None);
    let of_what_waits = world.command(1, report(CheckStatus::Passing));
    assert_eq!(of_what_waits, None, "it is not on disk yet");
}

#[test]
fn commands_that_change_nothing_do_not_pile_up_behind_a_disk_that_hangs() {
    let mut world = World::cluster(1);
    world.peers.get_mut(&1).unwrap().disk_holds = true;
    let answers = (0..20_000).map(|_| world.command(1, register(80)));
    let answered: Vec<_> = answers.flatten().collect();
    assert!(answered.len() > 1_000, "{} answers", answered.len());
    assert!(
        answered.iter().all(|answer| *answer == Err(Refusal::Busy)),
        "they are told to come again"
    );
}

#[test]
fn a_refused_save_is_told_to_the_client_and_begins_a_new_epoch() {
    let mut world = World::cluster(1);
    world.peers.get_mut(&1).unwrap().disk_holds = true;
    let epoch = world.peers[&1].status.as_ref().unwrap().epoch;
    world.command(1, register(80));
    let batch = world.peers[&1].persists.last().unwrap().0;
    world.input(
        1,
        Input::Persisted {
            batch,
            result: Err("disk full".to_owned()),
        },
    );
    let reply = world.peers[&1].replies.values().next().unwrap();
    assert!(matches!(reply, Err(Refusal::NotSaved { reason }) if reason == "disk full"));
    assert!(world.peers[&1].status.as_ref().unwrap().epoch > epoch);
    assert_eq!(port(&world, 1, &web(1)), None);

    let again = |world: &World| world.peers[&1].events.contains(&Event::PersistedAgain);
    assert!(!again(&world));
    world.peers.get_mut(&1).unwrap().disk_holds = false;
    assert!(matches!(world.command(1, register(81)), Some(Ok(outcome)) if outcome.changed));
    assert_eq!(port(&world, 1, &web(1)), Some(81));
    assert!(again(&world), "the end is told as the begin was");
}

#[test]
fn a_registration_is_pending_until_a_peer_has_it() {
    let mut world = World::cluster(2);
    world.cut.insert((1, 2));
    world.command(1, register(80));
    let dot = world.peers[&1]
        .node
        .registry()
        .in_force(&web(1))
        .unwrap()
        .dot;
    let sync = |world: &World| world.peers[&1].status.as_ref().unwrap().sync(dot);
    assert_eq!(sync(&world), Sync::Pending);
    assert!(world.peers[&1].status.as_ref().unwrap().pending > 0);
    world.cut.clear();
    world.until("the peer has it", |w| sync(w) == Sync::Synced);
    assert_eq!(world.peers[&1].status.as_ref().unwrap().pending, 0);
}

#[test]
fn a_lost_rumor_is_offered_again() {
    let mut world = World::cluster(2);
    world.drop_datagrams = 1;
    world.command(1, register(80));
    assert_eq!(port(&world, 2, &web(1)), None);
    let took = world.until("the rumor is made up for", |w| {
        port(w, 2, &web(1)) == Some(80)
    });
    assert!(took < Duration::from_millis(300), "took {took:?}");
}

#[test]
fn a_burst_larger_than_a_packet_arrives_whole() {
    let mut world = World::cluster(3);
    let mut big = instance("big", 1);
    big.meta = (0..40)
        .map(|n| (format!("k{n}"), "v".repeat(400)))
        .collect();
    let command = Command::RegisterService(Registration {
        id: service("big"),
        instance: Box::new(big),
        checks: Vec::new(),
        replace_checks: false,
    });
    world.command(2, command);
    world.until("all agree", World::agree);
    assert!(
        world.peers[&3]
            .records
            .contains_key(&Key::Instance(id(2), service("big")))
    );
}

#[test]
fn a_split_is_repaired_soon_after_its_end() {
    let mut world = World::cluster(3);
    world.cut.extend([(3, 1), (3, 2)]);
    world.run(Duration::from_secs(20));
    for n in 1..=3 {
        assert!(matches!(
            world.command(n, register(80 + u16::from(n))),
            Some(Ok(_))
        ));
    }
    world.run(Duration::from_secs(2));
    assert_eq!(port(&world, 2, &web(1)), Some(81));
    assert_eq!(port(&world, 3, &web(1)), None);
    world.cut.clear();
    let took = world.until("all agree", World::agree);
    assert!(took < Duration::from_secs(5), "took {took:?}");
    assert_eq!(port(&world, 3, &web(2)), Some(82));
}

#[test]
fn one_of_three_is_an_island_and_the_other_two_are_not() {
    let mut world = World::cluster(3);
    world.cut.extend([(3, 1), (3, 2)]);
    world.run(Duration::from_secs(20));
    let lone = &world.peers[&3].roster;
    assert!(lone.island);
    assert_eq!((lone.reachable, lone.expected), (1, 3));
    assert_eq!([1, 2].map(|n| lone.liveness(id(n))), [Liveness::Stale; 2]);
    let major = &world.peers[&1].roster;
    assert!(!major.island);
    assert_eq!(
        (major.reachable, major.liveness(id(3))),
        (2, Liveness::Hidden)
    );
}

#[test]
fn the_lone_agent_never_hides_what_the_lost_ones_own() {
    let mut world = World::cluster(3);
    world.cut.extend([(3, 1), (3, 2)]);
    for _ in 0..2_000 {
        world.run(Duration::from_millis(10));
        let lone = &world.peers[&3].roster;
        for n in [1, 2] {
            assert_ne!(
                lone.liveness(id(n)),
                Liveness::Hidden,
                "node {n} at {}",
                world.now
            );
        }
    }
}

#[test]
fn an_island_gives_up_its_expectation_by_and_by() {
    let mut world = World::cluster(3);
    world.stop(1);
    world.stop(2);
    world.until("an island", |w| w.peers[&3].roster.island);
    world.run(Duration::from_secs(3_500));
    assert!(world.peers[&3].roster.island);
    world.run(Duration::from_secs(2 * 3_600));
    assert!(!world.peers[&3].roster.island);
    assert_eq!(world.peers[&3].roster.liveness(id(1)), Liveness::LastResort);
}

#[test]
fn a_dead_agent_is_down_within_six_seconds_and_hidden() {
    let mut world = World::cluster(3);
    world.stop(3);
    let gone = |w: &World, n: u8| w.peers[&n].roster.liveness(id(3)) == Liveness::Hidden;
    let took = world.until("both know", |w| gone(w, 1) && gone(w, 2));
    assert!(took < Duration::from_secs(6), "took {took:?}");
}

#[test]
fn a_goodbye_hides_at_once_and_a_return_undoes_it() {
    let mut world = World::cluster(3);
    world.command(3, register(80));
    world.run(Duration::from_secs(1));
    world.command(3, Command::Depart(Departure::Left));
    let took = world.until("said", |w| w.peers[&3].departed);
    assert!(took < Duration::from_millis(200), "took {took:?}");
    assert_eq!(
        world.peers[&1].roster.members[&id(3)].status,
        MemberStatus::Left
    );
    assert!(matches!(
        world.command(3, register(81)),
        Some(Err(Refusal::ShuttingDown))
    ));

    let disk = own_feed(&world, 3);
    world.stop(3);
    world.run(Duration::from_secs(10));
    assert!(!world.peers[&1].roster.island);
    world.start(3, Some(disk));
    world.until("back", |w| {
        w.peers[&1].roster.liveness(id(3)) == Liveness::Live
    });
    world.until("agreed", World::agree);
    assert_eq!(port(&world, 1, &web(3)), Some(80));
}

#[test]
fn a_restarting_agents_instances_stay_stale_for_a_while() {
    let mut world = World::cluster(4);
    world.command(3, Command::Depart(Departure::Restarting));
    world.until("said", |w| w.peers[&3].departed);
    world.stop(3);
    world.run(Duration::from_secs(10));
    assert_eq!(world.peers[&1].roster.liveness(id(3)), Liveness::Stale);
    world.run(Duration::from_secs(30));
    assert_eq!(world.peers[&1].roster.liveness(id(3)), Liveness::Hidden);
}

#[test]
fn a_restart_with_its_disk_publishes_nothing_again() {
    let mut world = World::cluster(3);
    world.command(3, register(80));
    world.until("agreed", World::agree);
    let disk = own_feed(&world, 3);
    world.stop(3);
    world.run(Duration::from_secs(1));
    let published = world.peers[&1].published;
    world.start(3, Some(disk.clone()));
    world.run(Duration::from_secs(20));
    assert!(world.agree());
    assert_eq!(own_feed(&world, 3), disk, "no new dot");
    assert_eq!(world.peers[&1].published, published, "no record traffic");
}

#[test]
fn what_a_killed_agent_told_nobody_is_pulled_as_soon_as_it_is_back() {
    let mut world = World::cluster(3);
    world.cut.extend([(3, 1), (3, 2)]);
    assert!(matches!(world.command(3, register(80)), Some(Ok(_))));
    let disk = own_feed(&world, 3);
    world.stop(3);
    world.cut.clear();
    world.start(3, Some(disk));
    let took = world.until("all agree", World::agree);
    assert!(took < Duration::from_millis(500), "took {took:?}");
    assert_eq!(port(&world, 1, &web(3)), Some(80));
}

#[test]
fn an_agent_that_lost_its_disk_gets_its_registrations_back() {
    let mut world = World::cluster(3);
    world.command(3, register(80));
    world.until("agreed", World::agree);
    world.stop(3);
    world.run(Duration::from_secs(1));
    world.start(3, None);
    world.until("back", |w| w.agree() && port(w, 3, &web(3)) == Some(80));
    let saved = world.peers[&3]
        .persists
        .iter()
        .any(|(_, transfer)| match transfer {
            Transfer::Snapshot(snapshot) => {
                snapshot.changes.iter().any(|change| change.key == web(3))
            }
            Transfer::Delta(_) => false,
        });
    assert!(saved, "the next restart finds it on its own disk");
}

#[test]
fn an_operator_overrides_and_the_owner_wins_by_registering_again() {
    let mut world = World::cluster(3);
    world.command(3, register(80));
    world.until("agreed", World::agree);
    let deregister = || Command::DeregisterCatalog {
        node: name(3),
        service: Some(service("web")),
        check: None,
    };
    assert!(matches!(world.command(1, deregister()), Some(Ok(outcome)) if outcome.changed));
    world.until("gone", |w| (1..=3).all(|n| port(w, n, &web(3)).is_none()));
    assert!(
        world.peers[&3]
            .events
            .contains(&Event::Overridden { key: web(3) })
    );
    assert!(matches!(world.command(1, deregister()), Some(Ok(outcome)) if !outcome.changed));

    assert!(matches!(world.command(3, register(80)), Some(Ok(outcome)) if outcome.changed));
    world.until("back", |w| w.agree() && port(w, 1, &web(3)) == Some(80));
}

#[test]
fn a_live_nodes_record_cannot_be_overridden_and_a_dead_ones_can() {
    let mut world = World::cluster(4);
    world.command(4, register(80));
    world.until("agreed", World::agree);
    let node = || Command::DeregisterCatalog {
        node: name(4),
        service: None,
        check: None,
    };
    assert!(matches!(
        world.command(1, node()),
        Some(Err(Refusal::NodeAlive { .. }))
    ));
    let disk = own_feed(&world, 4);
    world.stop(4);
    world.until("down", |w| {
        w.peers[&1].roster.members[&id(4)].status == MemberStatus::Down
    });
    assert!(matches!(world.command(1, node()), Some(Ok(outcome)) if outcome.changed));
    assert_eq!(port(&world, 2, &web(4)), None);
    world.start(4, Some(disk));
    world.until("agreed", World::agree);
    assert!(
        world.peers[&1].records.contains_key(&Key::Node(id(4))),
        "it is there again"
    );
    assert_eq!(
        port(&world, 4, &web(4)),
        None,
        "a restart is no registration"
    );
}

#[test]
fn what_stands_beside_a_live_agent_under_its_name_can_be_removed() {
    let mut world = World::cluster(4);
    let disk = own_feed(&world, 4);
    world.stop(4);
    world.until("down", |w| {
        w.peers[&1].roster.members[&id(4)].status == MemberStatus::Down
    });
    let mut beside = external(1);
    if let Command::RegisterExternal { node, .. } = &mut beside {
        *node = name(4);
    }
    assert!(matches!(world.command(1, beside), Some(Ok(outcome)) if outcome.changed));
    world.start(4, Some(disk));
    world.until("agreed", World::agree);
    let node = || Command::DeregisterCatalog {
        node: name(4),
        service: None,
        check: None,
    };
    assert!(matches!(world.command(2, node()), Some(Ok(outcome)) if outcome.changed));
    world.until("agreed", World::agree);
    let records = &world.peers[&3].records;
    assert!(!records.contains_key(&Key::ExternalNode(name(4))));
    assert!(records.contains_key(&Key::Node(id(4))));
    assert!(matches!(
        world.command(1, node()),
        Some(Err(Refusal::NodeAlive { .. }))
    ));
}

#[test]
fn force_leave_takes_a_dead_member_out_until_it_returns() {
    let mut world = World::cluster(4);
    world.command(4, register(80));
    world.until("agreed", World::agree);
    assert!(matches!(
        world.command(1, Command::ForceLeave { node: id(4) }),
        Some(Err(Refusal::NodeAlive { .. }))
    ));
    let disk = own_feed(&world, 4);
    world.stop(4);
    world.until("down", |w| {
        w.peers[&1].roster.members[&id(4)].status == MemberStatus::Down
    });
    world.command(1, Command::ForceLeave { node: id(4) });
    world.until("left", |w| {
        w.peers[&2].roster.members[&id(4)].status == MemberStatus::Left
    });
    assert_eq!(world.peers[&2].roster.expected, 3);
    world.start(4, Some(disk));
    world.until("back", |w| {
        w.agree() && w.peers[&2].roster.liveness(id(4)) == Liveness::Live
    });
    assert_eq!(port(&world, 2, &web(4)), Some(80));
}

fn external(port: u16) -> Command {
    Command::RegisterExternal {
        node: NodeName::new("db").expect("a name"),
        record: external_node("10.9.9.9"),
        keeps_record: false,
        renames: None,
        service: Some((service("pg"), Box::new(instance("pg", port)))),
        checks: Vec::new(),
    }
}

#[test]
fn a_node_that_was_not_told_the_time_for_a_while_takes_no_peer_for_ahead() {
    let mut world = World::cluster(2);
    world.run(Duration::from_secs(3));
    // Only the node that a command comes to is told the time with it.
    world.command(1, external(1));
    world.until("agreed", World::agree);
    let ahead = |event: &&Event| matches!(event, Event::ClockAhead { .. });
    assert_eq!(world.peers[&2].events.iter().find(ahead), None);
}

#[test]
fn of_two_external_registrations_in_a_split_one_wins_everywhere_and_is_counted() {
    let mut world = World::cluster(2);
    world.cut.insert((1, 2));
    world.command(1, external(1));
    world.command(2, external(2));
    world.cut.clear();
    world.until("agreed", World::agree);
    let key = Key::ExternalInstance(NodeName::new("db").unwrap(), service("pg"));
    assert_eq!(port(&world, 1, &key), port(&world, 2, &key));
    for n in [1, 2] {
        assert_eq!(
            world.peers[&n]
                .node
                .registry()
                .in_force(&key)
                .unwrap()
                .conflicts,
            1
        );
    }
}

#[test]
fn a_check_makes_a_change_only_when_its_status_does() {
    let mut world = World::cluster(1);
    let check = CheckId::new("ttl").unwrap();
    let registration = Command::RegisterService(Registration {
        id: service("web"),
        instance: Box::new(instance("web", 80)),
        checks: vec![(check.clone(), ttl_check())],
        replace_checks: false,
    });
    world.command(1, registration.clone());
    let update = |status, output: &str| Command::UpdateCheck {
        id: check.clone(),
        status,
        output: output.to_owned(),
    };
    world.command(1, update(CheckStatus::Passing, "a"));
    let persists = world.peers[&1].persists.len();
    assert!(
        matches!(world.command(1, update(CheckStatus::Passing, "b")), Some(Ok(o)) if !o.changed)
    );
    assert!(
        matches!(world.command(1, registration), Some(Ok(o)) if !o.changed),
        "status is kept"
    );
    assert_eq!(world.peers[&1].persists.len(), persists);
    world.command(1, Command::DeregisterService { id: service("web") });
    assert_eq!(
        world.peers[&1].records.len(),
        1,
        "only the node's own record is left"
    );
    let unknown = world.command(1, update(CheckStatus::Passing, "c"));
    assert!(matches!(unknown, Some(Err(Refusal::UnknownCheck { .. }))));
}

#[test]
fn a_command_is_carried_out_whole_or_not_at_all() {
    let mut world = World::cluster(1);
    let mut huge = ttl_check();
    huge.notes = "x".repeat(70_000).into();
    let checks = vec![
        (CheckId::new("a").unwrap(), ttl_check()),
        (CheckId::new("b").unwrap(), huge),
    ];
    let command = Command::RegisterService(Registration {
        id: service("web"),
        instance: Box::new(instance("web", 80)),
        checks,
        replace_checks: false,
    });
    let answer = world.command(1, command);
    assert!(matches!(answer, Some(Err(Refusal::RecordTooLarge { .. }))));
    assert_eq!(
        world.peers[&1].persists.len(),
        1,
        "only the node's own record"
    );
    world.command(1, register(80));
    assert_eq!(world.peers[&1].records.len(), 2);
}

#[test]
fn a_burst_of_news_is_told_in_few_datagrams_and_at_once() {
    let mut world = World::cluster(2);
    world.until("agreed", World::agree);
    let before = world.datagrams;
    for last in 1..=300 {
        world.command(1, register(last));
    }
    let span = world.until("the peer has the last of them", |world| {
        port(world, 2, &web(1)) == Some(300)
    });
    assert!(span < Duration::from_millis(200), "{span:?}");
    let sent = world.datagrams - before;
    assert!(sent < 150, "{sent} datagrams for 300 changes");
}
