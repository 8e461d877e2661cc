//! The agents themselves as the service `consul`.

use super::*;

fn names(view: &View) -> Vec<String> {
    let listed = view.lookup(CONSUL).into_iter();
    listed.map(|l| l.instance.node().name.to_string()).collect()
}

/// A registered instance of any name and id.
fn instance_called(n: u8, id: &str, service: &str, port: u16) -> Update {
    let body = Body::Instance(instance(service, port, &[]));
    put(instance_key(n, id), body, 9)
}

#[test]
fn every_known_agent_node_has_one_instance_at_its_gossip_port() {
    let (mut writer, view) = cluster();
    let host = ExternalNode {
        id: Text::new(),
        address: "192.0.2.7".into(),
        tagged_addresses: TextMap::new(),
        meta: TextMap::new(),
    };
    let name = NodeName::new("host").unwrap();
    let host = put(Key::ExternalNode(name), Body::ExternalNode(host), 1);
    // Of node four only an instance is here.
    writer.apply_all(at(1), [host, registered(4, "web", 4)]);
    assert_eq!(names(&view), ["one", "three", "two"]);
    assert_eq!(ports(&view, "Consul"), [8301; 3]);
    let listed = &view.lookup(CONSUL)[2];
    assert_eq!(listed.address(&listed.instance.record()), "10.0.0.2");
    assert_eq!(listed.instance.id.as_str(), CONSUL);
    assert!(listed.instance.record().tags.is_empty() && listed.instance.checks().is_empty());
    let names: Vec<_> = view.services().iter().map(|s| s.name.to_string()).collect();
    assert_eq!(names, ["consul", "db", "web"]);
    assert!(view.service_checks(CONSUL).is_empty());
}

#[test]
fn it_stands_on_the_node_and_is_nothing_that_a_client_registered() {
    let (_writer, view) = cluster();
    let id = ServiceId::new(CONSUL).unwrap();
    for name in ["one", "two"] {
        assert!(view.node(name).unwrap().instances.contains_key(&id));
    }
    assert!(!view.own().instances.contains_key(&id));
    assert!(view.own_instance(&id).is_none());
}

#[test]
fn its_liveness_is_its_nodes() {
    let (mut writer, view) = cluster();
    let stale = || {
        let listed = view.lookup(CONSUL).into_iter();
        listed.filter(|l| l.stale_for.is_some()).count()
    };
    writer.apply(at(2), members(&[ALIVE, ALIVE, STALE]));
    assert_eq!((names(&view).len(), stale()), (3, 1));
    writer.apply(at(3), members(&[ALIVE, ALIVE, DOWN]));
    assert_eq!(names(&view), ["one", "two"]);
    writer.apply(at(4), members(&[ALIVE, LEFT, DOWN]));
    assert_eq!(names(&view), ["one"]);
    writer.apply(at(5), members(&[ALIVE, ALIVE, ALIVE]));
    assert_eq!(names(&view).len(), 3);
    // A node whose record is taken away is no agent that anybody knows.
    writer.apply(at(6), gone(Key::Node(node_id(3))));
    assert_eq!(names(&view), ["one", "two"]);
}

#[test]
fn a_check_of_the_whole_node_counts_for_it() {
    let (mut writer, view) = cluster();
    writer.apply(at(2), check(1, "_node", None, CheckStatus::Critical));
    let status = |n: usize| view.lookup(CONSUL)[n].instance.status();
    assert_eq!(
        (status(0), status(1)),
        (CheckStatus::Critical, CheckStatus::Passing)
    );
    writer.apply(at(3), gone(check_key(1, "_node")));
    assert_eq!(status(0), CheckStatus::Passing);
}

#[test]
fn a_registered_instance_takes_the_place_of_its_id_and_else_stands_beside() {
    let (mut writer, view) = cluster();
    writer.apply(at(2), instance_called(2, "other", "consul", 1));
    assert_eq!(ports(&view, CONSUL), [8301, 8301, 8301, 1]);
    // The same id on the same node: clients could not tell the two apart.
    writer.apply(at(2), registered(2, "consul", 2));
    assert_eq!(ports(&view, CONSUL), [8301, 8301, 2, 1]);
    writer.apply(at(2), instance_called(2, "consul", "web", 3));
    assert_eq!(ports(&view, CONSUL), [8301, 8301, 1]);
    let node = view.node("two").unwrap();
    let id = ServiceId::new(CONSUL).unwrap();
    assert_eq!(node.instances[&id].record().port, 3);
    // The node's record may change meanwhile and does not bring it back.
    writer.apply(at(2), node_of_port(2, "two", 9_999));
    assert_eq!(ports(&view, CONSUL), [8301, 8301, 1]);
    writer.apply(at(2), gone(instance_key(2, "consul")));
    assert_eq!(ports(&view, CONSUL), [8301, 8301, 9_999, 1]);
}

fn node_of_port(n: u8, name: &str, port: u16) -> Update {
    let Update::Record { key, body, .. } = node(n, name) else {
        panic!("a record");
    };
    let Some(Body::Node(record)) = body.as_ref().map(Content::body) else {
        panic!("a node");
    };
    let gossip = format!("10.0.0.{n}:{port}").parse().unwrap();
    let record = Node { gossip, ..record };
    put(key, Body::Node(record), 2)
}

#[test]
fn it_moves_no_other_service() {
    let (mut writer, view) = cluster();
    let index = |name: &str| view.index(&Watch::service(name));
    let (web, db, consul) = (index("web"), index("db"), index(CONSUL));
    writer.apply_all(at(2), [node(4, "four"), members(&[ALIVE; 4])]);
    assert_eq!((index("web"), index("db")), (web, db));
    assert!(index(CONSUL) > consul);
    let consul = index(CONSUL);
    writer.apply(at(2), registered(2, "web", 20));
    writer.apply(at(2), node(4, "four"));
    assert_eq!(index(CONSUL), consul, "neither is news of an agent");
}

#[tokio::test]
async fn who_waits_for_it_wakes_when_an_agent_comes_or_goes() {
    let (mut writer, view) = cluster();
    let changes = [
        vec![node(4, "four"), members(&[ALIVE; 4])],
        vec![members(&[ALIVE, ALIVE, DOWN, ALIVE])],
        vec![gone(Key::Node(node_id(4)))],
    ];
    for (change, left) in changes.into_iter().zip([4, 3, 2]) {
        let index = view.index_high_water();
        let woken = is_waiting(&view, Watch::service(CONSUL), index).await;
        writer.apply_all(at(2), change);
        woken.await.unwrap();
        assert!(view.index(&Watch::service(CONSUL)) > index);
        assert_eq!(names(&view).len(), left);
    }
}

/// Its `serfHealth` is among the checks, and its name in every list.
#[tokio::test]
async fn a_node_that_appears_wakes_the_lists() {
    let (mut writer, view) = cluster();
    writer.apply(at(1), members(&[ALIVE; 4]));
    let index = view.index_high_water();
    let mut woken = Vec::new();
    let lists = [Watch::Nodes, Watch::Services, Watch::Checks];
    for watch in lists.clone() {
        woken.push(is_waiting(&view, watch, index).await);
    }
    writer.apply(at(2), node(4, "four"));
    for waiter in woken {
        waiter.await.unwrap();
    }
    assert!(lists.iter().all(|watch| view.index(watch) > index));
    assert_eq!(view.nodes().len(), 4);
}
