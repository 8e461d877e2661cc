//! Sealing and opening, without a socket.

use proptest::prelude::*;

use super::*;
use crate::transport::seal::Sealer;

const CLUSTER: ClusterId = ClusterId::from_bytes([1; 16]);
const RECEIVER: NodeId = NodeId::from_bytes([9; 16]);
const SENDER: NodeId = NodeId::from_bytes([5; 16]);
const EPOCH: Epoch = Epoch::from_bits(100);

fn ring(keys: &[u8]) -> KeyRing {
    let keys: Vec<_> = keys.iter().map(|&k| [k; 32]).collect();
    KeyRing::new(&keys).unwrap()
}

fn sealer(sender: NodeId) -> Sealer {
    Sealer::new(CLUSTER, sender, ring(&[7]), EPOCH).unwrap()
}

fn opener() -> Opener {
    with_keys(ring(&[7]))
}

fn with_keys(keys: KeyRing) -> Opener {
    Opener::new(CLUSTER, RECEIVER, keys, Arc::default())
}

fn refused(opener: &mut Opener, datagram: &[u8]) -> Counter {
    match opener.open(datagram).expect_err("to be refused") {
        Refused::As(counter) => counter,
        old => panic!("{old:?}"),
    }
}

#[test]
fn what_was_sealed_is_opened_once() {
    let (sealer, mut opener) = (sealer(SENDER), opener());
    for receiver in [None, Some(RECEIVER)] {
        for payload in [&b""[..], b"probe", &[3; 1_104]] {
            let datagram = sealer.seal(receiver, payload);
            let opened = opener.open(&datagram).unwrap();
            assert_eq!((opened.sender, opened.epoch), (SENDER, EPOCH));
            assert_eq!(opened.payload, payload);
            assert_eq!(refused(&mut opener, &datagram), Counter::Replay);
        }
    }
}

#[test]
fn datagrams_may_overtake_each_other() {
    let (sealer, mut opener) = (sealer(SENDER), opener());
    let sent: Vec<_> = (0..600).map(|_| sealer.seal(None, b"x")).collect();
    assert!(
        sent.iter()
            .rev()
            .all(|datagram| opener.open(datagram).is_ok())
    );
    assert!(sent.iter().all(|datagram| opener.open(datagram).is_err()));
}

#[test]
fn another_cluster_another_key_and_oneself_are_told_apart() {
    let mut opener = opener();
    let foreign = Sealer::new(ClusterId::from_bytes([2; 16]), SENDER, ring(&[7]), EPOCH).unwrap();
    let datagram = foreign.seal(None, b"x");
    assert_eq!(refused(&mut opener, &datagram), Counter::ForeignCluster);
    let stranger = Sealer::new(CLUSTER, SENDER, ring(&[8]), EPOCH).unwrap();
    let mut datagram = stranger.seal(None, b"x");
    assert_eq!(refused(&mut opener, &datagram), Counter::UnknownKey);
    // It claims to be under the right key.
    let honest = sealer(SENDER).seal(None, b"x");
    datagram[64..68].copy_from_slice(&honest[64..68]);
    assert_eq!(refused(&mut opener, &datagram), Counter::Unverified);
    let own = sealer(RECEIVER).seal(None, b"x");
    assert_eq!(opener.open(&own), Err(Refused::Own));
    assert!(opener.senders.is_empty(), "nobody unverified is remembered");
}

#[test]
fn a_datagram_is_bound_to_its_receivers_whole_id() {
    let (sealer, mut opener) = (sealer(SENDER), opener());
    let other = sealer.seal(Some(NodeId::from_bytes([8; 16])), b"x");
    assert_eq!(refused(&mut opener, &other), Counter::OtherReceiver);
    let mut alike = [9; 16]; // Equal in the part that the header shows.
    alike[15] = 0;
    let alike = sealer.seal(Some(NodeId::from_bytes(alike)), b"x");
    assert_eq!(refused(&mut opener, &alike), Counter::Unverified);
    let mut unbound = sealer.seal(Some(RECEIVER), b"x");
    unbound[0] = 0x10; // The flag that says whether the receiver is bound.
    assert_eq!(refused(&mut opener, &unbound), Counter::Unverified);
}

#[test]
fn each_key_of_the_ring_opens_and_the_first_one_seals() {
    let mut opener = with_keys(ring(&[6, 7]));
    for (node, key) in [(3, 6), (4, 7)] {
        let sealer =
            Sealer::new(CLUSTER, NodeId::from_bytes([node; 16]), ring(&[key]), EPOCH).unwrap();
        for _ in 0..2 {
            assert!(opener.open(&sealer.seal(Some(RECEIVER), b"x")).is_ok());
        }
    }
    let first = Sealer::new(CLUSTER, SENDER, ring(&[7, 8]), EPOCH).unwrap();
    assert!(opener.open(&first.seal(None, b"x")).is_ok());
    let first = Sealer::new(CLUSTER, SENDER, ring(&[8, 7]), EPOCH).unwrap();
    assert!(opener.open(&first.seal(None, b"x")).is_err());
}

