//! How fast the own feed's store is: registrations per second and their latency, with 1, 16 and 256
//! callers that each wait for the disk before they register again.
//!
//! `cargo run --release -p tidings-agent --example disk_speed [DIRECTORY]`; the directory decides
//! which disk is measured (default: the temporary one). With one caller each registration is a
//! commit of its own, so the first line is the commit's own time.
#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]

use std::{
    error::Error,
    path::PathBuf,
    sync::mpsc::channel,
    time::{Duration, Instant},
};

use tidings_agent::disk::{DataDir, FeedStore, Saved};
use tidings_types::{
    Body, Change, Delta, Entry, Epoch, FeedState, Instance, Key, Lineage, Needs, NodeId, Place,
    ServiceId, ServiceName, Slot, Transfer, Version,
};

const OWNER: NodeId = NodeId::from_bytes([1; 16]);
const RUN: Epoch = Epoch::from_bits(1);
const KEYS: u64 = 10_000;
const SPAN: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let root = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    for callers in [1, 16, 256] {
        let path = root.join(format!(
            "tidings-disk-speed-{}-{callers}",
            std::process::id()
        ));
        let measured = measure(&DataDir::open(&path)?, callers);
        std::fs::remove_dir_all(&path)?;
        println!("{callers:>4} callers: {}", measured?);
    }
    Ok(())
}

fn measure(dir: &DataDir, callers: u64) -> Result<String, Box<dyn Error>> {
    let (sender, words) = channel::<(Saved, Instant)>();
    let report = move |saved| {
        // The receiver outlives the store.
        let _ = sender.send((saved, Instant::now()));
    };
    let store = FeedStore::open(dir, OWNER, Box::new(report))?.store;
    let mut begun: Vec<Instant> = Vec::new();
    let mut took: Vec<Duration> = Vec::new();
    let start = Instant::now();
    let register = |begun: &mut Vec<Instant>| -> Result<(), Box<dyn Error>> {
        let batch = u64::try_from(begun.len())?;
        let transfer = registration(batch + 1)?;
        begun.push(Instant::now());
        Ok(store.persist(batch, RUN, transfer)?)
    };
    for _ in 0..callers {
        register(&mut begun)?;
    }
    while took.len() < begun.len() {
        let (saved, at) = words.recv()?;
        saved.result?;
        took.push(at - begun[usize::try_from(saved.batch)?]);
        if start.elapsed() < SPAN {
            register(&mut begun)?;
        }
    }
    let elapsed = start.elapsed();
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_micros();
    let per_second = u128::try_from(took.len())? * 1_000_000 / elapsed.as_micros();
    Ok(format!(
        "{per_second} registrations/s, n = {}; call p50 {} us, p99 {} us, slowest {} us",
        took.len(),
        at(50),
        at(99),
        at(100)
    ))
}

fn registration(seq: u64) -> Result<Transfer, Box<dyn Error>> {
    let key = Key::Instance(OWNER, ServiceId::new(format!("web-{}", seq % KEYS))?);
    let mut change = Change {
        place: Place { epoch: RUN, seq },
        key,
        slot: Slot::RemovalMark,
    };
    let instance = Instance {
        tags: ["primary", "v2"].into(),
        address: "192.0.2.1".into(),
        meta: [("note", "x".repeat(200))].into_iter().collect(),
        ..Instance::new(ServiceName::new("web")?, 8_080)
    };
    change.slot = Slot::Entry(Entry {
        version: Version::Owner(change.dot(OWNER).into()),
        body: Some(Body::Instance(instance).into()),
    });
    let state = FeedState {
        owner: OWNER,
        lineage: Lineage::of(RUN, seq),
        watermark: Lineage::empty(),
        needs: Needs::new(),
        sum: u128::from(seq),
    };
    Ok(Transfer::Delta(Delta {
        from: Lineage::of(RUN, seq - 1),
        state,
        changes: vec![change],
    }))
}
