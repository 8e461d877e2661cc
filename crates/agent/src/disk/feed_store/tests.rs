use std::{fs, sync::mpsc::Receiver};

use tidings_registry::Registry;
use tidings_types::{Change, ClusterId, Delta, Lineage};

use super::*;
use crate::disk::testing::{
    RUN, TestDisk, data_dir, delta, next, node, nth, on_saved, put, removed, saved, snapshot,
};

const ME: u8 = 1;

fn open(dir: &DataDir) -> (OpenedFeed, Receiver<Saved>) {
    let (report, words) = on_saved();
    (FeedStore::open(dir, node(ME), report).unwrap(), words)
}

fn open_on(dir: &DataDir, disk: &TestDisk) -> (FeedStore, Receiver<Saved>) {
    let (report, words) = on_saved();
    let opened = FeedStore::open_with(dir, node(ME), report, disk.opener()).unwrap();
    (opened.store, words)
}

/// The ids of what a new start finds, in dot order.
fn found(dir: &DataDir) -> Vec<String> {
    let (opened, _words) = open(dir);
    assert_eq!(opened.findings, []);
    opened
        .snapshot
        .into_iter()
        .flat_map(|snapshot| snapshot.changes)
        .map(|change| format!("{}:{:?}", change.place.seq, change.key))
        .collect()
}

#[test]
fn what_was_saved_is_found_again_in_dot_order() {
    let (_place, dir) = data_dir();
    let me = node(ME);
    let (opened, words) = open(&dir);
    assert_eq!(opened.snapshot, None);
    assert!(!opened.damaged && opened.findings.is_empty());
    let changes = vec![
        put(me, RUN, 1, "zebra"),
        put(me, RUN, 2, "aardvark"),
        removed(me, RUN, 3, "monkey"),
    ];
    let first = delta(me, &Lineage::empty(), changes.clone());
    let second = delta(me, &first.state.lineage, vec![put(me, RUN, 4, "zebra")]);
    opened
        .store
        .persist(1, RUN, Transfer::Delta(first))
        .unwrap();
    opened
        .store
        .persist(2, RUN, Transfer::Delta(second.clone()))
        .unwrap();
    assert_eq!([next(&words), next(&words)], [saved(1), saved(2)]);
    drop(opened);

    let (again, _words) = open(&dir);
    let found = again.snapshot.unwrap();
    assert_eq!(found.state, second.state);
    let wanted = [&changes[1], &changes[2], &second.changes[0]];
    assert_eq!(found.changes.iter().collect::<Vec<_>>(), wanted);
    assert!(!again.damaged && again.findings.is_empty());
}

#[test]
fn a_copy_of_the_file_taken_without_closing_it_holds_every_batch_reported_as_saved() {
    let (_place, dir) = data_dir();
    let (opened, words) = open(&dir);
    for seq in 1..=20 {
        let id = format!("web-{seq}");
        opened
            .store
            .persist(seq, RUN, nth(node(ME), seq, &id))
            .unwrap();
        assert_eq!(next(&words), saved(seq));
    }
    let (_other_place, other) = data_dir();
    fs::copy(dir.file(FILE), other.file(FILE)).unwrap();
    assert_eq!(found(&other).len(), 20);
}

#[test]
fn batches_that_wait_share_a_commit_and_are_reported_in_order() {
    let (_place, dir) = data_dir();
    let disk = TestDisk::default();
    let (store, words) = open_on(&dir, &disk);
    let before = disk.syncs();
    disk.hold(true);
    let batches = 200;
    for seq in 1..=batches {
        store
            .persist(seq, RUN, nth(node(ME), seq, &format!("web-{seq}")))
            .unwrap();
    }
    disk.hold(false);
    for seq in 1..=batches {
        assert_eq!(next(&words), saved(seq));
    }
    let syncs = disk.syncs() - before;
    assert!(syncs < batches / 10, "{syncs} syncs for {batches} batches");
    drop(store);
    assert_eq!(found(&dir).len(), 200);
}

