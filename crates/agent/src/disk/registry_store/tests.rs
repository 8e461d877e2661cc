use std::{fs, sync::mpsc::Receiver};

use tidings_types::Lineage;

use super::*;
use crate::disk::testing::{
    RUN, TestDisk, data_dir, delta, next, node, nth, on_saved, put, saved, snapshot,
};

fn open(dir: &DataDir) -> (OpenedRegistry, Receiver<Saved>) {
    let (report, words) = on_saved();
    (RegistryStore::open(dir, report).unwrap(), words)
}

fn transfers(batch: u64, transfers: Vec<Transfer>) -> Save {
    Save {
        batch,
        transfers,
        ..Save::default()
    }
}

fn member(n: u8, port: u16) -> (NodeId, SocketAddr) {
    (node(n), ([127, 0, 0, n], port).into())
}

#[test]
fn feeds_and_members_are_found_again() {
    let (_place, dir) = data_dir();
    let (opened, words) = open(&dir);
    assert!(opened.snapshots.is_empty() && opened.members.is_empty());
    let second = snapshot(
        node(2),
        vec![put(node(2), RUN, 1, "a"), put(node(2), RUN, 2, "b")],
    );
    // The greatest owner there can be: nothing comes after its rows.
    let last = snapshot(node(255), vec![put(node(255), RUN, 1, "z")]);
    let members = vec![member(2, 8301), member(2, 8311), member(3, 8301)];
    opened
        .store
        .save(Save {
            batch: 1,
            transfers: vec![
                nth(node(3), 1, "x"),
                Transfer::Snapshot(second.clone()),
                Transfer::Snapshot(last.clone()),
            ],
            members: Some(members.clone()),
        })
        .unwrap();
    assert_eq!(next(&words), saved(1));
    drop(opened);

    let (again, _words) = open(&dir);
    assert_eq!(again.findings, []);
    let third = snapshot(node(3), vec![put(node(3), RUN, 1, "x")]);
    assert_eq!(
        again.snapshots,
        [(second, false), (third, false), (last, false)]
    );
    assert_eq!(again.members, members);
}

#[test]
fn a_delta_adds_and_a_snapshot_replaces_its_own_feed_alone() {
    let (_place, dir) = data_dir();
    let (opened, words) = open(&dir);
    for owner in [1, 2, 255] {
        let first = transfers(1, vec![nth(node(owner), 1, "a")]);
        opened.store.save(first).unwrap();
        assert_eq!(next(&words), saved(1));
    }
    let more = Transfer::Delta(delta(
        node(1),
        &Lineage::of(RUN, 1),
        vec![put(node(1), RUN, 2, "b")],
    ));
    let instead =
        |owner| Transfer::Snapshot(snapshot(node(owner), vec![put(node(owner), RUN, 3, "c")]));
    opened
        .store
        .save(transfers(2, vec![more, instead(2), instead(255)]))
        .unwrap();
    assert_eq!(next(&words), saved(2));
    drop(opened);
    let seqs: Vec<Vec<u64>> = open(&dir)
        .0
        .snapshots
        .iter()
        .map(|(snapshot, _)| snapshot.changes.iter().map(|c| c.place.seq).collect())
        .collect();
    assert_eq!(seqs, [vec![1, 2], vec![3], vec![3]]);
}

#[test]
fn a_save_with_a_gap_changes_nothing_at_all() {
    let (_place, dir) = data_dir();
    let (opened, words) = open(&dir);
    let save = transfers(1, vec![nth(node(1), 1, "a"), nth(node(2), 9, "b")]);
    opened.store.save(save).unwrap();
    assert_eq!(next(&words).result, Err(SaveError::Gap));
    opened
        .store
        .save(transfers(2, vec![nth(node(3), 1, "c")]))
        .unwrap();
    assert_eq!(next(&words), saved(2));
    drop(opened);
    let owners: Vec<NodeId> = open(&dir)
        .0
        .snapshots
        .iter()
        .map(|(snapshot, _)| snapshot.state.owner)
        .collect();
    assert_eq!(owners, [node(3)]);
}

#[test]
fn only_the_last_set_of_members_is_kept() {
    let (_place, dir) = data_dir();
    let (opened, words) = open(&dir);
    for (batch, members) in [
        (1, Some(vec![member(1, 1), member(2, 1)])),
        (2, Some(vec![member(2, 1), member(3, 1)])),
        (3, None),
    ] {
        let save = Save {
            batch,
            members,
            ..Save::default()
        };
        opened.store.save(save).unwrap();
        assert_eq!(next(&words), saved(batch));
    }
    drop(opened);
    assert_eq!(open(&dir).0.members, [member(2, 1), member(3, 1)]);
}

