//! Checks that an instance names: here, not here yet, removed.

use super::*;

#[test]
fn a_check_that_is_named_but_missing_counts_as_critical() {
    let (mut writer, view) = cluster();
    let body = Body::Instance(instance("api", 80, &["c"]));
    writer.apply(at(1), put(instance_key(1, "api"), body, 5));
    let listed = view.lookup("api");
    assert_eq!(listed[0].instance.status(), CheckStatus::Critical);
    assert!(listed[0].instance.checks[0].missing);
    assert!(view.checks().iter().any(|c| c.check.missing));

    writer.apply(at(1), check(1, "c", Some("api"), CheckStatus::Passing));
    let listed = view.lookup("api");
    assert_eq!(listed[0].instance.status(), CheckStatus::Passing);
    assert!(!listed[0].instance.checks[0].missing);
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
        conflicts: 0,
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
    assert!(view.lookup("api")[0].instance.checks[0].missing);
}

#[test]
fn a_check_without_its_instance_is_not_shown() {
    let (mut writer, view) = cluster();
    writer.apply(at(1), check(1, "c", Some("api"), CheckStatus::Critical));
    assert!(view.checks().is_empty());
    assert!(view.own().checks.is_empty());
}