#[test]
fn a_full_queue_refuses_and_loses_nothing() {
    let (_place, dir) = data_dir();
    let disk = TestDisk::default();
    let (store, words) = open_on(&dir, &disk);
    disk.hold(true);
    let mut queued = 0;
    let refused = loop {
        let seq = queued + 1;
        match store.persist(seq, RUN, nth(node(ME), seq, "web")) {
            Ok(()) => queued = seq,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, SaveError::Busy);
    let bound = u64::try_from(QUEUED_BATCHES + GROUP_BATCHES).unwrap();
    assert!(queued <= bound, "{queued} batches were queued");
    disk.hold(false);
    for seq in 1..=queued {
        assert_eq!(next(&words), saved(seq));
    }
    store
        .persist(queued + 1, RUN, nth(node(ME), queued + 1, "web"))
        .unwrap();
    assert_eq!(next(&words), saved(queued + 1));
}

#[test]
fn a_full_disk_fails_the_run_until_there_is_space_and_a_new_epoch() {
    let (_place, dir) = data_dir();
    let me = node(ME);
    let disk = TestDisk::default();
    let (store, words) = open_on(&dir, &disk);
    store.persist(1, RUN, nth(me, 1, "kept")).unwrap();
    assert_eq!(next(&words), saved(1));

    disk.set_room(0);
    disk.hold(true);
    store.persist(2, RUN, nth(me, 2, "in doubt")).unwrap();
    store.persist(3, RUN, nth(me, 3, "after")).unwrap();
    disk.hold(false);
    let error = next(&words).result.unwrap_err();
    assert!(matches!(error, SaveError::NoSpace { .. }), "{error}");
    // In the same commit, or after it.
    let error = next(&words).result.unwrap_err();
    assert!(
        matches!(
            error,
            SaveError::NoSpace { .. } | SaveError::AfterFailure { .. }
        ),
        "{error}"
    );

    let next_run = Epoch::from_bits(RUN.bits() + 1);
    let kept = Lineage::of(RUN, 1);
    let later = |seq, from: &Lineage| {
        Transfer::Delta(delta(me, from, vec![put(me, next_run, seq, "later")]))
    };
    store.persist(4, next_run, later(1, &kept)).unwrap();
    let error = next(&words).result.unwrap_err();
    assert!(matches!(error, SaveError::NoSpace { .. }), "{error}");

    disk.set_room(TestDisk::ENDLESS);
    store.persist(5, next_run, later(1, &kept)).unwrap();
    let error = next(&words).result.unwrap_err();
    assert!(matches!(error, SaveError::AfterFailure { .. }), "{error}");

    let last_run = Epoch::from_bits(RUN.bits() + 2);
    let change = put(me, last_run, 1, "later");
    let transfer = Transfer::Delta(delta(me, &kept, vec![change.clone()]));
    store.persist(6, last_run, transfer).unwrap();
    assert_eq!(next(&words), saved(6));
    drop(store);

    let (again, _words) = open(&dir);
    assert_eq!(again.findings, []);
    let found = again.snapshot.unwrap();
    assert!(found.changes.contains(&change));
    assert!(found.changes.contains(&put(me, RUN, 1, "kept")));
    assert!(found.state.lineage.covers(&kept));
}

/// How a commit ended that the disk failed in the middle of.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Saved,
    /// The next start would not have found it.
    Lost,
    /// The next start would have found it.
    Landed,
}

/// Saves a batch, fails at the operation `step` of the next one, and saves again in a new run.
fn fail_at(step: u64) -> End {
    let (_place, dir) = data_dir();
    let me = node(ME);
    let disk = TestDisk::default();
    let (store, words) = open_on(&dir, &disk);
    let kept = put(me, RUN, 1, "kept");
    store.persist(1, RUN, nth(me, 1, "kept")).unwrap();
    assert_eq!(next(&words), saved(1));
    disk.set_room(step);
    // The doubtful batch overwrites what was saved, so taking it back must bring that again.
    let doubtful = put(me, RUN, 3, "kept");
    let changes = vec![put(me, RUN, 2, "in doubt"), doubtful.clone()];
    let batch = Transfer::Delta(delta(me, &Lineage::of(RUN, 1), changes));
    store.persist(2, RUN, batch).unwrap();
    let failed = next(&words).result.is_err();
    disk.set_room(TestDisk::ENDLESS);
    if !failed {
        return End::Saved;
    }
    let (_other_place, other) = data_dir();
    fs::copy(dir.file(FILE), other.file(FILE)).unwrap();
    let found = open(&other).0.snapshot.unwrap().changes;
    let landed = found.contains(&doubtful);
    assert!(landed || found == [kept.clone()], "step {step}: {found:?}");

    let run = Epoch::from_bits(RUN.bits() + 1);
    let later = put(me, run, 1, "later");
    let next_batch = delta(me, &Lineage::of(RUN, 1), vec![later.clone()]);
    let transfer = Transfer::Delta(next_batch.clone());
    store.persist(3, run, transfer).unwrap();
    assert_eq!(next(&words), saved(3), "step {step}");
    drop(store);
    let found = open(&dir).0.snapshot.unwrap();
    assert_eq!(found.changes, [kept, later], "step {step}");
    assert_eq!(found.state, next_batch.state, "step {step}");
    if landed { End::Landed } else { End::Lost }
}

