//! A few agents that write, gossip, crash, lose disks and meet old packets, every step checked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidings_registry::{Applied, MARKS_KEPT, Registry, Writer};
use tidings_types::{
    Body, ClusterId, Delta, Dot, Entry, Epoch, Instance, Key, Lineage, NodeId, NodeName, ServiceId,
    ServiceName, Slot, Snapshot, Transfer, Version,
};

use crate::model::{Content, Model, Move};

pub(crate) const AGENTS: usize = 3;
/// More than a watermark leaves standing.
const CHURNED: usize = 70;

pub(crate) struct World {
    pub(crate) agents: Vec<Agent>,
    /// Everything that was ever sent; any of it may be delivered again at any time.
    pub(crate) packets: Vec<Transfer>,
    model: Model,
    epochs: u64,
    wall_ms: u64,
}

pub(crate) struct Agent {
    pub(crate) me: NodeId,
    pub(crate) registry: Registry,
    writer: Writer,
    /// How far this agent's wall clock is off.
    skew_ms: i64,
    in_flight: VecDeque<Delta>,
    /// Moves that no committed batch holds yet.
    moves: Vec<(u64, Move)>,
    /// The last own shared write per key, committed or not.
    shared: BTreeMap<Key, Dot>,
    image: Vec<Snapshot>,
}

impl World {
    pub(crate) fn new(skews_ms: &[i64]) -> Self {
        let mut world = Self {
            agents: Vec::new(),
            packets: Vec::new(),
            model: Model::default(),
            epochs: 0,
            wall_ms: 1_700_000_000_000,
        };
        for (number, &skew_ms) in skews_ms.iter().enumerate() {
            let me = node(number);
            let epoch = world.new_epoch();
            world.agents.push(Agent {
                me,
                registry: Registry::new(me, cluster()),
                writer: Writer::new(me, epoch),
                skew_ms,
                in_flight: VecDeque::new(),
                moves: Vec::new(),
                shared: BTreeMap::new(),
                image: Vec::new(),
            });
        }
        world
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.wall_ms += ms;
    }

    pub(crate) fn register(&mut self, agent: usize, key: Key, port: u16) {
        let a = &mut self.agents[agent];
        let equal = a
            .writer
            .in_force(&a.registry, &key)
            .is_some_and(|v| v.entry.body == Some(instance(port).into()));
        let dot = a
            .writer
            .register(&a.registry, key.clone(), instance(port))
            .unwrap();
        assert_eq!(
            dot.is_none(),
            equal,
            "only an equal value in force saves the dot"
        );
        let value = a.writer.in_force(&a.registry, &key).unwrap();
        assert_eq!(value.entry.body, Some(instance(port).into()));
    }

    pub(crate) fn deregister(&mut self, agent: usize, key: &Key) {
        let a = &mut self.agents[agent];
        a.writer.deregister(&a.registry, key).unwrap();
        let live = a
            .writer
            .in_force(&a.registry, key)
            .is_some_and(|v| v.entry.body.is_some());
        assert!(!live, "a deregistered key has no live value at once");
    }

    pub(crate) fn overrule(&mut self, agent: usize, key: &Key) {
        let a = &mut self.agents[agent];
        if key.owner() != Some(a.me) {
            a.writer.overrule(&a.registry, key).unwrap();
            let live = a
                .writer
                .in_force(&a.registry, key)
                .is_some_and(|v| v.entry.body.is_some());
            assert!(!live, "an overridden key has no live value at once");
        }
    }

