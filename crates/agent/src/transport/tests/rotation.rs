//! Cluster keys that change while the port is open.

use super::*;

fn keys(bytes: &[u8]) -> Vec<[u8; 32]> {
    bytes.iter().map(|&byte| [byte; 32]).collect()
}

#[tokio::test]
async fn a_rotation_loses_no_datagram_and_ends_with_the_old_key_refused() {
    let (one, mut two) = (Agent::new(), Agent::new());
    let old = Agent::new();
    let steps: [&[u8]; 3] = [&[7, 8], &[8, 7], &[8]];
    for step in steps {
        // Each agent in its turn, as an operator does it.
        for changed in 0..2 {
            let port = [&one.port, &two.port][changed];
            port.set_keys(&keys(step)).unwrap();
            let sent = one.port.send_datagram(two.addr(), Some(two.node), b"x");
            sent.unwrap();
            assert_eq!(two.datagram().await, (one.node, b"x".to_vec()));
        }
    }
    assert_eq!(two.port.keys_heard()[&one.node], two.port.keys()[0]);
    let sent = old.port.send_datagram(two.addr(), Some(two.node), b"x");
    sent.unwrap();
    two.counted(Counter::UnknownKey, 1).await;
    assert!(two.events.try_recv().is_err());
}

#[tokio::test]
async fn a_session_ends_with_the_key_that_proved_it_and_the_next_is_under_the_new_one() {
    let (one, two) = (Agent::new(), Agent::new());
    let (node, addr) = (two.node, two.addr());
    let two = two.echo();
    assert_eq!(ask(&one.port, node, addr, b"a").await.unwrap(), [b"a"]);
    for port in [&one.port, &two] {
        port.set_keys(&keys(&[8, 7])).unwrap();
    }
    assert_eq!(ask(&one.port, node, addr, b"b").await.unwrap(), [b"b"]);
    assert_eq!(
        one.count(Counter::SessionsDialed),
        1,
        "an accepted key's session goes on"
    );
    two.set_keys(&keys(&[8])).unwrap();
    assert_eq!(two.counters().of(Counter::SessionsKeyRemoved), 1);
    assert_eq!(ask(&one.port, node, addr, b"c").await.unwrap(), [b"c"]);
    assert_eq!(one.count(Counter::SessionsDialed), 2);
    let late = Agent::new();
    let asked = ask(&late.port, node, addr, b"x").await;
    assert!(
        matches!(asked, Err(SessionError::Refused { .. })),
        "{asked:?}"
    );
}

#[tokio::test]
async fn requests_about_keys_are_told_from_the_nodes() {
    let (one, mut two) = (Agent::new(), Agent::new());
    let (port, node, addr) = (one.port.clone(), two.node, two.addr());
    let asking = tokio::spawn(async move {
        let answer = port.request_keyring(node, addr, b"keys".to_vec()).await;
        answer.unwrap().next().await
    });
    let Event::Keyring {
        from,
        frame,
        mut responder,
        ..
    } = two.event().await
    else {
        panic!("not about keys");
    };
    assert_eq!((from, frame.as_slice()), (one.node, &b"keys"[..]));
    responder.send(b"answer").await.unwrap();
    responder.finish();
    assert_eq!(asking.await.unwrap(), Ok(Some(b"answer".to_vec())));
}

#[tokio::test]
async fn a_bad_ring_changes_nothing() {
    let agent = Agent::new();
    let before = agent.port.keys();
    assert!(agent.port.set_keys(&[]).is_err());
    assert!(agent.port.set_keys(&keys(&[1, 2, 3, 4, 5])).is_err());
    assert_eq!(agent.port.keys(), before);
}
