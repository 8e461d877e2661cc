use tidings_types::{
    Body, CheckId, Dot, Hlc, NodeId, SharedWrite, Transfer, VectorClock, limits::LINEAGE_EPOCHS,
};

use super::*;
use crate::{
    Registry,
    fixture::{cluster, dot, entry, epoch, instance, instance_key, node, shared_key},
};

fn owner() -> NodeId {
    node(1)
}

fn change(seq: u64, key: Key, slot: Slot) -> Change {
    Change {
        place: Place {
            epoch: epoch(2),
            seq,
        },
        key,
        slot,
    }
}

fn registration(seq: u64, name: &str) -> Change {
    let version = Version::Owner(dot(owner(), 2, seq).into());
    change(
        seq,
        instance_key(owner(), name),
        entry(version, Some(instance(1))),
    )
}

fn shared(stamp: Hlc, writer: Dot) -> Change {
    let version = Version::Shared(Box::new(SharedWrite {
        stamp,
        dot: writer,
        clock: VectorClock::empty(),
    }));
    change(3, shared_key("db"), entry(version, None))
}

fn delta(changes: Vec<Change>) -> Delta {
    Delta {
        from: Lineage::of(epoch(2), 1),
        state: FeedState {
            owner: owner(),
            lineage: Lineage::of(epoch(2), 9),
            watermark: Lineage::empty(),
            needs: Default::default(),
            sum: 0,
        },
        changes,
    }
}

/// What `apply` says to a replica that could take the delta.
fn refusal(delta: Delta) -> Option<Rejected> {
    let mut registry = Registry::new(node(5), cluster());
    let refused = registry.apply(Transfer::Delta(delta)).err();
    assert_eq!(registry.ahead().0, usize::from(refused.is_none()));
    refused
}

fn fault(changes: Vec<Change>) -> Option<ChangeFault> {
    match refusal(delta(changes)) {
        Some(Rejected::Change { fault, .. }) => Some(fault),
        None => None,
        Some(other) => panic!("{other}"),
    }
}

#[test]
fn a_sound_delta_is_taken() {
    let overruled = entry(Version::Override(dot(node(3), 7, 7).into()), None);
    let removed = change(4, instance_key(owner(), "gone"), Slot::RemovalMark);
    let changes = vec![
        registration(2, "a"),
        shared(Hlc::from_unix_ms(1), dot(owner(), 1, 8)),
        removed,
        change(5, instance_key(node(3), "x"), overruled),
    ];
    assert_eq!(fault(changes), None);
}

#[test]
fn dots_must_be_in_range_and_order_and_keys_unique() {
    let twice = vec![registration(3, "a"), registration(3, "b")];
    let same_key = vec![registration(2, "a"), registration(3, "a")];
    assert_eq!(fault(vec![registration(1, "a")]), Some(ChangeFault::Range));
    assert_eq!(fault(vec![registration(10, "a")]), Some(ChangeFault::Range));
    assert_eq!(fault(vec![registration(0, "a")]), Some(ChangeFault::Range));
    assert_eq!(fault(twice), Some(ChangeFault::Order));
    assert_eq!(fault(same_key), Some(ChangeFault::Duplicate));
    let mut below_floor = delta(vec![registration(2, "a")]);
    below_floor.state.lineage.raise_floor(epoch(3));
    assert!(matches!(
        refusal(below_floor),
        Some(Rejected::Change {
            fault: ChangeFault::Range,
            ..
        })
    ));
}

#[test]
fn owner_keys_take_registrations_of_their_owner_only() {
    let own = |version, body| {
        fault(vec![change(
            3,
            instance_key(owner(), "a"),
            entry(version, body),
        )])
    };
    let mine = |seq| Version::Owner(dot(owner(), 2, seq).into());
    assert_eq!(own(mine(3), Some(instance(1))), None);
    assert_eq!(
        own(mine(2), Some(instance(1))),
        None,
        "a restamp keeps its version"
    );
    assert_eq!(
        own(mine(4), Some(instance(1))),
        Some(ChangeFault::VersionDot)
    );
    assert_eq!(
        own(mine(0), Some(instance(1))),
        Some(ChangeFault::VersionDot)
    );
    assert_eq!(own(mine(3), None), Some(ChangeFault::Body));
    assert_eq!(
        own(Version::Override(dot(owner(), 2, 2).into()), None),
        Some(ChangeFault::Version),
        "nobody overrides itself"
    );
    let node_key = change(3, Key::Node(owner()), entry(mine(3), Some(instance(1))));
    assert_eq!(fault(vec![node_key]), Some(ChangeFault::Kind));
    let foreign = entry(mine(3), Some(instance(1)));
    let foreign = change(3, instance_key(node(3), "a"), foreign);
    assert_eq!(fault(vec![foreign]), Some(ChangeFault::Version));
}

