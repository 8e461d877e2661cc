//! An instance awaits exactly the checks that are registered for it.

use tidings_types::{Body, CheckId, Command, Content, Key, NodeName, Registration};

use crate::world::{World, external_node, id, instance, name, service, ttl_check};

fn check(id: &str) -> CheckId {
    CheckId::new(id).expect("a short id")
}

fn awaited(world: &World, key: &Key) -> Vec<CheckId> {
    match world.peers[&1].records.get(key).map(Content::body) {
        Some(Body::Instance(instance)) => instance.checks.to_vec(),
        other => panic!("no instance but {other:?}"),
    }
}

fn deregister_check(node: NodeName, id: &str) -> Command {
    Command::DeregisterCatalog {
        node,
        service: None,
        check: Some(check(id)),
    }
}

#[test]
fn an_external_instance_does_not_await_a_check_that_was_removed() {
    let mut world = World::cluster(1);
    let node = NodeName::new("db").unwrap();
    let of_service = |id: &str| {
        let mut body = ttl_check();
        body.service = Some(service("pg"));
        (check(id), body)
    };
    let command = Command::RegisterExternal {
        node: node.clone(),
        record: external_node("10.9.9.9"),
        keeps_record: false,
        renames: None,
        service: Some((service("pg"), Box::new(instance("pg", 5432)))),
        checks: vec![of_service("a"), of_service("b")],
    };
    world.command(1, command).unwrap().unwrap();
    let key = Key::ExternalInstance(node.clone(), service("pg"));
    assert_eq!(awaited(&world, &key), [check("a"), check("b")]);
    world
        .command(1, deregister_check(node, "a"))
        .unwrap()
        .unwrap();
    assert_eq!(awaited(&world, &key), [check("b")]);
}

#[test]
fn an_own_instance_does_not_await_a_check_that_was_removed_through_the_catalog() {
    let mut world = World::cluster(1);
    let command = Command::RegisterService(Registration {
        id: service("web"),
        instance: Box::new(instance("web", 80)),
        checks: vec![(check("a"), ttl_check()), (check("b"), ttl_check())],
        replace_checks: false,
    });
    world.command(1, command).unwrap().unwrap();
    world
        .command(1, deregister_check(name(1), "a"))
        .unwrap()
        .unwrap();
    let key = Key::Instance(id(1), service("web"));
    assert_eq!(awaited(&world, &key), [check("b")]);
    let unchanged = world.command(1, deregister_check(name(1), "a")).unwrap();
    assert!(!unchanged.unwrap().changed);
}

#[test]
fn an_external_check_that_goes_over_to_another_service_is_not_awaited_by_the_first() {
    let mut world = World::cluster(1);
    let node = NodeName::new("db").unwrap();
    let mut register = |of: Option<&str>, services: Option<&str>| {
        let mut body = ttl_check();
        body.service = of.map(service);
        let command = Command::RegisterExternal {
            node: node.clone(),
            record: external_node("10.9.9.9"),
            keeps_record: false,
            renames: None,
            service: services.map(|name| (service(name), Box::new(instance(name, 5432)))),
            checks: vec![(check("c"), body)],
        };
        world.command(1, command).unwrap().unwrap();
        let key = |name| Key::ExternalInstance(node.clone(), service(name));
        ["a", "b"].map(|name| match world.peers[&1].records.get(&key(name)) {
            Some(_) => awaited(&world, &key(name)),
            None => Vec::new(),
        })
    };
    let (here, nothing) = (|| vec![check("c")], Vec::new);
    assert_eq!(register(Some("a"), Some("a")), [here(), nothing()]);
    assert_eq!(register(Some("b"), Some("b")), [nothing(), here()]);
    assert_eq!(register(None, None), [nothing(), nothing()]);
    assert_eq!(register(Some("a"), None), [here(), nothing()]);
}
