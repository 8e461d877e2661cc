//! Datagrams between two ports.

use std::net::UdpSocket;

use super::{super::seal::Sealer, *};

fn raw() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

fn sealer(cluster: ClusterId, key: u8) -> Sealer {
    let keys = KeyRing::new(&[[key; 32]]).unwrap();
    Sealer::new(cluster, NodeId::from_bytes([3; 16]), keys, EPOCH).unwrap()
}

#[tokio::test]
async fn a_datagram_reaches_its_receiver_and_one_for_anybody_reaches_all() {
    let (one, mut two) = (Agent::new(), Agent::new());
    let to = two.addr();
    one.port.send_datagram(to, Some(two.node), b"you").unwrap();
    assert_eq!(two.datagram().await, (one.node, b"you".to_vec()));
    one.port.send_datagram(to, None, &[5; 1_104]).unwrap();
    assert_eq!(two.datagram().await, (one.node, vec![5; 1_104]));
    assert_eq!(one.count(Counter::DatagramsSent), 2);
    assert_eq!(two.count(Counter::DatagramsReceived), 2);
}

#[tokio::test]
async fn a_repeated_datagram_is_taken_once() {
    let mut agent = Agent::new();
    let (socket, sealer) = (raw(), sealer(CLUSTER, 7));
    let datagram = sealer.seal(Some(agent.node), b"once");
    for _ in 0..3 {
        socket.send_to(&datagram, agent.addr()).unwrap();
    }
    agent.counted(Counter::Replay, 2).await;
    assert_eq!(agent.datagram().await.1, b"once");
    assert!(agent.events.try_recv().is_err());
}

#[tokio::test]
async fn what_is_not_for_us_is_counted_by_its_reason() {
    let mut agent = Agent::new();
    let (socket, good) = (raw(), sealer(CLUSTER, 7));
    let send = |bytes: &[u8]| socket.send_to(bytes, agent.addr()).unwrap();
    send(&sealer(ClusterId::from_bytes([2; 16]), 7).seal(None, b"x"));
    send(&sealer(CLUSTER, 8).seal(None, b"x"));
    send(&good.seal(Some(NodeId::from_bytes([4; 16])), b"x"));
    send(&[0x10; 40]);
    send(&[0x1f; 100]);
    send(&[0x10; 100]);
    send(&[]);
    let mut flipped = good.seal(None, b"x");
    flipped[70] ^= 1;
    send(&flipped);
    send(&good.seal(None, b"good"));
    assert_eq!(agent.datagram().await.1, b"good");
    for (counter, times) in [
        (Counter::ForeignCluster, 1),
        (Counter::UnknownKey, 1),
        (Counter::Unverified, 1),
        (Counter::OtherReceiver, 1),
        (Counter::WrongLength, 2), // One too short, one without a byte.
        (Counter::UnknownKind, 1),
        (Counter::UnknownVersion, 1),
    ] {
        assert_eq!(agent.count(counter), times, "{counter:?}");
    }
}

#[tokio::test]
async fn an_own_datagram_is_known() {
    let agent = Agent::new();
    agent.port.send_datagram(agent.addr(), None, b"x").unwrap();
    agent.counted(Counter::OwnPacket, 1).await;
}

#[tokio::test]
async fn the_sender_sees_the_systems_error() {
    let agent = Agent::new();
    let long = agent.port.send_datagram(agent.addr(), None, &[0; 1_105]);
    assert!(matches!(long, Err(SendError::TooLong(1_105))));
    // Broadcasting was not allowed on this socket.
    let everybody = SocketAddr::from(([255, 255, 255, 255], 9));
    let SendError::System(error) = agent.port.send_datagram(everybody, None, b"x").unwrap_err()
    else {
        panic!("not the system's error");
    };
    assert!(error.raw_os_error().is_some(), "{error}");
    assert_eq!(agent.count(Counter::SendFailed), 1);
}

#[tokio::test]
async fn a_full_queue_drops_and_the_rest_goes_on() {
    let mut settings = settings(&[7]);
    settings.event_queue = 2;
    let (one, mut two) = (Agent::new(), Agent::with(settings));
    for _ in 0..5 {
        one.port.send_datagram(two.addr(), None, b"x").unwrap();
    }
    two.counted(Counter::QueueFull, 3).await;
    two.datagram().await;
    two.datagram().await;
    one.port.send_datagram(two.addr(), None, b"later").unwrap();
    assert_eq!(two.datagram().await.1, b"later");
}

#[tokio::test]
async fn two_keys_accept_old_and_new() {
    let (mut both, mut old) = (Agent::with(settings(&[8, 7])), Agent::with(settings(&[7])));
    let mut new = Agent::with(settings(&[8]));
    for from in [&old, &new] {
        from.port.send_datagram(both.addr(), None, b"x").unwrap();
        assert_eq!(both.datagram().await.0, from.node);
    }
    for to in [&mut new, &mut old] {
        both.port.send_datagram(to.addr(), None, b"x").unwrap();
    }
    assert_eq!(new.datagram().await.0, both.node);
    old.counted(Counter::UnknownKey, 1).await;
}

#[tokio::test]
async fn an_ipv6_socket_shows_ipv4_peers_as_ipv4() {
    let mut dual = settings(&[7]);
    dual.bind = "[::]:0".parse().unwrap();
    if UdpSocket::bind(dual.bind).is_err() {
        return; // This machine has no IPv6.
    }
    let (mut dual, mut plain) = (Agent::with(dual), Agent::new());
    let at = SocketAddr::from(([127, 0, 0, 1], dual.addr().port()));
    plain.port.send_datagram(at, None, b"hello").unwrap();
    let Event::Datagram { from, .. } = dual.event().await else {
        panic!("not a datagram");
    };
    assert_eq!(from, plain.addr());
    dual.port.send_datagram(from, None, b"back").unwrap();
    assert_eq!(plain.datagram().await.1, b"back");
    let (node, addr) = (plain.node, plain.addr());
    let _plain = plain.echo();
    assert_eq!(ask(&dual.port, node, addr, b"q").await.unwrap(), [b"q"]);
}

#[tokio::test]
async fn an_old_run_is_refused_once_the_new_one_was_heard() {
    let mut agent = Agent::new();
    let (socket, sealer) = (raw(), sealer(CLUSTER, 7));
    let old = sealer.seal(None, b"old");
    sealer.set_epoch(Epoch::from_bits(101)).unwrap();
    socket
        .send_to(&sealer.seal(None, b"new"), agent.addr())
        .unwrap();
    socket.send_to(&old, agent.addr()).unwrap();
    agent.counted(Counter::OldEpoch, 1).await;
    assert_eq!(agent.datagram().await.1, b"new");
}
