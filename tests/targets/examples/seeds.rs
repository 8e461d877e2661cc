//! Writes the first specimens of each corpus to `tests/fuzz/corpus`: sound inputs of every kind.

use std::{fs, path::Path};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query},
    rr::{Name, RecordType},
};
use tidings_agent::{disk, transport::NodeKey};
use tidings_registry::{Registry, Writer};
use tidings_types::{
    Body, Check, CheckId, CheckKind, CheckStatus, ClusterId, Delta, Epoch, ExternalNode, Instance,
    Key, Lineage, NodeId, NodeName, ServiceId, ServiceName, Snapshot, Text, TextMap, Transfer,
};
use tidings_wire::{
    Datagram, FeedPart, Head, MemberInfo, MemberState, Request, Response, Want, datagram,
};

fn main() {
    let feed = Feed::make();
    write("frames", &frames(&feed));
    write("sealed", &sealed(&feed));
    write(
        "store",
        &[disk::fuzzing::write_store(&[
            feed.snapshot(2),
            feed.snapshot(3),
        ])],
    );
    let key = NodeKey::generate().expect("the system gives randomness");
    let copy = disk::fuzzing::write_identity(key.pkcs8(), Epoch::from_bits(7), 9);
    write(
        "identity",
        &[
            copy,
            disk::fuzzing::write_identity(b"no key", Epoch::ZERO, 0),
        ],
    );
    write("dns", &packets());
    let queries = QUERIES
        .iter()
        .map(|(method, rest)| [&[*method], rest.as_bytes()].concat());
    write("queries", &queries.collect::<Vec<_>>());
    let bodies = BODIES
        .iter()
        .map(|(endpoint, body)| [&[*endpoint], body.as_bytes()].concat());
    write("bodies", &bodies.collect::<Vec<_>>());
    let files = FILES
        .iter()
        .map(|(format, text)| [&[*format], text.as_bytes()].concat());
    write("definitions", &files.collect::<Vec<_>>());
    let filters = FILTERS.iter().map(|text| text.as_bytes().to_vec());
    write("filter", &filters.collect::<Vec<_>>());
}

fn write(target: &str, specimens: &[Vec<u8>]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let dir = dir.join(target);
    fs::create_dir_all(&dir).expect("the corpus can be made");
    for (number, specimen) in specimens.iter().enumerate() {
        let path = dir.join(format!("seed-{number:02}"));
        fs::write(path, specimen).expect("it takes a specimen");
    }
}

/// Two owners' feeds with everything that a feed can have.
struct Feed {
    registry: Registry,
    deltas: Vec<Delta>,
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 16])
}

impl Feed {
    fn make() -> Self {
        let (mut first, mut second) = (registry(2), registry(3));
        let mut one = Writer::new(node(2), Epoch::from_bits(1 << 20));
        let mut two = Writer::new(node(3), Epoch::from_bits(2 << 20));
        let mut deltas = Vec::new();
        for n in 0..4 {
            let key = Key::Instance(node(2), service(n));
            one.register(&first, key, Body::Instance(instance(n)))
                .expect("room");
            let key = Key::Check(node(2), check_id(n));
            one.register(&first, key, Body::Check(check(n)))
                .expect("room");
        }
        deltas.push(commit(&mut one, &mut first));
        one.deregister(&first, &Key::Instance(node(2), service(3)))
            .expect("it is there");
        deltas.push(commit(&mut one, &mut first));
        one.abandon(Epoch::from_bits(9 << 20));
        let external = Body::ExternalNode(external());
        let key = Key::ExternalNode(NodeName::new("mainframe").expect("short"));
        one.write_shared(&first, 1_763_000_000_000, key, Some(external.into()))
            .expect("room");
        deltas.push(commit(&mut one, &mut first));
        let transfer = Transfer::Snapshot(first.snapshot(node(2)).expect("it is whole"));
        second.apply(transfer).expect("it is sound");
        two.overrule(&second, &Key::Instance(node(2), service(0)))
            .expect("it is there");
        let key = Key::ExternalNode(NodeName::new("mainframe").expect("short"));
        two.write_shared(&second, 1_763_000_000_001, key, None)
            .expect("room");
        deltas.push(commit(&mut two, &mut second));
        Self {
            registry: second,
            deltas,
        }
    }

    fn snapshot(&self, n: u8) -> Snapshot {
        self.registry.snapshot(node(n)).expect("it is whole")
    }
}

fn registry(n: u8) -> Registry {
    Registry::new(node(n), ClusterId::from_bytes([0; 16]))
}

fn commit(writer: &mut Writer, registry: &mut Registry) -> Delta {
    let batch = writer.take_batch(registry).expect("something is staged");
    writer.commit(registry, batch.clone());
    batch
}

