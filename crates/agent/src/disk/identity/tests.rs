use std::fs;

use super::*;
use crate::disk::testing::data_dir;

const KEY: &[u8] = b"an opaque private key";
const NOW: u64 = 1_763_000_000_000;

fn load(dir: &DataDir) -> Result<(Identity, Vec<Finding>), DiskError> {
    Identity::load_or_create(dir, || panic!("there is an identity already"))
}

fn make(dir: &DataDir) -> Identity {
    let (identity, findings) = Identity::load_or_create(dir, || KEY.to_vec()).unwrap();
    assert_eq!(findings, []);
    identity
}

#[test]
fn an_identity_is_made_once_and_found_again() {
    let (_place, dir) = data_dir();
    let mut first = make(&dir);
    let epoch = first.take_epoch(NOW, 5, None).unwrap();
    first.reserve_index(4_096).unwrap();

    let (second, findings) = load(&dir).unwrap();
    assert_eq!(findings, []);
    assert_eq!(second.pkcs8(), KEY);
    assert_eq!(second.epoch(), epoch);
    assert_eq!(second.reserved_index(), 4_096);
}

#[test]
fn each_epoch_exceeds_all_before_even_when_the_clock_went_back() {
    let (_place, dir) = data_dir();
    let first = make(&dir).take_epoch(NOW, 9, None).unwrap();
    let (mut identity, _) = load(&dir).unwrap();
    let second = identity.take_epoch(1_000, 0, None).unwrap();
    assert!(second > first);

    let seen = Epoch::after(second, NOW * 2, 3);
    let third = identity.take_epoch(NOW, 0, Some(seen)).unwrap();
    assert!(third > seen);
    assert_eq!(load(&dir).unwrap().0.epoch(), third);
}

#[test]
fn no_epoch_is_taken_after_the_last_one() {
    let (_place, dir) = data_dir();
    let mut identity = make(&dir);
    let refused = identity.take_epoch(NOW, 0, Some(Epoch::MAX)).unwrap_err();
    assert!(
        matches!(refused, DiskError::EpochsExhausted { .. }),
        "{refused}"
    );
    identity.take_epoch(NOW, 0, None).expect("unchanged");
}

#[test]
fn a_lower_reservation_does_not_take_back_a_higher_one() {
    let (_place, dir) = data_dir();
    let mut identity = make(&dir);
    identity.reserve_index(10).unwrap();
    identity.reserve_index(3).unwrap();
    assert_eq!(identity.reserved_index(), 10);
}

#[test]
fn a_damaged_or_missing_copy_is_written_again_from_the_other() {
    let (_place, dir) = data_dir();
    let epoch = make(&dir).take_epoch(NOW, 1, None).unwrap();
    let sound = fs::read(dir.file(FIRST)).unwrap();
    for (bad, intact) in [(FIRST, SECOND), (SECOND, FIRST)] {
        for at in (0..sound.len()).step_by(3) {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(dir.file(bad), &bytes).unwrap();
            restores(&dir, bad, intact, epoch, &sound);
        }
        for length in (0..sound.len()).step_by(7) {
            fs::write(dir.file(bad), &sound[..length]).unwrap();
            restores(&dir, bad, intact, epoch, &sound);
        }
        fs::write(dir.file(bad), vec![0; 1 << 20]).unwrap();
        restores(&dir, bad, intact, epoch, &sound);
        fs::remove_file(dir.file(bad)).unwrap();
        restores(&dir, bad, intact, epoch, &sound);
    }
}

fn restores(dir: &DataDir, bad: &str, intact: &str, epoch: Epoch, sound: &[u8]) {
    let (identity, findings) = load(dir).unwrap();
    assert_eq!(identity.epoch(), epoch);
    assert_eq!(identity.pkcs8(), KEY);
    let [
        Finding::IdentityCopyRestored {
            copy, intact: from, ..
        },
    ] = findings.as_slice()
    else {
        panic!("{findings:?}");
    };
    assert_eq!((copy, from), (&dir.file(bad), &dir.file(intact)));
    assert_eq!(fs::read(dir.file(bad)).unwrap(), sound);
}

