//! DNS packets.

use std::sync::LazyLock;

use hickory_proto::op::{Message, ResponseCode};
use tidings_dns::{Dns, DnsSettings, Transport};
use tidings_types::{
    Body, ExternalNode, Instance, Key, NodeId, NodeName, ServiceId, ServiceName, Text, TextMap,
    Timestamp, Update,
};
use tidings_view::{View, ViewSettings, channel};

/// `data` is a packet, over UDP and over TCP.
///
/// # Panics
/// If its answer cannot be read, is too large, or says that the server failed.
pub fn dns(data: &[u8]) {
    static DNS: LazyLock<Dns> = LazyLock::new(|| Dns::new(view(), DnsSettings::default()));
    for transport in [Transport::Udp, Transport::Tcp] {
        check(&DNS, data, transport);
    }
}

fn check(dns: &Dns, packet: &[u8], transport: Transport) {
    let Some(answer) = dns.answer(packet, transport) else {
        let is_answer = packet.get(2).is_some_and(|flags| flags & 0x80 != 0);
        assert!(packet.len() < 12 || is_answer, "a query is answered");
        return;
    };
    assert_eq!(answer[..2], packet[..2], "the id is repeated");
    let message = Message::from_vec(&answer).expect("an answer can be read");
    assert_ne!(
        message.metadata.response_code,
        ResponseCode::ServFail,
        "nothing here may fail"
    );
    let limit = match transport {
        Transport::Udp => 8_192,
        Transport::Tcp => 65_535,
    };
    assert!(answer.len() <= limit, "{} bytes", answer.len());
    if !message.metadata.authoritative {
        // The OPT record that answers one has 11 bytes.
        assert!(answer.len() <= packet.len() + 11, "it amplifies");
    }
}

/// Forty instances of a service on a node without an agent.
fn view() -> View {
    let name = |text: &str| NodeName::new(text).expect("a short name");
    let settings = ViewSettings::new(NodeId::from_bytes([1; 16]), name("n1"), "dc1", 1);
    let (mut writer, view) = channel(settings);
    let record = ExternalNode {
        id: Text::new(),
        address: "10.0.0.1".into(),
        tagged_addresses: TextMap::new(),
        meta: [("rack", "r1")].into_iter().collect(),
    };
    let mut records = vec![(Key::ExternalNode(name("n2")), Body::ExternalNode(record))];
    for at in 0..40 {
        let id = ServiceId::new(format!("web-{at}")).expect("a short id");
        let instance = Body::Instance(instance(at));
        records.push((Key::ExternalInstance(name("n2"), id), instance));
    }
    let updates = records.into_iter().map(|(key, body)| Update::Record {
        key,
        body: Some(body.into()),
        dot: None,
        conflict: None,
    });
    writer.apply_all(Timestamp::ZERO, updates.collect::<Vec<_>>());
    view
}

fn instance(at: u16) -> Instance {
    Instance {
        tags: vec!["v1".to_owned(), format!("t{}", at % 3)].into(),
        address: format!("10.1.0.{at}").into(),
        ..Instance::new(ServiceName::new("web").expect("a short name"), 8_000 + at)
    }
}
