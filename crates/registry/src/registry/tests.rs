use tidings_types::{
    Body, Change, Entry, FeedState, Key, Lineage, Place, Slot, Snapshot, Transfer, Version,
};

use super::*;
use crate::{
    AHEAD_DELTAS_PER_FEED, ChangeFault,
    fixture::{Agent, cluster, dot, epoch, instance, instance_key, node, shared_key},
};

/// Two agents, the second of which holds the first one's feed with three instances.
fn pair() -> (Agent, Agent) {
    let mut owner = Agent::new(1);
    for (port, name) in (1..).zip(["a", "b", "c"]) {
        owner.register(name, port);
    }
    let mut peer = Agent::new(2);
    peer.pull(&owner, owner.me());
    (owner, peer)
}

/// The feed with one slot lost or altered, and the sum of what is left.
fn tampered(registry: &Registry, how: impl Fn(&mut Vec<Change>)) -> Snapshot {
    let mut snapshot = registry.snapshot(node(1)).unwrap();
    how(&mut snapshot.changes);
    let checked = form::check_stored(&registry.hasher, snapshot.clone()).unwrap();
    let sum = checked
        .changes
        .iter()
        .fold(0u128, |sum, s| sum.wrapping_add(s.hash));
    snapshot.state.sum = sum;
    snapshot
}

fn set_port(change: &mut Change, port: u16) {
    let Slot::Entry(entry) = &mut change.slot else {
        panic!("a removal mark has no port");
    };
    let mut body = entry.body.as_ref().unwrap().body();
    if let Body::Instance(instance) = &mut body {
        instance.port = port;
    }
    entry.body = Some(body.into());
}

#[test]
fn a_delta_brings_what_is_lacking_and_nothing_else() {
    let (mut owner, mut peer) = pair();
    owner.register("a", 9);
    owner.deregister("b");
    let held = peer.registry.lineage(owner.me());
    let Some(Transfer::Delta(delta)) = owner.registry.transfer(owner.me(), &held) else {
        panic!("a replica that covers the watermark gets a delta");
    };
    assert_eq!(delta.changes.len(), 2);
    let applied = peer.registry.apply(Transfer::Delta(delta)).unwrap();
    assert!(applied.advanced && applied.alarm.is_none());
    assert_eq!(applied.touched.len(), 2);
    assert_eq!(peer.port(&instance_key(owner.me(), "a")), Some(9));
    assert_eq!(peer.registry.in_force(&instance_key(owner.me(), "b")), None);
    assert_eq!(peer.registry.fingerprint(), owner.registry.fingerprint());
    assert_eq!(
        peer.registry
            .transfer(owner.me(), &owner.registry.lineage(owner.me())),
        None
    );
}

#[test]
fn an_unknown_feed_is_as_if_it_were_not() {
    let registry = Registry::new(node(1), cluster());
    assert_eq!(registry.fingerprint(), 0);
    assert_eq!(
        registry.items().count() + registry.feeds() + registry.entries(),
        0
    );
    assert_eq!(registry.lineage(node(2)), Lineage::empty());
    assert_eq!(registry.snapshot(node(2)), None);
    assert_eq!(registry.item(node(2)), None);
}

#[test]
fn what_comes_too_early_waits_unseen_until_the_gap_is_closed() {
    let (mut owner, mut peer) = pair();
    let before = peer.registry.clone();
    let mut deltas = Vec::new();
    for port in 10..13 {
        let held = owner.registry.lineage(owner.me());
        owner.register("a", port);
        deltas.push(owner.registry.transfer(owner.me(), &held).unwrap());
    }
    for delta in deltas[1..].iter().rev() {
        let applied = peer.registry.apply(delta.clone()).unwrap();
        assert!(applied.gap && !applied.advanced && !applied.dropped);
        assert_eq!(peer.registry.fingerprint(), before.fingerprint());
        assert_eq!(
            peer.registry.lineage(owner.me()),
            before.lineage(owner.me())
        );
    }
    assert_eq!(peer.registry.ahead().0, 2);
    let applied = peer.registry.apply(deltas[0].clone()).unwrap();
    assert!(applied.advanced && !applied.gap);
    assert_eq!(peer.registry.ahead(), (0, 0));
    assert_eq!(peer.port(&instance_key(owner.me(), "a")), Some(12));
    assert_eq!(peer.registry.fingerprint(), owner.registry.fingerprint());
}

