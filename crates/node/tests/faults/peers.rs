//! Peers that lie, are long dead, or hold other content at the same position.

use std::time::Duration;

use tidings_node::{Event, Input};
use tidings_registry::{Registry, Writer};
use tidings_types::{
    Body, ClusterId, Delta, Dot, Entry, Epoch, FeedState, Key, Lineage, NodeId, Place, Slot,
    Snapshot, Transfer, Version,
};
use tidings_wire::{Datagram, Response, datagram};

use crate::{
    own_feed, port, web,
    world::{self, World, addr, id, instance, register, service},
};

/// Hands node `n` a datagram that node `from` sealed.
fn send(world: &mut World, n: u8, from: u8, body: datagram::Body) {
    let fingerprint = world.peers[&n].node.registry().fingerprint();
    let datagram = Datagram {
        fingerprint,
        wall_ms: world::START_MS,
        body,
    };
    let payload = datagram.encode().expect("it fits");
    let (from, sender) = (addr(from), id(from));
    let datagram = Input::Datagram {
        from,
        sender,
        payload,
    };
    world.input(n, datagram);
}

/// A delta of `owner`'s feed that begins at nothing and says `changes`.
fn forged(owner: NodeId, lineage: Lineage, changes: Vec<tidings_types::Change>) -> datagram::Body {
    let state = FeedState {
        owner,
        lineage,
        watermark: Lineage::empty(),
        needs: Default::default(),
        sum: 0,
    };
    datagram::Body::Rumors(vec![Delta {
        from: Lineage::empty(),
        state,
        changes,
    }])
}

#[test]
fn an_epoch_at_the_end_of_time_is_not_followed() {
    let mut world = World::cluster(2);
    let epoch = world.peers[&1].status.as_ref().unwrap().epoch;
    for below in [0, 1, 1 << 20, 1 << 40] {
        let last = Epoch::from_bits(u64::MAX - below);
        send(
            &mut world,
            1,
            2,
            forged(id(1), Lineage::of(last, 1), Vec::new()),
        );
        let mut floor = Lineage::empty();
        floor.raise_floor(last);
        send(&mut world, 1, 2, forged(id(1), floor, Vec::new()));
    }
    assert_eq!(world.peers[&1].status.as_ref().unwrap().epoch, epoch);
    assert!(matches!(world.command(1, register(80)), Some(Ok(_))));
    assert_eq!(port(&world, 2, &web(1)), Some(80));
}

#[test]
fn an_override_of_a_dot_at_the_end_of_time_is_refused() {
    let mut world = World::cluster(2);
    world.command(1, register(80));
    let epoch = Epoch::from_bits(5);
    let seen = Dot {
        epoch: Epoch::MAX,
        seq: 1,
        node: id(1),
    };
    let change = tidings_types::Change {
        place: Place { epoch, seq: 1 },
        key: web(1),
        slot: Slot::Entry(Entry {
            version: Version::Override(seen.into()),
            body: None,
        }),
    };
    let body = forged(id(9), Lineage::of(epoch, 1), vec![change]);
    send(&mut world, 1, 2, body);
    assert_eq!(port(&world, 1, &web(1)), Some(80));
}

#[test]
fn a_gap_that_nobody_can_close_is_not_asked_for_without_end() {
    let mut world = World::cluster(2);
    let epoch = Epoch::from_bits(5);
    let state = FeedState {
        owner: id(9),
        lineage: Lineage::of(epoch, 7),
        watermark: Lineage::empty(),
        needs: Default::default(),
        sum: 0,
    };
    // What comes before it is lost with its owner's disk.
    let delta = Delta {
        from: Lineage::of(epoch, 6),
        state,
        changes: Vec::new(),
    };
    let before = world.requests;
    for _ in 0..100 {
        let body = datagram::Body::Rumors(vec![delta.clone()]);
        send(&mut world, 1, 2, body);
        world.run(Duration::from_millis(100));
    }
    let asked = world.requests - before;
    assert!((1..20).contains(&asked), "{asked} requests in 10 s");
}