#[test]
fn a_commit_that_fails_at_any_step_takes_nothing_with_it_and_leaves_nothing_behind() {
    let ends: Vec<End> = (0..200)
        .map(fail_at)
        .take_while(|end| *end != End::Saved)
        .collect();
    assert!(ends.len() < 200, "no commit has so many steps");
    assert!(ends.contains(&End::Lost), "{ends:?}");
    assert!(ends.contains(&End::Landed), "{ends:?}");
}

/// Saves `before` records, has the sync of one more fail, saves another in a new run, and returns
/// what a start finds after a power failure.
fn lose_power_after_a_failed_sync(before: u64) -> (OpenedFeed, Vec<Change>) {
    let (_place, dir) = data_dir();
    let (me, disk) = (node(ME), TestDisk::default());
    let (store, words) = open_on(&dir, &disk);
    // Their keys stand in another order than their dots, so that pages split anywhere.
    let id = |seq: u64| format!("id-{:03}", seq * 37 % 101);
    let mut kept: Vec<_> = (1..=before)
        .map(|seq| put(me, RUN, seq, &id(seq)))
        .collect();
    for seq in 1..=before {
        store.persist(seq, RUN, nth(me, seq, &id(seq))).unwrap();
        assert_eq!(next(&words), saved(seq));
    }
    disk.fail_next_sync();
    let seq = before + 1;
    store.persist(seq, RUN, nth(me, seq, &id(seq))).unwrap();
    next(&words).result.unwrap_err();

    let run = Epoch::from_bits(RUN.bits() + 1);
    let later = put(me, run, 1, &id(before + 2));
    let batch = delta(me, &Lineage::of(RUN, before), vec![later.clone()]);
    store.persist(seq + 1, run, Transfer::Delta(batch)).unwrap();
    assert_eq!(next(&words), saved(seq + 1));
    kept.push(later);
    let (_other_place, other) = data_dir();
    disk.lose_power(&other.file(FILE));
    (open(&other).0, kept)
}

#[test]
fn what_is_saved_after_a_failed_sync_survives_a_power_failure() {
    for before in 0..60 {
        let (found, kept) = lose_power_after_a_failed_sync(before);
        let changes = found.snapshot.map(|snapshot| snapshot.changes);
        let set_aside = found
            .findings
            .iter()
            .find(|finding| !matches!(finding, Finding::Repaired { .. }));
        assert_eq!(set_aside, None, "after {before}");
        assert_eq!(changes.unwrap_or_default(), kept, "after {before}");
    }
}

/// A feed whose floor has moved above a mark and an entry; the new run holds what was restamped.
fn raise_the_floor() -> (Transfer, Transfer, Epoch) {
    let (me, run) = (node(ME), Epoch::from_bits(RUN.bits() + 1));
    let old = vec![
        put(me, RUN, 1, "kept"),
        removed(me, RUN, 2, "gone"),
        put(me, RUN, 3, "unseen"),
    ];
    let first = delta(me, &Lineage::empty(), old);
    let mut second = delta(me, &first.state.lineage, vec![put(me, run, 1, "kept")]);
    second.state.lineage.raise_floor(run);
    (Transfer::Delta(first), Transfer::Delta(second), run)
}

fn is_taken_by_a_registry(found: &Snapshot) {
    let mut registry = Registry::new(node(ME), ClusterId::from_bytes([9; 16]));
    registry.restore(found.clone(), false).unwrap();
}

#[test]
fn what_a_raised_floor_lets_go_is_not_found_again() {
    let (_place, dir) = data_dir();
    let (opened, words) = open(&dir);
    let (first, second, run) = raise_the_floor();
    opened.store.persist(1, RUN, first).unwrap();
    opened.store.persist(2, run, second).unwrap();
    assert_eq!((next(&words), next(&words)), (saved(1), saved(2)));
    drop(opened);
    let found = open(&dir).0.snapshot.unwrap();
    assert_eq!(found.changes, [put(node(ME), run, 1, "kept")]);
    is_taken_by_a_registry(&found);
}

#[test]
fn a_delta_that_starts_beyond_the_disk_is_refused_with_all_that_build_on_it() {
    let (_place, dir) = data_dir();
    let (opened, words) = open(&dir);
    opened
        .store
        .persist(1, RUN, nth(node(ME), 5, "web"))
        .unwrap();
    assert_eq!(next(&words).result, Err(SaveError::Gap));
    opened
        .store
        .persist(2, RUN, nth(node(ME), 1, "web"))
        .unwrap();
    assert!(matches!(
        next(&words).result,
        Err(SaveError::AfterFailure { .. })
    ));
    let run = Epoch::from_bits(RUN.bits() + 1);
    opened
        .store
        .persist(3, run, nth(node(ME), 1, "web"))
        .unwrap();
    assert_eq!(next(&words), saved(3));
    drop(opened);
    assert_eq!(found(&dir).len(), 1);
}