#[test]
fn two_damaged_copies_are_an_error_that_names_both_and_changes_nothing() {
    let (_place, dir) = data_dir();
    make(&dir);
    fs::write(dir.file(FIRST), b"rubbish").unwrap();
    fs::remove_file(dir.file(SECOND)).unwrap();
    let refused = load(&dir).unwrap_err();
    assert!(
        matches!(refused, DiskError::IdentityDamaged { .. }),
        "{refused}"
    );
    let text = refused.to_string();
    for name in [FIRST, SECOND] {
        assert!(
            text.contains(&dir.file(name).display().to_string()),
            "{text}"
        );
    }
    assert_eq!(fs::read(dir.file(FIRST)).unwrap(), b"rubbish");
    assert!(!dir.file(SECOND).exists());
}

#[test]
fn a_feed_without_its_identity_does_not_get_a_new_one() {
    let (_place, dir) = data_dir();
    fs::write(dir.file(crate::disk::feed_store::FILE), b"someone's feed").unwrap();
    let refused = load(&dir).unwrap_err();
    assert!(
        matches!(refused, DiskError::IdentityMissing { .. }),
        "{refused}"
    );
}

#[test]
fn the_copies_of_two_nodes_are_told_apart() {
    let (_place, dir) = data_dir();
    make(&dir);
    let (_other_place, other) = data_dir();
    let (_, _) = Identity::load_or_create(&other, || b"another key".to_vec()).unwrap();
    fs::copy(other.file(SECOND), dir.file(SECOND)).unwrap();
    let refused = load(&dir).unwrap_err();
    assert!(
        matches!(refused, DiskError::IdentitiesDiffer { .. }),
        "{refused}"
    );
}

#[test]
fn a_crash_between_the_two_writes_loses_nothing() {
    let (_place, dir) = data_dir();
    let mut identity = make(&dir);
    let older = fs::read(dir.file(SECOND)).unwrap();
    let epoch = identity.take_epoch(NOW, 2, None).unwrap();
    fs::write(dir.file(SECOND), older).unwrap();

    let (mut identity, findings) = load(&dir).unwrap();
    assert_eq!(findings, []);
    assert_eq!(identity.epoch(), epoch);
    identity.take_epoch(NOW, 3, None).unwrap();
    let copies = [FIRST, SECOND].map(|name| fs::read(dir.file(name)).unwrap());
    assert_eq!(copies[0], copies[1]);
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let (_place, dir) = data_dir();
    make(&dir);
    for name in [FIRST, SECOND] {
        let mut bytes = fs::read(dir.file(name)).unwrap();
        let body = bytes.len() - 4;
        bytes[19] = 2; // the version's last byte, after a magic of 16 bytes
        let checksum = crc32fast::hash(&bytes[..body]);
        bytes[body..].copy_from_slice(&checksum.to_be_bytes());
        fs::write(dir.file(name), bytes).unwrap();
    }
    let refused = load(&dir).unwrap_err();
    assert!(
        matches!(refused, DiskError::NewerFormat { found: 2, .. }),
        "{refused}"
    );
}

#[cfg(unix)]
#[test]
fn the_key_is_readable_by_its_user_alone_and_never_printed() {
    use std::os::unix::fs::PermissionsExt;
    let (_place, dir) = data_dir();
    let identity = make(&dir);
    for name in [FIRST, SECOND] {
        let mode = fs::metadata(dir.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(!format!("{identity:?}").contains("pkcs8"));
}

#[test]
fn an_empty_or_endless_key_is_refused() {
    let (_place, dir) = data_dir();
    for key in [Vec::new(), vec![0; PKCS8_BYTES + 1]] {
        let refused = Identity::load_or_create(&dir, || key).unwrap_err();
        assert!(matches!(refused, DiskError::KeySize { .. }), "{refused}");
    }
    assert!(!dir.file(FIRST).exists());
}

#[test]
fn an_identity_in_memory_takes_epochs_too() {
    let mut identity = Identity::in_memory(KEY.to_vec());
    let first = identity.take_epoch(NOW, 0, None).unwrap();
    assert!(identity.take_epoch(NOW, 0, None).unwrap() > first);
    identity.reserve_index(7).unwrap();
    assert_eq!(identity.reserved_index(), 7);
}