    /// A later write wins over all that its writer knows, whatever the clocks.
    pub(crate) fn write_shared(&mut self, agent: usize, key: Key, port: Option<u16>) {
        let a = &mut self.agents[agent];
        let wall_ms = self.wall_ms.checked_add_signed(a.skew_ms).unwrap();
        let mut seen: Vec<Dot> = a.shared.get(&key).copied().into_iter().collect();
        let others = a
            .registry
            .owners()
            .filter(|owner| *owner != a.me || seen.is_empty());
        let entries: Vec<Entry> = others.filter_map(|o| entry(&a.registry, o, &key)).collect();
        seen.extend(entries.iter().filter_map(|e| e.version.dot(&key)));
        let body = port.map(instance);
        let dot = a
            .writer
            .write_shared(&a.registry, wall_ms, key.clone(), body.map(Into::into))
            .unwrap();
        let value = a.writer.in_force(&a.registry, &key).unwrap();
        assert_eq!(
            value.entry.version.dot(&key),
            Some(dot),
            "the write is in force for its writer"
        );
        self.model.note_shared(dot, seen);
        a.shared.insert(key, dot);
    }

    pub(crate) fn take(&mut self, agent: usize) {
        let a = &mut self.agents[agent];
        a.in_flight.extend(a.writer.take_batch(&a.registry));
    }

    pub(crate) fn commit_one(&mut self, agent: usize) {
        let a = &mut self.agents[agent];
        let Some(batch) = a.in_flight.pop_front() else {
            return;
        };
        let epoch = a.writer.epoch();
        let upto = batch.state.lineage.head(epoch);
        let (moved, staged) = a.moves.drain(..).partition(|(seq, _)| *seq <= upto);
        a.moves = staged;
        self.model.record(&batch, moved, epoch);
        let applied = a.writer.commit(&mut a.registry, batch.clone());
        assert!(
            applied.advanced,
            "a batch starts where the one before it ends"
        );
        assert_eq!(applied.alarm, None, "the foretold sum is the sum");
        self.packets.push(Transfer::Delta(batch));
    }

    /// Makes everything staged durable and visible.
    pub(crate) fn flush(&mut self, agent: usize) {
        self.take(agent);
        while !self.agents[agent].in_flight.is_empty() {
            self.commit_one(agent);
        }
        assert!(!self.agents[agent].writer.has_pending());
    }

    /// Puts what `to` lacks of a feed on its way.
    pub(crate) fn send(&mut self, from: usize, owner: usize, to: usize) -> Option<usize> {
        let held = self.agents[to].registry.held(node(owner));
        let packet = self.agents[from].registry.transfer(node(owner), &held)?;
        self.packets.push(packet);
        Some(self.packets.len() - 1)
    }

    pub(crate) fn send_snapshot(&mut self, from: usize, owner: usize) {
        let snapshot = self.agents[from].registry.snapshot(node(owner));
        self.packets.extend(snapshot.map(Transfer::Snapshot));
    }

    pub(crate) fn deliver(&mut self, packet: usize, to: usize) -> Applied {
        let transfer = self.packets[packet].clone();
        let owner = transfer.state().owner;
        let registry = &mut self.agents[to].registry;
        let before = registry.lineage(owner);
        let applied = registry
            .apply(transfer.clone())
            .expect("honest transfers are taken");
        assert_eq!(
            applied.alarm, None,
            "honest copies at one position are equal"
        );
        assert!(!applied.dropped);
        let after = registry.lineage(owner);
        assert!(after.covers(&before), "positions never go back");
        assert_eq!(applied.advanced, after != before);
        let again = registry
            .apply(transfer)
            .expect("honest transfers are taken");
        assert!(
            again.touched.is_empty() && !again.advanced,
            "applying twice is applying once"
        );
        applied
    }

    /// Sends and delivers at once: afterwards `to` covers what `from` has.
    pub(crate) fn pull(&mut self, from: usize, owner: usize, to: usize) -> bool {
        let Some(packet) = self.send(from, owner, to) else {
            return false;
        };
        let advanced = self.deliver(packet, to).advanced;
        let (given, got) = (&self.agents[from].registry, &self.agents[to].registry);
        assert!(got.lineage(node(owner)).covers(&given.lineage(node(owner))));
        advanced
    }

    /// A crash: what is not committed is gone, a new run begins from the own disk.
    pub(crate) fn restart(&mut self, agent: usize) {
        let disk = self.disk(agent);
        self.start(agent, disk);
    }

