//! The laws of the replicated data, over generated histories of several writers with skewed
//! clocks, crashes, rolled-back disks and packets in any order.

#[cfg(test)]
mod model;
#[cfg(test)]
mod world;

use proptest::{prelude::*, sample::Index};
use tidings_registry::Registry;
use tidings_types::Transfer;

use world::{AGENTS, World, cluster, contents, instance_key, node, shared_key};

/// Three hours either way: far beyond what is adopted.
const SKEW_MS: i64 = 10_800_000;

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Register {
        agent: usize,
        key: usize,
        port: u16,
    },
    Deregister {
        agent: usize,
        key: usize,
    },
    Overrule {
        agent: usize,
        owner: usize,
        key: usize,
    },
    WriteShared {
        agent: usize,
        key: usize,
        port: Option<u16>,
    },
    Take(usize),
    Commit(usize),
    Flush(usize),
    Send {
        from: usize,
        owner: usize,
        to: usize,
    },
    SendSnapshot {
        from: usize,
        owner: usize,
    },
    Deliver {
        packet: Index,
        to: usize,
    },
    Pull {
        from: usize,
        owner: usize,
        to: usize,
    },
    Restart(usize),
    Abandon(usize),
    SaveImage(usize),
    RollBack(usize),
    Wipe(usize),
    Churn(usize),
    Bury {
        agent: usize,
        to: usize,
    },
    Age {
        agent: usize,
        runs: u16,
    },
    Relapse {
        agent: usize,
        packet: Index,
        to: usize,
    },
    Restamp(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let agent = || 0..AGENTS;
    prop_oneof![
        1 => (1u64..10_000).prop_map(Step::Pass),
        8 => (agent(), 0usize..3, 1u16..4)
            .prop_map(|(agent, key, port)| Step::Register { agent, key, port }),
        4 => (agent(), 0usize..3).prop_map(|(agent, key)| Step::Deregister { agent, key }),
        4 => (agent(), agent(), 0usize..3)
            .prop_map(|(agent, owner, key)| Step::Overrule { agent, owner, key }),
        6 => (agent(), 0usize..2, prop::option::weighted(0.7, 1u16..4))
            .prop_map(|(agent, key, port)| Step::WriteShared { agent, key, port }),
        2 => agent().prop_map(Step::Take),
        2 => agent().prop_map(Step::Commit),
        6 => agent().prop_map(Step::Flush),
        4 => (agent(), agent(), agent())
            .prop_map(|(from, owner, to)| Step::Send { from, owner, to }),
        1 => (agent(), agent()).prop_map(|(from, owner)| Step::SendSnapshot { from, owner }),
        12 => (any::<Index>(), agent()).prop_map(|(packet, to)| Step::Deliver { packet, to }),
        8 => (agent(), agent(), agent())
            .prop_map(|(from, owner, to)| Step::Pull { from, owner, to }),
        2 => agent().prop_map(Step::Restart),
        1 => agent().prop_map(Step::Abandon),
        1 => agent().prop_map(Step::SaveImage),
        2 => agent().prop_map(Step::RollBack),
        1 => agent().prop_map(Step::Wipe),
        1 => agent().prop_map(Step::Churn),
        3 => (agent(), agent()).prop_map(|(agent, to)| Step::Bury { agent, to }),
        3 => (agent(), any::<Index>(), agent())
            .prop_map(|(agent, packet, to)| Step::Relapse { agent, packet, to }),
        1 => (agent(), 5u16..10).prop_map(|(agent, runs)| Step::Age { agent, runs }),
        2 => agent().prop_map(Step::Restamp),
    ]
}

fn history() -> impl Strategy<Value = (Vec<i64>, Vec<Step>)> {
    let skews = prop::collection::vec(-SKEW_MS..SKEW_MS, AGENTS);
    (skews, prop::collection::vec(step(), 1..120))
}

/// Does the step; the agent that it can have changed.
fn perform(world: &mut World, step: Step) -> Option<usize> {
    match step {
        Step::Pass(ms) => {
            world.pass(ms);
            return None;
        }
        Step::Register { agent, key, port } => {
            world.register(agent, instance_key(agent, key), port);
            return None;
        }
        Step::Deregister { agent, key } => {
            world.deregister(agent, &instance_key(agent, key));
            return None;
        }
        Step::Overrule { agent, owner, key } => {
            world.overrule(agent, &instance_key(owner, key));
            return None;
        }
        Step::WriteShared { agent, key, port } => {
            world.write_shared(agent, shared_key(key), port);
            return None;
        }
        Step::Take(agent) => {
            world.take(agent);
            return None;
        }
        Step::Send { from, owner, to } => {
            world.send(from, owner, to);
            return None;
        }
        Step::SendSnapshot { from, owner } => {
            world.send_snapshot(from, owner);
            return None;
        }
        Step::Deliver { packet, to } => {
            if world.packets.is_empty() {
                return None;
            }
            world.deliver(packet.index(world.packets.len()), to);
            return Some(to);
        }
        Step::Pull { from, owner, to } => {
            world.pull(from, owner, to);
            return Some(to);
        }
        _ => {}
    }
    Some(perform_on_own_feed(world, step))
}

