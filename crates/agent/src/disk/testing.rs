//! What the tests of this module share: changes to save, words to wait for, disks that fail.

use std::{
    collections::BTreeSet,
    fs, io,
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use redb::{StorageBackend, backends::FileBackend};
use tidings_types::{
    Body, Change, Delta, Entry, Epoch, FeedState, Instance, Key, Lineage, Needs, NodeId, Place,
    ServiceId, ServiceName, Slot, Snapshot, Transfer, Version,
};

use super::{
    OnSaved, Saved,
    data_dir::DataDir,
    database::{Opener, careful_opener_on},
};

pub(super) const RUN: Epoch = Epoch::from_bits(7);

pub(super) fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 16])
}

pub(super) fn data_dir() -> (tempfile::TempDir, DataDir) {
    let place = tempfile::tempdir().unwrap();
    let dir = DataDir::open(place.path().join("data")).unwrap();
    (place, dir)
}

pub(super) fn key(owner: NodeId, id: &str) -> Key {
    Key::Instance(owner, ServiceId::new(id).unwrap())
}

/// The registration of `id`, recognisable by its port.
pub(super) fn put(owner: NodeId, epoch: Epoch, seq: u64, id: &str) -> Change {
    let instance = Instance {
        tags: vec!["primary".into(), format!("seq-{seq}")].into(),
        address: "192.0.2.1".into(),
        meta: [("version", "x".repeat(200))].into_iter().collect(),
        ..Instance::new(
            ServiceName::new("web").unwrap(),
            u16::try_from(seq % 60_000).unwrap(),
        )
    };
    let key = key(owner, id);
    let change = Change {
        place: Place { epoch, seq },
        key,
        slot: Slot::RemovalMark,
    };
    let entry = Entry {
        version: Version::Owner(change.dot(owner).into()),
        body: Some(Body::Instance(instance).into()),
    };
    Change {
        slot: Slot::Entry(entry),
        ..change
    }
}

pub(super) fn removed(owner: NodeId, epoch: Epoch, seq: u64, id: &str) -> Change {
    Change {
        slot: Slot::RemovalMark,
        ..put(owner, epoch, seq, id)
    }
}

pub(super) fn state(owner: NodeId, lineage: Lineage) -> FeedState {
    FeedState {
        owner,
        lineage,
        watermark: Lineage::empty(),
        needs: Needs::new(),
        sum: 42,
    }
}

/// The delta with these changes of one epoch, which follow `from`.
pub(super) fn delta(owner: NodeId, from: &Lineage, changes: Vec<Change>) -> Delta {
    let mut upto = from.clone();
    for change in &changes {
        upto.advance(change.place.epoch, change.place.seq);
    }
    Delta {
        from: from.clone(),
        state: state(owner, upto),
        changes,
    }
}

/// The delta that registers `id` as the `seq`-th change of [`RUN`].
pub(super) fn nth(owner: NodeId, seq: u64, id: &str) -> Transfer {
    let from = Lineage::of(RUN, seq - 1);
    Transfer::Delta(delta(owner, &from, vec![put(owner, RUN, seq, id)]))
}

pub(super) fn snapshot(owner: NodeId, changes: Vec<Change>) -> Snapshot {
    let Delta { state, changes, .. } = delta(owner, &Lineage::empty(), changes);
    Snapshot { state, changes }
}

pub(super) fn on_saved() -> (OnSaved, Receiver<Saved>) {
    let (sender, receiver) = channel();
    let report = move |saved| {
        // A test that has seen enough may have dropped its end.
        let _ = sender.send(saved);
    };
    (Box::new(report), receiver)
}

pub(super) fn next(words: &Receiver<Saved>) -> Saved {
    words
        .recv_timeout(Duration::from_secs(30))
        .expect("a word on each batch")
}

pub(super) fn saved(batch: u64) -> Saved {
    Saved {
        batch,
        result: Ok(()),
    }
}

/// A disk under one file that can be full, and whose syncs can be held up, can fail and are counted.
///
/// It knows what a power failure would leave: the pages that a sync wrote. As under Linux, pages
/// whose sync failed pass for clean, so that no later sync writes them.
#[derive(Clone, Debug)]
pub(super) struct TestDisk {
    /// How many operations succeed before the disk is full.
    room: Arc<AtomicU64>,
    syncs: Arc<AtomicU64>,
    held: Arc<(Mutex<bool>, Condvar)>,
    fails_next_sync: Arc<AtomicBool>,
    platter: Arc<Mutex<Platter>>,
}

/// What is on the disk itself, and what the operating system would still have to write there.
#[derive(Debug, Default)]
struct Platter {
    bytes: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl TestDisk {
    pub(super) const ENDLESS: u64 = u64::MAX;

    pub(super) fn opener(&self) -> Opener {
        let disk = self.clone();
        careful_opener_on(move |file| Backend {
            file,
            disk: disk.clone(),
        })
    }

    /// Lets so many operations succeed from now on.
    pub(super) fn set_room(&self, operations: u64) {
        self.room.store(operations, Ordering::SeqCst);
    }

    pub(super) fn hold(&self, hold: bool) {
        *self.held.0.lock().unwrap() = hold;
        self.held.1.notify_all();
    }

    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }

    /// Lets the next sync fail; nothing of what it was to write is on the disk then.
    pub(super) fn fail_next_sync(&self) {
        self.fails_next_sync.store(true, Ordering::SeqCst);
    }

    /// Makes the file at `path` what a power failure would leave.
    pub(super) fn lose_power(&self, path: &Path) {
        fs::write(path, &self.platter.lock().unwrap().bytes).unwrap();
    }

    fn take_room(&self) -> io::Result<()> {
        let left = |room: u64| match room {
            Self::ENDLESS => Some(room),
            _ => room.checked_sub(1),
        };
        self.room
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
            .map(drop)
            .map_err(|_| io::ErrorKind::StorageFull.into())
    }
}

impl Default for TestDisk {
    fn default() -> Self {
        Self {
            room: Arc::new(AtomicU64::new(Self::ENDLESS)),
            syncs: Arc::default(),
            held: Arc::default(),
            fails_next_sync: Arc::default(),
            platter: Arc::default(),
        }
    }
}

impl Platter {
    fn soil(&mut self, offset: u64, length: usize) {
        let begin = usize::try_from(offset).unwrap();
        self.dirty
            .extend(begin / PAGE..(begin + length).div_ceil(PAGE));
    }

    fn take(&mut self, file: &FileBackend) -> io::Result<()> {
        let length = usize::try_from(file.len()?).unwrap();
        self.bytes.resize(length, 0);
        for page in std::mem::take(&mut self.dirty) {
            let begin = (page * PAGE).min(length);
            let end = (begin + PAGE).min(length);
            file.read(begin as u64, &mut self.bytes[begin..end])?;
        }
        Ok(())
    }
}

const PAGE: usize = 4_096;

#[derive(Debug)]
struct Backend {
    file: FileBackend,
    disk: TestDisk,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.take_room()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut held = self.disk.held.0.lock().unwrap();
        while *held {
            held = self.disk.held.1.wait(held).unwrap();
        }
        drop(held);
        self.disk.syncs.fetch_add(1, Ordering::SeqCst);
        let mut platter = self.disk.platter.lock().unwrap();
        if self.disk.fails_next_sync.swap(false, Ordering::SeqCst) {
            platter.dirty.clear();
            return Err(io::Error::other("the sync failed"));
        }
        self.disk.take_room()?;
        platter.take(&self.file)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.take_room()?;
        self.disk.platter.lock().unwrap().soil(offset, data.len());
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
