//! Each checker can fail. Those that have tests beside them are not here: `steps` (A1), `laws` (A2),
//! `monotonic` (A3, A5), `fits` (A10), `bounds` (A11), `accusations` (B2), `lock_step` and `traffic`
//! (B3), and the budgets, which `figures` judges.

use std::{sync::Arc, time::Duration};

use tidings_node::{Boot, CommandId, Config, Node};
use tidings_types::{
    Body, CheckStatus, ClusterId, Content, Dot, Epoch, FeedState, Key, Lineage, Liveness,
    MemberStatus, Outcome, Roster, RosterEntry, ServiceId, Snapshot, Transfer, Update,
};

use super::*;
use crate::{
    history::Asked,
    host::identity,
    workload::{Call, check, check_id, gossip_addr, node_name},
};

const DONE: Outcome = Outcome::of(true);
const NOW: Timestamp = Timestamp::from_micros(60_000_000);

/// A host whose process runs.
fn host(index: usize) -> Host {
    let mut host = Host::new(1, index, Cluster::First);
    let boot = Boot {
        node: host.me(),
        cluster: ClusterId::from_bytes([1; 16]),
        epoch: Epoch::from_bits(1 << 40),
        addr: gossip_addr(index),
        seed: 1,
        wall_ms: 1,
        own: None,
        own_damaged: false,
        replicas: Vec::new(),
        members: Vec::new(),
    };
    let config = Config::new(node_name(index), String::new());
    host.node = Some(Node::new(config, boot, Timestamp::ZERO));
    host
}

fn of(index: usize) -> NodeId {
    identity(1, index, 0)
}

fn service() -> ServiceId {
    ServiceId::new("a").unwrap()
}

fn key(index: usize) -> Key {
    Key::Check(of(index), check_id(&service()))
}

fn body() -> Content {
    Body::Check(check(&service(), CheckStatus::Passing)).into()
}

/// A record of that host, shown.
fn record(index: usize) -> Update {
    let dot = Dot {
        epoch: Epoch::from_bits(1 << 40),
        seq: 1,
        node: of(index),
    };
    Update::Record {
        key: key(index),
        body: Some(body()),
        dot: Some(dot),
        conflict: None,
    }
}

/// A roster with one member.
fn roster(index: usize, status: MemberStatus) -> Roster {
    let mut roster = Roster::clone(&Roster::empty());
    let entry = RosterEntry {
        addr: gossip_addr(index),
        status,
        liveness: Liveness::Live,
        since: NOW,
        heard: NOW,
        ahead_ms: None,
    };
    roster.members.insert(of(index), entry);
    roster
}

fn call(host: usize) -> Asked {
    Asked {
        call: Call::Check(service(), CheckStatus::Passing),
        host,
        at: Timestamp::ZERO,
        acked: None,
        refused: false,
        doubtful: false,
        keys: vec![key(host)],
        before: vec![None],
    }
}

fn id_of(judged: Result<(), Violation>) -> Option<&'static str> {
    judged.err().map(|violation| violation.invariant)
}

#[test]
fn a2_and_e1_notice_two_hosts_that_show_different_things() {
    let mut hosts = [host(0), host(1)];
    let checks = Checks::default();
    let judge = |hosts: &[Host]| id_of(checks.equal_fingerprints_mean_equal_content(NOW, hosts));
    assert_eq!((agree(&[0, 1], &hosts), judge(&hosts)), (true, None));
    hosts[1].reads.apply(record(0));
    assert_eq!((agree(&[0, 1], &hosts), judge(&hosts)), (false, Some("A2")));
    assert!(disagreement(&[0, 1], &hosts).contains("n0 and n1"));
}

#[test]
fn a2_notices_an_alarm_among_honest_hosts() {
    let (hosts, mut checks) = ([host(0), host(1)], Checks::default());
    let judged = checks.alarm(NOW, 0, (of(1), of(1)), &hosts);
    assert_eq!(id_of(judged), Some("A2"));
    checks.liars.insert(1);
    assert_eq!(id_of(checks.alarm(NOW, 0, (of(1), of(1)), &hosts)), None);
}

