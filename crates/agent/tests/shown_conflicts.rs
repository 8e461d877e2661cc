//! What the view tells of conflicts is what the registry holds, in whatever order the words came.

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;
use tidings_registry::{Registry, Writer};
use tidings_types::{
    Body, ClusterId, Conflict, Epoch, Instance, Key, NodeId, NodeName, ServiceId, ServiceName,
    Timestamp, Transfer, Update, Written,
};
use tidings_view::{View, ViewSettings, ViewWriter, channel};

/// Who writes and hears of the others.
const AGENTS: usize = 7;
const KEYS: u8 = 3;

struct Agent {
    registry: Registry,
    writer: Writer,
    shown: ViewWriter,
    view: View,
}

impl Agent {
    fn new(number: usize) -> Self {
        let me = NodeId::from_bytes([u8::try_from(number).expect("few agents"); 16]);
        let mut registry = Registry::new(me, ClusterId::from_bytes([9; 16]));
        let epoch = Epoch::from_bits(1);
        registry.set_own_epoch(epoch);
        let name = NodeName::new(format!("n{number}")).expect("a letter and a number are a name");
        let (shown, view) = channel(ViewSettings::new(me, name, "dc1", 1));
        Self {
            registry,
            writer: Writer::new(me, epoch),
            shown,
            view,
        }
    }

    /// Writes `port` under a shared key, or takes the record away.
    fn write(&mut self, key: u8, port: u16, wall_ms: u64) {
        let service = ServiceName::new("db").expect("it is a name");
        let body = (port > 0).then(|| Body::Instance(Instance::new(service, port)).into());
        let key = shared(key);
        let _ = self
            .writer
            .write_shared(&self.registry, wall_ms, key.clone(), body);
        while let Some(batch) = self.writer.take_batch(&self.registry) {
            self.writer.commit(&mut self.registry, batch);
        }
        self.show([key].into());
    }

    fn hear(&mut self, transfer: Transfer) {
        let applied = self
            .registry
            .apply(transfer)
            .expect("it comes from a registry");
        self.show(applied.touched);
    }

    /// Publishes as the node does.
    fn show(&mut self, touched: BTreeSet<Key>) {
        let updates: Vec<_> = touched
            .into_iter()
            .map(|key| {
                let found = self.registry.in_force(&key);
                Update::Record {
                    body: found.as_ref().and_then(|found| found.entry.body.clone()),
                    dot: found.as_ref().map(|found| found.dot),
                    conflict: self.held(&key).map(Arc::new),
                    key,
                }
            })
            .collect();
        self.shown.apply_all(Timestamp::ZERO, updates);
    }

    /// What the registry holds of a conflict.
    fn held(&self, key: &Key) -> Option<Conflict> {
        let beaten = self.registry.conflicts(key).into_iter();
        let beaten: Vec<_> = beaten.filter_map(|(_, entry)| Written::of(entry)).collect();
        let winner = self.registry.in_force(key)?;
        (!beaten.is_empty()).then_some(Conflict {
            winner: Written::of(winner.entry)?,
            beaten,
            count: winner.conflicts,
        })
    }

    fn is_true(&self) -> Result<(), TestCaseError> {
        let held = self.registry.keys().filter_map(|key| {
            let conflict = self.held(key)?;
            Some((key.clone(), Arc::new(conflict)))
        });
        let mut held: Vec<_> = held.collect();
        held.sort_by(|(a, _), (b, _)| a.cmp(b));
        prop_assert_eq!(self.registry.conflicted(), held.len());
        prop_assert_eq!(self.view.conflicts(), held);
        Ok(())
    }
}

fn shared(key: u8) -> Key {
    let node = NodeName::new("external").expect("it is a name");
    Key::ExternalInstance(
        node,
        ServiceId::new(format!("db-{key}")).expect("it is an id"),
    )
}

#[derive(Clone, Debug)]
enum Step {
    Write {
        agent: usize,
        key: u8,
        port: u16,
        wall_ms: u64,
    },
    /// One hears of a feed what another one holds of it now.
    Send { from: usize, to: usize, feed: usize },
    /// What was sent at some time comes again, or late.
    Again {
        packet: prop::sample::Index,
        to: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let agent = || 0..AGENTS;
    prop_oneof![
        2 => (agent(), 0..KEYS, 0..4u16, 1_000..2_000u64).prop_map(
            |(agent, key, port, wall_ms)| Step::Write { agent, key, port, wall_ms }),
        4 => (agent(), agent(), agent()).prop_map(
            |(from, to, feed)| Step::Send { from, to, feed }),
        1 => (any::<prop::sample::Index>(), agent()).prop_map(
            |(packet, to)| Step::Again { packet, to }),
    ]
}

/// Has `to` hear of a feed what `from` holds; the packet, if there was something to tell.
fn send(agents: &mut [Agent], from: usize, to: usize, feed: usize) -> Option<Transfer> {
    let owner = agents[feed].registry.me();
    if from == to || feed == to {
        return None;
    }
    let held = agents[to].registry.held(owner);
    let transfer = agents[from].registry.transfer(owner, &held)?;
    agents[to].hear(transfer.clone());
    Some(transfer)
}

proptest! {
    #[test]
    fn the_view_tells_of_the_conflicts_that_the_registry_holds(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut agents: Vec<_> = (0..AGENTS).map(Agent::new).collect();
        let mut packets = Vec::new();
        for step in steps {
            match step {
                Step::Write { agent, key, port, wall_ms } => {
                    agents[agent].write(key, port, wall_ms);
                    agents[agent].is_true()?;
                }
                Step::Send { from, to, feed } => {
                    packets.extend(send(&mut agents, from, to, feed));
                    agents[to].is_true()?;
                }
                Step::Again { packet, to } if !packets.is_empty() => {
                    let packet: &Transfer = packet.get(&packets);
                    if packet.state().owner != agents[to].registry.me() {
                        agents[to].hear(packet.clone());
                    }
                    agents[to].is_true()?;
                }
                Step::Again { .. } => {}
            }
        }
        // Once all have heard all, all tell the same.
        for feed in 0..AGENTS {
            for to in 0..AGENTS {
                send(&mut agents, feed, to, feed);
            }
        }
        let told = agents[0].view.conflicts();
        for agent in &agents {
            agent.is_true()?;
            prop_assert_eq!(&agent.view.conflicts(), &told);
        }
        // And the next write to each key ends them all.
        for (key, _) in &told {
            let number = (0..KEYS).find(|&number| shared(number) == *key).unwrap();
            agents[1].write(number, 99, 1);
        }
        for to in 0..AGENTS {
            send(&mut agents, 1, to, 1);
            prop_assert_eq!(agents[to].view.conflicts(), []);
        }
    }
}