#[test]
fn overrides_name_a_dot_of_the_keys_owner_and_say_nothing_else() {
    let over = |key, version, body| fault(vec![change(3, key, entry(version, body))]);
    let key = || instance_key(node(3), "a");
    let seen = Version::Override(dot(node(3), 9, 9).into());
    assert_eq!(over(key(), seen.clone(), None), None);
    assert_eq!(
        over(key(), seen.clone(), Some(instance(1))),
        Some(ChangeFault::Body)
    );
    assert_eq!(
        over(shared_key("db"), seen, None),
        Some(ChangeFault::Version)
    );
    let of_no_change = Version::Override(dot(node(3), 9, 0).into());
    let fault = over(key(), of_no_change, None);
    assert_eq!(fault, Some(ChangeFault::VersionDot));
}

#[test]
fn shared_writes_are_their_feeds_own_and_have_a_sane_stamp() {
    let stamp = Hlc::from_unix_ms(1);
    assert_eq!(fault(vec![shared(stamp, dot(owner(), 2, 3))]), None);
    for wrong in [dot(node(3), 2, 3), dot(owner(), 2, 4), dot(owner(), 2, 0)] {
        assert_eq!(
            fault(vec![shared(stamp, wrong)]),
            Some(ChangeFault::VersionDot)
        );
    }
    let late = shared(Hlc::END, dot(owner(), 2, 3));
    assert_eq!(fault(vec![late]), Some(ChangeFault::Stamp));
    let version = Version::Shared(Box::new(SharedWrite {
        stamp,
        dot: dot(owner(), 2, 3),
        clock: VectorClock::empty(),
    }));
    let owned = change(
        3,
        instance_key(owner(), "a"),
        entry(version, Some(instance(1))),
    );
    assert_eq!(fault(vec![owned]), Some(ChangeFault::Version));
}

#[test]
fn only_owner_keys_are_removed_without_needs() {
    let removal = |key| fault(vec![change(3, key, Slot::RemovalMark)]);
    assert_eq!(removal(instance_key(owner(), "a")), None);
    assert_eq!(removal(instance_key(node(3), "a")), Some(ChangeFault::Mark));
    assert_eq!(removal(shared_key("db")), Some(ChangeFault::Mark));
}

#[test]
fn a_record_beyond_its_limit_is_refused() {
    let mut large = registration(3, "a");
    let Slot::Entry(entry) = &mut large.slot else {
        panic!("a registration is an entry");
    };
    let Body::Instance(mut instance) = instance(1) else {
        panic!("an instance");
    };
    instance.address = "x".repeat(RECORD_BYTES).into();
    entry.body = Some(Body::Instance(instance).into());
    assert!(
        matches!(fault(vec![large]), Some(ChangeFault::TooLarge { bytes }) if bytes > RECORD_BYTES)
    );
}

#[test]
fn an_instance_that_names_too_many_checks_is_refused() {
    let naming = |named: usize| {
        let mut change = registration(3, "a");
        let Body::Instance(mut instance) = instance(1) else {
            panic!("an instance");
        };
        let names = (0..named).map(|number| CheckId::new(number.to_string()).unwrap());
        instance.checks = names.collect();
        let version = Version::Owner(dot(owner(), 2, 3).into());
        change.slot = entry(version, Some(Body::Instance(instance)));
        fault(vec![change])
    };
    assert_eq!(naming(CHECKS_ACCEPTED), None);
    let named = CHECKS_ACCEPTED + 1;
    assert_eq!(naming(named), Some(ChangeFault::TooManyChecks { named }));
}

#[test]
fn positions_must_fit_together() {
    let mut ahead = delta(Vec::new());
    ahead.from = Lineage::of(epoch(2), 20);
    ahead.state.watermark = Lineage::of(epoch(2), 10);
    let position = |fault| {
        Some(Rejected::Position {
            owner: owner(),
            fault,
        })
    };
    assert_eq!(refusal(ahead), position(PositionFault::WatermarkAhead));
    let mut behind = delta(Vec::new());
    behind.state.watermark = Lineage::of(epoch(2), 2);
    assert_eq!(
        refusal(behind),
        position(PositionFault::StartsBehindWatermark)
    );
    let mut needing = delta(Vec::new());
    needing
        .state
        .needs
        .insert(node(3), Lineage::of(epoch(1), 1));
    assert_eq!(
        refusal(needing),
        Some(Rejected::NeedsUnsupported { owner: owner() })
    );
}

#[test]
fn a_position_never_grows_beyond_its_limit_of_epochs() {
    let mut registry = Registry::new(node(5), cluster());
    let of = |from: u64, upto: u64| {
        let mut lineage = Lineage::empty();
        (from..upto).for_each(|at| lineage.advance(epoch(at), 1));
        let mut delta = delta(Vec::new());
        delta.from = Lineage::empty();
        delta.state.lineage = lineage;
        Transfer::Delta(delta)
    };
    registry.apply(of(1, 201)).unwrap();
    registry.apply(of(201, 301)).unwrap();
    assert_eq!(registry.lineage(owner()).epochs(), LINEAGE_EPOCHS);
    assert!(registry.snapshot(owner()).is_some(), "it is passed on");
}