fn service(n: u16) -> ServiceId {
    ServiceId::new(format!("web-{n}")).expect("short")
}

fn check_id(n: u16) -> CheckId {
    CheckId::new(format!("c-{n}")).expect("short")
}

fn instance(n: u16) -> Instance {
    Instance {
        tags: ["v1"].into(),
        address: "10.0.0.7".into(),
        meta: [("k", "v")].into_iter().collect(),
        checks: vec![check_id(n)].into(),
        ..Instance::new(ServiceName::new("web").expect("short"), 8_000 + n)
    }
}

fn check(n: u16) -> Check {
    Check {
        service: Some(service(n)),
        output_bytes_max: 4_096,
        status: CheckStatus::Passing,
        ..Check::new("ttl".to_owned(), CheckKind::Ttl { ttl_ms: 10_000 })
    }
}

fn external() -> ExternalNode {
    ExternalNode {
        id: Text::new(),
        address: "192.0.2.7".into(),
        tagged_addresses: TextMap::new(),
        meta: TextMap::new(),
    }
}

fn payload(body: datagram::Body) -> Vec<u8> {
    let fingerprint = 1 << 90;
    let datagram = Datagram {
        fingerprint,
        wall_ms: 1_700_000_000_000,
        body,
    };
    datagram.encode().expect("it fits")
}

fn datagrams(feed: &Feed) -> Vec<Vec<u8>> {
    let rumors = feed
        .deltas
        .iter()
        .map(|delta| datagram::Body::Rumors(vec![delta.clone()]));
    let have = datagram::Body::Have {
        owner: node(2),
        lineage: feed.registry.lineage(node(2)),
    };
    let membership = datagram::Body::Membership(vec![0; 40]);
    let bodies = rumors.chain([have, membership]);
    bodies.map(payload).collect()
}

fn requests() -> Vec<Vec<u8>> {
    let want = Want {
        owner: node(2),
        held: Lineage::of(Epoch::from_bits(1 << 20), 3),
        sum: 5,
    };
    let owners = vec![node(1), node(2)];
    let asked = [
        Request::Members,
        Request::Heads,
        Request::Pull(vec![want]),
        Request::Positions(owners),
    ];
    asked
        .iter()
        .map(|request| request.encode().expect("it fits"))
        .collect()
}

fn responses(feed: &Feed) -> Vec<Vec<u8>> {
    let member = MemberInfo {
        node: node(2),
        addr: ([127, 0, 0, 2], 8301).into(),
        generation: 1 << 20,
        incarnation: 1,
        state: MemberState::Alive,
    };
    let heads = feed.registry.items().map(|(owner, item)| Head {
        owner,
        item,
        signature: Vec::new(),
    });
    let mut answers = vec![
        Response::Members(vec![member]),
        Response::Heads(heads.collect()),
        Response::Positions(vec![(node(2), feed.registry.lineage(node(2)))]),
    ];
    let delta = Transfer::Delta(feed.deltas[0].clone());
    for transfer in [
        Transfer::Snapshot(feed.snapshot(2)),
        Transfer::Snapshot(feed.snapshot(3)),
        delta,
    ] {
        let parts = FeedPart::split(transfer).map(|part| part.expect("it can be encoded"));
        answers.extend(parts.map(|part| Response::Feed(Box::new(part))));
    }
    answers
        .iter()
        .map(|answer| answer.encode().expect("it fits"))
        .collect()
}

fn frames(feed: &Feed) -> Vec<Vec<u8>> {
    [datagrams(feed), requests(), responses(feed)].concat()
}

fn sealed(feed: &Feed) -> Vec<Vec<u8>> {
    let tagged = |tag: u8, frames: Vec<Vec<u8>>| {
        frames
            .into_iter()
            .map(move |frame| [&[tag], frame.as_slice()].concat())
    };
    let mut all: Vec<Vec<u8>> = tagged(2, datagrams(feed)).collect();
    all.extend(tagged(3, requests()));
    all.extend(tagged(4, responses(feed)));
    all.push(vec![0; 100]);
    all.push(vec![1, 0, 70, 4, 0, 3, 1]);
    all
}

fn packets() -> Vec<Vec<u8>> {
    let names = [
        ("web.service.consul.", RecordType::SRV, Some(4_096)),
        ("v1.web.service.consul.", RecordType::A, None),
        ("n2.node.dc1.consul.", RecordType::ANY, Some(512)),
        ("7.0.0.10.in-addr.arpa.", RecordType::PTR, None),
        ("_web._tcp.service.consul.", RecordType::SRV, None),
        ("consul.", RecordType::SOA, None),
        ("example.com.", RecordType::TXT, Some(1_232)),
    ];
    let packet = |(name, kind, edns): (&str, RecordType, Option<u16>)| {
        let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
        let name = Name::from_ascii(name).expect("a name");
        message.queries = vec![Query::query(name, kind)];
        message.edns = edns.map(|bytes| {
            let mut edns = Edns::new();
            edns.set_max_payload(bytes);
            edns
        });
        message.to_vec().expect("it can be encoded")
    };
    names.into_iter().map(packet).collect()
}

