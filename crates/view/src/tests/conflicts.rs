//! What two writers did not know of each other is shown with both values, as long as it is so.

use tidings_types::{Conflict, Hlc, Written};

use super::*;

fn external(port: u16, beaten: &[u16]) -> Update {
    let key = Key::ExternalInstance(NodeName::new("ext").unwrap(), ServiceId::new("db").unwrap());
    let body = |port| Content::of(&Body::Instance(instance("db", port, &[])));
    let written = |port: u16| Written {
        by: node_id(1),
        stamp: Hlc::from_unix_ms(u64::from(port)),
        body: Some(body(port)),
    };
    let conflict = Conflict {
        winner: written(port),
        beaten: beaten.iter().map(|port| written(*port)).collect(),
        count: beaten.len(),
    };
    Update::Record {
        key,
        body: Some(body(port)),
        dot: None,
        conflict: (!beaten.is_empty()).then(|| Arc::new(conflict)),
    }
}

#[test]
fn a_conflict_is_shown_until_the_record_is_written_again() {
    let (mut writer, view) = view();
    let start = Timestamp::ZERO;
    let shown = |view: &View| {
        let conflicts = view.conflicts().into_iter();
        let stamps = conflicts.flat_map(|(_, conflict)| {
            let written = [&conflict.winner].into_iter().chain(&conflict.beaten);
            written.map(|w| w.stamp.unix_ms()).collect::<Vec<_>>()
        });
        stamps.collect::<Vec<_>>()
    };
    writer.apply(start, external(2, &[]));
    assert!(shown(&view).is_empty());
    writer.apply(start, external(3, &[2]));
    assert_eq!(shown(&view), [3, 2]);
    assert_eq!(view.service("db").unwrap().instances[0].conflicts(), 1);
    writer.apply(start, external(4, &[3, 2]));
    assert_eq!(shown(&view), [4, 3, 2]);
    // In one step with what ends it.
    writer.apply_all(start, [external(5, &[4]), external(6, &[])]);
    assert!(shown(&view).is_empty());
    assert_eq!(view.service("db").unwrap().instances[0].conflicts(), 0);
}