#[test]
fn a_full_ahead_buffer_drops_the_newcomer_and_a_snapshot_empties_it() {
    let (mut owner, mut peer) = pair();
    owner.register("a", 99);
    let mut dropped = Vec::new();
    for port in 100..u16::try_from(100 + AHEAD_DELTAS_PER_FEED + 2).unwrap() {
        let held = owner.registry.lineage(owner.me());
        owner.register("a", port);
        let delta = owner.registry.transfer(owner.me(), &held).unwrap();
        let applied = peer.registry.apply(delta.clone()).unwrap();
        assert!(applied.gap);
        dropped.push(applied.dropped);
    }
    let kept = dropped.iter().filter(|dropped| !**dropped).count();
    assert_eq!(kept, AHEAD_DELTAS_PER_FEED);
    assert_eq!(dropped[AHEAD_DELTAS_PER_FEED..], [true, true]);
    let snapshot = owner.registry.snapshot(owner.me()).unwrap();
    let applied = peer.registry.apply(Transfer::Snapshot(snapshot)).unwrap();
    assert!(applied.advanced && !applied.gap);
    assert_eq!(peer.registry.ahead(), (0, 0));
}

/// A node that registered and removed "web" and forgot the removal mark, as a peer holds it; and
/// the same node after it lost its disk, met an old packet that has "web", and wrote on.
fn forgotten_and_relapsed() -> (Agent, Agent) {
    let mut owner = Agent::new(1);
    owner.register("first", 1);
    owner.register("web", 1);
    let old = owner
        .registry
        .transfer(owner.me(), &Lineage::empty())
        .unwrap();
    owner.deregister("web");
    for number in 0..=crate::MARKS_KEPT {
        owner.register(&format!("x{number}"), 1);
        owner.deregister(&format!("x{number}"));
    }
    owner.writer.move_watermark(&owner.registry).unwrap();
    owner.commit();
    let mut peer = Agent::new(2);
    peer.pull(&owner, owner.me());
    assert_eq!(
        peer.registry.changes(owner.me()).count(),
        1,
        "all marks are forgotten"
    );
    let mut again = owner.wiped(2);
    again.registry.apply(old).unwrap();
    again.register("other", 2);
    (peer, again)
}

#[test]
fn neither_snapshot_nor_delta_resurrects_what_was_removed_and_forgotten() {
    let behind = Lineage::of(epoch(1), 1);
    for held in [Lineage::empty(), behind] {
        let (mut peer, mut again) = forgotten_and_relapsed();
        let web = instance_key(node(1), "web");
        let late = again.registry.transfer(node(1), &held).unwrap();
        assert_eq!(matches!(late, Transfer::Snapshot(_)), held.is_empty());
        peer.registry.apply(late).unwrap();
        assert_eq!(peer.registry.in_force(&web), None);
        assert_eq!(peer.port(&instance_key(node(1), "other")), Some(2));
        assert_eq!(
            again.port(&web),
            Some(1),
            "its owner has to relearn the removal"
        );
        again.pull(&peer, node(1));
        assert_eq!(again.registry.in_force(&web), None);
        assert_eq!(again.registry.fingerprint(), peer.registry.fingerprint());
    }
}

