//! What is remembered of instances that went.

use tidings_types::{Dot, Epoch};

use super::*;

fn names(view: &View, service: &str) -> Vec<String> {
    let removed = view.removed(service).into_iter();
    removed.map(|removed| removed.id.to_string()).collect()
}

#[test]
fn an_instance_that_went_is_remembered_with_who_took_it_away() {
    let (mut writer, view) = view();
    let (start, later) = (Timestamp::ZERO, Timestamp::from_micros(7));
    writer.apply_all(
        start,
        [
            node(2, "two"),
            registered(2, "web", 80),
            registered(2, "db", 1),
        ],
    );
    assert_eq!(names(&view, "web"), Vec::<String>::new());

    writer.apply(later, gone(instance_key(2, "web")));
    let removed = view.removed("WEB");
    assert_eq!((removed[0].at, removed[0].by), (later, None));
    assert_eq!(removed[0].node.name.as_str(), "two");

    // The operator's word stands in the feed of the agent at which it was given.
    let by = Dot {
        epoch: Epoch::from_bits(1),
        seq: 9,
        node: node_id(3),
    };
    let overridden = Update::Record {
        key: instance_key(2, "db"),
        body: None,
        dot: Some(by),
        conflict: None,
    };
    writer.apply(later, overridden);
    assert_eq!(view.removed("db")[0].by, Some(by));
}

#[test]
fn what_is_back_is_not_missed_and_what_flaps_is_told_once() {
    let (mut writer, view) = view();
    for _ in 0..3 {
        writer.apply(Timestamp::ZERO, registered(2, "web", 80));
        writer.apply(Timestamp::ZERO, gone(instance_key(2, "web")));
    }
    assert_eq!(names(&view, "web"), ["web"]);
    writer.apply(Timestamp::ZERO, registered(2, "web", 80));
    assert_eq!(names(&view, "web"), Vec::<String>::new());
}

#[test]
fn an_instance_that_changes_its_service_is_missed_in_the_old_one() {
    let (mut writer, view) = view();
    writer.apply(Timestamp::ZERO, registered(2, "web", 80));
    let moved = Body::Instance(instance("www", 80, &[]));
    writer.apply(Timestamp::ZERO, put(instance_key(2, "web"), moved, 2));
    assert_eq!(names(&view, "web"), ["web"]);
    assert_eq!(names(&view, "www"), Vec::<String>::new());
}

#[test]
fn no_more_are_remembered_than_may_be() {
    let (mut writer, view) = view();
    let id = |n: usize| format!("i{n:05}");
    for n in 0..=REMOVED_KEPT {
        let service = if n == 0 { "first" } else { "web" };
        let body = Body::Instance(instance(service, 80, &[]));
        writer.apply(Timestamp::ZERO, put(instance_key(2, &id(n)), body, 1));
        writer.apply(Timestamp::ZERO, gone(instance_key(2, &id(n))));
    }
    assert_eq!(names(&view, "first"), Vec::<String>::new());
    let kept = names(&view, "web");
    assert_eq!((kept.len(), kept.first()), (REMOVED_KEPT, Some(&id(1))));
}

#[test]
fn an_agent_that_was_made_to_leave_keeps_its_name() {
    let (mut writer, view) = view();
    let name = || view.name_of_agent(node_id(2)).to_string();
    assert_eq!(name(), node_id(2).to_string());
    writer.apply(Timestamp::ZERO, node(2, "two"));
    writer.apply(Timestamp::ZERO, gone(Key::Node(node_id(2))));
    assert_eq!(name(), "two");
    assert!(view.node("two").is_none());
    // What it leaves behind is shown on a node of that name.
    writer.apply(Timestamp::ZERO, registered(2, "web", 80));
    assert_eq!(
        view.service("web").unwrap().instances[0]
            .node()
            .name
            .as_str(),
        "two"
    );
    assert_eq!(view.agents_named("TWO"), [node_id(2)]);

    writer.apply(Timestamp::ZERO, node(2, "zwei"));
    assert_eq!(name(), "zwei");
}
