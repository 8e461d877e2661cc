//! What becomes of a feed whose file was altered by the disk: every start ends in a working store,
//! and no record is ever returned that was not written.

use std::{collections::BTreeMap, fs, path::Path, sync::mpsc::Receiver};

use tidings_types::{Change, Lineage};

use super::*;
use crate::disk::testing::{
    RUN, TestDisk, data_dir, delta, key, next, node, nth, on_saved, put, removed, saved,
};

const ME: u8 = 1;
/// How far the specimens go, and in what steps.
const HEAD: u64 = 320;
const STEP: u64 = 40;

/// A file as it was left, with everything that was ever written into it.
struct Specimen {
    bytes: Vec<u8>,
    /// The number of commits that stands beside it.
    commits: Vec<u8>,
    written: BTreeMap<u64, Change>,
}

/// A feed of some hundred records, closed, or torn away from a running store.
fn specimen(closed: bool) -> Specimen {
    let (_place, dir) = data_dir();
    let me = node(ME);
    let (opened, words) = open(&dir);
    let mut written = BTreeMap::new();
    for batch in 0..HEAD / STEP {
        let changes: Vec<Change> = (1..=STEP)
            .map(|n| {
                let seq = batch * STEP + n;
                let id = format!("web-{}", seq % 200);
                if seq.is_multiple_of(7) {
                    removed(me, RUN, seq, &id)
                } else {
                    put(me, RUN, seq, &id)
                }
            })
            .collect();
        written.extend(
            changes
                .iter()
                .map(|change| (change.place.seq, change.clone())),
        );
        let from = Lineage::of(RUN, batch * STEP);
        let transfer = Transfer::Delta(delta(me, &from, changes));
        opened.store.persist(batch, RUN, transfer).unwrap();
        assert_eq!(next(&words), saved(batch));
    }
    let path = dir.file(FILE);
    let torn = fs::read(&path).unwrap();
    let commits = fs::read(path.with_extension("commits")).unwrap();
    drop(opened);
    let bytes = if closed {
        fs::read(&path).unwrap()
    } else {
        torn
    };
    Specimen {
        bytes,
        commits,
        written,
    }
}

/// Opens the feed without waiting for the real disk: there are hundreds of cases.
fn open(dir: &DataDir) -> (OpenedFeed, Receiver<Saved>) {
    let (report, words) = on_saved();
    let opener = TestDisk::default().opener();
    let opened = FeedStore::open_with(dir, node(ME), report, opener);
    (opened.expect("damage is no error"), words)
}

/// What a start made of a damaged file.
#[derive(Debug, Default)]
struct Tally {
    whole: usize,
    /// Went back by a commit: after an unclean stop, damage to the last commit looks like a commit
    /// that was cut short. That is named all the same.
    older: usize,
    set_aside: usize,
}

impl Specimen {
    /// The seqs that stand when the feed goes as far as `head`: per key the greatest.
    fn standing(&self, head: u64) -> Vec<u64> {
        let by_key: BTreeMap<_, _> = self
            .written
            .range(..=head)
            .map(|(seq, change)| (&change.key, *seq))
            .collect();
        let mut standing: Vec<u64> = by_key.into_values().collect();
        standing.sort_unstable();
        standing
    }

    /// Starts on `bytes`, writes once more, and starts again.
    fn survive(&self, bytes: &[u8], tally: &mut Tally, what: &str) {
        let (_place, dir) = data_dir();
        fs::write(dir.file(FILE), bytes).unwrap();
        fs::write(dir.file(FILE).with_extension("commits"), &self.commits).unwrap();
        let (opened, words) = self.open(&dir, what);
        let head = opened
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.state.lineage.head(RUN));
        let set_aside = opened
            .findings
            .iter()
            .any(|finding| matches!(finding, Finding::SetAside { .. }));
        if set_aside {
            tally.set_aside += 1;
            assert!(opened.damaged && opened.snapshot.is_none(), "{what}");
        } else {
            *if head == HEAD {
                &mut tally.whole
            } else {
                &mut tally.older
            } += 1;
            let found = opened.snapshot.iter().flat_map(|s| &s.changes);
            let found: Vec<u64> = found.map(|change| change.place.seq).collect();
            assert_eq!(found, self.standing(head), "{what}");
            let went_back = matches!(opened.findings.as_slice(), [Finding::WentBack { .. }]);
            assert_eq!(went_back, head < HEAD, "{what}: {:?}", opened.findings);
        }
        opened
            .store
            .persist(1, RUN, nth(node(ME), head + 1, "new"))
            .unwrap();
        assert_eq!(next(&words), saved(1), "{what}");
        drop(opened.store);

