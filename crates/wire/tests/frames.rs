//! Frames keep their bytes, refuse what is not theirs, and survive anything.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidings_types::{
    Body, Change, Delta, Dot, Entry, Epoch, Event, EventId, ExternalNode, FeedState, Hlc, Key,
    Lineage, NodeId, NodeName, Place, SharedWrite, Slot, Snapshot, Text, TextMap, Transfer,
    VectorClock, Version,
    limits::{PAYLOAD_BYTES, TRANSFER_BYTES},
};
use tidings_wire::{
    Assembly, AssemblyError, Datagram, DecodeError, FeedPart, Head, Request, Response, Want,
    datagram,
};

fn node(byte: u8) -> NodeId {
    NodeId::from_bytes([byte; 16])
}

fn change(seq: u64, text: &str) -> Change {
    let epoch = Epoch::from_bits(7);
    let body = ExternalNode {
        id: Text::new(),
        address: text.into(),
        tagged_addresses: TextMap::new(),
        meta: TextMap::new(),
    };
    Change {
        place: Place { epoch, seq },
        key: Key::ExternalNode(NodeName::new(format!("n{seq}")).expect("a short name")),
        slot: Slot::Entry(Entry {
            version: Version::Shared(Box::new(SharedWrite {
                stamp: Hlc::from_unix_ms(1_000),
                dot: Dot {
                    epoch,
                    seq,
                    node: node(1),
                },
                clock: VectorClock::empty(),
            })),
            body: Some(Body::ExternalNode(body).into()),
        }),
    }
}

fn delta(changes: Vec<Change>) -> Delta {
    let head = changes.last().map_or(0, |change| change.place.seq);
    Delta {
        from: Lineage::empty(),
        state: FeedState {
            owner: node(1),
            lineage: Lineage::of(Epoch::from_bits(7), head),
            watermark: Lineage::empty(),
            needs: BTreeMap::new(),
            sum: 9,
        },
        changes,
    }
}

fn samples() -> Vec<Datagram> {
    let bodies = [
        datagram::Body::Membership(vec![1, 2, 3]),
        datagram::Body::Rumors(vec![delta(vec![change(1, "10.0.0.1")])]),
        datagram::Body::Have {
            owner: node(2),
            lineage: Lineage::of(Epoch::from_bits(3), 300),
        },
        datagram::Body::Superseded {
            epoch: Epoch::from_bits(9),
            addr: ([10, 0, 0, 7], 8_301).into(),
        },
    ];
    bodies
        .into_iter()
        .map(|body| Datagram {
            fingerprint: 5,
            wall_ms: 1_700_000_000_000,
            body,
        })
        .collect()
}

#[test]
fn datagrams_keep_their_golden_bytes() {
    let golden: Vec<String> = samples()
        .iter()
        .map(|d| {
            d.encode()
                .unwrap()
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect()
        })
        .collect();
    assert_eq!(
        golden,
        include_str!("datagrams.golden").lines().collect::<Vec<_>>()
    );
}

#[test]
fn an_event_keeps_its_golden_bytes() {
    let event = Event {
        name: "deploy".into(),
        payload: b"v2".as_slice().into(),
        node_filter: "n".into(),
        service_filter: "web".into(),
        tag_filter: "t".into(),
    };
    let id = EventId::new(1_763_669_045_007, [9; 10]);
    let change = Change {
        key: Key::Event(node(1), id),
        slot: Slot::Entry(Entry {
            version: Version::Owner(Place {
                epoch: Epoch::from_bits(7),
                seq: 1,
            }),
            body: Some(Body::Event(event).into()),
        }),
        ..change(1, "")
    };
    let part = parts(Transfer::Delta(delta(vec![change]))).remove(0);
    let frame = Response::Feed(Box::new(part)).encode().unwrap();
    let golden: String = frame.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(golden, include_str!("event.golden").trim_end());
}

#[test]
fn requests_and_responses_keep_their_golden_bytes() {
    let want = Want {
        owner: node(3),
        held: Lineage::of(Epoch::from_bits(2), 4),
        sum: 6,
    };
    let head = Head {
        owner: node(4),
        item: 77,
        signature: Vec::new(),
    };
    let part = parts(Transfer::Delta(delta(vec![change(1, "x")]))).remove(0);
    let frames = [
        Request::Members.encode().unwrap(),
        Request::Heads.encode().unwrap(),
        Request::Pull(vec![want]).encode().unwrap(),
        Request::Positions(vec![node(5)]).encode().unwrap(),
        Request::Run { start: 9 }.encode().unwrap(),
        Response::Run { start: 10 }.encode().unwrap(),
        Response::Heads(vec![head]).encode().unwrap(),
        Response::Feed(Box::new(part)).encode().unwrap(),
    ];
    let golden: Vec<String> = frames
        .iter()
        .map(|f| f.iter().map(|b| format!("{b:02x}")).collect())
        .collect();
    assert_eq!(
        golden,
        include_str!("sessions.golden").lines().collect::<Vec<_>>()
    );
}