    /// A failed save.
    pub(crate) fn abandon(&mut self, agent: usize) {
        let epoch = self.new_epoch();
        let a = &mut self.agents[agent];
        a.writer.abandon(epoch);
        a.in_flight.clear();
        a.moves.clear();
        a.relearn_shared();
    }

    pub(crate) fn save_image(&mut self, agent: usize) {
        self.agents[agent].image = self.disk(agent);
    }

    /// A crash after which an older image of the disk is put back (at first: an empty disk).
    pub(crate) fn roll_back(&mut self, agent: usize) {
        let image = self.agents[agent].image.clone();
        self.start(agent, image);
        let me = self.agents[agent].me;
        let known = self.known_positions(me);
        self.model.forget_unknown(me, &known);
    }

    pub(crate) fn wipe(&mut self, agent: usize) {
        self.agents[agent].image.clear();
        self.roll_back(agent);
    }

    /// Fills the feed with removal marks; what they removed is still in packets.
    pub(crate) fn churn(&mut self, agent: usize) {
        let name = |number| ServiceId::new(format!("churn-{number}")).unwrap();
        let keys: Vec<Key> = (0..CHURNED)
            .map(|n| Key::Instance(node(agent), name(n)))
            .collect();
        for half in keys.chunks(CHURNED / 2) {
            half.iter()
                .for_each(|key| self.register(agent, key.clone(), 1));
            self.flush(agent);
            self.send_snapshot(agent, agent);
        }
        keys.iter().for_each(|key| self.deregister(agent, key));
        self.flush(agent);
    }

    /// Lets the marks go, once there are enough of them.
    pub(crate) fn move_watermark(&mut self, agent: usize) {
        self.learn_all(agent);
        let values = self.agents[agent].values();
        let a = &mut self.agents[agent];
        let position = a.registry.lineage(a.me);
        if let Some(dot) = a.writer.move_watermark(&a.registry) {
            a.moves.push((dot.seq, Move::Watermark(position)));
        }
        self.flush(agent);
        assert_eq!(
            self.agents[agent].values(),
            values,
            "a watermark only forgets marks"
        );
    }

    /// Restarts with a write in each run, so that the lineage grows beyond what is wanted.
    pub(crate) fn age(&mut self, agent: usize, runs: u16) {
        for port in 0..runs {
            self.restart(agent);
            self.register(
                agent,
                instance_key(agent, usize::from(port) % 3),
                900 + port,
            );
            self.flush(agent);
        }
    }

    pub(crate) fn restamp(&mut self, agent: usize) {
        self.learn_all(agent);
        let values = self.agents[agent].values();
        let a = &mut self.agents[agent];
        let epochs: Vec<Epoch> = a.registry.lineage(a.me).heads().map(|(e, _)| e).collect();
        let slots = a.registry.changes(a.me).map(|change| &change.slot);
        let (marks, entries): (Vec<_>, Vec<_>) =
            slots.partition(|slot| matches!(slot, Slot::RemovalMark));
        let has_many_marks = marks.len() > MARKS_KEPT.max(entries.len() / 4);
        let present = a.writer.epoch();
        if let Some(dot) = a.writer.restamp(&a.registry) {
            let floor = if has_many_marks && epochs.iter().any(|epoch| *epoch != present) {
                present
            } else {
                epochs[epochs.len() - 4]
            };
            a.moves.push((dot.seq, Move::Floor(floor)));
        }
        self.flush(agent);
        assert_eq!(
            self.agents[agent].values(),
            values,
            "a restamp writes nothing anew"
        );
    }

    /// A disk is lost, an old packet comes back before anything newer does, and the node writes on.
    pub(crate) fn relapse(&mut self, agent: usize, packet: impl Fn(usize) -> usize, to: usize) {
        self.wipe(agent);
        let own: Vec<usize> = (0..self.packets.len())
            .filter(|&at| self.packets[at].state().owner == node(agent))
            .filter(|&at| match &self.packets[at] {
                Transfer::Delta(delta) => delta.from.is_empty(),
                Transfer::Snapshot(_) => true,
            })
            .collect();
        if !own.is_empty() {
            self.deliver(own[packet(own.len())], agent);
        }
        self.register(agent, instance_key(agent, 0), 700);
        self.flush(agent);
        self.send_snapshot(agent, agent);
        self.pull(agent, agent, to);
    }