        let (again, _words) = self.open(&dir, what);
        assert_eq!(again.findings, [], "{what}");
        assert!(!again.damaged, "{what}");
        let changes = again.snapshot.unwrap().changes;
        assert!(
            changes.contains(&put(node(ME), RUN, head + 1, "new")),
            "{what}"
        );
    }

    fn open(&self, dir: &DataDir, what: &str) -> (OpenedFeed, Receiver<Saved>) {
        let (opened, words) = open(dir);
        for change in opened.snapshot.iter().flat_map(|s| &s.changes) {
            let is_new = change.key == key(node(ME), "new");
            assert!(
                is_new || self.written.get(&change.place.seq) == Some(change),
                "{what}: {change:?}"
            );
        }
        (opened, words)
    }
}

/// A fixed sequence that is as good as random for choosing where to strike.
fn scattered(n: u64) -> usize {
    let mut x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((x ^ x >> 31) >> 1).unwrap()
}

fn flip_bytes(closed: bool) -> Tally {
    let specimen = specimen(closed);
    let mut tally = Tally::default();
    for round in 0..120 {
        let mut bytes = specimen.bytes.clone();
        // Every fourth flip goes to the header, a small part of the file that matters most.
        let reach = if round % 4 == 0 { 512 } else { bytes.len() };
        let at = scattered(round) % reach;
        bytes[at] ^= 1 << (round % 8);
        specimen.survive(
            &bytes,
            &mut tally,
            &format!("byte {at} flipped, closed: {closed}"),
        );
    }
    tally
}

#[test]
fn a_flipped_byte_in_a_closed_file_never_makes_a_record() {
    let tally = flip_bytes(true);
    assert!(tally.set_aside > 0 && tally.whole > 0, "{tally:?}");
    assert_eq!(tally.older, 0, "{tally:?}");
}

#[test]
fn a_flipped_byte_in_a_torn_file_never_makes_a_record() {
    let tally = flip_bytes(false);
    assert!(tally.set_aside > 0 && tally.whole > 0, "{tally:?}");
}

#[test]
fn a_file_cut_short_anywhere_is_set_aside() {
    for closed in [true, false] {
        let specimen = specimen(closed);
        let mut tally = Tally::default();
        for round in 0..20 {
            let length = scattered(round) % specimen.bytes.len();
            let what = format!("cut to {length}, closed: {closed}");
            specimen.survive(&specimen.bytes[..length], &mut tally, &what);
        }
        specimen.survive(&[], &mut tally, "cut to nothing");
        assert_eq!(tally.set_aside, 21, "{tally:?}");
    }
}

#[test]
fn a_zeroed_page_never_makes_a_record() {
    for closed in [true, false] {
        let specimen = specimen(closed);
        let mut tally = Tally::default();
        let pages = specimen.bytes.len() / 4_096;
        let step = pages.div_ceil(40).max(1);
        for page in (0..pages).step_by(step) {
            let mut bytes = specimen.bytes.clone();
            bytes[page * 4_096..][..4_096].fill(0);
            specimen.survive(
                &bytes,
                &mut tally,
                &format!("page {page}, closed: {closed}"),
            );
        }
        assert!(tally.set_aside > 0, "{tally:?}");
    }
}

#[test]
fn a_file_of_something_else_is_set_aside_and_kept() {
    let (_place, dir) = data_dir();
    fs::write(dir.file(FILE), b"not a database at all").unwrap();
    let opened = FeedStore::open(&dir, node(ME), on_saved().0).unwrap();
    assert!(opened.damaged);
    let [Finding::SetAside { kept_as, .. }] = opened.findings.as_slice() else {
        panic!("{:?}", opened.findings);
    };
    assert_eq!(fs::read(kept_as).unwrap(), b"not a database at all");
}

