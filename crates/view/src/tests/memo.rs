//! What a front door made of an instance is kept as long as the instance stands as it is.

use super::*;

/// What is made of the instance: the word of its first check. Counts how often it was made.
fn made(view: &View, service: &str, times: &mut usize) -> String {
    let listed = view.lookup(service);
    let instance = &listed[0].instance;
    let bytes = instance.memo(|| {
        *times += 1;
        let check = instance.checks().first();
        check.map_or_else(Vec::new, |check| check.output().as_bytes().to_vec())
    });
    String::from_utf8(bytes.to_vec()).unwrap()
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
