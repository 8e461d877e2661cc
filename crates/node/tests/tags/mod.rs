//! Tags of an instance that another node sets, where the instance's owner allows it.

use tidings_types::{Body, Command, Content, Instance, Key, Refusal, Registration, Texts};

use crate::{
    port, web,
    world::{World, external_node, id, instance, service},
};

/// The tags that everybody has been given for `web` of the first node, if somebody set them.
fn set_tags(world: &World, at: u8) -> Option<Texts> {
    let key = Key::Tags(id(1), service("web"));
    let value = world.peers[&at].node.registry().in_force(&key)?;
    match value.entry.body.as_ref()?.body() {
        Body::Tags(tags) => Some(tags),
        _ => None,
    }
}

fn tagged(tags: &[&str], enable_tag_override: bool) -> Box<Instance> {
    Box::new(Instance {
        tags: tags.iter().copied().collect(),
        enable_tag_override,
        ..instance("web", 80)
    })
}

/// `PUT /v1/catalog/register` of `web` on the first node, with these tags.
fn setting(world: &World, tags: &[&str]) -> Command {
    let key = Key::Node(id(1));
    let value = world.peers[&1].node.registry().in_force(&key);
    let body = value.and_then(|value| value.entry.body.as_ref());
    let Some(Body::Node(node)) = body.map(Content::body) else {
        panic!("the first node has a record");
    };
    Command::RegisterExternal {
        node: node.name,
        record: external_node("10.9.9.9"),
        keeps_record: true,
        renames: None,
        service: Some((service("web"), tagged(tags, true))),
        checks: Vec::new(),
    }
}

fn registering(instance: Box<Instance>) -> Command {
    Command::RegisterService(Registration {
        id: service("web"),
        instance,
        checks: Vec::new(),
        replace_checks: false,
    })
}

#[test]
fn tags_that_another_node_sets_stay_until_the_owners_client_says_others() {
    let mut world = World::cluster(3);
    world.command(1, registering(tagged(&["a"], true)));
    world.until("agreed", World::agree);
    let set = setting(&world, &["b"]);
    assert!(matches!(world.command(2, set), Some(Ok(_))));
    world.until("agreed", World::agree);
    for at in 1..=3 {
        assert_eq!(set_tags(&world, at), Some(["b"].into_iter().collect()));
        // The owner's own record is its own: nobody else wrote it.
        assert_eq!(port(&world, at, &web(1)), Some(80));
    }
    // The owner's client says what everybody sees already, then something else.
    world.command(1, registering(tagged(&["b"], true)));
    assert!(set_tags(&world, 1).is_some());
    world.command(1, registering(tagged(&["a"], true)));
    world.until("agreed", World::agree);
    for at in 1..=3 {
        assert_eq!(set_tags(&world, at), None);
    }
}

#[test]
fn tags_set_on_both_sides_of_a_split_are_one_side_s_everywhere_and_go_with_the_instance() {
    let mut world = World::cluster(2);
    world.command(1, registering(tagged(&[], true)));
    world.until("agreed", World::agree);
    let (one, two) = (setting(&world, &["one"]), setting(&world, &["two"]));
    world.cut.insert((1, 2));
    world.command(1, one);
    world.command(2, two);
    world.cut.clear();
    world.until("agreed", World::agree);
    assert!(set_tags(&world, 1).is_some());
    assert_eq!(set_tags(&world, 1), set_tags(&world, 2));
    world.command(1, Command::DeregisterService { id: service("web") });
    world.until("agreed", World::agree);
    assert_eq!((set_tags(&world, 1), set_tags(&world, 2)), (None, None));
}

#[test]
fn tags_of_an_instance_whose_owner_did_not_allow_it_cannot_be_set() {
    let mut world = World::cluster(2);
    world.command(1, registering(tagged(&["a"], false)));
    world.until("agreed", World::agree);
    let set = setting(&world, &["b"]);
    let answer = world.command(2, set);
    assert!(matches!(answer, Some(Err(Refusal::NodeAlive { .. }))));
    assert_eq!(set_tags(&world, 2), None);
}
