//! Dialogues: a view, a query, an answer.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hickory_proto::{
    op::{Edns, Message, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};
use tidings_types::{
    Body, Check, CheckId, CheckKind, CheckStatus, ExternalNode, Instance, Key, Liveness,
    MemberStatus, Node, NodeId, NodeName, Roster, RosterEntry, ServiceId, ServiceName, Text,
    TextMap, Timestamp, Update,
};
use tidings_view::{View, ViewSettings, ViewWriter, channel};

use crate::{Dns, DnsSettings, Transport};

mod garbage;
mod names;
mod services;
mod size;
mod sockets;

pub(crate) const ME: u8 = 1;

/// A view to write to, and the answers from it.
pub(crate) struct World {
    writer: ViewWriter,
    view: View,
    roster: Roster,
}

pub(crate) fn node_id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 16])
}

impl World {
    /// One live node `n1` at 10.0.0.1, which is this agent's.
    pub(crate) fn new() -> Self {
        let name = NodeName::new("n1").unwrap();
        let (writer, view) = channel(ViewSettings::new(node_id(ME), name, "dc1", 1));
        let mut world = Self {
            writer,
            view,
            roster: Roster::clone(&Roster::empty()),
        };
        world.node(ME, "n1", "10.0.0.1");
        world
    }

    fn put(&mut self, key: Key, body: Body) {
        self.writer.apply(
            Timestamp::ZERO,
            Update::Record {
                key,
                body: Some(body.into()),
                dot: None,
                conflict: None,
            },
        );
    }

    /// A live node with an agent.
    pub(crate) fn node(&mut self, n: u8, name: &str, address: &str) {
        let record = Node {
            name: NodeName::new(name).unwrap(),
            gossip: ([127, 0, 0, n], 8301).into(),
            address: address.into(),
            datacenter: "dc1".into(),
            meta: [("rack", format!("r{n}"))].into_iter().collect(),
            build: Text::new(),
            departure: None,
        };
        self.put(Key::Node(node_id(n)), Body::Node(record));
        self.liveness(n, Liveness::Live);
    }

    /// A node without an agent.
    pub(crate) fn external(&mut self, name: &str, address: &str) {
        let record = ExternalNode {
            id: Text::new(),
            address: address.into(),
            tagged_addresses: TextMap::new(),
            meta: TextMap::new(),
        };
        let name = NodeName::new(name).unwrap();
        self.put(Key::ExternalNode(name), Body::ExternalNode(record));
    }

    pub(crate) fn liveness(&mut self, n: u8, liveness: Liveness) {
        let status = match liveness {
            Liveness::Live => MemberStatus::Alive,
            _ => MemberStatus::Down,
        };
        let entry = RosterEntry {
            addr: ([127, 0, 0, n], 8301).into(),
            status,
            liveness,
            since: Timestamp::ZERO,
            heard: Timestamp::ZERO,
            ahead_ms: None,
        };
        self.roster.members.insert(node_id(n), entry);
        self.roster.island = self
            .roster
            .members
            .values()
            .any(|member| member.liveness == Liveness::Stale);
        let roster = Arc::new(self.roster.clone());
        let now = Timestamp::ZERO + Duration::from_secs(60);
        self.writer.apply(now, Update::Roster(roster));
    }

    /// An instance of a node with an agent, with one check called like it.
    pub(crate) fn instance(&mut self, n: u8, id: &str, change: impl FnOnce(&mut Instance)) {
        self.check(n, id, Some(id), CheckStatus::Passing);
        let body = Body::Instance(instance(id, change));
        self.put(Key::Instance(node_id(n), ServiceId::new(id).unwrap()), body);
    }

    /// Instances of this agent's node without checks, by id and address, all at once.
    pub(crate) fn instances(&mut self, all: impl Iterator<Item = (String, String)>) {
        let updates = all.map(|(id, address)| {
            let body = instance(&id, |instance| {
                instance.address = address.into();
                instance.checks = Box::default();
            });
            Update::Record {
                key: Key::Instance(node_id(ME), ServiceId::new(id).unwrap()),
                body: Some(Body::Instance(body).into()),
                dot: None,
                conflict: None,
            }
        });
        self.writer.apply_all(Timestamp::ZERO, updates);
    }