/// Overwrites rows behind the store's back, so that the file itself is sound.
fn tamper(path: &Path, table: &str, alter: impl Fn(&mut Vec<u8>)) {
    let database = redb::Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let definition = redb::TableDefinition::<&[u8], &[u8]>::new(table);
        let mut rows = transaction.open_table(definition).unwrap();
        let (key, mut value) = {
            let (key, value) = redb::ReadableTable::first(&rows).unwrap().unwrap();
            (key.value().to_vec(), value.value().to_vec())
        };
        alter(&mut value);
        rows.insert(key.as_slice(), value.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}

fn three_records(dir: &DataDir) {
    let (report, words) = on_saved();
    let opened = FeedStore::open(dir, node(ME), report).unwrap();
    for (seq, id) in [(1, "a"), (2, "b"), (3, "c")] {
        opened
            .store
            .persist(seq, RUN, nth(node(ME), seq, id))
            .unwrap();
        assert_eq!(next(&words), saved(seq));
    }
}

#[test]
fn a_damaged_row_is_dropped_and_named_and_the_feed_marked_until_it_is_saved_whole() {
    let (_place, dir) = data_dir();
    three_records(&dir);
    tamper(&dir.file(FILE), "slots", |value| value[30] ^= 4);

    let open = || {
        let (report, words) = on_saved();
        (FeedStore::open(&dir, node(ME), report).unwrap(), words)
    };
    let (first, _words) = open();
    assert!(first.damaged);
    let [
        Finding::RecordDropped {
            owner,
            key: dropped,
            ..
        },
    ] = first.findings.as_slice()
    else {
        panic!("{:?}", first.findings);
    };
    assert_eq!(*owner, Some(node(ME)));
    assert_eq!(*dropped, Some(key(node(ME), "a")));
    let snapshot = first.snapshot.as_ref().unwrap();
    assert_eq!(snapshot.changes.len(), 2);
    assert_eq!(snapshot.state.lineage, Lineage::of(RUN, 3));
    drop(first);

    let (second, words) = open();
    assert!(second.damaged, "the mark outlives the row");
    assert_eq!(second.findings, []);
    let more = nth(node(ME), 4, "d");
    second.store.persist(1, RUN, more).unwrap();
    assert_eq!(next(&words), saved(1));
    drop(second);

    let (third, words) = open();
    assert!(third.damaged, "a change does not make it whole");
    let changes = ["a", "b", "c", "d"].iter().zip(1..);
    let changes = changes
        .map(|(id, seq)| put(node(ME), RUN, seq, id))
        .collect();
    let whole = delta(node(ME), &Lineage::empty(), changes);
    third.store.persist(1, RUN, Transfer::Delta(whole)).unwrap();
    assert_eq!(next(&words), saved(1));
    drop(third);
    assert!(!open().0.damaged);
}

#[test]
fn a_damaged_position_is_taken_from_the_records() {
    let (_place, dir) = data_dir();
    three_records(&dir);
    tamper(&dir.file(FILE), "positions", |value| value.truncate(5));
    let (report, words) = on_saved();
    let opened = FeedStore::open(&dir, node(ME), report).unwrap();
    assert!(opened.damaged);
    assert!(matches!(
        opened.findings.as_slice(),
        [Finding::PositionRebuilt { .. }]
    ));
    let snapshot = opened.snapshot.unwrap();
    assert_eq!(snapshot.changes.len(), 3);
    assert_eq!(snapshot.state.lineage, Lineage::of(RUN, 3));
    opened.store.persist(4, RUN, nth(node(ME), 4, "d")).unwrap();
    assert_eq!(next(&words), saved(4));
}

#[test]
fn a_row_beyond_the_feeds_position_is_dropped() {
    let (_place, dir) = data_dir();
    three_records(&dir);
    let (_other_place, other) = data_dir();
    three_records(&other);
    let low =
        crate::disk::rows::position(&crate::disk::testing::state(node(ME), Lineage::of(RUN, 2)));
    let low = low.unwrap().1;
    tamper(&dir.file(FILE), "positions", |value| value.clone_from(&low));
    let opened = FeedStore::open(&dir, node(ME), on_saved().0).unwrap();
    assert!(opened.damaged);
    assert_eq!(opened.findings.len(), 1);
    assert_eq!(opened.snapshot.unwrap().changes.len(), 2);
}

#[test]
fn only_so_many_findings_are_listed() {
    let (_place, dir) = data_dir();
    let me = node(ME);
    let (report, words) = on_saved();
    let opened = FeedStore::open(&dir, me, report).unwrap();
    let changes = (1..=150).map(|seq| put(me, RUN, seq, &format!("web-{seq}")));
    let whole = delta(me, &Lineage::empty(), changes.collect());
    opened
        .store
        .persist(1, RUN, Transfer::Delta(whole))
        .unwrap();
    assert_eq!(next(&words), saved(1));
    drop(opened);
    {
        let database = redb::Database::open(dir.file(FILE)).unwrap();
        let transaction = database.begin_write().unwrap();
        let definition = redb::TableDefinition::<&[u8], &[u8]>::new("slots");
        let mut rows = transaction.open_table(definition).unwrap();
        let keys: Vec<Vec<u8>> = redb::ReadableTable::iter(&rows)
            .unwrap()
            .map(|row| row.unwrap().0.value().to_vec())
            .collect();
        for key in keys {
            rows.insert(key.as_slice(), &b"rubbish"[..]).unwrap();
        }
        drop(rows);
        transaction.commit().unwrap();
    }
    let opened = FeedStore::open(&dir, me, on_saved().0).unwrap();
    assert_eq!(opened.findings.len(), 101);
    assert!(matches!(
        opened.findings.last(),
        Some(Finding::More { count: 50, .. })
    ));
    assert!(opened.findings.iter().all(|f| !f.to_string().is_empty()));
}
