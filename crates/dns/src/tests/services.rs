//! What clients of services see.

use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

use super::*;

/// web: two on n1 (one with an address of its own), one on n2 at a host name.
fn web() -> World {
    let mut world = World::new();
    world.node(2, "n2", "10.0.0.2");
    world.instance(ME, "web-1", |web| {
        web.tags = ["Blue", "v1.2"].into();
        web.weights.passing = 7;
        web.weights.warning = 3;
    });
    world.instance(ME, "web-2", |web| web.address = "192.0.2.10".into());
    world.instance(2, "web-3", |web| web.address = "web.example".into());
    world
}

#[test]
fn addresses_are_the_instances_own_or_their_nodes() {
    let answer = web().ask("web.service.consul.", RecordType::A);
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.metadata.authoritative && !answer.metadata.truncation);
    assert_eq!(
        texts(&answer.answers),
        [
            "web.service.consul. 0 A 10.0.0.1",
            "web.service.consul. 0 A 192.0.2.10"
        ]
    );
    assert!(answer.authorities.is_empty() && answer.additionals.is_empty());
    assert_eq!(answer.edns.unwrap().max_payload(), 8_192);
}

#[test]
fn srv_names_nodes_addresses_and_hosts_and_brings_what_it_knows() {
    for name in [
        "web.service.consul.",
        "_web._tcp.service.dc1.consul.",
        "_WEB._tcp.consul.",
    ] {
        let answer = web().ask(name, RecordType::SRV);
        assert_eq!(
            texts(&answer.answers),
            [
                format!("{name} 0 SRV 1 1 8080 c000020a.addr.dc1.consul."),
                format!("{name} 0 SRV 1 1 8080 web.example."),
                format!("{name} 0 SRV 1 7 8080 n1.node.dc1.consul."),
            ]
        );
        assert_eq!(
            texts(&answer.additionals),
            [
                "c000020a.addr.dc1.consul. 0 A 192.0.2.10",
                "n1.node.dc1.consul. 0 A 10.0.0.1",
            ]
        );
    }
}

#[test]
fn names_in_answers_stand_in_the_zone_that_was_asked() {
    let answer = web().ask("WEB.service.Tidings.", RecordType::SRV);
    assert!(
        texts(&answer.answers)
            .contains(&"WEB.service.Tidings. 0 SRV 1 7 8080 n1.node.dc1.tidings.".to_owned())
    );
}

#[test]
fn a_tag_selects_whatever_its_case_and_its_dots() {
    let world = web();
    for name in [
        "blue.web.service.consul.",
        "v1.2.web.service.consul.",
        "_web._BLUE.service.consul.",
    ] {
        let answer = world.ask(name, RecordType::A);
        assert_eq!(addresses(&answer), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    }
    assert_nx_domain(&world.ask("green.web.service.consul.", RecordType::A));
}

#[test]
fn a_critical_check_of_the_instance_or_its_node_hides_it_and_a_warning_weighs() {
    let mut world = web();
    world.check(ME, "web-2", Some("web-2"), CheckStatus::Critical);
    world.check(ME, "web-1", Some("web-1"), CheckStatus::Warning);
    let answer = world.ask("web.service.consul.", RecordType::SRV);
    assert_eq!(
        texts(&answer.answers),
        [
            "web.service.consul. 0 SRV 1 1 8080 web.example.",
            "web.service.consul. 0 SRV 1 3 8080 n1.node.dc1.consul.",
        ]
    );
    let passing = world.dns_with(|settings| settings.only_passing = true);
    let asked = query("web.service.consul.", RecordType::SRV, Some(8_192));
    let answer = ask(&passing, &asked, Transport::Udp);
    assert_eq!(answer.answers.len(), 1);

    world.check(ME, "disk", None, CheckStatus::Critical);
    let answer = world.ask("web.service.consul.", RecordType::SRV);
    assert_eq!(answer.answers.len(), 1);
    world.check(2, "web-3", Some("web-3"), CheckStatus::Critical);
    assert_nx_domain(&world.ask("web.service.consul.", RecordType::SRV));
}

#[test]
fn what_is_unknown_does_not_exist_and_what_has_another_type_has_no_data() {
    let world = web();
    assert_nx_domain(&world.ask("nosuch.service.consul.", RecordType::A));
    assert_nx_domain(&world.ask("web.service.dc2.consul.", RecordType::A));
    assert_nx_domain(&world.ask("web.connect.consul.", RecordType::A));
    assert_nx_domain(&world.ask("web.consul.", RecordType::A));
    assert_no_data(&world.ask("web.service.consul.", RecordType::MX));
    assert_no_data(&world.ask("web.service.consul.", RecordType::TXT));
    assert_no_data(&world.ask("service.consul.", RecordType::A));
}

#[test]
fn a_v4_only_service_has_no_data_for_aaaa_and_no_negative_cache() {
    let mut world = World::new();
    world.instance(ME, "db", |_| {});
    assert_no_data(&world.ask("db.service.consul.", RecordType::AAAA));
    world.instance(ME, "db", |db| db.address = "2001:db8::1".into());
    assert_no_data(&world.ask("db.service.consul.", RecordType::A));
    let answer = world.ask("db.service.consul.", RecordType::AAAA);
    assert_eq!(
        texts(&answer.answers),
        ["db.service.consul. 0 AAAA 2001:db8::1"]
    );
    let answer = world.ask("db.service.consul.", RecordType::SRV);
    assert_eq!(
        texts(&answer.additionals),
        ["20010db8000000000000000000000001.addr.dc1.consul. 0 AAAA 2001:db8::1"]
    );
}

#[test]
fn a_host_name_is_answered_by_one_alias_and_only_without_addresses() {
    let mut world = World::new();
    world.node(2, "n2", "10.0.0.2");
    world.instance(ME, "web-1", |web| web.address = "a.example".into());
    world.instance(ME, "web-2", |web| web.address = "b.example".into());
    for kind in [RecordType::A, RecordType::AAAA, RecordType::CNAME] {
        let answer = world.ask("web.service.consul.", kind);
        assert_eq!(answer.answers.len(), 1);
        assert_eq!(answer.answers[0].record_type(), RecordType::CNAME);
    }
    world.instance(2, "web-3", |_| {});
    let answer = world.ask("web.service.consul.", RecordType::A);
    assert_eq!(texts(&answer.answers), ["web.service.consul. 0 A 10.0.0.2"]);
}

#[test]
fn an_alias_into_our_zone_is_followed_and_a_circle_ends() {
    let mut world = World::new();
    world.instance(ME, "db", |_| {});
    world.instance(ME, "old", |old| {
        old.address = "db.service.consul".into();
    });
    world.instance(ME, "round", |it| {
        it.address = "round.service.consul".into();
    });
    let answer = world.ask("old.service.consul.", RecordType::A);
    assert_eq!(
        texts(&answer.answers),
        [
            "db.service.consul. 0 A 10.0.0.1",
            "old.service.consul. 0 CNAME db.service.consul.",
        ]
    );
    let answer = world.ask("old.service.consul.", RecordType::SRV);
    assert_eq!(
        texts(&answer.additionals),
        ["db.service.consul. 0 A 10.0.0.1"]
    );
    let answer = world.ask("round.service.consul.", RecordType::A);
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.answers.len() <= 4, "{:?}", texts(&answer.answers));
}

