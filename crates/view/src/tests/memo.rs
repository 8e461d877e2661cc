//! What a front door made of an instance is kept as long as the instance stands as it is.

use super::*;

/// What is made of the instance: the word of its first check. Counts how often it was made.
fn made(view: &View, service: &str, times: &mut usize) -> String {
    let listed = view.lookup(service);
    let instance = &listed[0].instance;
    let bytes = instance.memo(|| {
        *times += 1;
        let check = instance.checks().first();
        let output = check.map_or_else(Vec::new, |check| check.output().as_bytes().to_vec());
        [output, Vec::new()]
    });
    String::from_utf8(bytes.first().to_vec()).unwrap()
}

#[test]
fn it_is_made_once_and_again_after_every_change() {
    let (mut writer, view) = view();
    let start = Timestamp::ZERO;
    let web = put(
        instance_key(1, "web"),
        Body::Instance(instance("web", 80, &["web"])),
        1,
    );
    let passing = check(1, "web", Some("web"), CheckStatus::Passing);
    writer.apply_all(
        start,
        [node(1, "one"), web, passing, registered(1, "db", 1)],
    );
    let mut times = 0;
    assert_eq!(made(&view, "web", &mut times), "as recorded");
    assert_eq!(made(&view, "web", &mut times), "as recorded");
    assert_eq!(times, 1);

    // What a check says is no change of a record.
    for (said, output) in [(2, "disk full"), (3, "disk fuller")] {
        let output = Update::CheckOutput {
            check: CheckId::new("web").unwrap(),
            output: output.to_owned(),
        };
        writer.apply(start, output);
        let now = made(&view, "web", &mut times);
        assert_eq!((now.starts_with("disk full"), times), (true, said));
    }
    assert_eq!(made(&view, "web", &mut times), "disk fuller");

    writer.apply(start, check(1, "web", Some("web"), CheckStatus::Critical));
    assert_eq!(made(&view, "web", &mut times), "as recorded");
    writer.apply(start, check(1, "disk", None, CheckStatus::Critical));
    made(&view, "web", &mut times);
    let moved = Body::Instance(instance("web", 81, &["web"]));
    writer.apply(start, put(instance_key(1, "web"), moved, 2));
    made(&view, "web", &mut times);
    writer.apply(start, node(1, "uno"));
    made(&view, "web", &mut times);
    assert_eq!(times, 7);

    // Another instance is none of its business.
    writer.apply(start, registered(1, "db", 2));
    made(&view, "web", &mut times);
    assert_eq!(times, 7);
}

#[test]
fn what_is_made_of_a_node_is_shared_by_its_instances() {
    let (mut writer, view) = view();
    let start = Timestamp::ZERO;
    let both = [registered(1, "web", 80), registered(1, "db", 81)];
    writer.apply_all(start, [node(1, "one")].into_iter().chain(both));
    let times = std::cell::Cell::new(0);
    let made = |service: &str| {
        let listed = view.lookup(service);
        listed[0].instance.node_memo(|| {
            times.set(times.get() + 1);
            Default::default()
        });
        times.get()
    };
    assert_eq!((made("web"), made("db"), made("web")), (1, 1, 1));
    writer.apply(start, registered(1, "web", 82));
    assert_eq!(made("web"), 1, "the node is as it was");
    writer.apply(start, check(1, "disk", None, CheckStatus::Critical));
    assert_eq!((made("web"), made("db")), (2, 2));
    let says = |output: &str| Update::CheckOutput {
        check: CheckId::new("disk").unwrap(),
        output: output.to_owned(),
    };
    writer.apply(start, says("full"));
    assert_eq!((made("db"), made("web")), (3, 3));
    writer.apply(start, node(1, "uno"));
    assert_eq!((made("db"), made("web")), (4, 4));
}
