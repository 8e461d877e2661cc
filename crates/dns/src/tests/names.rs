//! Nodes, addresses, the zone itself, and what is not ours.

use hickory_proto::rr::{
    DNSClass,
    rdata::opt::{ClientSubnet, EdnsCode, EdnsOption},
};

use super::*;

#[test]
fn a_node_has_its_address_and_its_metadata() {
    let world = World::new();
    for name in [
        "n1.node.consul.",
        "N1.Node.DC1.consul.",
        "n1.node.dc1.dc.consul.",
    ] {
        let answer = world.ask(name, RecordType::A);
        assert_eq!(texts(&answer.answers), [format!("{name} 0 A 10.0.0.1")]);
    }
    let answer = world.ask("n1.node.consul.", RecordType::TXT);
    let said = ["consul-network-segment=", "rack=r1"];
    let said = said.map(|text| format!("n1.node.consul. 0 TXT {text}"));
    assert_eq!(texts(&answer.answers), said);
    let answer = world.ask("n1.node.consul.", RecordType::ANY);
    assert_eq!(answer.answers.len(), 3);
    assert_no_data(&world.ask("n1.node.consul.", RecordType::AAAA));
    assert_no_data(&world.ask("n1.node.consul.", RecordType::SRV));
    assert_nx_domain(&world.ask("n9.node.consul.", RecordType::A));
    assert_nx_domain(&world.ask("n1.node.dc7.consul.", RecordType::A));
}

#[test]
fn a_node_name_may_contain_dots_and_a_node_may_be_at_a_host_name() {
    let mut world = World::new();
    world.node(2, "db.rack1", "2001:db8::2");
    world.external("alias", "db.rack1.node.consul");
    let answer = world.ask("db.rack1.node.consul.", RecordType::AAAA);
    assert_eq!(answer.answers.len(), 1);
    let answer = world.ask("alias.node.consul.", RecordType::AAAA);
    assert_eq!(
        texts(&answer.answers),
        [
            "alias.node.consul. 0 CNAME db.rack1.node.consul.",
            "db.rack1.node.consul. 0 AAAA 2001:db8::2",
        ]
    );
}

#[test]
fn an_address_in_hexadecimal_is_answered_without_any_lookup() {
    let world = World::new();
    let name = "c000020a.addr.dc1.consul.";
    let answer = world.ask(name, RecordType::A);
    assert_eq!(texts(&answer.answers), [format!("{name} 0 A 192.0.2.10")]);
    let answer = world.ask(name, RecordType::AAAA);
    assert_no_data(&answer);
    assert_eq!(
        texts(&answer.additionals),
        [format!("{name} 0 A 192.0.2.10")]
    );
    assert_nx_domain(&world.ask("c000020.addr.consul.", RecordType::A));
}

#[test]
fn the_zone_has_a_soa_and_name_servers_with_their_addresses() {
    let mut world = World::new();
    world.node(2, "n2", "10.0.0.2");
    world.node(3, "n3", "10.0.0.3");
    world.liveness(3, Liveness::Hidden);
    world.external("legacy", "172.16.0.9");
    let answer = world.ask("consul.", RecordType::SOA);
    assert_eq!(texts(&answer.answers), [SOA]);
    let answer = world.ask("consul.", RecordType::NS);
    assert_eq!(
        texts(&answer.answers),
        [
            "consul. 0 NS n1.node.dc1.consul.",
            "consul. 0 NS n2.node.dc1.consul.",
        ]
    );
    assert_eq!(
        texts(&answer.additionals),
        [
            "n1.node.dc1.consul. 0 A 10.0.0.1",
            "n2.node.dc1.consul. 0 A 10.0.0.2",
        ]
    );
    let answer = world.ask("ns.consul.", RecordType::A);
    assert_eq!(texts(&answer.answers), ["ns.consul. 0 A 10.0.0.1"]);
    assert_no_data(&world.ask("consul.", RecordType::A));
}