#[test]
fn equal_addresses_are_answered_once_and_equal_targets_with_other_ports_are_not() {
    let mut world = World::new();
    world.instance(ME, "web-1", |_| {});
    world.instance(ME, "web-2", |web| web.port = 8_081);
    world.instance(ME, "web-3", |web| web.port = 8_081);
    let answer = world.ask("web.service.consul.", RecordType::A);
    assert_eq!(answer.answers.len(), 1);
    let answer = world.ask("web.service.consul.", RecordType::SRV);
    assert_eq!(
        texts(&answer.answers),
        [
            "web.service.consul. 0 SRV 1 1 8080 n1.node.dc1.consul.",
            "web.service.consul. 0 SRV 1 1 8081 n1.node.dc1.consul.",
        ]
    );
    assert_eq!(answer.additionals.len(), 1);
}

#[test]
fn stale_instances_come_after_the_live_ones_and_hidden_ones_not_at_all() {
    let mut world = World::new();
    for n in 2..=9 {
        world.node(n, &format!("n{n}"), &format!("10.0.0.{n}"));
        world.instance(n, &format!("web-{n}"), |_| {});
        let liveness = match n {
            2..=4 => Liveness::Live,
            5..=7 => Liveness::Stale,
            _ => Liveness::Hidden,
        };
        world.liveness(n, liveness);
    }
    let mut firsts = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let answer = world.ask("web.service.consul.", RecordType::A);
        let last_bytes: Vec<u8> = addresses(&answer)
            .into_iter()
            .map(|address| match address {
                IpAddr::V4(v4) => v4.octets()[3],
                IpAddr::V6(_) => 0,
            })
            .collect();
        assert_eq!(last_bytes.len(), 6);
        assert!(last_bytes[..3].iter().all(|n| (2..=4).contains(n)));
        assert!(last_bytes[3..].iter().all(|n| (5..=7).contains(n)));
        assert!(answer.answers.iter().all(|record| record.ttl == 0));
        firsts.insert(last_bytes[0]);
    }
    assert_eq!(firsts.len(), 3, "each live instance comes first sometimes");
}

#[test]
fn external_instances_are_answered_and_a_strange_node_name_falls_back_to_the_address() {
    let mut world = World::new();
    world.external("legacy", "172.16.0.9");
    world.external_instance("legacy", "mail", |mail| mail.port = 25);
    world.external("no..label", "172.16.0.10");
    world.external_instance("no..label", "mail-2", |mail| mail.port = 26);
    let answer = world.ask("mail.service.consul.", RecordType::SRV);
    assert_eq!(
        texts(&answer.answers),
        [
            "mail.service.consul. 0 SRV 1 1 25 legacy.node.dc1.consul.",
            "mail.service.consul. 0 SRV 1 1 26 ac10000a.addr.dc1.consul.",
        ]
    );
    assert_eq!(answer.additionals.len(), 2);
}