#[test]
fn dots_of_the_present_run_that_were_never_written_are_a_lie() {
    let (mut owner, mut peer) = pair();
    let mut forger = owner.registry.clone();
    let mut forging = owner.writer.clone();
    let key = instance_key(owner.me(), "forged");
    forging.register(&forger, key, instance(6)).unwrap();
    let batch = forging.take_batch(&forger).unwrap();
    forging.commit(&mut forger, batch);
    let lie = forger
        .transfer(owner.me(), &owner.registry.lineage(owner.me()))
        .unwrap();
    let before = owner.registry.fingerprint();
    let refused = owner.registry.apply(lie.clone()).unwrap_err();
    assert_eq!(
        refused,
        Rejected::ForgedDot {
            epoch: epoch(1),
            seq: 4
        }
    );
    assert!(refused.blames_giver());
    assert_eq!(owner.registry.fingerprint(), before);
    // Nobody else can know.
    assert!(peer.registry.apply(lie).unwrap().advanced);
}

#[test]
fn a_greater_run_of_the_own_feed_is_met_by_a_new_one_above_it() {
    let (owner, mut peer) = pair();
    let mut clone = owner.wiped(5);
    clone.register("a", 50);
    clone.register("late", 51);
    peer.pull(&clone, clone.me());
    // An older image of the same node goes on in a run between the two.
    let mut old = owner.wiped(3);
    old.register("a", 30);
    old.register("mine", 31);
    old.deregister("mine");
    let held = old.registry.lineage(old.me());
    let theirs = peer.registry.transfer(old.me(), &held).unwrap();
    let refused = old.registry.apply(theirs.clone()).unwrap_err();
    assert_eq!(refused, Rejected::EpochExceeded { epoch: epoch(5) });
    assert!(!refused.blames_giver());
    old.writer
        .take_over(&mut old.registry, epoch(6), 1_000)
        .unwrap();
    old.registry.apply(theirs).unwrap();
    old.commit();
    peer.pull(&old, old.me());
    for agent in [&old, &peer] {
        assert_eq!(
            agent.port(&instance_key(old.me(), "a")),
            Some(30),
            "this call came last"
        );
        assert_eq!(
            agent.port(&instance_key(old.me(), "late")),
            Some(51),
            "nobody touched it"
        );
        assert_eq!(agent.port(&instance_key(old.me(), "mine")), None);
    }
}

#[test]
fn a_damaged_feed_is_mended_by_a_snapshot_and_not_passed_on_before() {
    let (mut owner, mut peer) = pair();
    let stored = owner.registry.snapshot(owner.me()).unwrap();
    let mut lost = stored.clone();
    lost.changes.remove(1);
    let mut again = owner.wiped(2);
    again.registry.restore(lost, false).unwrap();
    assert!(again.registry.is_damaged(owner.me()), "the sum tells");
    assert_eq!(again.registry.damaged().collect::<Vec<_>>(), [owner.me()]);
    assert_eq!(again.registry.transfer(owner.me(), &Lineage::empty()), None);
    assert_eq!(
        again.port(&instance_key(owner.me(), "a")),
        Some(1),
        "what is left is answered"
    );
    assert_eq!(again.registry.held(owner.me()), Lineage::empty());
    again.register("d", 4);
    // The peer knows nothing of the newest write, and it stays.
    again.pull(&peer, owner.me());
    assert!(!again.registry.is_damaged(owner.me()));
    assert_eq!(again.port(&instance_key(owner.me(), "b")), Some(2));
    assert_eq!(again.port(&instance_key(owner.me(), "d")), Some(4));
    assert_eq!(peer.pull(&again, owner.me()).alarm, None);
    assert_eq!(peer.registry.fingerprint(), again.registry.fingerprint());
    owner.registry.restore(stored, true).unwrap();
    owner.registry.accept_damage(owner.me());
    assert!(owner.registry.snapshot(owner.me()).is_some());
}

