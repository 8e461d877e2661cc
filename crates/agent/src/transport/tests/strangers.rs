//! Peers that mean no good, or speak no sense.

use std::{net::UdpSocket, thread};

use quinn::{Connection, ReadError, VarInt};

use super::{
    super::{
        handshake::{Credentials, Reason},
        quic::Quic,
    },
    *,
};

/// A QUIC connection to `agent` that has proved nothing but its own key.
async fn connect(from: &Agent, agent: &Agent) -> (Connection, NodeKey) {
    let key = NodeKey::generate().unwrap();
    let config = Quic::new(&key, 1 << 20)
        .unwrap()
        .client(Some(agent.node))
        .unwrap();
    let dialing = from
        .port
        .endpoint()
        .connect_with(config, agent.addr(), "x.invalid");
    (dialing.unwrap().await.unwrap(), key)
}

#[tokio::test]
async fn a_stranger_that_says_nothing_is_closed() {
    let (from, agent) = (Agent::new(), Agent::new());
    let (connection, _) = connect(&from, &agent).await;
    timeout(DEADLINE, connection.closed())
        .await
        .expect("closed in time");
    agent.counted(Counter::HandshakeFailed, 1).await;
}

#[tokio::test]
async fn a_stranger_that_talks_nonsense_is_closed_and_asked_nothing() {
    let (from, mut agent) = (Agent::new(), Agent::new());
    for nonsense in [&[0_u8; 3][..], &[0; 61], &[9; 61], &[0; 4_000]] {
        let (connection, _) = connect(&from, &agent).await;
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(nonsense).await.unwrap();
        send.finish().unwrap();
        timeout(DEADLINE, connection.closed())
            .await
            .expect("closed in time");
    }
    assert_eq!(agent.count(Counter::HandshakeFailed), 4);
    assert!(agent.events.try_recv().is_err());
}

#[tokio::test]
async fn a_proof_of_another_connection_is_worthless() {
    let (from, agent) = (Agent::new(), Agent::new());
    let (connection, key) = connect(&from, &agent).await;
    // A member's honest hello, made for a connection to `from` itself.
    let (other, _) = connect(&agent, &from).await;
    let keys = KeyRing::new(&[[7; 32]]).unwrap();
    let credentials = Credentials::new(CLUSTER, key.node_id(), keys, EPOCH);
    let stolen = credentials.hello_for_tests(&other, agent.node);
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&stolen).await.unwrap();
    send.finish().unwrap();
    let closed = timeout(DEADLINE, connection.closed())
        .await
        .expect("closed");
    let quinn::ConnectionError::ApplicationClosed(close) = closed else {
        panic!("{closed:?}");
    };
    assert_eq!(Reason::of(close.error_code), Some(Reason::WrongKey));
}

#[tokio::test]
async fn a_member_that_announces_too_long_a_frame_gets_no_memory_for_it() {
    let (from, mut agent) = (Agent::new(), Agent::new());
    let (connection, key) = connect(&from, &agent).await;
    let keys = KeyRing::new(&[[7; 32]]).unwrap();
    let credentials = Credentials::new(CLUSTER, key.node_id(), keys, EPOCH);
    credentials
        .introduce(&connection, agent.node)
        .await
        .unwrap();
    // A topic that nobody has; and the node's, with a length over the limit or a frame cut short.
    for start in [
        &[9][..],
        &[0, 255, 255, 255, 255],
        &[0, 0, 0],
        &[0, 0, 0, 0, 9, 1],
        &[0],
        &[],
    ] {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(start).await.unwrap();
        send.finish().unwrap();
        let read = timeout(DEADLINE, receive.read(&mut [0; 1])).await.unwrap();
        assert_eq!(
            read,
            Err(ReadError::Reset(VarInt::from_u32(1))),
            "{start:?}"
        );
    }
    assert!(agent.events.try_recv().is_err());
}

#[tokio::test]
async fn a_crowd_of_strangers_does_not_keep_members_out() {
    let (from, agent) = (Agent::new(), Agent::new());
    let (node, addr) = (agent.node, agent.addr());
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(connect(&from, &agent).await);
    }
    let agent = agent.echo();
    let member = Agent::new();
    assert_eq!(ask(&member.port, node, addr, b"x").await.unwrap(), [b"x"]);
    assert!(agent.counters().of(Counter::SessionsRetried) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_garbage_stops_neither_datagrams_nor_sessions() {
    let (one, mut two) = (Agent::new(), Agent::new());
    let (node, addr) = (two.node, two.addr());
    let flood = thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // All first bytes, so QUIC's long and short headers too, and all kinds of lengths.
        for n in 0..30_000_usize {
            let mut garbage = vec![u8::try_from(n % 251).unwrap(); n % 1_500];
            if let Some(first) = garbage.first_mut() {
                *first = u8::try_from(n % 256).unwrap();
            }
            let _ = socket.send_to(&garbage, addr);
        }
    });
    let mut rounds = 0;
    while !flood.is_finished() || rounds == 0 {
        let asked = one.port.request(node, addr, b"x".to_vec());
        let (asked, ()) = tokio::join!(timeout(DEADLINE, asked), async {
            let (_, _, responder) = two.request().await;
            responder.finish();
        });
        asked.unwrap().unwrap();
        rounds += 1;
    }
    flood.join().unwrap();
    one.port.send_datagram(addr, Some(node), b"alive").unwrap();
    assert_eq!(two.datagram().await.1, b"alive");
    assert!(two.count(Counter::UnknownKind) > 0);
}
