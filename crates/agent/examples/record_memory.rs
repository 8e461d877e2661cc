//! What a record takes in an agent: in the registry, and in the read view that is made of it.
//!
//! `for kind in mark tombstone instance check external on-external naming; do cargo run --release -q
//! -p tidings-agent --example record_memory $kind; done`. The figures are the growth of the process's
//! resident memory by up to ten thousand slots that say as little as they may. The costs in
//! `crates/registry/src/cost.rs` come from here. Linux only.
#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]

use std::{env, error::Error, fs};

use tidings_registry::Registry;
use tidings_types::{
    Body, Change, Check, CheckId, CheckKind, CheckStatus, ClusterId, Delta, Dot, Entry, Epoch,
    ExternalNode, FeedState, Hlc, Instance, Key, Lineage, Needs, NodeId, NodeName, Place,
    ServiceId, ServiceName, SharedWrite, Slot, Text, TextMap, Timestamp, Transfer, Update,
    VectorClock, Version, limits::CHECKS_PER_INSTANCE,
};
use tidings_view::{ViewSettings, channel};

const ME: NodeId = NodeId::from_bytes([1; 16]);
const OWNER: NodeId = NodeId::from_bytes([2; 16]);
const RUN: Epoch = Epoch::from_bits(1 << 40);
const SLOTS: u64 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let kind = env::args().nth(1).unwrap_or_else(|| "instance".to_owned());
    let mut registry = Registry::new(ME, ClusterId::from_bytes([0; 16]));
    let settings = ViewSettings::new(ME, NodeName::new("me")?, "dc1", 1);
    let (mut writer, _view) = channel(settings);
    let before = resident_bytes()?;
    let mut slots = 0;
    // As many as are taken, if that is less.
    while slots < SLOTS {
        let next = delta(&registry, slots + 1, &kind)?;
        if registry.apply(Transfer::Delta(next)).is_err() {
            break;
        }
        slots += 1;
    }
    let held = resident_bytes()?;
    let keys: Vec<Key> = registry.keys().cloned().collect();
    for key in keys {
        let found = registry.in_force(&key);
        let update = Update::Record {
            body: found.and_then(|found| found.entry.body.clone()),
            dot: found.map(|found| found.dot),
            conflict: None,
            key,
        };
        writer.apply(Timestamp::ZERO, update);
    }
    let shown = resident_bytes()?;
    println!(
        "{kind}: {} bytes a slot in the registry, {} in the view",
        (held - before) / slots,
        (shown - held) / slots,
    );
    Ok(())
}

fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    let pages = fs::read_to_string("/proc/self/statm")?;
    let resident = pages.split(' ').nth(1).ok_or("no resident pages")?;
    Ok(resident.parse::<u64>()? * 4_096)
}

fn delta(registry: &Registry, seq: u64, kind: &str) -> Result<Delta, Box<dyn Error>> {
    let (key, slot) = slot(seq, kind)?;
    Ok(Delta {
        from: registry.lineage(OWNER),
        state: FeedState {
            owner: OWNER,
            lineage: Lineage::of(RUN, seq),
            watermark: Lineage::empty(),
            needs: Needs::new(),
            sum: 0,
        },
        changes: vec![Change {
            place: Place { epoch: RUN, seq },
            key,
            slot,
        }],
    })
}

fn slot(seq: u64, kind: &str) -> Result<(Key, Slot), Box<dyn Error>> {
    let dot = Dot {
        epoch: RUN,
        seq,
        node: OWNER,
    };
    let shared = Version::Shared(Box::new(SharedWrite {
        stamp: Hlc::from_unix_ms(1),
        dot,
        clock: VectorClock::empty(),
    }));
    let (owned, name) = (Version::Owner(dot.into()), format!("r-{seq}"));
    let entry = |version, body: Option<Body>| {
        Slot::Entry(Entry {
            version,
            body: body.map(Into::into),
        })
    };
    let instance_key = || ServiceId::new(&name).map(|id| Key::Instance(OWNER, id));
    let on_external = || -> Result<Key, Box<dyn Error>> {
        let node = NodeName::new(&name)?;
        Ok(Key::ExternalInstance(node, ServiceId::new("a")?))
    };
    let instance = |checks| instance(&name, checks).map(Body::Instance);
    Ok(match kind {
        "mark" => (instance_key()?, Slot::RemovalMark),
        "tombstone" => (on_external()?, entry(shared, None)),
        "instance" => (instance_key()?, entry(owned, Some(instance(0)?))),
        "naming" => (
            instance_key()?,
            entry(owned, Some(instance(CHECKS_PER_INSTANCE)?)),
        ),
        "check" => (
            Key::Check(OWNER, CheckId::new(&name)?),
            entry(owned, Some(Body::Check(check()))),
        ),
        "external" => (
            Key::ExternalNode(NodeName::new(&name)?),
            entry(shared, Some(Body::ExternalNode(external()))),
        ),
        "on-external" => (on_external()?, entry(shared, Some(instance(0)?))),
        other => return Err(format!("there is no kind {other:?}").into()),
    })
}

fn instance(service: &str, checks: usize) -> Result<Instance, Box<dyn Error>> {
    let checks = (0..checks).map(|n| CheckId::new(n.to_string()));
    Ok(Instance {
        checks: checks.collect::<Result<_, _>>()?,
        ..Instance::new(ServiceName::new(service)?, 1)
    })
}

fn check() -> Check {
    Check {
        status: CheckStatus::Passing,
        ..Check::new(String::new(), CheckKind::Ttl { ttl_ms: 1 })
    }
}

fn external() -> ExternalNode {
    ExternalNode {
        id: Text::new(),
        address: Text::new(),
        tagged_addresses: TextMap::new(),
        meta: TextMap::new(),
    }
}
