//! Behaviours of the view, told through its public face.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tidings_types::{
    Body, Check, CheckId, CheckKind, CheckStatus, Command, Content, Departure, Dot, Epoch,
    ExternalNode, Instance, Key, Liveness, MemberStatus, Node, NodeId, NodeName, Outcome, Refusal,
    Roster, RosterEntry, ServiceId, ServiceName, Text, TextMap, Timestamp, Update,
};
use tokio::time::Instant;

use super::*;

mod awaited;
mod conflicts;
mod consul;
mod former;
mod memo;
mod removed;

const FIRST: u64 = 1_763_000_000_000 << 12;

fn node_id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 16])
}

fn view() -> (ViewWriter, View) {
    let name = NodeName::new("one").unwrap();
    channel(ViewSettings::new(node_id(1), name, "dc1", FIRST))
}

fn put(key: Key, body: Body, seq: u64) -> Update {
    let dot = Dot {
        epoch: Epoch::from_bits(1),
        seq,
        node: key.owner().unwrap_or_else(|| node_id(1)),
    };
    Update::Record {
        key,
        body: Some(body.into()),
        dot: Some(dot),
        conflict: None,
    }
}

fn gone(key: Key) -> Update {
    Update::Record {
        key,
        body: None,
        dot: None,
        conflict: None,
    }
}

fn node(n: u8, name: &str) -> Update {
    let record = Node {
        name: NodeName::new(name).unwrap(),
        gossip: "10.0.0.1:8301".parse().unwrap(),
        address: format!("10.0.0.{n}").into(),
        datacenter: "dc1".into(),
        meta: TextMap::new(),
        build: "0.1.0".into(),
        departure: None,
    };
    put(Key::Node(node_id(n)), Body::Node(record), 1)
}

fn instance(service: &str, port: u16, checks: &[&str]) -> Instance {
    Instance {
        checks: checks.iter().map(|id| CheckId::new(id).unwrap()).collect(),
        ..Instance::new(ServiceName::new(service).unwrap(), port)
    }
}

fn instance_key(n: u8, id: &str) -> Key {
    Key::Instance(node_id(n), ServiceId::new(id).unwrap())
}

fn registered(n: u8, service: &str, port: u16) -> Update {
    let body = Body::Instance(instance(service, port, &[]));
    put(instance_key(n, service), body, 1)
}

fn check_key(n: u8, id: &str) -> Key {
    Key::Check(node_id(n), CheckId::new(id).unwrap())
}

fn check(n: u8, id: &str, service: Option<&str>, status: CheckStatus) -> Update {
    let check = Check {
        service: service.map(|id| ServiceId::new(id).unwrap()),
        output_bytes_max: 4_096,
        status,
        output: "as recorded".into(),
        ..Check::new(id.to_owned(), CheckKind::Ttl { ttl_ms: 1_000 })
    };
    put(check_key(n, id), Body::Check(check), 1)
}

fn roster(members: &[(u8, MemberStatus, Liveness)], unknown: Liveness) -> Update {
    let members = members.iter().map(|&(n, status, liveness)| {
        let entry = RosterEntry {
            addr: format!("10.9.0.{n}:8301").parse().unwrap(),
            status,
            liveness,
            since: Timestamp::ZERO,
            heard: Timestamp::from_micros(1_000_000),
            ahead_ms: None,
        };
        (node_id(n), entry)
    });
    Update::Roster(Arc::new(Roster {
        members: members.collect(),
        unknown,
        former: BTreeSet::new(),
        reachable: 1,
        expected: 3,
        island: true,
    }))
}

const ALIVE: (MemberStatus, Liveness) = (MemberStatus::Alive, Liveness::Live);
const STALE: (MemberStatus, Liveness) = (MemberStatus::Down, Liveness::Stale);
const DOWN: (MemberStatus, Liveness) = (MemberStatus::Down, Liveness::Hidden);
const LAST: (MemberStatus, Liveness) = (MemberStatus::Down, Liveness::LastResort);
const LEFT: (MemberStatus, Liveness) = (MemberStatus::Left, Liveness::Hidden);