#[test]
fn a_snapshot_takes_the_place_of_the_feed() {
    let (_place, dir) = data_dir();
    let me = node(ME);
    let (opened, words) = open(&dir);
    opened.store.persist(1, RUN, nth(me, 1, "gone")).unwrap();
    let whole = snapshot(me, vec![put(me, RUN, 2, "here")]);
    let transfer = Transfer::Snapshot(whole.clone());
    opened.store.persist(2, RUN, transfer).unwrap();
    assert_eq!([next(&words), next(&words)], [saved(1), saved(2)]);
    drop(opened);
    assert_eq!(open(&dir).0.snapshot, Some(whole));
}

#[test]
fn another_nodes_feed_is_refused() {
    let (_place, dir) = data_dir();
    let (opened, words) = open(&dir);
    let refused = opened.store.persist(1, RUN, nth(node(9), 1, "web"));
    assert_eq!(refused, Err(SaveError::ForeignFeed));
    opened
        .store
        .persist(1, RUN, nth(node(ME), 1, "web"))
        .unwrap();
    assert_eq!(next(&words), saved(1));
    drop(opened);
    let refused = FeedStore::open(&dir, node(2), on_saved().0).unwrap_err();
    assert!(
        matches!(refused, DiskError::ForeignFeed { .. }),
        "{refused}"
    );
}

#[test]
fn a_second_store_on_the_same_file_is_refused_by_name() {
    let (_place, dir) = data_dir();
    let (_opened, _words) = open(&dir);
    let refused = FeedStore::open(&dir, node(ME), on_saved().0).unwrap_err();
    assert!(matches!(refused, DiskError::InUse { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
}

#[test]
fn the_directory_stays_locked_as_long_as_a_store_is_open() {
    let (_place, dir) = data_dir();
    let path = dir.path().to_owned();
    let (opened, _words) = open(&dir);
    drop(dir);
    assert!(matches!(DataDir::open(&path), Err(DiskError::InUse { .. })));
    drop(opened);
    DataDir::open(&path).expect("free again");
}

#[test]
fn dropping_the_store_saves_what_is_queued() {
    let (_place, dir) = data_dir();
    let disk = TestDisk::default();
    let (store, words) = open_on(&dir, &disk);
    disk.hold(true);
    for seq in 1..=30 {
        store
            .persist(seq, RUN, nth(node(ME), seq, &format!("web-{seq}")))
            .unwrap();
    }
    disk.hold(false);
    drop(store);
    assert!((1..=30).all(|seq| next(&words) == saved(seq)));
    assert_eq!(found(&dir).len(), 30);
}

#[test]
fn a_store_in_memory_answers_at_once() {
    let (report, words) = on_saved();
    let store = FeedStore::in_memory(node(ME), report);
    store.persist(1, RUN, nth(node(ME), 1, "web")).unwrap();
    store.persist(2, RUN, nth(node(ME), 2, "web")).unwrap();
    assert_eq!(words.try_iter().collect::<Vec<_>>(), [saved(1), saved(2)]);
    let refused = store.persist(3, RUN, nth(node(9), 1, "web"));
    assert_eq!(refused, Err(SaveError::ForeignFeed));
}

#[test]
fn a_raised_watermark_drops_the_marks_it_covers_from_the_disk() {
    let (_place, dir) = data_dir();
    let me = node(ME);
    let (opened, words) = open(&dir);
    let changes = vec![
        removed(me, RUN, 1, "a"),
        put(me, RUN, 2, "b"),
        removed(me, RUN, 3, "c"),
    ];
    let first = delta(me, &Lineage::empty(), changes);
    let mut second = Delta {
        from: first.state.lineage.clone(),
        changes: Vec::new(),
        ..first.clone()
    };
    second.state.lineage = Lineage::of(RUN, 4);
    second.state.watermark = Lineage::of(RUN, 2);
    opened
        .store
        .persist(1, RUN, Transfer::Delta(first))
        .unwrap();
    opened
        .store
        .persist(2, RUN, Transfer::Delta(second.clone()))
        .unwrap();
    assert_eq!([next(&words), next(&words)], [saved(1), saved(2)]);
    drop(opened);
    let snapshot = open(&dir).0.snapshot.unwrap();
    assert_eq!(snapshot.state, second.state);
    let kept: Vec<u64> = snapshot
        .changes
        .iter()
        .map(|change| change.place.seq)
        .collect();
    assert_eq!(kept, [2, 3]);
}