    /// Everybody asks everybody until nobody lacks anything.
    pub(crate) fn exchange_everything(&mut self) {
        (0..self.agents.len()).for_each(|agent| self.flush(agent));
        let mut moved = true;
        while moved {
            moved = false;
            for to in 0..self.agents.len() {
                for from in (0..self.agents.len()).filter(|&from| from != to) {
                    for owner in 0..self.agents.len() {
                        moved |= self.pull(from, owner, to);
                    }
                }
            }
        }
    }

    /// Checks one agent against the definition, and against every other agent.
    pub(crate) fn check(&self, agent: usize) {
        let registry = &self.agents[agent].registry;
        for owner in (0..self.agents.len()).map(node) {
            let expected = self.model.content(owner, &registry.lineage(owner));
            assert_eq!(
                content(registry, owner),
                expected,
                "content of {owner:?}'s feed"
            );
        }
        self.check_answers(registry);
        for other in &self.agents {
            let equal = contents(registry) == contents(&other.registry);
            let alike = registry.fingerprint() == other.registry.fingerprint();
            assert_eq!(
                equal, alike,
                "equal fingerprints exactly when equal contents"
            );
        }
    }

    fn check_answers(&self, registry: &Registry) {
        let mut entries: BTreeMap<Key, Vec<(NodeId, Entry)>> = BTreeMap::new();
        for owner in registry.owners() {
            for change in registry.changes(owner) {
                if let Slot::Entry(entry) = &change.slot {
                    let of_key = entries.entry(change.key.clone()).or_default();
                    of_key.push((owner, entry.clone()));
                }
            }
        }
        let keys: BTreeSet<&Key> = registry.keys().collect();
        assert_eq!(keys, entries.keys().collect());
        let mut conflicted = 0;
        for (key, of_key) in &entries {
            let expected = self.model.answer(key, of_key).unwrap();
            let found = registry.in_force(key).unwrap();
            assert_eq!(
                (found.entry, found.holder),
                (&expected.entry, expected.holder)
            );
            conflicted += usize::from(found.conflicts > 0);
            if !is_cut(found.entry) {
                assert_eq!(found.conflicts, expected.conflicts, "conflicts of {key:?}");
            }
            assert_eq!(registry.conflicts(key).len(), found.conflicts.min(4));
            self.check_causality(of_key);
            if found.entry.body.is_some() {
                let buried = self.model.buried(key, |node| registry.lineage(node));
                let version = found.entry.version.dot(key).unwrap();
                assert!(
                    buried.is_none_or(|b| version > b),
                    "{key:?} was resurrected"
                );
            }
        }
        assert_eq!(registry.conflicted(), conflicted);
    }

    /// No shared write is beaten by one that its writer knew.
    fn check_causality(&self, entries: &[(NodeId, Entry)]) {
        for (_, later) in entries {
            for (_, earlier) in entries {
                if let (Version::Shared(later_write), Version::Shared(earlier_write)) =
                    (&later.version, &earlier.version)
                    && later_write.clock.covers(earlier_write.dot)
                {
                    assert!(later.version.rank() > earlier.version.rank());
                }
            }
        }
    }

    /// What a node asks for before it buries anything: the greatest position of its own feed that
    /// exists anywhere, disks and late packets included.
    fn learn_all(&mut self, agent: usize) {
        let me = self.agents[agent].me;
        for packet in 0..self.packets.len() {
            if self.packets[packet].state().owner == me {
                self.deliver(packet, agent);
            }
        }
        for from in 0..self.agents.len() {
            self.pull(from, agent, agent);
            let images = self.agents[from].image.clone();
            for image in images.into_iter().filter(|image| image.state.owner == me) {
                self.packets.push(Transfer::Snapshot(image));
                self.deliver(self.packets.len() - 1, agent);
            }
        }
        let held = self.agents[agent].registry.lineage(me);
        assert!(
            self.known_positions(me)
                .iter()
                .all(|known| held.covers(known))
        );
        self.agents[agent].relearn_shared();
    }

