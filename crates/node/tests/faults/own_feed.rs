//! The own feed under failing disks, lost runs and unreachable peers.

use std::time::Duration;

use tidings_node::{Event, Input};
use tidings_registry::{Registry, Writer};
use tidings_types::{
    Body, ClusterId, Command, Epoch, Key, Refusal, Registration, Snapshot, Transfer,
};

use crate::{
    own_feed, port, web,
    world::{START_MS, World, id, instance, register, service},
};

fn answer(world: &mut World, n: u8, batch: u64, result: Result<(), String>) {
    world.input(n, Input::Persisted { batch, result });
}

fn last_batch(world: &World, n: u8) -> u64 {
    world.peers[&n].persists.last().expect("it saved").0
}

/// Node 3 has lost its disk, and holds what its peers gave back but has not on disk yet.
fn relearning() -> World {
    let mut world = World::cluster(3);
    world.command(3, register(80));
    world.until("agreed", World::agree);
    world.stop(3);
    world.run(Duration::from_secs(1));
    world.start_with(3, |peer| peer.disk_holds = true);
    let record = last_batch(&world, 3);
    answer(&mut world, 3, record, Ok(()));
    let snapshot = |w: &World| {
        let last = w.peers[&3].persists.last();
        matches!(last, Some((_, Transfer::Snapshot(_))))
    };
    world.until("it saves what it relearned", snapshot);
    world
}

#[test]
fn a_call_that_waits_for_relearned_content_is_answered() {
    let mut world = relearning();
    let held = last_batch(&world, 3);
    let before = world.peers[&3].replies.len();
    assert_eq!(
        world.command(3, register(80)),
        None,
        "it is not on disk yet"
    );
    answer(&mut world, 3, held, Ok(()));
    assert_eq!(world.peers[&3].replies.len(), before + 1);
}

#[test]
fn a_batch_before_the_refused_one_stays_what_it_is() {
    let mut world = World::cluster(2);
    world.cut.insert((1, 2));
    world.peers.get_mut(&1).unwrap().disk_holds = true;
    world.command(1, register(80));
    let first = last_batch(&world, 1);
    world.command(1, Command::DeregisterService { id: service("web") });
    let second = last_batch(&world, 1);
    answer(&mut world, 1, second, Err("disk full".to_owned()));
    answer(&mut world, 1, first, Ok(()));
    assert_eq!(port(&world, 1, &web(1)), Some(80), "it was acknowledged");
    world.cut.clear();
    world.until("agreed", World::agree);
    assert_eq!(port(&world, 2, &web(1)), Some(80));
}

#[test]
fn a_full_disk_is_not_tried_without_end() {
    let mut world = World::new();
    world.start(1, None);
    let mut node = world.stop(1);
    node.disk_fails = true;
    world.peers.insert(1, node);
    world.command(1, register(80));
    world.run(Duration::from_secs(10));
    let tries = world.peers[&1].persists.len();
    assert!(tries < 40, "{tries} tries in 10 s");
}

#[test]
fn relearned_content_is_saved_once_the_disk_takes_it() {
    let mut world = relearning();
    let batch = last_batch(&world, 3);
    world.peers.get_mut(&3).unwrap().disk_fails = true;
    answer(&mut world, 3, batch, Err("disk full".to_owned()));
    world.run(Duration::from_secs(10));
    let tries = world.peers[&3].persists.len();
    assert!(tries < 40, "{tries} tries in 10 s");

    let peer = world.peers.get_mut(&3).unwrap();
    (peer.disk_fails, peer.disk_holds) = (false, false);
    peer.persists.clear();
    world.run(Duration::from_secs(5));
    let saved = world.peers[&3].persists.iter().any(|(_, transfer)| {
        matches!(transfer, Transfer::Snapshot(s) if s.changes.iter().any(|c| c.key == web(3)))
    });
    assert!(saved, "the next restart finds it on its own disk");
    assert!(matches!(world.command(3, register(81)), Some(Ok(o)) if o.changed));
    world.until("agreed", World::agree);
}

