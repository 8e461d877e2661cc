//! Answers that are too large.

use super::*;

/// `n` instances, each with an address of its own.
fn many(n: u16) -> World {
    let mut world = World::new();
    world.instances((0..n).map(|at| {
        let address = format!("10.1.{}.{}", at / 256, at % 256);
        (format!("web-{at}"), address)
    }));
    world
}

fn asked(
    world: &World,
    kind: RecordType,
    edns: Option<u16>,
    transport: Transport,
) -> (Message, usize) {
    let dns = world.dns();
    let query = query("web.service.consul.", kind, edns);
    let bytes = dns.answer(&query.to_vec().unwrap(), transport).unwrap();
    let answer = Message::from_vec(&bytes).unwrap();
    if transport == Transport::Udp {
        assert_eq!(answer.metadata.truncation, dns.figures().truncated == 1);
    }
    (answer, bytes.len())
}

/// Each SRV record has the address of its target, and no other address is there.
fn assert_in_step(answer: &Message) {
    let targets: Vec<&Name> = answer
        .answers
        .iter()
        .map(|record| match &record.data {
            RData::SRV(srv) => &srv.target,
            other => panic!("SRV expected, got {other}"),
        })
        .collect();
    let owners: Vec<&Name> = answer
        .additionals
        .iter()
        .map(|record| &record.name)
        .collect();
    assert_eq!(targets, owners);
}

#[test]
fn without_edns_as_many_records_as_fit_into_512_bytes_are_sent_and_the_rest_is_announced() {
    let world = many(100);
    let (answer, bytes) = asked(&world, RecordType::A, None, Transport::Udp);
    assert!(bytes <= 512 && bytes + 16 > 512, "{bytes}");
    assert!(answer.metadata.truncation);
    assert_eq!(answer.answers.len(), 29);
    let (answer, bytes) = asked(&world, RecordType::SRV, None, Transport::Udp);
    assert!(bytes <= 512 && answer.answers.len() >= 5, "{bytes}");
    assert!(answer.metadata.truncation);
    assert_in_step(&answer);
}

#[test]
fn with_edns_the_offer_counts_up_to_the_limit_of_the_settings() {
    let world = many(1_000);
    for (offer, limit) in [(100, 512), (1_232, 1_232), (8_192, 8_192), (65_535, 8_192)] {
        let (answer, bytes) = asked(&world, RecordType::SRV, Some(offer), Transport::Udp);
        assert!(bytes <= limit && bytes + 100 > limit, "{bytes} of {limit}");
        assert!(answer.metadata.truncation);
        assert!(answer.edns.is_some());
        assert_in_step(&answer);
    }
}

#[test]
fn what_fits_is_not_truncated() {
    let world = many(20);
    let (answer, _) = asked(&world, RecordType::A, None, Transport::Udp);
    assert!(!answer.metadata.truncation);
    assert_eq!(answer.answers.len(), 20);
}

#[test]
fn over_tcp_everything_comes_until_the_message_is_full() {
    let world = many(1_000);
    let (answer, _) = asked(&world, RecordType::A, None, Transport::Tcp);
    assert_eq!(answer.answers.len(), 1_000);
    let (answer, bytes) = asked(&world, RecordType::SRV, None, Transport::Tcp);
    assert!(!answer.metadata.truncation);
    assert!(bytes > 60_000 || answer.answers.len() == 1_000, "{bytes}");
    assert_in_step(&answer);
    let (answer, bytes) = asked(&many(5_000), RecordType::A, None, Transport::Tcp);
    assert!(answer.answers.len() > 4_000 && bytes > 65_000, "{bytes}");
    assert!(!answer.metadata.truncation);
}

#[test]
fn one_record_without_its_address_is_better_than_none() {
    let mut world = World::new();
    let long = [
        "x".repeat(63),
        "y".repeat(63),
        "z".repeat(63),
        "node.consul".to_owned(),
    ];
    world.external(&long[..3].join("."), "10.0.0.9");
    world.instance(ME, "web", |web| web.address = long.join(".").into());
    let label = "t".repeat(63);
    world.instance(ME, "web-2", |web| {
        web.address = long.join(".").into();
        web.tags = vec![[label.as_str(); 3].join(".")].into();
    });
    let name = format!("{}.web.service.consul.", [label.as_str(); 3].join("."));
    let query = query(&name, RecordType::SRV, None);
    let answer = ask(&world.dns(), &query, Transport::Udp);
    assert_eq!(answer.answers.len(), 1);
    assert!(answer.additionals.is_empty());
    assert!(!answer.metadata.truncation, "no answer was left out");
}

#[test]
fn the_flag_can_be_left_out_for_clients_that_cannot_ask_again() {
    let dns = many(100).dns_with(|settings| settings.flag_truncation = false);
    let query = query("web.service.consul.", RecordType::A, None);
    let answer = ask(&dns, &query, Transport::Udp);
    assert!(!answer.metadata.truncation);
    assert_eq!(answer.answers.len(), 29);
    assert_eq!(dns.figures().truncated, 1);
}