#[test]
fn a4_notices_an_acknowledged_write_that_a_read_does_not_show() {
    let (mut state, mut checks) = (host(0), Checks::default());
    let reply = |checks: &mut Checks, state: &Host| {
        let number = checks.history.asked(call(0));
        let open = Some((vec![number], NOW));
        id_of(checks.reply(NOW, 0, state, open, &Ok(DONE)))
    };
    assert_eq!(reply(&mut checks, &state), Some("A4"));
    state.reads.apply(record(0));
    assert_eq!(reply(&mut checks, &state), None);
}

#[test]
fn a6_notices_what_nobody_wrote() {
    let (mut checks, mut floors) = (Checks::default(), Floors::default());
    let judged = checks.publish(NOW, (0, of(0)), &mut floors, &record(1));
    assert_eq!(id_of(judged), Some("A6"));
    // Among liars it has five seconds.
    checks.liars.insert(1);
    let judged = checks.publish(NOW, (0, of(0)), &mut floors, &record(1));
    assert_eq!(id_of(judged), None);
    assert_eq!(id_of(checks.lies_are_put_right(NOW)), None);
    let later = NOW + Duration::from_secs(6);
    assert_eq!(id_of(checks.lies_are_put_right(later)), Some("A6"));
}

#[test]
fn a7_notices_who_writes_in_the_name_of_another() {
    let state = FeedState {
        owner: of(1),
        lineage: Lineage::empty(),
        watermark: Lineage::empty(),
        needs: BTreeMap::new(),
        sum: 0,
    };
    let changes = Vec::new();
    let transfer = Transfer::Snapshot(Snapshot { state, changes });
    let mut checks = Checks::default();
    let judge = |checks: &mut Checks, me| id_of(checks.persist(NOW, 0, me, &transfer));
    assert_eq!(judge(&mut checks, of(0)), Some("A7"));
    assert_eq!(judge(&mut checks, of(1)), None);
}

#[test]
fn a8_notices_an_owner_that_takes_itself_for_dead() {
    let (state, checks) = (host(0), Checks::default());
    let judge = |status| {
        let update = Update::Roster(Arc::new(roster(0, status)));
        id_of(checks.keeps_its_own(NOW, 0, &state, &update))
    };
    assert_eq!(judge(MemberStatus::Alive), None);
    assert_eq!(judge(MemberStatus::Suspect), Some("A8"));
}

#[test]
fn a8_notices_a_record_that_is_gone_though_its_client_keeps_it() {
    let (state, mut checks) = (host(0), Checks::default());
    let gone = Update::Record {
        key: key(0),
        body: None,
        dot: None,
        conflict: None,
    };
    assert_eq!(id_of(checks.keeps_its_own(NOW, 0, &state, &gone)), None);
    checks.history.asked(Asked {
        acked: Some(NOW),
        ..call(0)
    });
    let judged = checks.keeps_its_own(NOW, 0, &state, &gone);
    assert_eq!(id_of(judged), Some("A8"));
}

#[test]
fn a9_notices_a_call_without_an_answer_and_an_answer_without_a_call() {
    let (mut state, mut checks) = (host(0), Checks::default());
    let judged = checks.reply(NOW, 0, &state, None, &Ok(DONE));
    assert_eq!(id_of(judged), Some("A9"));
    state.open.insert(CommandId(0), (Vec::new(), NOW));
    let hosts = [state];
    let judge = |now| id_of(checks.every_call_is_answered(now, &hosts, Duration::ZERO));
    assert_eq!(judge(NOW), None);
    assert_eq!(judge(NOW + Duration::from_secs(2)), Some("A9"));
}

