//! Frames about keys keep their bytes and refuse what is not theirs.

use proptest::prelude::*;
use tidings_types::{ClusterKey, ClusterKeyId};
use tidings_wire::{
    DecodeError, KeyChange, KeyringAnswer, KeyringOutcome, KeyringRequest, keyring::KEYRING_BYTES,
};

const ID: ClusterKeyId = ClusterKeyId::from_bytes([1, 2, 3, 4]);

fn requests() -> [KeyringRequest; 4] {
    let key = ClusterKey::from_bytes([0xaa; 32]);
    [
        KeyringRequest::List {
            padding: vec![0; 3],
        },
        KeyringRequest::Change(KeyChange::Add(key)),
        KeyringRequest::Change(KeyChange::Use(ID)),
        KeyringRequest::Change(KeyChange::Remove(ID)),
    ]
}

fn answers() -> [KeyringAnswer; 3] {
    let other = ClusterKeyId::from_bytes([5, 6, 7, 8]);
    let answer = |outcome| KeyringAnswer {
        accepts: vec![ID, other],
        outcome,
        padding: Vec::new(),
    };
    [
        answer(KeyringOutcome::Done),
        answer(KeyringOutcome::AsBefore),
        answer(KeyringOutcome::Refused("no".to_owned())),
    ]
}

#[test]
fn frames_keep_their_golden_bytes_and_come_back() {
    let mut golden = Vec::new();
    for request in requests() {
        let frame = request.encode().unwrap();
        assert_eq!(KeyringRequest::decode(&frame).unwrap(), request);
        golden.push(frame);
    }
    for answer in answers() {
        let frame = answer.encode().unwrap();
        assert_eq!(KeyringAnswer::decode(&frame).unwrap(), answer);
        golden.push(frame);
    }
    let hex = |frame: &Vec<u8>| frame.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let golden: Vec<_> = golden.iter().map(hex).collect();
    assert_eq!(
        golden,
        include_str!("keyring.golden").lines().collect::<Vec<_>>()
    );
}

#[test]
fn long_frames_and_claims_of_length_are_refused() {
    let long = vec![0; KEYRING_BYTES + 1];
    assert!(matches!(
        KeyringRequest::decode(&long),
        Err(DecodeError::TooLarge { .. })
    ));
    // An answer that claims 2^32 keys in a few bytes.
    let claim = [0, 253, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    assert!(matches!(
        KeyringAnswer::decode(&claim),
        Err(DecodeError::Malformed(_))
    ));
    let wordy = KeyringAnswer {
        accepts: Vec::new(),
        outcome: KeyringOutcome::Refused("x".repeat(KEYRING_BYTES)),
        padding: Vec::new(),
    };
    assert!(wordy.encode().is_err());
    let mut trailing = KeyringRequest::list().encode().unwrap();
    trailing.push(0);
    assert!(matches!(
        KeyringRequest::decode(&trailing),
        Err(DecodeError::Trailing { bytes: 1 })
    ));
}

#[test]
fn a_request_does_not_print_its_key() {
    let text = format!("{:?}", requests());
    assert!(text.contains("secret"), "{text}");
    assert!(!text.contains("170"), "0xaa in decimals: {text}");
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..1_100)) {
        if let Ok(request) = KeyringRequest::decode(&bytes) {
            prop_assert!(request.encode().is_ok());
        }
        if let Ok(answer) = KeyringAnswer::decode(&bytes) {
            prop_assert!(answer.accepts.len() <= KEYRING_BYTES);
        }
    }
}