#[test]
fn times_to_live_are_those_of_the_settings() {
    let mut world = World::new();
    world.instance(ME, "web", |_| {});
    let dns = world.dns_with(|settings| {
        settings.service_ttl_s = 5;
        settings.node_ttl_s = 7;
        settings.soa.negative_ttl_s = 9;
    });
    let answer = |name, kind| ask(&dns, &query(name, kind, None), Transport::Udp);
    assert_eq!(
        answer("web.service.consul.", RecordType::A).answers[0].ttl,
        5
    );
    assert_eq!(answer("n1.node.consul.", RecordType::A).answers[0].ttl, 7);
    let negative = answer("x.service.consul.", RecordType::A);
    assert_eq!(negative.authorities[0].ttl, 9);
}

#[test]
fn a_stale_answer_says_how_old_it_is_and_is_not_kept() {
    let mut world = World::new();
    for n in 2..=3 {
        world.node(n, &format!("n{n}"), &format!("10.0.0.{n}"));
        world.instance(n, &format!("web-{n}"), |_| {});
    }
    let dns = world.dns_with(|settings| settings.service_ttl_s = 30);
    let asked = |edns| {
        let asked = query("web.service.consul.", RecordType::SRV, edns);
        ask(&dns, &asked, Transport::Udp)
    };
    let remark = |answer: &Message| {
        let option = answer.edns.as_ref()?.option(EdnsCode::Unknown(15)).cloned();
        match option? {
            EdnsOption::Unknown(_, bytes) => Some(bytes),
            other => panic!("not {other:?}"),
        }
    };
    let live = asked(Some(1_232));
    assert_eq!((remark(&live), live.answers[0].ttl), (None, 30));
    world.liveness(3, Liveness::Stale);
    let stale = asked(Some(1_232));
    let text = b"1 of 2 instances are stale, oldest word 60 s ago";
    assert_eq!(remark(&stale), Some([&[0, 3][..], text].concat()));
    assert_eq!(stale.answers.len(), 2);
    let of_services = stale.answers.iter().chain(&stale.additionals);
    assert!(
        of_services.clone().all(|record| record.ttl == 0),
        "{stale:?}"
    );
    // Without EDNS there is no place for it.
    let plain = asked(None);
    assert!(
        plain.edns.is_none() && plain.answers.len() == 2,
        "{plain:?}"
    );
}

#[test]
fn a_record_comes_before_the_remark_that_it_is_stale() {
    let mut world = World::new();
    world.node(2, "n2", "10.0.0.2");
    // As long as a name may be, thrice: no room is left for a remark in 512 bytes.
    let label = "a".repeat(60);
    let host = format!("{label}.{label}.{label}.{}", "b".repeat(40));
    world.instance(2, "web-2", |instance| instance.address = host.into());
    world.liveness(2, Liveness::Stale);
    let dns = world.dns();
    for bytes in 512..700 {
        let asked = query("web.service.consul.", RecordType::SRV, Some(bytes));
        let answer = ask(&dns, &asked, Transport::Udp);
        assert_eq!(answer.answers.len(), 1, "{bytes}: {answer:?}");
    }
}

#[test]
fn a_standby_is_answered_by_address_only_if_nothing_else_is_live() {
    let mut world = World::new();
    for n in 2..=3 {
        world.node(n, &format!("n{n}"), &format!("10.0.0.{n}"));
        world.instance(n, &format!("web-{n}"), |web| web.weights.warning = 0);
    }
    let asked = |world: &World| {
        let weights = world.ask("web.service.consul.", RecordType::SRV).answers;
        let weights = weights.iter().map(|record| match &record.data {
            RData::SRV(srv) => srv.weight,
            other => panic!("not {other:?}"),
        });
        let mut weights: Vec<_> = weights.collect();
        weights.sort_unstable();
        let mut addresses = addresses(&world.ask("web.service.consul.", RecordType::A));
        addresses.sort_unstable();
        let last_bytes = addresses.iter().map(|address| match address {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(_) => 0,
        });
        (weights, last_bytes.collect::<Vec<_>>())
    };
    assert_eq!(asked(&world), (vec![1, 1], vec![2, 3]));
    world.check(3, "web-3", Some("web-3"), CheckStatus::Warning);
    assert_eq!(asked(&world), (vec![0, 1], vec![2]));
    // Nobody knows whether the active one is still there.
    world.liveness(2, Liveness::Stale);
    assert_eq!(asked(&world), (vec![0, 1], vec![2, 3]));
    world.liveness(2, Liveness::Hidden);
    assert_eq!(asked(&world), (vec![0], vec![3]));
    world.liveness(2, Liveness::Live);
    world.check(2, "web-2", Some("web-2"), CheckStatus::Warning);
    assert_eq!(asked(&world), (vec![0, 0], vec![2, 3]));
}