    fn known_positions(&self, owner: NodeId) -> Vec<Lineage> {
        let live = self.agents.iter().map(|a| a.registry.lineage(owner));
        let sent = self.packets.iter().map(Transfer::state);
        let images = self
            .agents
            .iter()
            .flat_map(|a| &a.image)
            .map(|image| &image.state);
        let stored = sent.chain(images).filter(|s| s.owner == owner);
        live.chain(stored.map(|s| s.lineage.clone())).collect()
    }

    fn disk(&self, agent: usize) -> Vec<Snapshot> {
        let registry = &self.agents[agent].registry;
        registry
            .owners()
            .filter_map(|owner| registry.snapshot(owner))
            .collect()
    }

    fn start(&mut self, agent: usize, disk: Vec<Snapshot>) {
        let epoch = self.new_epoch();
        let a = &mut self.agents[agent];
        a.registry = Registry::new(a.me, cluster());
        for snapshot in disk {
            let owner = snapshot.state.owner;
            a.registry.restore(snapshot, false).unwrap();
            assert!(!a.registry.is_damaged(owner));
        }
        a.registry.set_own_epoch(epoch);
        a.writer = Writer::new(a.me, epoch);
        a.in_flight.clear();
        a.moves.clear();
        a.relearn_shared();
    }

    fn new_epoch(&mut self) -> Epoch {
        self.epochs += 1;
        Epoch::from_bits(self.epochs)
    }
}

impl Agent {
    /// Every value in force, what is staged counted.
    fn values(&self) -> BTreeMap<Key, Entry> {
        let owned = (0..AGENTS).flat_map(|agent| (0..3).map(move |key| instance_key(agent, key)));
        let keys = owned.chain((0..2).map(shared_key));
        let values = keys.filter_map(|key| {
            let value = self.writer.in_force(&self.registry, &key)?;
            Some((key, value.entry.clone()))
        });
        values.collect()
    }

    fn relearn_shared(&mut self) {
        self.shared
            .retain(|_, dot| self.writer.epoch() == dot.epoch);
    }
}

pub(crate) fn node(number: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(number + 1).unwrap(); 16])
}

pub(crate) fn cluster() -> ClusterId {
    ClusterId::from_bytes([9; 16])
}

pub(crate) fn instance_key(agent: usize, number: usize) -> Key {
    Key::Instance(
        node(agent),
        ServiceId::new(format!("web-{number}")).unwrap(),
    )
}

pub(crate) fn shared_key(number: usize) -> Key {
    let external = NodeName::new("database").unwrap();
    Key::ExternalInstance(external, ServiceId::new(format!("db-{number}")).unwrap())
}

/// A feed as its replica shows it.
pub(crate) fn content(registry: &Registry, owner: NodeId) -> Content {
    Content {
        watermark: registry
            .state(owner)
            .map_or_else(Lineage::empty, |state| state.watermark),
        changes: registry.changes(owner).cloned().collect(),
    }
}

pub(crate) fn contents(registry: &Registry) -> Vec<(NodeId, Lineage, Content)> {
    let owners = registry.owners();
    owners
        .map(|owner| (owner, registry.lineage(owner), content(registry, owner)))
        .collect()
}

fn entry(registry: &Registry, owner: NodeId, key: &Key) -> Option<Entry> {
    match &registry.slot(owner, key)?.slot {
        Slot::Entry(entry) => Some(entry.clone()),
        Slot::RemovalMark => None,
    }
}

fn is_cut(entry: &Entry) -> bool {
    matches!(&entry.version, Version::Shared(write) if write.clock.is_cut())
}

fn instance(port: u16) -> Body {
    Body::Instance(Instance::new(ServiceName::new("web").unwrap(), port))
}