/// As [`tidings_fuzz_targets::queries`] reads them: the method, then the lines.
const QUERIES: &[(u8, &str)] = &[
    (
        0,
        "/v1/health/service/web?passing&tag=v1&index=5&wait=1ms&near=_agent&node-meta=a:b",
    ),
    (
        0,
        "/v1/health/service/web?filter=Service.Tags%20contains%20%22v1%22&stale&cached\ngzip;q=0.5, *\nmax-age=5,stale-if-error=10s",
    ),
    (0, "/v1/health/state/any?pretty&consistent\ngzip"),
    (0, "/v1/health/node/n1?dc=dc1&ns=default&max_stale=1m30s"),
    (0, "/v1/health/checks/web?filter=Status==passing"),
    (
        0,
        "/v1/catalog/nodes?near=n1&node-meta=a:b&index=1&wait=10s",
    ),
    (0, "/v1/catalog/node/mainframe?pretty"),
    (
        0,
        "/v1/catalog/node-services/mainframe?index=9007199254740991&wait=5m",
    ),
    (
        0,
        "/v1/catalog/service/cics?tag=v1&tag=v2&merge-central-config",
    ),
    (
        0,
        "/v1/catalog/services?node-meta=a:b&filter=ServiceName!=web",
    ),
    (0, "/v1/catalog/datacenters"),
    (0, "/v1/agent/services?filter=Service%20matches%20%60w.b%60"),
    (0, "/v1/agent/service/web-1?hash=1a2b&wait=1ms"),
    (0, "/v1/agent/health/service/id/web-1?format=text"),
    (0, "/v1/agent/health/service/name/%77eb?format=json"),
    (0, "/v1/agent/members?wan&segment=_all"),
    (0, "/v1/agent/metrics?format=prometheus"),
    (0, "/v1/agent/monitor?loglevel=debug&logjson"),
    (0, "/v1/agent/self"),
    (0, "/v1/event/list?name=deploy&index=7"),
    (0, "/v1/coordinate/node/n1?segment="),
    (0, "/v1/status/leader?pretty&dc=dc1&stale"),
    (0, "/v1/tidings/status"),
    (0, "/v1/tidings/watch?service=web&service=db&passing=true"),
    (0, "/v1/kv/lock?raw&recurse&keys"),
    (0, "//v1/./catalog/../status//leader?a=b"),
    (0, "/ui/?x=%zz&=&&;a"),
    (1, "/v1/agent/check/pass/c-1?note=fine+and%20well"),
    (1, "/v1/agent/check/update/c-1"),
    (1, "/v1/agent/service/deregister/web-1"),
    (
        1,
        "/v1/agent/service/maintenance/web-1?enable=true&reason=rest",
    ),
    (1, "/v1/agent/maintenance?enable=1&reason=disk"),
    (1, "/v1/agent/join/127.0.0.1:8301?wan=0"),
    (1, "/v1/agent/force-leave/n2?prune"),
    (1, "/v1/event/fire/deploy?node=n.&service=w&tag=v"),
    (1, "/v1/tidings/keyring/use/0a1b?everywhere"),
    (1, "/v1/kv/lock?acquire=me&cas=0&flags=1"),
    (3, "/v1/kv/lock?recurse"),
    (4, "/v1/agent/service/register"),
];

