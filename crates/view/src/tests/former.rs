//! Nodes whose host is another node since.

use super::*;

/// Only node 1 is met; of the others no more than records is known.
fn alone(former: &[u8]) -> Update {
    let Update::Roster(roster) = roster(&[(1, ALIVE.0, ALIVE.1)], Liveness::Stale) else {
        unreachable!("it is a roster");
    };
    Update::Roster(Arc::new(Roster {
        former: former.iter().map(|&n| node_id(n)).collect(),
        ..Roster::clone(&roster)
    }))
}

fn served(view: &View) -> Vec<u16> {
    let listed = view.lookup("web").into_iter();
    listed.map(|listed| listed.instance.record().port).collect()
}

#[test]
fn of_what_a_host_was_nothing_is_shown_while_what_it_is_now_is_served_as_stale() {
    let (mut writer, view) = view();
    let start = Timestamp::ZERO;
    let records = [
        node(2, "two"),
        registered(2, "web", 80),
        node(3, "two"),
        registered(3, "web", 81),
    ];
    writer.apply_all(start, records);
    writer.apply(start, alone(&[]));
    assert_eq!(served(&view), [80, 81]);

    let index = view.index(&Watch::service("web"));
    writer.apply(start, alone(&[2]));
    assert_eq!(served(&view), [81]);
    assert!(view.index(&Watch::service("web")) > index);
    let node = view.node("two").expect("the host is shown");
    assert_eq!(node.facts.key, NodeKey::Agent(node_id(3)));
}

#[test]
fn a_member_stands_as_its_liveness_says_whatever_it_was_before() {
    let (mut writer, view) = view();
    writer.apply_all(Timestamp::ZERO, [node(2, "two"), registered(2, "web", 80)]);
    let members = [(1, ALIVE.0, ALIVE.1), (2, ALIVE.0, ALIVE.1)];
    let Update::Roster(met) = roster(&members, Liveness::Stale) else {
        unreachable!("it is a roster");
    };
    let met = Roster {
        former: BTreeSet::from([node_id(2)]),
        ..Roster::clone(&met)
    };
    writer.apply(Timestamp::ZERO, Update::Roster(Arc::new(met)));
    assert_eq!(served(&view), [80]);
}