#[test]
fn a_snapshot_from_before_the_watermark_does_not_mend() {
    let (mut owner, peer) = pair();
    owner.deregister("b");
    for number in 0..=crate::MARKS_KEPT {
        owner.register(&format!("x{number}"), 1);
        owner.deregister(&format!("x{number}"));
    }
    owner.writer.move_watermark(&owner.registry).unwrap();
    owner.commit();
    let mut stored = owner.registry.snapshot(owner.me()).unwrap();
    stored
        .changes
        .retain(|change| change.key != instance_key(node(1), "a"));
    let mut again = owner.wiped(2);
    again.registry.restore(stored, true).unwrap();
    again.pull(&peer, owner.me());
    assert!(again.registry.is_damaged(owner.me()));
    assert_eq!(
        again.registry.in_force(&instance_key(owner.me(), "b")),
        None
    );
}

#[test]
fn a_feed_that_differs_at_one_position_is_an_alarm_and_the_owner_is_right() {
    let (owner, mut peer) = pair();
    let altered = tampered(&peer.registry, |changes| set_port(&mut changes[0], 77));
    let fresh = Registry::new(node(2), cluster());
    peer.registry = fresh;
    peer.registry.restore(altered, false).unwrap();
    let copy = owner.registry.snapshot(owner.me()).unwrap();
    let applied = peer
        .registry
        .apply(Transfer::Snapshot(copy.clone()))
        .unwrap();
    let alarm = applied.alarm.expect("equal positions, unequal sums");
    assert_eq!((alarm.owner, alarm.theirs), (owner.me(), copy.state.sum));
    assert!(!applied.advanced);
    let repaired = peer.registry.repair(copy, Giver::Owner).unwrap();
    assert_eq!(repaired.touched, [instance_key(owner.me(), "a")].into());
    assert_eq!(repaired.alarm, None);
    assert_eq!(peer.registry.fingerprint(), owner.registry.fingerprint());
    assert_eq!(peer.port(&instance_key(owner.me(), "a")), Some(1));
}

#[test]
fn without_the_owner_two_peers_that_differ_keep_the_union() {
    let (mut owner, peer) = pair();
    let altered = tampered(&peer.registry, |changes| set_port(&mut changes[0], 77));
    let lacking = tampered(&peer.registry, |changes| drop(changes.remove(2)));
    let (mut left, mut right) = (
        Registry::new(node(2), cluster()),
        Registry::new(node(3), cluster()),
    );
    left.restore(altered.clone(), false).unwrap();
    right.restore(lacking.clone(), false).unwrap();
    assert!(
        right
            .apply(Transfer::Snapshot(altered.clone()))
            .unwrap()
            .alarm
            .is_some()
    );
    left.repair(lacking, Giver::Peer).unwrap();
    right.repair(altered.clone(), Giver::Peer).unwrap();
    assert_eq!(left.fingerprint(), right.fingerprint());
    assert_eq!(left.changes(node(1)).count(), 3);
    // The owner's own copy is right whatever others hold.
    let before = owner.registry.fingerprint();
    let applied = owner.registry.repair(altered, Giver::Peer).unwrap();
    assert_eq!(applied, Applied::default());
    assert_eq!(owner.registry.fingerprint(), before);
}

#[test]
fn each_part_of_a_slot_counts_in_the_sum() {
    let (_, peer) = pair();
    let honest = peer.registry.snapshot(node(1)).unwrap();
    let faults: [fn(&mut Vec<Change>); 4] = [
        |changes| set_port(&mut changes[0], 78),
        |changes| drop(changes.pop()),
        |changes| changes[1].key = instance_key(node(1), "renamed"),
        |changes| changes[2].slot = Slot::RemovalMark,
    ];
    for fault in faults {
        let mut snapshot = honest.clone();
        fault(&mut snapshot.changes);
        let refused = Registry::new(node(3), cluster()).apply(Transfer::Snapshot(snapshot));
        assert_eq!(refused, Err(Rejected::Sum { owner: node(1) }));
    }
    let other_cluster = ClusterId::from_bytes([8; 16]);
    let refused = Registry::new(node(3), other_cluster).apply(Transfer::Snapshot(honest));
    assert_eq!(refused, Err(Rejected::Sum { owner: node(1) }));
}

