//! Knocking: who is there is told, and no session comes of it.

use super::{super::knock::Met, *};

#[tokio::test]
async fn a_member_a_stranger_and_nobody_are_told_apart() {
    let ours = Agent::new();
    let member = Agent::with(settings(&[7, 8]));
    let knock = ours.port.knock(member.addr()).await;
    assert_eq!(knock.met, Met::Member(ours.port.keys()[0]));
    assert_eq!(knock.node, Some(member.node));

    let itself = ours.port.knock(ours.addr()).await;
    assert!(matches!(itself.met, Met::Member(_)), "{itself:?}");
    assert_eq!(itself.node, Some(ours.node));

    let of_another_key = Agent::with(settings(&[9]));
    let knock = ours.port.knock(of_another_key.addr()).await;
    assert_eq!(knock.met, Met::OtherKey(None));

    let mut abroad = settings(&[7]);
    abroad.cluster = ClusterId::from_bytes([2; 16]);
    let abroad = Agent::with(abroad);
    let knock = ours.port.knock(abroad.addr()).await;
    assert_eq!(knock.met, Met::OtherCluster);
    assert_eq!(knock.node, Some(abroad.node));

    let deaf = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let knock = ours.port.knock(deaf.local_addr().unwrap()).await;
    assert!(matches!(knock.met, Met::Silent(_)), "{knock:?}");
    assert_eq!(ours.count(Counter::SessionsDialed), 0);
}

/// What a knock proves of the path: nothing of a handshake is smaller than our largest datagram.
#[tokio::test]
async fn a_knock_begins_with_a_datagram_of_the_greatest_size() {
    let ours = Agent::new();
    let deaf = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = deaf.local_addr().unwrap();
    let knocking = tokio::spawn(async move { ours.port.knock(to).await });
    let mut buffer = [0; 2_048];
    let bytes = timeout(DEADLINE, deaf.recv(&mut buffer)).await.unwrap();
    assert!(bytes.unwrap() >= tidings_types::limits::DATAGRAM_BYTES);
    knocking.abort();
}
