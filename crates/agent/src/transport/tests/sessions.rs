//! Requests and answers between two ports.

use tidings_types::limits::FRAME_BYTES;
use tokio::sync::oneshot;

use super::*;

#[tokio::test]
async fn an_answer_of_several_frames_arrives_whole() {
    let (one, mut two) = (Agent::new(), Agent::new());
    let (node, addr) = (two.node, two.addr());
    let asker = one.node;
    let answering = tokio::spawn(async move {
        let (from, frame, mut responder) = two.request().await;
        assert_eq!((from, frame.as_slice()), (asker, &b"all of it"[..]));
        for n in 0..5 {
            responder.send(&vec![n; FRAME_BYTES]).await.unwrap();
        }
        responder.send(b"").await.unwrap();
        responder.finish();
        two
    });
    let frames = ask(&one.port, node, addr, b"all of it").await.unwrap();
    let lengths: Vec<_> = frames.iter().map(Vec::len).collect();
    assert_eq!(
        lengths,
        [
            FRAME_BYTES,
            FRAME_BYTES,
            FRAME_BYTES,
            FRAME_BYTES,
            FRAME_BYTES,
            0
        ]
    );
    assert!(
        frames
            .iter()
            .zip(0..5)
            .all(|(frame, n)| frame.iter().all(|&b| b == n))
    );
    answering.await.unwrap();
}

#[tokio::test]
async fn an_answer_may_have_no_frame_and_a_request_may_be_as_large_as_a_frame() {
    let (one, mut two) = (Agent::new(), Agent::new());
    let (node, addr) = (two.node, two.addr());
    let answering = tokio::spawn(async move {
        let (_, frame, responder) = two.request().await;
        responder.finish();
        (two, frame)
    });
    let asked = ask(&one.port, node, addr, &vec![1; FRAME_BYTES]).await;
    assert_eq!(asked.unwrap(), Vec::<Vec<u8>>::new());
    assert_eq!(answering.await.unwrap().1.len(), FRAME_BYTES);
    let long = ask(&one.port, node, addr, &vec![1; FRAME_BYTES + 1]).await;
    assert_eq!(long, Err(SessionError::TooLong(FRAME_BYTES + 1)));
}

#[tokio::test]
async fn requests_share_one_connection_and_one_dial() {
    let (one, two) = (Agent::new(), Agent::new());
    let (node, addr) = (two.node, two.addr());
    let two = two.echo();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let port = one.port.clone();
        asking.spawn(async move { ask(&port, node, addr, b"echo").await });
    }
    while let Some(answer) = asking.join_next().await {
        assert_eq!(answer.unwrap().unwrap(), [b"echo"]);
    }
    assert_eq!(one.count(Counter::SessionsDialed), 1);
    assert_eq!(two.counters().of(Counter::SessionsAccepted), 1);
    assert_eq!(two.counters().of(Counter::RequestsReceived), 20);
}

#[tokio::test]
async fn another_node_at_the_address_is_refused_by_its_key() {
    let (one, two, three) = (Agent::new(), Agent::new(), Agent::new());
    let asked = ask(&one.port, three.node, two.addr(), b"x").await;
    let Err(SessionError::Refused { cause, .. }) = asked else {
        panic!("{asked:?}");
    };
    assert!(cause.contains("its key is not"), "{cause}");
    assert_eq!(one.count(Counter::DialFailed), 1);
    two.counted(Counter::HandshakeFailed, 1).await;
    assert_eq!(
        two.count(Counter::SessionsUnverified),
        0,
        "it got as far as the MAC"
    );
}

#[tokio::test]
async fn a_wrong_cluster_key_and_another_cluster_are_refused_on_a_session() {
    let mut member = Agent::new();
    let stranger = Agent::with(settings(&[8]));
    let asked = ask(&stranger.port, member.node, member.addr(), b"x").await;
    assert!(
        matches!(asked, Err(SessionError::Refused { .. })),
        "{asked:?}"
    );
    member.counted(Counter::SessionsUnknownKey, 1).await;
    stranger.counted(Counter::DialKeyRefused, 1).await;
    let mut other = settings(&[7]);
    other.cluster = ClusterId::from_bytes([2; 16]);
    let other = Agent::with(other);
    let asked = ask(&other.port, member.node, member.addr(), b"x").await;
    assert!(
        matches!(asked, Err(SessionError::Refused { .. })),
        "{asked:?}"
    );
    member.counted(Counter::SessionsForeign, 1).await;
    assert_eq!(member.count(Counter::SessionsAccepted), 0);
    assert!(member.events.try_recv().is_err());
}