#[test]
fn e2_notices_what_should_not_be_there() {
    let (mut hosts, mut checks) = ([host(0)], Checks::default());
    checks.history.asked(Asked {
        refused: true,
        ..call(0)
    });
    assert_eq!(checks.nothing_is_lost(&[0], &hosts), Ok(()));
    hosts[0].reads.apply(record(0));
    let (at, text) = checks.nothing_is_lost(&[0], &hosts).unwrap_err();
    assert!(at == 0 && text.contains("should be [Nothing]"), "{text}");
}

#[test]
fn e3_notices_who_is_missing() {
    let mut hosts = [host(0), host(1)];
    let mut both = roster(0, MemberStatus::Alive);
    both.members.extend(roster(1, MemberStatus::Alive).members);
    both.reachable = 2;
    hosts[0].reads.apply(Update::Roster(Arc::new(both)));
    assert_eq!(sees_its_cluster(&[0], false, &hosts), Ok(()));
    let (at, text) = sees_its_cluster(&[0, 1], false, &hosts).unwrap_err();
    assert!(at == 1 && text.contains("n0, n1"), "{text}");
}

#[test]
fn e4_notices_an_answer_with_an_instance_of_the_dead() {
    let text = "name = \"e\"\nabout = \"e\"\nnodes = 2\nphases = { chaos = \"1s\", quiet = \"1s\" }\n\
        [[workload]]\nkind = \"register\"\nat = \"0s\"\nvia = 1\nid = \"a\"\nservice = \"web\"\nport = 80\n[expect]\n";
    let scenario = crate::scenario::Scenario::parse(text, &[]).unwrap();
    let op = crate::workload::expand(&scenario).unwrap().remove(0);
    let Update::Record { dot, .. } = record(1) else {
        panic!("a record is one");
    };
    let mut hosts = [host(0), host(1)];
    hosts[0].reads.apply(Update::Record {
        key: Key::Instance(of(1), service()),
        body: Some(Body::Instance(op.calls[0].instance().unwrap().clone()).into()),
        dot,
        conflict: None,
    });
    let alive = Update::Roster(Arc::new(roster(1, MemberStatus::Alive)));
    hosts[0].reads.apply(alive);
    assert_eq!(answers_without_the_dead(&[0], &hosts), Ok(()));
    hosts[1].node = None;
    let (at, text) = answers_without_the_dead(&[0], &hosts).unwrap_err();
    assert!(at == 0 && text.contains("n1 is dead"), "{text}");
}

#[test]
fn e5_notices_a_suspicion_that_does_not_end() {
    let mut hosts = [host(0), host(1)];
    assert_eq!(suspicion(&[0], &hosts), None);
    assert_eq!(talk(&[0, 1], &hosts), 0);
    let suspect = roster(1, MemberStatus::Suspect);
    hosts[0].reads.apply(Update::Roster(Arc::new(suspect)));
    let (at, text) = suspicion(&[0], &hosts).unwrap();
    assert_eq!((at, text.as_str()), (0, "it suspects n1"));
}

#[test]
fn e6_notices_a_deletion_that_was_never_told() {
    let (mut state, checks) = (host(0), Checks::default());
    assert_eq!(id_of(checks.followers_see_it_all(NOW, 0, &state)), None);
    state.reads.apply(record(1));
    let judged = checks.followers_see_it_all(NOW, 0, &state);
    assert_eq!(id_of(judged), Some("E6"));
}

#[test]
fn e7_notices_a_member_of_another_cluster() {
    let mut checks = Checks::default();
    checks.joined(of(0), Cluster::First);
    checks.joined(of(1), Cluster::First);
    let seen = roster(1, MemberStatus::Alive);
    let judge = |checks: &Checks| id_of(checks.roster(NOW, (0, of(0)), &seen));
    assert_eq!(judge(&checks), None);
    checks.joined(of(1), Cluster::Second);
    assert_eq!(judge(&checks), Some("E7"));
}
