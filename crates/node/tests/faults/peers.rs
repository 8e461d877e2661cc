//! Peers that lie, are long dead, or hold other content at the same position.

use std::time::Duration;

use tidings_node::Input;
use tidings_types::{Delta, Dot, Entry, Epoch, FeedState, Lineage, NodeId, Slot, Version};
use tidings_wire::{Datagram, datagram};

use crate::{
    port, web,
    world::{World, addr, id, register},
};

/// Hands node `n` a datagram that node `from` sealed.
fn send(world: &mut World, n: u8, from: u8, body: datagram::Body) {
    let fingerprint = world.peers[&n].node.registry().fingerprint();
    let payload = Datagram { fingerprint, body }.encode().expect("it fits");
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
        epoch,
        seq: 1,
        key: web(1),
        slot: Slot::Entry(Entry {
            version: Version::Override(seen),
            body: None,
        }),
    };
    let body = forged(id(9), Lineage::of(epoch, 1), vec![change]);
    send(&mut world, 1, 2, body);
    assert_eq!(port(&world, 1, &web(1)), Some(80));
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