#[test]
fn the_node_record_is_written_once_the_disk_takes_it() {
    let mut world = World::new();
    world.start_with(1, |peer| peer.disk_fails = true);
    world.run(Duration::from_secs(10));
    let tries = world.peers[&1].persists.len();
    assert!(tries < 40, "{tries} tries in 10 s");
    world.peers.get_mut(&1).unwrap().disk_fails = false;
    world.run(Duration::from_secs(3));
    assert!(world.peers[&1].records.contains_key(&Key::Node(id(1))));
}

#[test]
fn calls_are_refused_while_the_disk_takes_no_epoch() {
    let mut world = World::cluster(1);
    let peer = world.peers.get_mut(&1).unwrap();
    (peer.disk_fails, peer.epochs_held) = (true, true);
    world.command(1, register(80));
    world.run(Duration::from_millis(100));
    world.command(1, register(81));
    world.run(Duration::from_secs(3));
    let answers: Vec<_> = world.peers[&1].replies.values().collect();
    assert!(
        matches!(
            answers[..],
            [Err(Refusal::NotSaved { .. }), Err(Refusal::NotSaved { .. })]
        ),
        "{answers:?}"
    );
    assert!(matches!(
        world.command(1, register(82)),
        Some(Err(Refusal::NotSaved { .. }))
    ));
    world.peers.get_mut(&1).unwrap().disk_fails = false;
    assert!(world.give_epoch(1));
    assert!(matches!(world.command(1, register(83)), Some(Ok(o)) if o.changed));
}

/// What a run of node `n` that its disk has forgotten left with peers: it began `ahead_ms` after
/// the world, and registered `web` at `port` then.
fn lost_run(n: u8, ahead_ms: u64, port: u16) -> Snapshot {
    let mut registry = Registry::new(id(n), ClusterId::from_bytes([0; 16]));
    let epoch = Epoch::after(Epoch::ZERO, START_MS + ahead_ms, 0);
    let mut writer = Writer::new(id(n), epoch);
    let body = Body::Instance(instance("web", port));
    writer
        .register(&registry, web(n), body)
        .expect("there is room");
    let batch = writer.take_batch(&registry).expect("it is staged");
    writer.commit(&mut registry, batch);
    registry.snapshot(id(n)).expect("it has a feed")
}

const HOUR_MS: u64 = 3_600_000;

#[test]
fn a_refused_call_is_not_carried_out_by_a_later_take_over() {
    let mut world = World::cluster(1);
    world.peers.get_mut(&1).unwrap().disk_holds = true;
    world.command(1, register(82));
    let batch = last_batch(&world, 1);
    world.start_from(2, None, false, vec![(lost_run(1, HOUR_MS, 81), false)]);
    let met = |w: &World| {
        let events = &w.peers[&1].events;
        events
            .iter()
            .any(|e| matches!(e, Event::GreaterEpochMet { .. }))
    };
    world.until("the lost run is met", met);
    answer(&mut world, 1, batch, Err("disk full".to_owned()));
    world.peers.get_mut(&1).unwrap().disk_holds = false;
    world.run(Duration::from_secs(3));
    world.until("agreed", World::agree);
    assert_eq!(port(&world, 1, &web(1)), Some(81), "the call was refused");
}

#[test]
fn calls_of_this_run_come_after_every_lost_run() {
    let mut world = World::cluster(1);
    world.command(1, register(80));
    world.peers.get_mut(&1).unwrap().epochs_held = true;
    world.cut.insert((2, 3));
    let met = |world: &mut World, count: usize| {
        world.until("a lost run is met", |w| {
            let events = w.peers[&1].events.iter();
            events
                .filter(|e| matches!(e, Event::GreaterEpochMet { .. }))
                .count()
                == count
        });
    };
    world.start_from(2, None, false, vec![(lost_run(1, HOUR_MS, 81), false)]);
    met(&mut world, 1);
    world.start_from(3, None, false, vec![(lost_run(1, 2 * HOUR_MS, 82), false)]);
    met(&mut world, 2);
    while world.give_epoch(1) {}
    world.cut.clear();
    world.until("agreed", |w| w.agree() && w.peers[&1].roster.reachable == 3);
    for n in 1..=3 {
        assert_eq!(port(&world, n, &web(1)), Some(80), "at node {n}");
    }
}