#[test]
fn nobody_acknowledges_what_was_never_written() {
    let mut world = World::cluster(2);
    let own = world.peers[&1].node.registry().lineage(id(1));
    for run in 1..400 {
        let mut lineage = Lineage::empty();
        for epoch in 0..50 {
            lineage.advance(Epoch::from_bits(run * 1_000 + epoch), 1_000_000);
        }
        let owner = id(1);
        send(&mut world, 1, 2, datagram::Body::Have { owner, lineage });
    }
    world.command(1, register(80));
    let status = world.peers[&1].status.as_ref().unwrap();
    assert_eq!(status.synced.epochs(), own.epochs(), "{:?}", status.synced);
}

/// The next change of node 1's feed, which node 1 never made: an instance called "forged".
fn next_in_the_name_of_1(world: &World) -> datagram::Body {
    let feed = own_feed(world, 1);
    let registered = feed.changes.iter().find(|change| change.key == web(1));
    let mut change = registered.expect("it is registered").clone();
    let mut state = feed.state.clone();
    change.key = Key::Instance(id(1), service("forged"));
    change.place.seq = state.lineage.head(change.place.epoch) + 1;
    let dot = change.dot(id(1));
    if let Slot::Entry(entry) = &mut change.slot {
        entry.version = Version::Owner(dot.into());
    }
    state.lineage.advance(change.place.epoch, change.place.seq);
    datagram::Body::Rumors(vec![Delta {
        from: feed.state.lineage,
        state,
        changes: vec![change],
    }])
}

#[test]
fn what_was_forged_in_an_owners_name_is_put_right_by_its_silent_owner() {
    let mut world = World::cluster(4);
    world.command(1, register(80));
    world.until("agreed", World::agree);
    let forged = Key::Instance(id(1), service("forged"));
    let before = own_feed(&world, 1);
    let lie = next_in_the_name_of_1(&world);
    send(&mut world, 2, 4, lie.clone());
    send(&mut world, 3, 4, lie);
    assert!(world.peers[&2].records.contains_key(&forged), "2 was told");
    let took = world.until("put right", |w| {
        let shown = |n: &u8| w.peers[n].records.contains_key(&forged);
        w.agree() && ![2, 3].iter().any(shown)
    });
    assert!(took < Duration::from_secs(5), "{took:?}");
    let refused = |event: &Event| matches!(event, Event::Refused { .. });
    assert!(world.peers[&1].events.iter().any(refused));
    let after = own_feed(&world, 1);
    assert_eq!(before.changes, after.changes, "nothing was written again");
    assert_eq!(before.state.sum, after.state.sum);
}

#[test]
fn a_claim_on_changes_of_this_run_that_were_never_made_is_refused() {
    let mut world = World::cluster(3);
    world.command(1, register(80));
    world.until("agreed", World::agree);
    let epoch = own_feed(&world, 1).state.lineage.last_epoch().unwrap();
    let claim = |world: &mut World, head| {
        let (owner, lineage) = (id(1), Lineage::of(epoch, head));
        send(world, 1, 2, datagram::Body::Have { owner, lineage });
    };
    let pulls = world.peers[&1].node.counters().pulls;
    for more in 0..50 {
        claim(&mut world, 1_000 + 10 * more);
    }
    let counters = world.peers[&1].node.counters();
    assert_eq!((counters.changes_refused, counters.pulls), (50, pulls));
    let head = own_feed(&world, 1).state.lineage.head(epoch);
    assert_eq!(head, 1_001, "gone above once");

    // There is no room above this one: what the run wrote is written again in another.
    world.run(Duration::from_secs(1));
    claim(&mut world, u64::MAX);
    world.give_epoch(1);
    world.command(1, register(81));
    world.until("agreed", |w| w.agree() && port(w, 3, &web(1)) == Some(81));
    assert!(own_feed(&world, 1).state.lineage.last_epoch() > Some(epoch));
}