#[test]
fn concurrent_shared_writes_that_say_the_same_are_no_conflict() {
    let (mut a, mut b) = (Agent::new(1), Agent::new(2));
    a.write_shared("db", 9_000, 1);
    b.write_shared("db", 5_000, 1);
    a.pull(&b, b.me());
    assert_eq!(a.registry.conflicted(), 0);
    assert!(a.registry.conflicts(&shared_key("db")).is_empty());
}

#[test]
fn concurrent_shared_writes_have_one_winner_and_count_as_a_conflict_until_one_follows_both() {
    let (mut a, mut b) = (Agent::new(1), Agent::new(2));
    a.write_shared("db", 9_000, 1);
    b.write_shared("db", 5_000, 2);
    a.pull(&b, b.me());
    b.pull(&a, a.me());
    for agent in [&a, &b] {
        assert_eq!(
            agent.port(&shared_key("db")),
            Some(1),
            "the greater stamp wins"
        );
        assert_eq!(agent.registry.conflicted(), 1);
        assert_eq!(agent.registry.conflicts(&shared_key("db"))[0].0, b.me());
    }
    // The slow clock's next write follows both and wins.
    b.write_shared("db", 5_001, 3);
    a.pull(&b, b.me());
    for agent in [&a, &b] {
        assert_eq!(agent.port(&shared_key("db")), Some(3));
        assert_eq!(agent.registry.conflicted(), 0);
        assert!(agent.registry.conflicts(&shared_key("db")).is_empty());
    }
    assert_eq!(a.registry.fingerprint(), b.registry.fingerprint());
}

#[test]
fn an_override_beats_what_it_saw_and_a_registration_that_it_did_not_see_beats_it() {
    let (mut owner, mut peer) = pair();
    let (a, b) = (instance_key(owner.me(), "a"), instance_key(owner.me(), "b"));
    peer.overrule(&a);
    peer.overrule(&b);
    owner.register("b", 22);
    owner.pull(&peer, peer.me());
    peer.pull(&owner, owner.me());
    for agent in [&owner, &peer] {
        let value = agent.registry.in_force(&a).unwrap();
        assert!(value.entry.body.is_none() && value.holder == peer.me());
        assert_eq!(agent.port(&b), Some(22));
    }
    let owned: Vec<&Key> = peer.registry.owned_by(owner.me()).collect();
    assert_eq!(owned.len(), 3);
    owner.register("a", 1);
    peer.pull(&owner, owner.me());
    assert_eq!(
        peer.port(&a),
        Some(1),
        "an identical registration is a new one"
    );
}

#[test]
fn a_refused_transfer_changes_nothing() {
    let (mut owner, mut peer) = pair();
    let held = owner.registry.lineage(owner.me());
    owner.register("d", 4);
    owner.register("e", 5);
    let Some(Transfer::Delta(mut delta)) = owner.registry.transfer(owner.me(), &held) else {
        panic!("a delta");
    };
    delta.changes.reverse();
    let before = peer.registry.fingerprint();
    let refused = peer.registry.apply(Transfer::Delta(delta)).unwrap_err();
    assert!(matches!(
        refused,
        Rejected::Change {
            fault: ChangeFault::Order,
            ..
        }
    ));
    assert_eq!(peer.registry.fingerprint(), before);
    assert_eq!(peer.registry.lineage(owner.me()), held);
    assert_eq!(peer.registry.entries(), 3);
}

#[test]
fn a_delta_that_says_nothing_is_no_news() {
    let mut registry = Agent::new(1).registry;
    let nothing = || {
        let mut delta = Agent::new(2);
        delta.register("a", 1);
        let mut state = delta.registry.state(node(2)).unwrap();
        state.lineage = Lineage::empty();
        Transfer::Delta(Delta {
            from: Lineage::empty(),
            state,
            changes: Vec::new(),
        })
    };
    let applied = registry.apply(nothing()).unwrap();
    assert!(
        !applied.advanced,
        "whoever passed it on would do so for ever"
    );
    assert_eq!(registry.feeds(), 0);
}