#[test]
fn no_dot_is_used_twice_though_the_identity_was_put_back() {
    let mut world = World::cluster(2);
    world.command(2, register(80));
    world.until("agreed", World::agree);
    let disk = own_feed(&world, 2);
    world.stop(2);
    world.run(Duration::from_secs(1));
    let last = disk.state.lineage.last_epoch().unwrap();
    world
        .epochs
        .insert(2, Epoch::from_bits(last.bits() - (1 << 40)));
    world.epochs_from.insert(2, START_MS - HOUR_MS);
    world.start(2, Some(disk));
    assert!(matches!(world.command(2, register(81)), Some(Ok(o)) if o.changed));
    assert_eq!(
        port(&world, 2, &web(2)),
        Some(81),
        "a client reads its own write"
    );
    world.until("agreed", World::agree);
    assert_eq!(port(&world, 1, &web(2)), Some(81));
}

#[test]
fn an_override_of_a_lost_run_does_not_beat_a_call_of_this_run() {
    // Node 2 overrode what a run of node 1 registered that node 1's disk has forgotten.
    let mut registry = Registry::new(id(2), ClusterId::from_bytes([0; 16]));
    let lost = Transfer::Snapshot(lost_run(1, HOUR_MS, 81));
    registry.apply(lost).expect("it is sound");
    let mut writer = Writer::new(id(2), Epoch::from_bits(1 << 20));
    writer.overrule(&registry, &web(1)).expect("there is room");
    let batch = writer.take_batch(&registry).expect("it is staged");
    writer.commit(&mut registry, batch);
    let overrides = registry.snapshot(id(2)).expect("it has a feed");

    let mut world = World::cluster(1);
    world.command(1, register(79));
    world.start_from(3, None, false, vec![(overrides, false)]);
    world.until("agreed", |w| w.agree() && w.peers[&1].roster.reachable == 2);
    assert_eq!(port(&world, 3, &web(1)), Some(79), "called before they met");
    assert!(matches!(world.command(1, register(80)), Some(Ok(o)) if o.changed));
    assert_eq!(port(&world, 1, &web(1)), Some(80), "called after they met");
    world.until("agreed", World::agree);
    assert_eq!(port(&world, 3, &web(1)), Some(80));
}

/// Leaves more removal marks in node 1's feed than are kept.
fn leave_marks(world: &mut World, n: u8) {
    for port in 0..70 {
        let mut command = register(port);
        if let Command::RegisterService(Registration { id, .. }) = &mut command {
            *id = service(&format!("gone-{port}"));
        }
        world.command(n, command);
        let id = service(&format!("gone-{port}"));
        world.command(n, Command::DeregisterService { id });
    }
}

#[test]
fn a_peer_without_sessions_is_not_asked_without_end() {
    let mut world = World::cluster(3);
    world.no_sessions.insert((1, 2));
    leave_marks(&mut world, 1);
    let before = world.requests;
    world.run(Duration::from_secs(10));
    let asked = world.requests - before;
    assert!(asked < 60, "{asked} requests in 10 s");
}

#[test]
fn a_damaged_feed_is_settled_though_no_peer_can_mend_it() {
    let mut world = World::cluster(3);
    world.command(1, register(80));
    world.until("agreed", World::agree);
    let behind: Vec<_> = [2, 3].map(|n| own_feed_at(&world, n, 1)).into();
    leave_marks(&mut world, 1);
    world.run(Duration::from_secs(35));
    let watermark = own_feed(&world, 1).state.watermark;
    assert!(!watermark.is_empty(), "it has forgotten removals");
    let disk = own_feed(&world, 1);
    for n in 1..=3 {
        world.stop(n);
    }
    world.run(Duration::from_secs(1));
    for (n, replica) in [2, 3].into_iter().zip(behind) {
        world.start_from(n, None, false, vec![(replica, false)]);
    }
    world.start_from(1, Some(disk), true, Vec::new());
    let before = world.requests;
    world.until("settled and agreed", |w| {
        w.agree() && !w.peers[&1].node.registry().is_damaged(id(1))
    });
    let asked = world.requests - before;
    assert!(asked < 300, "{asked} requests");
    assert_eq!(port(&world, 2, &web(1)), Some(80));
}

fn own_feed_at(world: &World, at: u8, of: u8) -> Snapshot {
    let registry = world.peers[&at].node.registry();
    registry.snapshot(id(of)).expect("it holds the feed")
}