#[test]
fn another_version_is_refused_and_not_misread() {
    let mut bytes = samples().remove(0).encode().unwrap();
    bytes[0] = 1;
    assert!(matches!(
        Datagram::decode(&bytes),
        Err(DecodeError::Version { found: 1 })
    ));
    assert!(matches!(Datagram::decode(&[]), Err(DecodeError::Empty)));
}

#[test]
fn trailing_bytes_and_oversize_frames_are_refused() {
    let mut bytes = samples().remove(2).encode().unwrap();
    bytes.push(0);
    assert!(matches!(
        Datagram::decode(&bytes),
        Err(DecodeError::Trailing { bytes: 1 })
    ));
    assert!(matches!(
        Datagram::decode(&vec![0; 2_000]),
        Err(DecodeError::TooLarge { .. })
    ));
    let long = Datagram {
        fingerprint: 0,
        wall_ms: 0,
        body: datagram::Body::Membership(vec![0; 1_200]),
    };
    assert!(long.encode().is_err());
}

/// bincode counts eight bytes for a number that takes one.
#[test]
fn a_full_frame_of_small_numbers_is_read() {
    let mark = |seq| Change {
        place: Place {
            epoch: Epoch::from_bits(7),
            seq,
        },
        key: Key::ExternalNode(NodeName::new(format!("{seq}")).expect("a short name")),
        slot: Slot::RemovalMark,
    };
    let rumor = |changes: u64| Datagram {
        fingerprint: 1,
        wall_ms: 1,
        body: datagram::Body::Rumors(vec![delta((1..=changes).map(mark).collect())]),
    };
    let (full, bytes) = (1..)
        .map_while(|changes| Some((rumor(changes), rumor(changes).encode().ok()?)))
        .last()
        .expect("one fits");
    assert!(bytes.len() + 20 > PAYLOAD_BYTES, "{} bytes", bytes.len());
    assert_eq!(Datagram::decode(&bytes).expect("it is its own"), full);
}

#[test]
fn a_length_that_claims_the_earth_takes_no_memory() {
    // Version, a Rumors frame, and a list length of 2^64 - 1.
    let mut bytes = vec![0, 5, 0, 1];
    bytes.extend([253, 255, 255, 255, 255, 255, 255, 255, 255]);
    assert!(Datagram::decode(&bytes).is_err());
    let mut name = vec![0, 2, 1];
    name.extend([7; 16]);
    name.extend([253, 255, 255, 255, 255, 255, 255, 255, 255]);
    assert!(Request::decode(&name).is_err());
}

fn frame_of(part: &FeedPart) -> Vec<u8> {
    let response = Response::Feed(Box::new(part.clone()));
    response.encode().expect("a part fits a frame")
}

fn parts(transfer: Transfer) -> Vec<FeedPart> {
    let parts = FeedPart::split(transfer);
    parts
        .collect::<Result<_, _>>()
        .expect("changes have encodings")
}

#[test]
fn a_large_transfer_is_cut_and_put_together_again() {
    let changes: Vec<Change> = (1..=200)
        .map(|seq| change(seq, &"a".repeat(5_000)))
        .collect();
    let transfer = Transfer::Delta(delta(changes));
    let parts = parts(transfer.clone());
    assert!(parts.len() > 3);
    let mut assembly = Assembly::default();
    let mut whole = None;
    for part in parts {
        assert!(whole.is_none());
        let frame = frame_of(&part);
        whole = assembly.push(part, &frame).unwrap();
    }
    assert_eq!(whole, Some(transfer));
}

#[test]
fn an_empty_transfer_is_one_part() {
    let transfer = Transfer::Snapshot(Snapshot {
        state: delta(Vec::new()).state,
        changes: Vec::new(),
    });
    let parts = parts(transfer.clone());
    assert_eq!(parts.len(), 1);
    assert_eq!(
        Assembly::default().push(parts[0].clone(), &frame_of(&parts[0])),
        Ok(Some(transfer))
    );
}

#[test]
fn parts_of_two_transfers_do_not_mix() {
    let mut parts = parts(Transfer::Delta(delta(vec![change(1, "x")])));
    let mut first = parts.remove(0);
    first.last = false;
    let mut other = first.clone();
    other.state.owner = node(9);
    let mut assembly = Assembly::default();
    let frame = frame_of(&first);
    assert_eq!(assembly.push(first.clone(), &frame), Ok(None));
    assert_eq!(
        assembly.push(other, &frame),
        Err(AssemblyError::Interleaved)
    );
    assert_eq!(
        assembly.push(first, &vec![0; TRANSFER_BYTES]),
        Err(AssemblyError::TooLarge)
    );
}

proptest! {
    #[test]
    fn any_bytes_decode_to_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..1_400)) {
        let _ = Datagram::decode(&bytes);
        let _ = Request::decode(&bytes);
        let _ = Response::decode(&bytes);
    }

    #[test]
    fn mutated_frames_decode_to_what_encodes_again(
        which in 0usize..3,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = samples()[which].encode().unwrap();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= value;
        }
        for frame in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(decoded) = Datagram::decode(frame) {
                let again = decoded.encode().expect("no longer than what it came from");
                prop_assert_eq!(Datagram::decode(&again).unwrap(), decoded);
            }
        }
    }
}