/// Gives `registry` changes of node 2 from `first` on, each with 31 KiB, until it takes no more;
/// returns how many it took, and why it refused the last.
fn fill(registry: &mut Registry, first: u64) -> (u64, Rejected) {
    for seq in first.. {
        let change = large(seq, &format!("large-{seq}"));
        if let Err(refused) = registry.apply(Transfer::Delta(next(change))) {
            return (seq - first, refused);
        }
    }
    unreachable!("numbers do not end")
}

/// The registration of an instance of 31 KiB by node 2.
fn large(seq: u64, id: &str) -> Change {
    let meta = (0..60).map(|n| (format!("key-{n}"), "x".repeat(512)));
    let Body::Instance(mut large) = instance(80) else {
        panic!("it is an instance");
    };
    large.meta = meta.collect();
    Change {
        place: Place {
            epoch: epoch(1),
            seq,
        },
        key: instance_key(node(2), id),
        slot: Slot::Entry(Entry {
            version: Version::Owner(dot(node(2), 1, seq).into()),
            body: Some(Body::Instance(large).into()),
        }),
    }
}

/// A full feed at a peer, and the changes by which its owner puts others in the place of all: removal
/// marks, then registrations, a few less than were there.
fn full_and_replaced() -> (Registry, Vec<Change>, Vec<Change>) {
    let mut registry = Agent::new(1).registry;
    let (held, _) = fill(&mut registry, 1);
    let gone = (1..=held).map(|n| Change {
        place: Place {
            epoch: epoch(1),
            seq: held + n,
        },
        key: instance_key(node(2), &format!("large-{n}")),
        slot: Slot::RemovalMark,
    });
    let new = (1..held - 3).map(|n| large(2 * held + n, &format!("other-{n}")));
    (registry, gone.collect(), new.collect())
}

#[test]
fn a_delta_that_replaces_what_fills_a_feed_is_taken() {
    let (mut registry, gone, new) = full_and_replaced();
    let count = new.len();
    let changes = [gone, new].concat();
    let mut delta = next(changes[0].clone());
    delta.state.lineage = Lineage::of(epoch(1), changes.last().unwrap().place.seq);
    delta.changes = changes;
    let (_, checked) = form::check_delta(&registry.hasher, delta.clone()).unwrap();
    let foretold = registry.feed(node(2)).unwrap().cost_after(&checked);
    assert!(registry.apply(Transfer::Delta(delta)).unwrap().advanced);
    let feed = registry.feed(node(2)).unwrap();
    assert_eq!((feed.entries(), feed.cost()), (count, foretold));
}

#[test]
fn a_delta_whose_position_lets_go_of_what_fills_a_feed_is_taken() {
    let (mut registry, gone, new) = full_and_replaced();
    let held = registry.lineage(node(2));
    let mut removals = next(gone[0].clone());
    removals.state.lineage = Lineage::of(epoch(1), gone.last().unwrap().place.seq);
    removals.changes.clone_from(&gone);
    registry.apply(Transfer::Delta(removals.clone())).unwrap();
    let mut delta = removals.clone();
    delta.from = removals.state.lineage.clone();
    delta.state.lineage = Lineage::of(epoch(1), new.last().unwrap().place.seq);
    delta.state.watermark = removals.state.lineage;
    delta.changes = new;
    let (_, checked) = form::check_delta(&registry.hasher, delta.clone()).unwrap();
    let foretold = registry.feed(node(2)).unwrap().cost_after(&checked);
    registry.apply(Transfer::Delta(delta)).unwrap();
    let feed = registry.feed(node(2)).unwrap();
    assert_eq!((feed.marks(), feed.cost()), (0, foretold));
    assert!(feed.lineage().covers(&held));
}

