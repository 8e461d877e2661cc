//! Nodes without an agent: what a registration writes, and that one that is refused writes nothing.

use std::collections::BTreeSet;

use tidings_types::{Body, CheckId, Command, Content, Key, NodeName, Outcome, Refusal};

use crate::world::{World, external_node, instance, name, service, ttl_check};

fn called(name: &str) -> NodeName {
    NodeName::new(name).expect("a name")
}

/// A registration of `node` at an address, with an instance `pg` if `has_service`.
fn register(node: &NodeName, address: &str, has_service: bool) -> Command {
    Command::RegisterExternal {
        node: node.clone(),
        record: external_node(address),
        keeps_record: false,
        renames: None,
        service: has_service.then(|| (service("pg"), Box::new(instance("pg", 1)))),
        checks: Vec::new(),
    }
}

fn keeping(mut command: Command) -> Command {
    if let Command::RegisterExternal { keeps_record, .. } = &mut command {
        *keeps_record = true;
    }
    command
}

fn renaming(mut command: Command, former: &NodeName) -> Command {
    if let Command::RegisterExternal { renames, .. } = &mut command {
        *renames = Some(former.clone());
    }
    command
}

fn tell(world: &mut World, command: Command) -> Result<Outcome, Refusal> {
    world.command(1, command).expect("it is answered at once")
}

/// What stands on nodes without an agent.
fn external(world: &World) -> BTreeSet<Key> {
    let keys = world.peers[&1].records.keys();
    let external = keys.filter(|key| key.owner().is_none());
    external.cloned().collect()
}

fn address(world: &World, node: &NodeName) -> Option<String> {
    let record = world.peers[&1]
        .records
        .get(&Key::ExternalNode(node.clone()));
    match record.map(Content::body) {
        Some(Body::ExternalNode(record)) => Some(record.address.to_string()),
        _ => None,
    }
}

#[test]
fn a_record_is_left_as_it_is_if_there_is_one_and_made_if_there_is_none() {
    let mut world = World::cluster(1);
    let db = called("db");
    tell(&mut world, keeping(register(&db, "10.9.9.1", false))).unwrap();
    assert_eq!(address(&world, &db).as_deref(), Some("10.9.9.1"));
    tell(&mut world, keeping(register(&db, "10.9.9.2", true))).unwrap();
    assert_eq!(address(&world, &db).as_deref(), Some("10.9.9.1"));
    assert_eq!(external(&world).len(), 2);
}

#[test]
fn a_node_that_is_called_something_else_takes_nothing_along() {
    let mut world = World::cluster(1);
    let (old, new) = (called("old"), called("new"));
    tell(&mut world, register(&old, "10.9.9.1", true)).unwrap();
    tell(
        &mut world,
        renaming(register(&new, "10.9.9.1", false), &old),
    )
    .unwrap();
    assert_eq!(external(&world), BTreeSet::from([Key::ExternalNode(new)]));
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut world = World::cluster(1);
    let old = called("old");
    tell(&mut world, register(&old, "10.9.9.1", true)).unwrap();
    let before = external(&world);

    let taken = renaming(register(&name(1), "10.9.9.1", false), &old);
    let refused = tell(&mut world, taken);
    assert!(matches!(refused, Err(Refusal::NodeAlive { .. })));
    assert_eq!(external(&world), before);

    for mut command in [
        renaming(register(&called("new"), "10.9.9.2", false), &old),
        register(&old, "10.9.9.2", true),
    ] {
        if let Command::RegisterExternal { checks, .. } = &mut command {
            let mut check = ttl_check();
            check.service = Some(service("nothing"));
            checks.push((CheckId::new("c").expect("an id"), check));
        }
        assert_eq!(tell(&mut world, command), Err(Refusal::MissingService));
        assert_eq!(external(&world), before);
        assert_eq!(address(&world, &old).as_deref(), Some("10.9.9.1"));
    }
}