#[test]
fn members_that_are_long_dead_make_no_island_of_a_newcomer() {
    let mut world = World::cluster(10);
    for n in 7..=10 {
        world.stop(n);
        world.run(Duration::from_secs(30));
    }
    assert!(!world.peers[&1].roster.island);
    world.start(11, None);
    world.until("joined", |w| w.peers[&11].roster.reachable == 7);
    for _ in 0..300 {
        world.run(Duration::from_millis(100));
        assert!(!world.peers[&11].roster.island, "at {}", world.now);
    }
}

/// Node 1's feed at the position at which nodes 1 and 2 hold it, but with something in it that node
/// 1 has replaced since.
fn spoilt(world: &World) -> Snapshot {
    let mut snapshot = own_feed(world, 1);
    let mut changes = snapshot.changes.iter();
    let at = changes.position(|change| change.key == web(1));
    let at = at.expect("it is registered");
    let mut old = snapshot.changes[at].clone();
    old.place.seq -= 1;
    old.key = Key::Instance(id(1), service("old"));
    let dot = old.dot(id(1));
    if let Slot::Entry(entry) = &mut old.slot {
        entry.version = Version::Owner(dot.into());
    }
    snapshot.changes.insert(at, old);
    let mut registry = Registry::new(id(9), ClusterId::from_bytes([0; 16]));
    registry
        .restore(snapshot, false)
        .expect("it is well-formed");
    let state = registry.state(id(1)).expect("it was restored");
    let changes = registry.changes(id(1)).cloned().collect();
    Snapshot { state, changes }
}

#[test]
fn of_two_contents_at_one_position_the_owners_copy_stands() {
    let mut world = World::cluster(2);
    world.command(1, register(80));
    world.command(1, register(81));
    world.until("agreed", World::agree);
    let replica = spoilt(&world);
    let old = Key::Instance(id(1), service("old"));
    world.cut.insert((1, 3));
    world.start_from(3, None, false, vec![(replica, false)]);
    for _ in 0..500 {
        world.run(Duration::from_millis(10));
        assert!(
            !world.peers[&2].records.contains_key(&old),
            "the owner answers"
        );
    }
    world.cut.clear();
    world.until("all agree", |w| {
        w.agree() && w.peers[&3].roster.reachable == 3
    });
    assert!(!world.peers[&3].records.contains_key(&old));

    world.run(Duration::from_secs(5));
    let saved = world.peers[&3].saves.iter().rev();
    let mut saved = saved.filter(|transfer| transfer.state().owner == id(1));
    assert!(
        matches!(saved.next(), Some(Transfer::Snapshot(s)) if s.changes.iter().all(|c| c.key != old)),
        "a restart does not bring it back"
    );
}

#[test]
fn without_the_owner_two_contents_at_one_position_are_united() {
    let mut world = World::cluster(2);
    world.command(1, register(80));
    world.command(1, register(81));
    world.until("agreed", World::agree);
    let replica = spoilt(&world);
    world.stop(1);
    world.run(Duration::from_secs(10));
    world.start_from(3, None, false, vec![(replica, false)]);
    world.until("agreed", |w| w.agree() && w.peers[&3].roster.reachable == 2);
    let old = Key::Instance(id(1), service("old"));
    assert!(world.peers[&2].records.contains_key(&old));
}