#[test]
fn a_copy_that_replaces_what_fills_a_feed_is_taken() {
    let (mut registry, _, new) = full_and_replaced();
    let count = new.len();
    let mut state = next(new[0].clone()).state;
    state.lineage = Lineage::of(epoch(1), new.last().unwrap().place.seq);
    let mut copy = Snapshot {
        state,
        changes: new,
    };
    let checked = form::check_stored(&registry.hasher, copy.clone()).unwrap();
    let sum = checked.changes.iter().map(|standing| standing.hash);
    copy.state.sum = sum.fold(0, u128::wrapping_add);
    registry.apply(Transfer::Snapshot(copy)).unwrap();
    assert_eq!(registry.feed(node(2)).unwrap().entries(), count);
}

/// The delta of node 2 that brings one change after all before it.
fn next(change: Change) -> Delta {
    let mut from = Lineage::empty();
    from.advance(change.place.epoch, change.place.seq - 1);
    Delta {
        from,
        state: FeedState {
            owner: node(2),
            lineage: Lineage::of(change.place.epoch, change.place.seq),
            watermark: Lineage::empty(),
            needs: BTreeMap::new(),
            sum: 0,
        },
        changes: vec![change],
    }
}

#[test]
fn a_feed_of_many_small_deltas_has_a_limit_in_bytes() {
    let mut registry = Agent::new(1).registry;
    let (taken, refused) = fill(&mut registry, 1);
    assert!(
        matches!(refused, Rejected::FeedTooHeavy { bytes, .. } if bytes > FEED_BYTES),
        "{refused}"
    );
    let expected = (FEED_BYTES as u64) / (66 << 10)..(FEED_BYTES as u64) / (60 << 10);
    assert!(expected.contains(&taken), "{taken} records of 31 KiB");
}

#[test]
fn of_two_changes_under_one_dot_one_is_kept_and_what_is_left_can_be_passed_on() {
    let (owner, mut peer) = pair();
    let forged = tampered(&peer.registry, |changes| {
        changes[0].key = instance_key(node(1), "forged");
    });
    peer.registry.repair(forged, Giver::Peer).unwrap();
    let held = peer.registry.snapshot(owner.me()).unwrap();
    assert_eq!(held.changes.len(), peer.registry.changes(node(1)).count());
    let mut third = Registry::new(node(3), cluster());
    third.apply(Transfer::Snapshot(held)).unwrap();
    assert_eq!(third.fingerprint(), peer.registry.fingerprint());
}

#[test]
fn the_owners_copy_takes_the_place_of_a_forgery_that_fills_the_feed() {
    let mut owner = Agent::new(2);
    owner.register("a", 1);
    let mut peer = Agent::new(1);
    peer.pull(&owner, owner.me());
    // As its owner would have it after it went above what was forged.
    let mut truth = owner.registry.snapshot(owner.me()).unwrap();
    let (forged, _) = fill(&mut peer.registry, 2);
    let mut outbid = truth.changes[0].clone();
    outbid.place.seq = forged + 2;
    let mut delta = next(outbid.clone());
    delta.changes[0].slot = Slot::RemovalMark;
    peer.registry.apply(Transfer::Delta(delta)).unwrap();
    truth.state.lineage = Lineage::of(epoch(1), forged + 2);
    let checked = form::check_stored(&peer.registry.hasher, truth.clone()).unwrap();
    let sum = checked.changes.iter().map(|standing| standing.hash);
    truth.state.sum = sum.fold(0, u128::wrapping_add);
    let applied = peer.registry.repair(truth, Giver::Owner).unwrap();
    assert!(!applied.touched.is_empty());
    assert_eq!(peer.registry.changes(owner.me()).count(), 1);
    assert_eq!(peer.port(&instance_key(owner.me(), "a")), Some(1));
}