#[test]
fn an_address_is_named_after_its_node_or_else_its_service() {
    let mut world = World::new();
    world.instance(ME, "web", |web| web.address = "2001:db8::7".into());
    let answer = world.ask("1.0.0.10.in-addr.arpa.", RecordType::PTR);
    assert_eq!(
        texts(&answer.answers),
        ["1.0.0.10.in-addr.arpa. 0 PTR n1.node.dc1.consul."]
    );
    let name = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    let answer = world.ask(name, RecordType::PTR);
    assert_eq!(
        texts(&answer.answers),
        [format!("{name} 0 PTR web.service.dc1.consul.")]
    );
    let answer = world.ask("9.9.9.9.in-addr.arpa.", RecordType::PTR);
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn names_of_others_are_refused() {
    let world = World::new();
    for name in [
        "example.com.",
        ".",
        "notconsul.",
        "arpa.",
        "0.10.in-addr.arpa.",
    ] {
        let answer = world.ask(name, RecordType::A);
        assert_eq!(
            answer.metadata.response_code,
            ResponseCode::Refused,
            "{name}"
        );
        assert!(!answer.metadata.authoritative);
        assert!(answer.authorities.is_empty());
    }
    let mut chaos = query("consul.", RecordType::TXT, None);
    chaos.queries[0].set_query_class(DNSClass::CH);
    let answer = ask(&world.dns(), &chaos, Transport::Udp);
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
}

#[test]
fn what_is_not_implemented_says_so() {
    let dns = World::new().dns();
    for kind in [RecordType::AXFR, RecordType::IXFR] {
        let answer = ask(&dns, &query("consul.", kind, None), Transport::Tcp);
        assert_eq!(answer.metadata.response_code, ResponseCode::NotImp);
    }
    let mut notify = query("consul.", RecordType::SOA, None);
    notify.metadata.op_code = OpCode::Notify;
    let bytes = dns
        .answer(&notify.to_vec().unwrap(), Transport::Udp)
        .unwrap();
    let answer = Message::from_vec(&bytes).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::NotImp);
    assert_eq!(answer.metadata.op_code, OpCode::Notify);
}

#[test]
fn an_answer_a_stump_or_two_questions_are_not_answered_as_queries() {
    let dns = World::new().dns();
    let asked = query("n1.node.consul.", RecordType::A, None);
    let mut bytes = asked.to_vec().unwrap();
    bytes[2] |= 0x80;
    assert_eq!(dns.answer(&bytes, Transport::Udp), None);
    assert_eq!(dns.answer(&bytes[..11], Transport::Udp), None);
    assert_eq!(dns.figures().dropped, 2);

    let mut two = asked.clone();
    two.add_query(asked.queries[0].clone());
    let answer = ask(&dns, &two, Transport::Udp);
    assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
    let cut = &asked.to_vec().unwrap()[..20];
    let answer = Message::from_vec(&dns.answer(cut, Transport::Udp).unwrap()).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
    assert_eq!(answer.metadata.id, asked.metadata.id);
}

#[test]
fn edns_is_answered_in_kind() {
    let dns = World::new().dns();
    let mut asked = query("n1.node.consul.", RecordType::A, Some(1_232));
    let edns = asked.edns.as_mut().unwrap();
    edns.set_dnssec_ok(true);
    let subnet = ClientSubnet::new("192.0.2.0".parse().unwrap(), 24, 0);
    edns.options_mut().insert(EdnsOption::Subnet(subnet));
    let answer = ask(&dns, &asked, Transport::Udp);
    let echo = answer.edns.unwrap();
    assert_eq!(echo.max_payload(), 1_232);
    assert!(echo.flags().dnssec_ok);
    assert_eq!(
        echo.option(EdnsCode::Subnet),
        Some(&EdnsOption::Subnet(subnet))
    );

    let mut future = query("n1.node.consul.", RecordType::A, Some(1_232));
    future.edns.as_mut().unwrap().set_version(1);
    let answer = ask(&dns, &future, Transport::Udp);
    // The codec reads 16 as BADSIG, which has the same number.
    let code = u16::from(answer.metadata.response_code);
    assert_eq!(code, u16::from(ResponseCode::BADVERS));
    assert_eq!(answer.edns.unwrap().version(), 0);
    assert!(answer.answers.is_empty());
}