#[test]
fn one_answer_is_bounded_in_bytes_and_all_arrives_by_and_by() {
    let large = "x".repeat(60_000);
    let feed = |n: u8| {
        let mut registry = Registry::new(id(n), ClusterId::from_bytes([0; 16]));
        let mut writer = Writer::new(id(n), Epoch::from_bits(1));
        for k in 0..10 {
            let mut body = instance("large", k);
            body.socket_path = large.as_str().into();
            let key = Key::Instance(id(n), service(&format!("large-{k}")));
            let dot = writer.register(&registry, key, Body::Instance(body));
            dot.expect("there is room");
        }
        let batch = writer.take_batch(&registry).expect("it is staged");
        writer.commit(&mut registry, batch);
        (registry.snapshot(id(n)).expect("it has a feed"), false)
    };
    let mut world = World::cluster(1);
    world.start_from(2, None, false, (100..130).map(feed).collect());
    world.until("all arrived", |w| {
        w.agree() && w.peers[&1].roster.reachable == 2
    });
    let most = world.answered.values().max().copied().unwrap_or_default();
    assert!(most < 10 << 20, "{most} bytes in one answer");
}

#[test]
fn a_reachable_peer_of_the_same_name_is_told_once() {
    let mut world = World::cluster(3);
    world.stop(3);
    world.names.insert(3, 1);
    world.run(Duration::from_secs(10));
    world.start(3, None);
    world.run(Duration::from_secs(10));
    for (n, peer) in [(1, 3), (3, 1)] {
        let peer = id(peer);
        let told = world.peers[&n].events.iter();
        let told = told.filter(|event| **event == Event::NameShared { peer });
        assert_eq!(told.count(), 1, "node {n}");
    }
    assert!(
        !world.peers[&2]
            .events
            .iter()
            .any(|e| matches!(e, Event::NameShared { .. }))
    );
}

/// Two nodes of which the second wrote something while the first did not hear it.
fn apart() -> World {
    let mut world = World::cluster(2);
    world.cut.insert((1, 2));
    let mut large = instance("large", 80);
    // The size of a record that is allowed, so that a few make a feed that is not.
    large.socket_path = "x".repeat(60_000).into();
    let command = tidings_types::Command::RegisterService(tidings_types::Registration {
        id: service("large"),
        instance: Box::new(large),
        checks: Vec::new(),
        replace_checks: false,
    });
    let taken = world.command(2, command);
    assert!(matches!(taken, Some(Ok(_))), "{taken:?}");
    world.run(Duration::from_secs(1));
    world.cut.clear();
    world
}

#[test]
fn an_answer_that_is_repeated_without_end_is_heard_once() {
    let mut world = apart();
    let before = world.peers[&1].node.counters();
    world.forge = Some(Box::new(|giver, frame| {
        vec![frame; if giver == 2 { 500 } else { 1 }]
    }));
    world.until("what came first is taken", World::agree);
    world.run(Duration::from_secs(1));
    let now = world.peers[&1].node.counters();
    let refused = now.frames_malformed - before.frames_malformed;
    let asked = world.requests as u64;
    assert!(refused > 0 && refused <= asked, "{refused} of {asked}");
}

#[test]
fn a_feed_without_end_is_given_up_and_its_giver_named() {
    let mut world = apart();
    world.forge = Some(Box::new(|giver, frame| match Response::decode(&frame) {
        Ok(Response::Feed(mut part)) if giver == 2 => {
            part.last = false;
            let frame = Response::Feed(part).encode().expect("it was one");
            vec![frame; 400]
        }
        _ => vec![frame],
    }));
    let given_up = |world: &World| world.peers[&1].node.counters().feeds_too_large > 0;
    world.until("the answer is given up", given_up);
    let named = world.peers[&1]
        .events
        .iter()
        .any(|event| matches!(event, Event::Refused { peer, .. } if *peer == id(2)));
    assert!(named, "{:?}", world.peers[&1].events);
    assert!(world.peers[&1].abandoned > 0, "the rest is not read");
    let pulls = |world: &World| world.peers[&1].node.counters().pulls;
    let before = pulls(&world);
    world.run(Duration::from_secs(10));
    assert_eq!(pulls(&world), before, "its giver is left alone for a while");
    world.forge = None;
    world.until("an honest answer is taken all the same", World::agree);
}