fn perform_on_own_feed(world: &mut World, step: Step) -> usize {
    let (agent, act): (usize, fn(&mut World, usize)) = match step {
        Step::Age { agent, runs } => {
            world.age(agent, runs);
            return agent;
        }
        Step::Bury { agent, to } => {
            world.churn(agent);
            world.move_watermark(agent);
            world.pull(agent, agent, to);
            return to;
        }
        Step::Relapse { agent, packet, to } => {
            world.relapse(agent, |packets| packet.index(packets), to);
            return agent;
        }
        Step::Commit(agent) => (agent, World::commit_one),
        Step::Flush(agent) => (agent, World::flush),
        Step::Restart(agent) => (agent, World::restart),
        Step::Abandon(agent) => (agent, World::abandon),
        Step::SaveImage(agent) => (agent, World::save_image),
        Step::RollBack(agent) => (agent, World::roll_back),
        Step::Wipe(agent) => (agent, World::wipe),
        Step::Churn(agent) => (agent, World::churn),
        Step::Restamp(agent) => (agent, World::restamp),
        other => unreachable!("{other:?} is performed above"),
    };
    act(world, agent);
    agent
}

fn lived(skews: &[i64], steps: Vec<Step>) -> World {
    let mut world = World::new(skews);
    for step in steps {
        let changed = perform(&mut world, step);
        changed.into_iter().for_each(|agent| world.check(agent));
    }
    world
}

/// A replica that is nobody's own.
fn bystander() -> Registry {
    Registry::new(node(AGENTS), cluster())
}

fn apply_all<'a>(registry: &mut Registry, packets: impl IntoIterator<Item = &'a Transfer>) {
    for packet in packets {
        let applied = registry
            .apply(packet.clone())
            .expect("honest transfers are taken");
        assert!(!applied.dropped && applied.alarm.is_none());
    }
}

/// As many as the ahead buffer takes in any order.
const PACKETS: usize = 60;

const CASES: u32 = 128;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_step_keeps_the_definition_and_everybody_agrees_in_the_end(
        (skews, steps) in history(),
    ) {
        let mut world = lived(&skews, steps);
        world.exchange_everything();
        (0..AGENTS).for_each(|agent| world.check(agent));
        let fingerprint = world.agents[0].registry.fingerprint();
        for agent in &world.agents {
            prop_assert_eq!(agent.registry.fingerprint(), fingerprint);
        }
    }

    #[test]
    fn the_order_of_transfers_does_not_matter(
        ((skews, steps), order) in (history(), prop::collection::vec(any::<Index>(), PACKETS)),
    ) {
        let world = lived(&skews, steps);
        let packets = &world.packets[..world.packets.len().min(PACKETS)];
        let mut shuffled: Vec<&Transfer> = packets.iter().collect();
        for (at, index) in order.iter().enumerate().take(packets.len()) {
            shuffled.swap(at, index.index(packets.len()));
        }
        let (mut forwards, mut backwards, mut anyhow) = (bystander(), bystander(), bystander());
        apply_all(&mut forwards, packets);
        apply_all(&mut backwards, packets.iter().rev());
        apply_all(&mut anyhow, shuffled);
        prop_assert_eq!(contents(&forwards), contents(&backwards));
        prop_assert_eq!(contents(&forwards), contents(&anyhow));
        prop_assert_eq!(forwards.fingerprint(), backwards.fingerprint());
        prop_assert_eq!(forwards.fingerprint(), anyhow.fingerprint());
    }

    #[test]
    fn the_grouping_of_transfers_does_not_matter((skews, steps) in history(), cut in any::<Index>()) {
        let mut world = lived(&skews, steps);
        for agent in 0..AGENTS {
            (0..AGENTS).for_each(|owner| world.send_snapshot(agent, owner));
        }
        let snapshots: Vec<Transfer> = world
            .packets
            .iter()
            .filter(|packet| matches!(packet, Transfer::Snapshot(_)))
            .cloned()
            .collect();
        let (first, second) = snapshots.split_at(cut.index(snapshots.len() + 1));
        let (mut all, mut left, mut right) = (bystander(), bystander(), bystander());
        apply_all(&mut all, &snapshots);
        apply_all(&mut left, first);
        apply_all(&mut right, second);
        let joint: Vec<Transfer> =
            right.owners().filter_map(|o| right.snapshot(o)).map(Transfer::Snapshot).collect();
        apply_all(&mut left, &joint);
        prop_assert_eq!(contents(&left), contents(&all));
        prop_assert_eq!(left.fingerprint(), all.fingerprint());
    }
}