#[test]
fn a_full_disk_fails_a_save_and_what_was_reported_before_stands() {
    let (_place, dir) = data_dir();
    let disk = TestDisk::default();
    let (report, words) = on_saved();
    let store = RegistryStore::open_with(&dir, report, disk.opener())
        .unwrap()
        .store;
    store
        .save(transfers(1, vec![nth(node(1), 1, "a")]))
        .unwrap();
    assert_eq!(next(&words), saved(1));
    disk.set_room(0);
    store
        .save(transfers(2, vec![nth(node(1), 2, "b")]))
        .unwrap();
    let error = next(&words).result.unwrap_err();
    assert!(matches!(error, SaveError::NoSpace { .. }), "{error}");
    disk.set_room(TestDisk::ENDLESS);
    // The position that was reported is on disk, so the next delta may start there.
    store
        .save(transfers(3, vec![nth(node(1), 2, "b")]))
        .unwrap();
    assert_eq!(next(&words), saved(3));
    drop(store);
    assert_eq!(open(&dir).0.snapshots[0].0.changes.len(), 2);
}

#[test]
fn a_full_queue_refuses_the_newest_save_and_counts_it() {
    let (_place, dir) = data_dir();
    let disk = TestDisk::default();
    let (report, words) = on_saved();
    let store = RegistryStore::open_with(&dir, report, disk.opener())
        .unwrap()
        .store;
    disk.hold(true);
    let mut queued = 0;
    while store.save(transfers(queued + 1, Vec::new())).is_ok() {
        queued += 1;
    }
    assert!(queued <= 1 + u64::try_from(QUEUED_SAVES).unwrap());
    assert_eq!(store.refused(), 1);
    disk.hold(false);
    assert!((1..=queued).all(|batch| next(&words) == saved(batch)));
}

#[test]
fn a_damaged_registry_is_set_aside_and_begun_anew() {
    let (_place, dir) = data_dir();
    let (opened, words) = open(&dir);
    opened
        .store
        .save(transfers(1, vec![nth(node(1), 1, "a")]))
        .unwrap();
    assert_eq!(next(&words), saved(1));
    drop(opened);
    let path = dir.file(FILE);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();

    let (opened, words) = open(&dir);
    assert!(opened.snapshots.is_empty());
    assert!(matches!(
        opened.findings.as_slice(),
        [Finding::SetAside { .. }]
    ));
    opened
        .store
        .save(transfers(1, vec![nth(node(1), 1, "a")]))
        .unwrap();
    assert_eq!(next(&words), saved(1));
}

#[test]
fn a_feed_that_lost_a_row_is_marked_until_it_is_saved_whole() {
    let (_place, dir) = data_dir();
    let (opened, words) = open(&dir);
    let all = (1..=3).map(|owner| nth(node(owner), 1, "a")).collect();
    opened.store.save(transfers(1, all)).unwrap();
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
        for key in &keys[..2] {
            rows.insert(key.as_slice(), &b"rubbish"[..]).unwrap();
        }
        drop(rows);
        transaction.commit().unwrap();
    }
    let marks = |opened: &OpenedRegistry| -> Vec<bool> {
        opened
            .snapshots
            .iter()
            .map(|(_, damaged)| *damaged)
            .collect()
    };
    let (opened, words) = open(&dir);
    assert_eq!(opened.findings.len(), 2);
    assert_eq!(marks(&opened), [true, true, false]);
    let whole = snapshot(node(1), vec![put(node(1), RUN, 1, "a")]);
    opened
        .store
        .save(transfers(2, vec![Transfer::Snapshot(whole)]))
        .unwrap();
    assert_eq!(next(&words), saved(2));
    drop(opened);
    let (opened, _words) = open(&dir);
    assert_eq!(marks(&opened), [false, true, false]);
}

#[test]
fn a_store_in_memory_answers_at_once() {
    let (report, words) = on_saved();
    let store = RegistryStore::in_memory(report);
    store
        .save(transfers(4, vec![nth(node(1), 1, "a")]))
        .unwrap();
    assert_eq!(words.try_recv(), Ok(saved(4)));
}