#[tokio::test]
async fn during_a_rotation_both_keys_open_sessions() {
    let both = Agent::with(settings(&[7, 8]));
    let (node, addr) = (both.node, both.addr());
    let _both = both.echo();
    for key in [7, 8] {
        let asking = Agent::with(settings(&[key]));
        assert_eq!(ask(&asking.port, node, addr, b"x").await.unwrap(), [b"x"]);
    }
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_unreachable_in_time() {
    let agent = Agent::new();
    let empty = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let start = Instant::now();
    let asked = ask(
        &agent.port,
        NodeId::from_bytes([1; 16]),
        empty.local_addr().unwrap(),
        b"x",
    )
    .await;
    assert!(
        matches!(asked, Err(SessionError::Unreachable { .. })),
        "{asked:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_address_that_the_system_refuses_ends_nothing_else() {
    let (agent, other) = (Agent::new(), Agent::new());
    let (node, addr) = (other.node, other.addr());
    let _other = other.echo();
    // Broadcasting was not allowed on this socket: each packet fails with an error.
    let everybody = SocketAddr::from(([255, 255, 255, 255], 9));
    let refused = ask(&agent.port, node, everybody, b"x");
    let (refused, answered) = tokio::join!(refused, ask(&agent.port, node, addr, b"x"));
    assert!(
        matches!(refused, Err(SessionError::Unreachable { .. })),
        "{refused:?}"
    );
    assert_eq!(answered.unwrap(), [b"x"]);
    assert!(agent.count(Counter::QuicSendFailed) > 0);
}

#[tokio::test]
async fn an_answer_that_is_given_up_is_an_error() {
    let (one, mut two) = (Agent::new(), Agent::new());
    let (node, addr) = (two.node, two.addr());
    let answering = tokio::spawn(async move {
        drop(two.request().await);
        let (_, _, mut responder) = two.request().await;
        responder.send(b"a start").await.unwrap();
        drop(responder);
        two
    });
    assert_eq!(
        ask(&one.port, node, addr, b"x").await,
        Err(SessionError::Abandoned)
    );
    assert_eq!(
        ask(&one.port, node, addr, b"x").await,
        Err(SessionError::Abandoned)
    );
    answering.await.unwrap();
}

#[tokio::test]
async fn a_frame_that_was_left_halfway_never_passes_for_a_whole_answer() {
    let (one, mut two) = (Agent::new(), Agent::new());
    let (node, addr) = (two.node, two.addr());
    let (cut, is_cut) = oneshot::channel();
    let (go, may_go) = oneshot::channel();
    let answering = tokio::spawn(async move {
        let (_, _, mut responder) = two.request().await;
        responder.send(b"first").await.unwrap();
        // Nobody reads, and the windows are far smaller than this frame.
        let long = vec![1; FRAME_BYTES];
        let blocked = timeout(Duration::from_millis(20), responder.send(&long)).await;
        assert!(blocked.is_err(), "{blocked:?}");
        assert_eq!(responder.send(b"x").await, Err(SessionError::Abandoned));
        cut.send(()).unwrap();
        may_go.await.unwrap();
        responder.finish();
        two
    });
    let mut answer = one.port.request(node, addr, b"q".to_vec()).await.unwrap();
    assert_eq!(answer.next().await.unwrap().unwrap(), b"first");
    is_cut.await.unwrap();
    let halfway = timeout(Duration::from_millis(20), answer.next()).await;
    assert!(halfway.is_err(), "{halfway:?}");
    go.send(()).unwrap();
    assert!(answer.next().await.is_err() && answer.next().await.is_err());
    answering.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (one, two) = (Agent::new(), Agent::new());
    let (node, addr) = (two.node, two.addr());
    let _two = two.echo();
    ask(&one.port, node, addr, b"x").await.unwrap();
    let endpoint = one.port.endpoint();
    assert_eq!(endpoint.open_connections(), 1);
    timeout(DEADLINE, endpoint.wait_idle())
        .await
        .expect("closed in time");
    assert_eq!(ask(&one.port, node, addr, b"x").await.unwrap(), [b"x"]);
}

#[tokio::test]
async fn a_closed_port_says_so() {
    let (one, two) = (Agent::new(), Agent::new());
    let (node, addr) = (two.node, two.addr());
    let mut two_events = two.events;
    one.port.close().await;
    assert_eq!(
        ask(&one.port, node, addr, b"x").await,
        Err(SessionError::Closed)
    );
    two.port.close().await;
    while timeout(DEADLINE, two_events.recv())
        .await
        .expect("the queue ends")
        .is_some()
    {}
}

#[tokio::test]
async fn a_dropped_port_is_free_again() {
    let agent = Agent::new();
    let addr = agent.addr();
    drop(agent);
    let deadline = Instant::now() + DEADLINE;
    while std::net::UdpSocket::bind(addr).is_err() {
        assert!(Instant::now() < deadline, "{addr} is still taken");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_keep_flowing_during_a_bulk_session() {
    let (mut one, mut two) = (Agent::new(), Agent::new());
    let (node, addr) = (two.node, two.addr());
    let bulk = tokio::spawn(async move {
        let (_, _, mut responder) = two.request().await;
        for _ in 0..64 {
            responder.send(&vec![1; FRAME_BYTES]).await.unwrap();
        }
        responder.finish();
        two
    });
    let asking = one.port.clone();
    let reading = tokio::spawn(async move {
        let mut answer = asking.request(node, addr, b"bulk".to_vec()).await?;
        let mut frames = 0;
        while answer.next().await?.is_some() {
            frames += 1;
        }
        Ok::<_, SessionError>(frames)
    });
    // Another member probes the receiver of the bulk for as long as it lasts.
    let prober = Agent::new();
    let mut sent = 0_u64;
    while !reading.is_finished() {
        prober
            .port
            .send_datagram(one.addr(), Some(one.node), b"probe")
            .unwrap();
        sent += 1;
        assert_eq!(one.datagram().await.1, b"probe", "probe {sent}");
        // Below the share of one address.
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(reading.await.unwrap().unwrap(), 64);
    assert!(sent > 20, "only {sent} probes went while 64 MiB were read");
    bulk.await.unwrap();
}
