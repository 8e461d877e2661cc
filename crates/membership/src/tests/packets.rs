//! Bytes from the network: what is taken, what is refused, and that nothing breaks.

use std::cell::RefCell;

use bytes::BufMut as _;
use foca::Codec as _;
use proptest::{prelude::*, sample::Index};
use tidings_types::Timestamp;

use super::{
    guards::announce_of,
    world::{World, addr, identity, node_id, seconds},
};
use crate::{
    Config, MemberId, Membership, Output, PacketError, codec::Codec, config::PACKET_BYTES,
};

fn node(n: usize) -> Membership {
    Membership::new(Config::default(), identity(n, 1), 1, Timestamp::ZERO)
}

#[test]
fn an_announce_to_an_address_reaches_whoever_is_there() {
    let mut host = node(0);
    let bytes = announce_of(node(1), 0);
    host.handle_packet(Timestamp::ZERO, addr(1), node_id(1), &bytes)
        .unwrap();
    let outputs: Vec<_> = std::iter::from_fn(|| host.poll_output()).collect();
    assert!(outputs.contains(&Output::MembersChanged));
    assert!(outputs.contains(&Output::FirstContact {
        node: node_id(1),
        addr: addr(1)
    }));
    assert!(outputs.iter().any(|output| matches!(output,
        Output::Packet { to, receiver, .. } if *to == addr(1) && *receiver == Some(node_id(1)))));
    let member = host.members().next().unwrap();
    assert_eq!(member.heard, Some(Timestamp::ZERO));
}

#[test]
fn a_packet_in_anothers_name_is_refused() {
    let mut host = node(0);
    let bytes = announce_of(node(1), 0);
    let outcome = host.handle_packet(Timestamp::ZERO, addr(2), node_id(2), &bytes);
    assert!(matches!(outcome, Err(PacketError::SenderMismatch { .. })));
    assert_eq!(host.members().count(), 0);
    assert_eq!(host.counters().bad_packets, 1);
}

#[test]
fn a_packet_of_my_own_is_told_apart_from_a_bad_one() {
    let mut host = node(0);
    let bytes = announce_of(node(0), 1);
    let outcome = host.handle_packet(Timestamp::ZERO, addr(0), node_id(0), &bytes);
    assert_eq!(outcome, Err(PacketError::FromMyself));
    assert_eq!(host.counters().bad_packets, 0);
}

#[test]
fn a_member_that_cannot_exist_is_refused() {
    for addr in ["0.0.0.0:8301", "10.0.0.1:0", "224.0.0.1:8301"] {
        let id = MemberId {
            addr: addr.parse().unwrap(),
            ..identity(1, 1)
        };
        let peer = Membership::new(Config::default(), id, 1, Timestamp::ZERO);
        let bytes = announce_of(peer, 0);
        let outcome = node(0).handle_packet(Timestamp::ZERO, id.addr, node_id(1), &bytes);
        assert!(matches!(outcome, Err(PacketError::Malformed(_))), "{addr}");
    }
}

#[test]
fn a_member_takes_the_bytes_it_always_took() {
    let member = foca::Member::new(identity(1, 5), 3, foca::State::Suspect);
    let mut bytes = Vec::new();
    Codec::new(node_id(0))
        .encode_member(&member, &mut bytes)
        .unwrap();
    let mut golden = vec![2; 16]; // The node.
    golden.extend([0, 10, 0, 0, 1, 0xfb, 0x41, 0x1f]); // IPv4 10.0.0.1, port 8001.
    golden.push(0xfd); // Eight bytes of generation follow.
    golden.extend((1_700_000_000_000_u64 << 20 | 5).to_le_bytes());
    golden.extend([3, 1]); // Incarnation, suspect.
    assert_eq!(bytes, golden);
}

#[test]
fn a_full_buffer_is_an_error_and_no_panic() {
    let member = foca::Member::alive(identity(1, 5));
    let mut codec = Codec::new(node_id(0));
    for room in 0..35 {
        let mut bytes = Vec::new();
        let outcome = codec.encode_member(&member, (&mut bytes).limit(room));
        assert!(outcome.is_err(), "{room}");
    }
}

/// What the first node of a cluster in trouble gets, and from whom.
fn real_packets() -> Vec<(usize, Vec<u8>)> {
    let mut world = World::joined(8, 3, Config::default());
    world.recorded = Some(Vec::new());
    world.loss = 20;
    world.split(&[4, 4]);
    world.run(seconds(10));
    world.heal();
    world.run(seconds(3));
    let all = world.recorded.take().unwrap();
    all.into_iter()
        .filter(|(_, to, _)| *to == 0)
        .map(|(from, _, bytes)| (from, bytes))
        .collect()
}

fn survives(host: &mut Membership, sender: usize, bytes: &[u8]) {
    let now = host.poll_timeout().unwrap();
    let _ = host.handle_packet(now, addr(sender), node_id(sender), bytes);
    host.handle_timeout(now);
    while let Some(output) = host.poll_output() {
        if let Output::Packet { bytes, .. } = output {
            assert!(bytes.len() <= PACKET_BYTES);
        }
    }
}

thread_local! {
    static REAL: RefCell<Vec<(usize, Vec<u8>)>> = RefCell::new(real_packets());
}

type Mutation = (Index, Index, u8, u8);

/// Which packet, where in it, with which byte, how.
fn mutation() -> impl Strategy<Value = Mutation> {
    (any::<Index>(), any::<Index>(), any::<u8>(), 0_u8..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_break_nothing(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1_200), 1..10),
    ) {
        let mut host = node(0);
        for bytes in packets {
            survives(&mut host, 1, &bytes);
        }
        prop_assert_eq!(host.members().count(), 0);
    }

    #[test]
    fn mutated_packets_break_nothing(
        picks in prop::collection::vec(mutation(), 1..40),
    ) {
        let mut host = node(0);
        REAL.with_borrow(|real| {
            for (pick, place, byte, kind) in picks {
                let (from, mut bytes) = real[pick.index(real.len())].clone();
                let place = place.index(bytes.len());
                match kind {
                    0 => bytes[place] = byte,
                    1 => bytes.truncate(place),
                    2 => bytes.insert(place, byte),
                    _ => {}
                }
                survives(&mut host, from, &bytes);
            }
        });
    }
}