/// As [`tidings_fuzz_targets::bodies`] reads them: the endpoint, then the body.
const BODIES: &[(u8, &str)] = &[
    (
        0,
        r#"{"Name":"web","ID":"web-1","Port":80,"Tags":["a"],"Meta":{"k":"v"},"Check":{"HTTP":"http://127.0.0.1/","Interval":"10s","Timeout":"1s"}}"#,
    ),
    (
        0,
        r#"{"name":"db","address":"10.0.0.1","tagged_addresses":{"lan":{"address":"10.0.0.2","port":1}},"weights":{"passing":2,"warning":1},"checks":[{"ttl":"15s"},{"tcp":"127.0.0.1:1","interval":"5s"}],"EnableTagOverride":true}"#,
    ),
    (
        1,
        r#"{"Name":"web","ID":"web-1","Checks":[{"GRPC":"127.0.0.1:1/web","GRPCUseTLS":true,"Interval":"5s","SuccessBeforePassing":3},{"AliasService":"db"},{"UDP":"127.0.0.1:9","Interval":"1m","DeregisterCriticalServiceAfter":"90m"}]}"#,
    ),
    (
        0,
        r#"{"Name":"p","Proxy":null,"Connect":{},"SocketPath":"/run/p","Kind":"","Locality":null,"Token":"t","Checks":[{"CheckID":"h","HTTP":"https://[::1]/","Method":"POST","Header":{"x":["y"]},"Body":"b","TLSSkipVerify":true,"Interval":10000000000,"OutputMaxSize":4096,"FailuresBeforeCritical":2}]}"#,
    ),
    (
        2,
        r#"{"Name":"mem","TTL":"30s","Status":"passing","DeregisterCriticalServiceAfter":"90m"}"#,
    ),
    (
        2,
        r#"{"ID":"c-2","Name":"of web","ServiceID":"web-1","TCP":"127.0.0.1:1","Interval":"5s","Notes":"n"}"#,
    ),
    (
        2,
        r#"{"Name":"sh","Args":["/bin/true"],"Interval":"10s","Timeout":"1s"}"#,
    ),
    (3, r#"{"Status":"warning","Output":"half full"}"#),
    (
        4,
        r#"{"Node":"mainframe","Address":"192.0.2.7","NodeMeta":{"a":"b"},"Service":{"ID":"cics","Service":"cics","Port":1},"Checks":[{"Node":"mainframe","CheckID":"c","Name":"c","Status":"passing","ServiceID":"cics","Definition":{"TCP":"192.0.2.7:1","Interval":"5s"}}]}"#,
    ),
    (
        4,
        r#"{"ID":"40e4a748-2192-161a-0510-9bf59fe950b5","Node":"db","Address":"192.0.2.8","TaggedAddresses":{"lan":"192.0.2.8"},"SkipNodeUpdate":true,"Check":{"CheckID":"up","Name":"up","Status":"critical","Output":"o","Type":"tcp"}}"#,
    ),
    (
        5,
        r#"{"Node":"mainframe","ServiceID":"cics","CheckID":"c"}"#,
    ),
    (5, r#"{"Datacenter":"dc1","Node":"mainframe"}"#),
    (
        6,
        r#"{"Services":[{"Name":"a","Port":1},{"Name":"b","ID":"b-1","Check":{"TTL":"1m"}},{"Name":"web","ID":"web-1"}]}"#,
    ),
    (7, "a payload of bytes"),
];

/// As [`tidings_fuzz_targets::definitions`] reads them: the format, then the file.
const FILES: &[(u8, &str)] = &[
    (
        0,
        r#"{"service":{"name":"web","id":"web-1","port":80,"tags":["a"],"meta":{"k_1":"v"},"check":{"id":"c","http":"http://127.0.0.1/","interval":"10s"}}}"#,
    ),
    (
        0,
        r#"{"services":[{"Name":"a","Port":1},{"name":"b","tagged_addresses":{"lan_ipv4":{"address":"10.0.0.1","port":2}}}],"checks":[{"name":"mem","args":["/bin/true"],"interval":"10s"}]}"#,
    ),
    (
        1,
        "service {\n  name = \"db\"\n  port = 5432\n  tags = [\"a\", \"b\"]\n  meta { k = \"v\" }\n  check {\n    ttl = \"10s\"\n  }\n  check {\n    tcp = \"127.0.0.1:1\"\n    interval = \"5s\"\n  }\n}\n",
    ),
    (
        1,
        "# a\nservices = [{ name = \"x\", weights = { passing = 1 + 1, warning = 1 } }]\n/* b */ check {\n  name = \"m\"\n  notes = <<EOF\nlong ${1}\nEOF\n  ttl = \"1m\"\n}\n",
    ),
    (
        2,
        "[[services]]\nname = \"web\"\nport = 0x50\nenable_tag_override = true\n[services.meta]\nk = 'v'\n[[services.checks]]\nttl = \"10s\"\n[[checks]]\nname = \"mem\"\nudp = \"127.0.0.1:9\"\ninterval = \"\"\"5s\"\"\"\n",
    ),
    (
        2,
        "service = { name = \"d\", weights.passing = 2 }\ncheck.name = \"e\"\ncheck.ttl = \"1h\"\n",
    ),
];

const FILTERS: &[&str] = &[
    "Name == web and (Port != \"0x50\" or not Native == true)",
    "\"v1\" in Tags or v2 not in Tags and Tags is not empty",
    "Meta[\"env\"] == `qa` and x not in Meta.none",
    "Name matches `^w.b$` and Name not matches \"\\u00e9\"",
    "Checks.Name contains web and Checks is not empty",
    "not not (Port == -1 or Port == 15)",
];