#[test]
fn a_newer_run_ends_the_one_before() {
    let (sealer, mut opener) = (sealer(SENDER), opener());
    let late = sealer.seal(None, b"late");
    assert!(opener.open(&sealer.seal(None, b"x")).unwrap().is_new_epoch);
    assert!(!opener.open(&sealer.seal(None, b"x")).unwrap().is_new_epoch);
    sealer.set_epoch(Epoch::from_bits(101)).unwrap();
    let opened = opener.open(&sealer.seal(None, b"x")).unwrap();
    assert!(opened.is_new_epoch && opened.epoch == Epoch::from_bits(101));
    let newest = opened.epoch;
    let sender = SENDER;
    let old = Refused::OldRun { sender, newest };
    assert_eq!(opener.open(&late), Err(old));
    let mut forged = late;
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&mut opener, &forged), Counter::Unverified);
}

#[test]
fn a_newer_salt_keeps_what_was_seen_under_the_older() {
    let (sealer, mut opener) = (sealer(SENDER), opener());
    let seen = sealer.seal(None, b"seen");
    let late = sealer.seal(None, b"late");
    opener.open(&seen).unwrap();
    sealer.set_epoch(EPOCH).unwrap(); // The same run under a new salt.
    let first = sealer.seal(None, b"first");
    opener.open(&first).unwrap();
    assert_eq!(opener.open(&late).unwrap().payload, b"late");
    for repeated in [&seen, &first, &late] {
        assert_eq!(refused(&mut opener, repeated), Counter::Replay);
    }
    assert!(opener.open(&sealer.seal(None, b"second")).is_ok());
}

#[test]
fn a_full_memory_forgets_who_was_silent_longest() {
    let mut opener = opener();
    let node = |n: usize| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        sealer(NodeId::from_bytes(id))
    };
    let faithful = sealer(SENDER);
    opener.open(&faithful.seal(None, b"x")).unwrap();
    for n in 0..SENDERS {
        if n == SENDERS / 2 {
            opener.open(&faithful.seal(None, b"x")).unwrap();
        }
        opener.open(&node(n).seal(None, b"x")).unwrap();
        assert!(opener.senders.len() <= SENDERS);
    }
    assert!(opener.senders.contains_key(&SENDER));
}

#[test]
fn a_removed_key_is_refused_at_once_and_what_was_seen_stays_seen() {
    let held = ring(&[7, 8]);
    let heard = Arc::new(KeysHeard::default());
    let mut opener = Opener::new(CLUSTER, RECEIVER, held.clone(), Arc::clone(&heard));
    let (old, new) = (ring(&[7]).ids()[0], ring(&[8]).ids()[0]);
    let keys = ring(&[7]);
    let sealer = Sealer::new(CLUSTER, SENDER, keys.clone(), EPOCH).unwrap();
    let (seen, late) = (sealer.seal(None, b"seen"), sealer.seal(None, b"late"));
    opener.open(&seen).unwrap();
    assert_eq!(heard.all()[&SENDER], old);
    keys.replace(&[[8; 32]]).unwrap();
    let under_new = sealer.seal(None, b"new");
    opener.open(&under_new).unwrap();
    assert_eq!(heard.all()[&SENDER], new);
    held.replace(&[[8; 32]]).unwrap();
    for gone in [&seen, &late] {
        assert_eq!(refused(&mut opener, gone), Counter::UnknownKey);
    }
    // Even if the key comes back.
    held.replace(&[[8; 32], [7; 32]]).unwrap();
    assert_eq!(refused(&mut opener, &seen), Counter::Replay);
    assert_eq!(refused(&mut opener, &under_new), Counter::Replay);
    assert_eq!(opener.open(&late).unwrap().payload, b"late");
    assert_eq!(heard.all()[&SENDER], new, "a late word displaces nothing");
}

#[test]
fn what_follows_from_a_removed_key_is_forgotten() {
    let held = ring(&[7]);
    let mut opener = with_keys(held.clone());
    let other = sealer(NodeId::from_bytes([6; 16]));
    opener.open(&sealer(SENDER).seal(None, b"x")).unwrap();
    held.replace(&[[8; 32]]).unwrap();
    assert_eq!(
        refused(&mut opener, &other.seal(None, b"x")),
        Counter::UnknownKey
    );
    assert!(opener.senders[&SENDER].key.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No bytes open unless a member sealed exactly them, and none disturb what follows.
    #[test]
    fn hostile_bytes_are_refused_and_leave_no_trace(mut bytes in prop::collection::vec(any::<u8>(), 0..1_300), head in any::<bool>()) {
        let mut opener = opener();
        if head && bytes.len() >= HEADER_BYTES {
            // A header of the right cluster gets past the cheap checks.
            let header = sealer(SENDER).seal(None, b"");
            bytes[..36].copy_from_slice(&header[..36]);
            bytes[64..68].copy_from_slice(&header[64..68]);
        }
        prop_assert!(opener.open(&bytes).is_err());
        prop_assert!(opener.senders.is_empty());
    }

    #[test]
    fn changed_and_cut_datagrams_are_refused(payload in prop::collection::vec(any::<u8>(), 0..300), bit in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), known in any::<bool>()) {
        let (sealer, mut opener) = (sealer(SENDER), opener());
        if known {
            opener.open(&sealer.seal(None, b"first")).unwrap();
        }
        let datagram = sealer.seal(Some(RECEIVER), &payload);
        let mut changed = datagram.clone();
        let bit = bit.index(changed.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(opener.open(&changed).is_err(), "bit {bit}");
        prop_assert!(opener.open(&datagram[..cut.index(datagram.len())]).is_err());
        prop_assert_eq!(opener.open(&datagram).unwrap().payload, payload);
    }
}
