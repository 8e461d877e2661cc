//! What the unit tests share: ids, keys, bodies, and an agent whose disk answers at once.

use tidings_types::{
    Body, ClusterId, Content, Dot, Entry, Epoch, Instance, Key, NodeId, NodeName, ServiceId,
    ServiceName, Slot, Version,
};

use crate::{Applied, Registry, Writer};

pub(crate) struct Agent {
    pub(crate) registry: Registry,
    pub(crate) writer: Writer,
}

impl Agent {
    pub(crate) fn new(number: u8) -> Self {
        let me = node(number);
        let mut registry = Registry::new(me, cluster());
        registry.set_own_epoch(epoch(1));
        Self {
            registry,
            writer: Writer::new(me, epoch(1)),
        }
    }

    pub(crate) fn me(&self) -> NodeId {
        self.registry.me()
    }

    /// Registers and makes it durable.
    pub(crate) fn register(&mut self, name: &str, port: u16) {
        let key = instance_key(self.me(), name);
        self.writer
            .register(&self.registry, key, instance(port))
            .unwrap();
        self.commit();
    }

    pub(crate) fn deregister(&mut self, name: &str) {
        let key = instance_key(self.me(), name);
        self.writer.deregister(&self.registry, &key).unwrap();
        self.commit();
    }

    pub(crate) fn write_shared(&mut self, name: &str, wall_ms: u64, port: u16) {
        let body = Some(instance(port));
        self.writer
            .write_shared(
                &self.registry,
                wall_ms,
                shared_key(name),
                body.map(Content::from),
            )
            .unwrap();
        self.commit();
    }

    pub(crate) fn overrule(&mut self, key: &Key) {
        self.writer.overrule(&self.registry, key).unwrap();
        self.commit();
    }

    pub(crate) fn commit(&mut self) {
        while let Some(batch) = self.writer.take_batch(&self.registry) {
            self.writer.commit(&mut self.registry, batch);
        }
    }

    /// Takes what the other has of a feed.
    pub(crate) fn pull(&mut self, from: &Self, owner: NodeId) -> Applied {
        let held = self.registry.held(owner);
        let transfer = from.registry.transfer(owner, &held);
        transfer.map_or_else(Applied::default, |t| self.registry.apply(t).unwrap())
    }

    /// A new run with an empty disk.
    pub(crate) fn wiped(&self, at: u64) -> Self {
        let mut registry = Registry::new(self.me(), cluster());
        registry.set_own_epoch(epoch(at));
        Self {
            registry,
            writer: Writer::new(self.me(), epoch(at)),
        }
    }

    /// The port in force under a key.
    pub(crate) fn port(&self, key: &Key) -> Option<u16> {
        match self.registry.in_force(key)?.entry.body.as_ref()?.body() {
            Body::Instance(instance) => Some(instance.port),
            other => panic!("{other:?} is no instance"),
        }
    }
}

pub(crate) fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

pub(crate) fn cluster() -> ClusterId {
    ClusterId::from_bytes([9; 16])
}

pub(crate) const fn epoch(number: u64) -> Epoch {
    Epoch::from_bits(number)
}

pub(crate) const fn dot(node: NodeId, at: u64, seq: u64) -> Dot {
    Dot {
        epoch: epoch(at),
        seq,
        node,
    }
}

pub(crate) fn instance_key(node: NodeId, name: &str) -> Key {
    Key::Instance(node, ServiceId::new(name).unwrap())
}

pub(crate) fn shared_key(name: &str) -> Key {
    let external = NodeName::new("database").unwrap();
    Key::ExternalInstance(external, ServiceId::new(name).unwrap())
}

pub(crate) fn entry(version: Version, body: Option<Body>) -> Slot {
    let body = body.map(Content::from);
    Slot::Entry(Entry { version, body })
}

pub(crate) fn instance(port: u16) -> Body {
    Body::Instance(Instance::new(ServiceName::new("web").unwrap(), port))
}