fn members(states: &[(MemberStatus, Liveness)]) -> Update {
    let members: Vec<_> = states
        .iter()
        .zip(1..)
        .map(|(&(status, liveness), n)| (n, status, liveness))
        .collect();
    roster(&members, Liveness::Hidden)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// Ports of what is served, in order.
fn ports(view: &View, service: &str) -> Vec<u16> {
    let listed = view.lookup(service);
    listed.iter().map(|l| l.instance.record().port).collect()
}

fn address_of(listed: &Listed) -> String {
    listed.address(&listed.instance.record()).to_owned()
}

/// Three alive nodes `one`, `two`, `three`, each with an instance of `web`; `two` also of `db`.
fn cluster() -> (ViewWriter, View) {
    let (mut writer, view) = view();
    let updates = [
        members(&[ALIVE, ALIVE, ALIVE]),
        node(1, "one"),
        node(2, "two"),
        node(3, "three"),
        registered(1, "web", 1),
        registered(2, "web", 2),
        registered(3, "web", 3),
        registered(2, "db", 22),
    ];
    writer.apply_all(at(1), updates);
    (writer, view)
}

#[test]
fn a_service_is_found_in_any_case_and_ordered_by_node_name() {
    let (_writer, view) = cluster();
    assert_eq!(ports(&view, "WEB"), [1, 3, 2]);
    let names: Vec<_> = view.services().iter().map(|s| s.name.to_string()).collect();
    assert_eq!(names, [CONSUL, "db", "web"]);
    assert!(view.service("nothing").is_none());
}

#[test]
fn an_instance_without_its_nodes_record_is_served_under_the_members_address() {
    let (mut writer, view) = view();
    writer.apply(at(1), registered(2, "web", 80));
    assert!(view.lookup("web").is_empty(), "no address is known at all");
    writer.apply(at(1), members(&[ALIVE, ALIVE]));
    assert_eq!(address_of(&view.lookup("web")[0]), "10.9.0.2");
    writer.apply(at(1), node(2, "two"));
    assert_eq!(address_of(&view.lookup("web")[0]), "10.0.0.2");
}

#[test]
fn a_nodes_check_counts_for_each_of_its_instances() {
    let (mut writer, view) = cluster();
    writer.apply(at(1), check(2, "disk", None, CheckStatus::Critical));
    let status = |service: &str| {
        let listed = view.lookup(service);
        let on_two = listed
            .iter()
            .find(|l| l.instance.node().name.as_str() == "two");
        on_two.unwrap().instance.status()
    };
    assert_eq!(status("web"), CheckStatus::Critical);
    assert_eq!(status("db"), CheckStatus::Critical);
    writer.apply(at(1), gone(check_key(2, "disk")));
    assert_eq!(status("web"), CheckStatus::Passing);
}

#[test]
fn stale_instances_come_last_with_their_age_and_hidden_ones_not_at_all() {
    let (mut writer, view) = cluster();
    writer.apply(at(6), members(&[ALIVE, DOWN, STALE]));
    assert_eq!(ports(&view, "web"), [1, 3]);
    let listed = view.lookup("web");
    assert_eq!(listed[0].stale_for, None);
    assert_eq!(listed[1].stale_for, Some(Duration::from_secs(5)));
    assert!(view.lookup("db").is_empty());
    writer.advance(at(10));
    let age = view.lookup("web")[1].stale_for;
    assert_eq!(age, Some(Duration::from_secs(9)));
}

#[test]
fn the_rest_of_an_island_serves_only_a_service_that_would_be_empty() {
    let (mut writer, view) = cluster();
    writer.apply(at(6), members(&[ALIVE, LAST, LAST]));
    assert_eq!(ports(&view, "web"), [1]);
    assert_eq!(ports(&view, "db"), [22]);
    assert!(view.lookup("db")[0].stale_for.is_some());
}

#[test]
fn external_records_hang_on_no_liveness() {
    let (mut writer, view) = cluster();
    let name = NodeName::new("db-host").unwrap();
    let id = ServiceId::new("pg").unwrap();
    let record = ExternalNode {
        id: Text::new(),
        address: "192.0.2.7".into(),
        tagged_addresses: TextMap::new(),
        meta: TextMap::new(),
    };
    let updates = [
        put(
            Key::ExternalNode(name.clone()),
            Body::ExternalNode(record),
            7,
        ),
        put(
            Key::ExternalInstance(name.clone(), id.clone()),
            Body::Instance(instance("pg", 5432, &[])),
            8,
        ),
        members(&[DOWN, DOWN, DOWN]),
    ];
    writer.apply_all(at(1), updates);
    let listed = view.lookup("pg");
    assert_eq!(
        (address_of(&listed[0]).as_str(), listed[0].stale_for),
        ("192.0.2.7", None)
    );
    let key = NodeKey::External(name.clone());
    assert_eq!(view.overlay().serf_health(&key, at(1)), None);

    writer.apply(at(1), gone(Key::ExternalInstance(name.clone(), id)));
    writer.apply(at(1), gone(Key::ExternalNode(name)));
    assert!(view.node("db-host").is_none());
    assert!(
        view.node_by_key(&key).is_none(),
        "an empty node takes no memory"
    );
}

#[test]
fn serf_health_follows_the_standing() {
    let (mut writer, view) = cluster();
    writer.apply(at(31), members(&[ALIVE, DOWN, STALE]));
    let of = |n: u8| {
        let health = view
            .overlay()
            .serf_health(&NodeKey::Agent(node_id(n)), view.now());
        let health = health.unwrap();
        (health.status, health.output)
    };
    assert_eq!(
        of(1),
        (CheckStatus::Passing, "Agent alive and reachable".to_owned())
    );
    assert_eq!(
        of(2),
        (
            CheckStatus::Critical,
            "Agent not live or unreachable".to_owned()
        )
    );
    assert_eq!(
        of(3),
        (
            CheckStatus::Passing,
            "stale: owner not heard for 30 s".to_owned()
        )
    );
}

#[test]
fn a_down_node_is_listed_and_one_that_left_is_not() {
    let (mut writer, view) = cluster();
    writer.apply(at(1), members(&[ALIVE, DOWN, LEFT]));
    let nodes: Vec<_> = view
        .nodes()
        .iter()
        .map(|(n, s)| (n.name.to_string(), *s))
        .collect();
    assert_eq!(
        nodes,
        [
            ("one".to_owned(), Standing::Live),
            ("two".to_owned(), Standing::Down)
        ]
    );
    assert!(view.node("three").is_none());
    assert!(view.node("TWO").is_some());
    assert!(view.node(&node_id(2).to_uuid()).is_some());
}

#[test]
fn a_record_that_says_goodbye_hides_its_node_once_it_is_down() {
    let (mut writer, view) = cluster();
    let Update::Record {
        key,
        body: Some(body),
        ..
    } = node(3, "three")
    else {
        panic!("a record");
    };
    let Body::Node(record) = body.body() else {
        panic!("a node");
    };
    let leaving = Node {
        departure: Some(Departure::Left),
        ..record
    };
    writer.apply(at(1), put(key, Body::Node(leaving), 2));
    assert!(view.node("three").is_some(), "it is alive still");
    writer.apply(at(1), members(&[ALIVE, ALIVE, DOWN]));
    assert!(view.node("three").is_none());
}

#[test]
fn a_down_node_whose_name_a_live_node_bears_is_hidden() {
    let (mut writer, view) = cluster();
    writer.apply(at(1), members(&[ALIVE, STALE, ALIVE]));
    assert_eq!(ports(&view, "web"), [1, 3, 2]);
    writer.apply(at(1), node(3, "Two"));
    assert_eq!(ports(&view, "web"), [3, 1], "by name: Two, one");
    let found = view.node("two").unwrap();
    assert_eq!(found.facts.key, NodeKey::Agent(node_id(3)));
    // Once the name is free again, the old node is shown again.
    writer.apply(at(1), node(3, "three"));
    assert_eq!(ports(&view, "web"), [1, 3, 2]);
}

#[test]
fn an_identical_record_moves_no_index() {
    let (mut writer, view) = cluster();
    let before = (view.index_high_water(), view.index(&Watch::service("web")));
    writer.apply(at(2), registered(1, "web", 1));
    let Update::Record {
        key,
        body,
        conflict,
        ..
    } = registered(1, "web", 1)
    else {
        panic!("a record");
    };
    let restamped = Dot {
        epoch: Epoch::from_bits(9),
        seq: 1,
        node: node_id(1),
    };
    writer.apply(
        at(2),
        Update::Record {
            key,
            body,
            dot: Some(restamped),
            conflict,
        },
    );
    assert_eq!(
        before,
        (view.index_high_water(), view.index(&Watch::service("web")))
    );
    // The new dot is shown all the same: whether it is synced hangs on it.
    let listed = view.lookup("web");
    assert_eq!(listed[0].instance.origin().dot(), Some(restamped));
}

#[test]
fn create_and_modify_index_are_this_agents_own() {
    let (mut writer, view) = cluster();
    let created = view.lookup("db")[0].instance.origin().create_index;
    writer.apply(at(2), registered(2, "db", 23));
    let origin = view.lookup("db")[0].instance.origin();
    assert_eq!(origin.create_index, created);
    assert_eq!(origin.modify_index, view.index_high_water());
    assert!(origin.modify_index > created && created > FIRST);
}

#[test]
fn one_fact_moves_exactly_the_indexes_that_it_concerns() {
    let (mut writer, view) = cluster();
    let index = |name: &str| view.index(&Watch::service(name));
    let tables = || [Watch::Nodes, Watch::Services, Watch::Checks].map(|w| view.index(&w));
    let (web, db, before) = (index("web"), index("db"), tables());

    let any = || view.index(&Watch::AnyService);
    let of_any = any();
    // A suspicion changes no answer.
    writer.apply(
        at(2),
        members(&[ALIVE, (MemberStatus::Suspect, Liveness::Live), ALIVE]),
    );
    assert_eq!((index("web"), index("db"), tables()), (web, db, before));
    assert_eq!(any(), of_any);

    // Node three has an instance of web only.
    writer.apply(at(2), members(&[ALIVE, ALIVE, DOWN]));
    assert!(index("web") > web);
    assert_eq!(index("db"), db);
    assert!(tables().iter().zip(before).all(|(now, then)| *now > then));

    // A status moves the checks and the service, and not the lists of names.
    let before = tables();
    writer.apply(at(2), check(2, "c", Some("db"), CheckStatus::Critical));
    assert!(index("db") > db);
    assert_eq!(tables()[..2], before[..2]);
    assert!(tables()[2] > before[2]);
    assert_eq!(any(), index("db"));
}

#[test]
fn a_service_that_is_gone_keeps_the_index_of_its_end_within_bounds() {
    let name = NodeName::new("one").unwrap();
    let mut settings = ViewSettings::new(node_id(1), name, "dc1", FIRST);
    settings.absent_services = 2;
    let (mut writer, view) = channel(settings);
    let names = ["a", "b", "c", "d"];
    let mut ended = Vec::new();
    for name in names {
        writer.apply(at(1), registered(1, name, 1));
        writer.apply(at(1), gone(instance_key(1, name)));
        ended.push(view.index_high_water());
    }
    let index = |name: &str| view.index(&Watch::service(name));
    assert_eq!((index("c"), index("d")), (ended[2], ended[3]));
    // The forgotten ones, and those that never were, have the greatest forgotten index.
    assert_eq!(
        (index("a"), index("b"), index("z")),
        (ended[1], ended[1], ended[1])
    );
    assert!(view.services().is_empty());
    // One that comes back is no longer counted among the absent.
    writer.apply(at(1), registered(1, "c", 1));
    assert_eq!(view.services().len(), 1);
    assert!(index("c") > ended[3]);
}

#[test]
fn check_output_is_shown_and_moves_nothing() {
    let (mut writer, view) = cluster();
    writer.apply(at(1), check(1, "c", Some("web"), CheckStatus::Passing));
    let before = view.index_high_water();
    let output = |text: &str| Update::CheckOutput {
        check: CheckId::new("c").unwrap(),
        output: text.to_owned(),
    };
    let shown = || view.lookup("web")[0].instance.checks()[0].output();
    assert_eq!(&*shown(), "as recorded");
    writer.apply(at(1), output("all is well"));
    assert_eq!(&*shown(), "all is well");
    assert_eq!(view.index_high_water(), before);
    // A change of status brings the record's own words.
    writer.apply(at(1), check(1, "c", Some("web"), CheckStatus::Critical));
    assert_eq!(&*shown(), "as recorded");
}

#[test]
fn an_instance_that_changes_its_service_leaves_the_old_one() {
    let (mut writer, view) = cluster();
    let moved = Body::Instance(instance("other", 9, &[]));
    writer.apply(at(1), put(instance_key(2, "db"), moved, 9));
    assert!(view.service("db").is_none());
    assert_eq!(ports(&view, "other"), [9]);
}

#[test]
fn the_index_stays_below_what_javascript_can_count() {
    let name = NodeName::new("one").unwrap();
    let (mut writer, view) = channel(ViewSettings::new(node_id(1), name, "dc1", u64::MAX));
    writer.apply(at(1), registered(1, "web", 1));
    assert_eq!(view.index_high_water(), (1 << 53) - 1);
}

async fn is_waiting(view: &View, watch: Watch, index: u64) -> tokio::task::JoinHandle<()> {
    let (view, before) = (view.clone(), view.watched());
    let waiter = tokio::spawn({
        let view = view.clone();
        async move {
            let deadline = Instant::now() + Duration::from_secs(60);
            view.changed(&watch, index, deadline).await;
        }
    });
    while view.watched() == before {
        tokio::task::yield_now().await;
    }
    waiter
}

#[tokio::test]
async fn waiters_wake_for_their_own_service_and_for_no_other() {
    let (mut writer, view) = cluster();
    let index = view.index_high_water();
    let web = is_waiting(&view, Watch::service("Web"), index).await;
    let db = is_waiting(&view, Watch::service("db"), index).await;
    let absent = is_waiting(&view, Watch::service("absent"), index).await;
    let node = is_waiting(&view, Watch::Node(NodeKey::Agent(node_id(3))), index).await;

    writer.apply(at(2), members(&[ALIVE, ALIVE, DOWN]));
    web.await.unwrap();
    node.await.unwrap();
    writer.apply(at(2), registered(1, "absent", 1));
    absent.await.unwrap();
    writer.apply(at(2), registered(2, "db", 22));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!db.is_finished(), "an identical record wakes nobody");
    assert_eq!(view.watched(), 1);
    db.abort();
    assert!(db.await.unwrap_err().is_cancelled());
    assert_eq!(view.watched(), 0, "a dropped query leaves nothing behind");
}