    pub(crate) fn external_instance(
        &mut self,
        node: &str,
        id: &str,
        change: impl FnOnce(&mut Instance),
    ) {
        let mut instance = instance(id, change);
        instance.checks = Box::default();
        let (node, id) = (NodeName::new(node).unwrap(), ServiceId::new(id).unwrap());
        self.put(Key::ExternalInstance(node, id), Body::Instance(instance));
    }

    pub(crate) fn check(&mut self, n: u8, id: &str, service: Option<&str>, status: CheckStatus) {
        let check = Check {
            service: service.map(|id| ServiceId::new(id).unwrap()),
            status,
            ..Check::new(id.to_owned(), CheckKind::Ttl { ttl_ms: 10_000 })
        };
        let key = Key::Check(node_id(n), CheckId::new(id).unwrap());
        self.put(key, Body::Check(check));
    }

    pub(crate) fn dns(&self) -> Dns {
        self.dns_with(|_| {})
    }

    pub(crate) fn dns_with(&self, change: impl FnOnce(&mut DnsSettings)) -> Dns {
        let mut settings = DnsSettings::default();
        change(&mut settings);
        Dns::new(self.view.clone(), settings)
    }

    /// The answer over UDP to a client with EDNS.
    pub(crate) fn ask(&self, name: &str, kind: RecordType) -> Message {
        ask(&self.dns(), &query(name, kind, Some(8_192)), Transport::Udp)
    }
}

/// The instance `id` of the service that is `id` without its last part after a dash; port 8080.
fn instance(id: &str, change: impl FnOnce(&mut Instance)) -> Instance {
    let service = id.rsplit_once('-').map_or(id, |(service, _)| service);
    let mut instance = Instance {
        checks: vec![CheckId::new(id).unwrap()].into(),
        ..Instance::new(ServiceName::new(service).unwrap(), 8_080)
    };
    change(&mut instance);
    instance
}

pub(crate) fn query(name: &str, kind: RecordType, edns: Option<u16>) -> Message {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Query;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    if let Some(bytes) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(bytes);
        message.set_edns(edns);
    }
    message
}

/// Asks and checks what every answer has in common.
pub(crate) fn ask(dns: &Dns, query: &Message, transport: Transport) -> Message {
    let bytes = dns.answer(&query.to_vec().unwrap(), transport).unwrap();
    let answer = Message::from_vec(&bytes).unwrap();
    assert_eq!(answer.metadata.id, query.metadata.id);
    assert!(answer.metadata.recursion_desired);
    assert!(!answer.metadata.recursion_available);
    if answer.metadata.response_code != ResponseCode::FormErr {
        let (asked, echoed) = (&query.queries[0], &answer.queries[0]);
        assert!(echoed.name().eq_case(asked.name()), "{echoed} for {asked}");
        assert_eq!(answer.edns.is_some(), query.edns.is_some());
    }
    answer
}

/// Records as text, sorted: `name TTL type data`.
pub(crate) fn texts(records: &[Record]) -> Vec<String> {
    let mut texts: Vec<String> = records.iter().map(text).collect();
    texts.sort_unstable();
    texts
}

fn text(record: &Record) -> String {
    let data = match &record.data {
        RData::SOA(soa) => format!(
            "{} {} <serial> {} {} {} {}",
            soa.mname, soa.rname, soa.refresh, soa.retry, soa.expire, soa.minimum
        ),
        data => data.to_string(),
    };
    format!(
        "{} {} {} {data}",
        record.name.to_ascii(),
        record.ttl,
        record.record_type()
    )
}

pub(crate) fn addresses(message: &Message) -> Vec<IpAddr> {
    let data = message.answers.iter().map(|record| &record.data);
    data.filter_map(RData::ip_addr).collect()
}

pub(crate) const SOA: &str =
    "consul. 0 SOA ns.consul. hostmaster.consul. <serial> 3600 600 86400 0";

/// Checks that there is no such name, and that resolvers are told for how long.
pub(crate) fn assert_nx_domain(answer: &Message) {
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert!(answer.metadata.authoritative);
    assert!(answer.answers.is_empty());
    assert_eq!(texts(&answer.authorities), [SOA]);
}

/// Checks that the name exists without records of the type.
pub(crate) fn assert_no_data(answer: &Message) {
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.metadata.authoritative);
    assert!(answer.answers.is_empty(), "{:?}", texts(&answer.answers));
    assert_eq!(texts(&answer.authorities), [SOA]);
}
