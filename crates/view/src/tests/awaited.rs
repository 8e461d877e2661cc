//! Checks that an instance names: here, not here yet, removed.

use super::*;
use crate::writer::STEP;

#[test]
fn a_check_that_is_named_but_missing_counts_as_critical() {
    let (mut writer, view) = cluster();
    let before = view.index(&Watch::Checks);
    let body = Body::Instance(instance("api", 80, &["c"]));
    writer.apply(at(1), put(instance_key(1, "api"), body, 5));
    assert!(view.index(&Watch::Checks) > before, "it is listed");
    let listed = view.lookup("api");
    assert_eq!(listed[0].instance.status(), CheckStatus::Critical);
    assert_eq!(listed[0].instance.awaited()[0].as_str(), "c");
    assert!(view.checks().iter().any(|c| c.check.missing));

    writer.apply(at(1), check(1, "c", Some("api"), CheckStatus::Passing));
    let listed = view.lookup("api");
    assert_eq!(listed[0].instance.status(), CheckStatus::Passing);
    assert!(listed[0].instance.awaited().is_empty());
}

#[test]
fn an_instance_without_checks_is_in_no_list_of_them() {
    let (mut writer, view) = cluster();
    writer.apply(at(1), check(2, "c", Some("db"), CheckStatus::Critical));
    let checks = view.index(&Watch::Checks);
    writer.apply(at(2), registered(2, "other", 1));
    assert_eq!(view.index(&Watch::Checks), checks);
    writer.apply(at(2), registered(2, "db", 24));
    assert!(view.index(&Watch::Checks) > checks);

    // But it can take the place of one of last resort, with the checks that this has.
    let is_shown = || view.checks().iter().any(|c| c.check.id.as_str() == "c");
    let last_resort = (MemberStatus::Down, Liveness::LastResort);
    writer.apply(at(3), members(&[ALIVE, last_resort, ALIVE]));
    let checks = view.index(&Watch::Checks);
    assert!(is_shown());
    writer.apply(at(3), registered(1, "db", 25));
    assert!(!is_shown());
    assert!(view.index(&Watch::Checks) > checks);
}

#[test]
fn a_check_under_a_tombstone_is_not_awaited() {
    let (mut writer, view) = cluster();
    let body = Body::Instance(instance("api", 80, &["c"]));
    writer.apply(at(1), put(instance_key(1, "api"), body, 5));
    writer.apply(at(1), check(1, "c", Some("api"), CheckStatus::Critical));
    let tombstone = |of| Update::Record {
        key: check_key(1, "c"),
        body: None,
        dot: of,
        conflict: None,
    };
    let overriding = Dot {
        epoch: Epoch::from_bits(1),
        seq: 9,
        node: node_id(2),
    };
    writer.apply(at(1), tombstone(Some(overriding)));
    assert_eq!(
        view.lookup("api")[0].instance.status(),
        CheckStatus::Passing
    );

    // The tombstone itself is gone: the check is awaited again.
    writer.apply(at(1), tombstone(None));
    assert_eq!(view.lookup("api")[0].instance.awaited().len(), 1);
}

#[test]
fn a_tombstone_over_a_check_that_never_came_ends_the_wait_for_it() {
    let (mut writer, view) = cluster();
    let body = Body::Instance(instance("api", 80, &["c"]));
    writer.apply(at(1), put(instance_key(1, "api"), body, 5));
    let withdrawn = |dot| Update::Record {
        key: check_key(1, "c"),
        body: None,
        dot,
        conflict: None,
    };
    let overriding = Dot {
        epoch: Epoch::from_bits(1),
        seq: 9,
        node: node_id(2),
    };
    let status = || view.lookup("api")[0].instance.status();
    assert_eq!(status(), CheckStatus::Critical);
    writer.apply(at(1), withdrawn(Some(overriding)));
    assert_eq!(status(), CheckStatus::Passing);
    writer.apply(at(1), withdrawn(None));
    assert_eq!(status(), CheckStatus::Critical);
}

/// An agent holds the instances of everybody: what is added here is added a million times. With the
/// counters of its pointer it fits a piece of 96 bytes.
#[test]
fn the_view_of_an_instance_is_small() {
    assert!(size_of::<InstanceView>() <= 80);
}

#[test]
fn a_check_without_its_instance_is_not_shown() {
    let (mut writer, view) = cluster();
    writer.apply(at(1), check(1, "c", Some("api"), CheckStatus::Critical));
    assert!(view.checks().is_empty());
    assert!(view.own().checks.is_empty());
}

#[test]
fn in_many_steps_no_instance_is_shown_without_its_checks() {
    let (mut writer, view) = cluster();
    let count = STEP * 2;
    let ids: Vec<String> = (0..count).map(|n| format!("i{n}")).collect();
    let updates = ids.iter().map(|id| {
        let body = Body::Instance(instance("many", 80, &[id]));
        put(instance_key(1, id), body, 5)
    });
    let checks = ids
        .iter()
        .map(|id| check(1, id, Some(id), CheckStatus::Passing));
    let all: Vec<Update> = updates.chain(checks).collect();
    let index = view.index_high_water();
    let looking = std::thread::spawn({
        let view = view.clone();
        move || {
            let mut seen = 0;
            while seen < count {
                let listed = view.lookup("many");
                seen = listed.len();
                for listed in listed {
                    assert_eq!(listed.instance.status(), CheckStatus::Passing);
                }
            }
        }
    });
    writer.apply_all(at(1), all);
    looking.join().unwrap();
    assert!(view.index_high_water() > index + 1, "it took several steps");
}