#[tokio::test]
async fn an_index_that_was_never_issued_is_answered_at_once() {
    let (_writer, view) = cluster();
    let deadline = Instant::now() + Duration::from_secs(3_600);
    for index in [0, FIRST - 1, view.index_high_water() + 1, u64::MAX] {
        view.changed(&Watch::Nodes, index, deadline).await;
    }
    assert_eq!(view.watched(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline() {
    let (_writer, view) = cluster();
    let deadline = Instant::now() + Duration::from_secs(10);
    view.changed(&Watch::Nodes, view.index_high_water(), deadline)
        .await;
    assert!(Instant::now() >= deadline);
}

#[tokio::test]
async fn a_full_queue_of_commands_says_so_at_once() {
    let (commands, mut receiver) = commands(1);
    let command = || Command::DeregisterService {
        id: ServiceId::new("web").unwrap(),
    };
    let first = tokio::spawn({
        let commands = commands.clone();
        async move { commands.send(command()).await }
    });
    let request = receiver.recv().await.unwrap();
    let second = tokio::spawn({
        let commands = commands.clone();
        async move { commands.send(command()).await }
    });
    // The queue holds one that nobody has taken; the next finds no room.
    while !second.is_finished() && commands_left(&commands) {
        tokio::task::yield_now().await;
    }
    assert_eq!(commands.waiting(), 1);
    assert_eq!(commands.send(command()).await, Err(Refusal::Busy));
    assert_eq!(commands.refused(), 1);
    request.reply.send(Ok(Outcome::of(true)));
    assert_eq!(first.await.unwrap(), Ok(Outcome::of(true)));
    drop(receiver);
    assert_eq!(second.await.unwrap(), Err(Refusal::ShuttingDown));
    assert_eq!(commands.send(command()).await, Err(Refusal::ShuttingDown));
}

fn commands_left(commands: &Commands) -> bool {
    commands.room() > 0
}

#[test]
fn tags_that_were_set_are_shown_as_long_as_the_owner_lets_them_be() {
    let tags_of = |view: &View| -> Vec<String> {
        let shown = view.lookup("web");
        let tags = shown[0].instance.record().tags;
        tags.iter().map(str::to_owned).collect()
    };
    let own = |enable_tag_override| {
        let body = Instance {
            tags: ["own"].into_iter().collect(),
            enable_tag_override,
            ..instance("web", 80, &[])
        };
        put(instance_key(2, "web"), Body::Instance(body), 1)
    };
    let key = Key::Tags(node_id(2), ServiceId::new("web").unwrap());
    let set = put(key.clone(), Body::Tags(["set"].into_iter().collect()), 1);
    let (mut writer, view) = view();
    writer.apply_all(at(1), [members(&[ALIVE, ALIVE]), node(2, "two")]);
    // They may be here before the instance is.
    writer.apply(at(1), set.clone());
    assert!(view.lookup("web").is_empty());
    writer.apply(at(1), own(true));
    assert_eq!(tags_of(&view), ["set"]);
    writer.apply(at(1), own(false));
    assert_eq!(tags_of(&view), ["own"]);
    writer.apply(at(1), own(true));
    let before = view.index(&Watch::service("web"));
    let take_back = Update::Record {
        key,
        body: None,
        dot: None,
        conflict: None,
    };
    writer.apply(at(1), take_back);
    assert_eq!(tags_of(&view), ["own"]);
    assert!(view.index(&Watch::service("web")) > before);
    let after = view.index(&Watch::service("web"));
    writer.apply(at(1), own(true));
    assert_eq!(view.index(&Watch::service("web")), after);
}

/// The one invariant: an index never stands for data that is newer than what is read after it.
#[test]
fn readers_beside_the_writer_never_see_less_than_their_index_promises() {
    let (mut writer, view) = view();
    writer.apply_all(at(1), [members(&[ALIVE, ALIVE]), node(2, "two")]);
    let start = view.index_high_water();
    let rounds = 2_000;
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let watch = Watch::service("web");
                    let mut last = 0;
                    while last < start + rounds {
                        let index = view.index(&watch);
                        let listed = view.lookup("web");
                        assert!(index >= last, "an index fell");
                        last = index;
                        let Some(promised) = index.checked_sub(start).filter(|n| *n > 0) else {
                            continue;
                        };
                        let port = u64::from(listed[0].instance.record().port);
                        assert!(port >= promised, "{port} is older than {promised}");
                    }
                })
            })
            .collect();
        for round in 1..=rounds {
            writer.apply(at(1), registered(2, "web", u16::try_from(round).unwrap()));
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

/// A client that long-polls misses no last word, however its polls fall between the changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_always_reaches_the_last_change() {
    let (mut writer, view) = view();
    writer.apply_all(at(1), [members(&[ALIVE, ALIVE]), node(2, "two")]);
    let poller = tokio::spawn({
        let view = view.clone();
        async move {
            let (watch, mut index) = (Watch::service("web"), 0);
            loop {
                let deadline = Instant::now() + Duration::from_secs(60);
                view.changed(&watch, index, deadline).await;
                assert!(Instant::now() < deadline, "a change was missed");
                index = view.index(&watch);
                if ports(&view, "web") == [1_000] {
                    return;
                }
            }
        }
    });
    for round in 1..=1_000 {
        writer.apply(at(1), registered(2, "web", round));
        tokio::task::yield_now().await;
    }
    poller.await.unwrap();
    assert_eq!(view.watched(), 0);
}
