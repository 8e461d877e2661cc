//! Whatever the network holds.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

static DNS: LazyLock<Dns> = LazyLock::new(|| {
    let mut world = World::new();
    world.instances((0..40).map(|at| (format!("web-{at}"), format!("10.1.0.{at}"))));
    world.dns()
});

/// What must hold for an answer to any packet.
fn check(packet: &[u8]) {
    for transport in [Transport::Udp, Transport::Tcp] {
        let Some(answer) = DNS.answer(packet, transport) else {
            assert!(packet.len() < 12 || packet[2] & 0x80 != 0);
            continue;
        };
        assert_eq!(answer[..2], packet[..2], "the id is repeated");
        let message = Message::from_vec(&answer).expect("an answer can be read");
        assert_ne!(message.metadata.response_code, ResponseCode::ServFail);
        if transport == Transport::Udp {
            assert!(answer.len() <= 8_192);
        }
        if !message.metadata.authoritative {
            // The OPT record that answers one may carry a subnet.
            assert!(
                answer.len() <= packet.len() + 11,
                "{} for {}",
                answer.len(),
                packet.len()
            );
        }
    }
}

fn some_query() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::select(vec![
        "web.service.consul.",
        "_web._tcp.service.consul.",
        "n1.node.dc1.consul.",
        "0a000001.addr.consul.",
        "consul.",
        "1.0.0.10.in-addr.arpa.",
        "example.com.",
    ]);
    let kinds = any::<u16>().prop_map(RecordType::from);
    let kinds = prop_oneof![
        Just(RecordType::A),
        Just(RecordType::SRV),
        Just(RecordType::ANY),
        kinds
    ];
    (names, kinds, any::<Option<u16>>())
        .prop_map(|(name, kind, edns)| query(name, kind, edns).to_vec().unwrap())
}

proptest! {
    #[test]
    fn random_bytes_neither_panic_nor_amplify(packet in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&packet);
    }

    #[test]
    fn mutated_queries_neither_panic_nor_amplify(
        packet in some_query(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        extra in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut packet = packet;
        for (at, byte) in changes {
            let at = at.index(packet.len());
            packet[at] = byte;
        }
        check(&packet);
        check(&packet[..cut.index(packet.len())]);
        packet.extend(extra);
        check(&packet);
    }

    #[test]
    fn every_label_is_understood_or_refused(labels in prop::collection::vec("[ -~]{1,20}", 0..6)) {
        let mut name = Name::root();
        name = Name::from_ascii("consul.").unwrap().append_name(&name).unwrap();
        for label in labels.iter().rev() {
            name = name.prepend_label(label.as_bytes()).unwrap();
        }
        let mut message = query("consul.", RecordType::SRV, None);
        message.queries = vec![Query::query(name, RecordType::SRV)];
        check(&message.to_vec().unwrap());
    }
}
