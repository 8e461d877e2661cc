//! A peer that comes back, and one that is killed.

use std::{sync::mpsc, thread};

use tokio::{runtime, sync::oneshot};

use super::*;

/// A port in a runtime of its own, which can be killed as a process is: no task of it runs on, so
/// nobody is told.
struct Victim {
    addr: SocketAddr,
    kill: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Victim {
    /// Answers each request with one frame, and ends the answer only if the frame is not "hang".
    fn start(settings: Settings) -> Self {
        let (kill, killed) = oneshot::channel();
        let (bound, addr) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let port = runtime.block_on(async {
                let (port, events) = Transport::bind(settings).unwrap();
                bound.send(port.local_addr()).unwrap();
                tokio::select! {
                    () = answer(events) => {}
                    _ = killed => {}
                }
                port
            });
            drop(runtime);
            drop(port);
        });
        Self {
            addr: addr.recv().unwrap(),
            kill,
            thread,
        }
    }

    fn kill(self) {
        let _ = self.kill.send(());
        self.thread.join().unwrap();
    }
}

async fn answer(mut events: Receiver<Event>) {
    let mut hanging = Vec::new();
    while let Some(event) = events.recv().await {
        if let Event::Request {
            frame,
            mut responder,
            ..
        } = event
        {
            responder.send(&frame).await.unwrap();
            if frame == b"hang" {
                hanging.push(responder);
            } else {
                responder.finish();
            }
        }
    }
}

#[tokio::test]
async fn a_restarted_peer_is_noticed_quickly_and_asked_again() {
    let agent = Agent::new();
    let mut theirs = settings(&[7]);
    let node = theirs.identity.node_id();
    let victim = Victim::start(theirs.clone());
    let addr = victim.addr;
    let request = agent.port.request(node, addr, b"hang".to_vec());
    let mut hanging = request.await.unwrap();
    assert_eq!(hanging.next().await.unwrap().unwrap(), b"hang");

    victim.kill();
    theirs.bind = addr;
    theirs.epoch = Epoch::from_bits(200);
    let again = Victim::start(theirs);
    let start = Instant::now();
    let ended = timeout(DEADLINE, hanging.next()).await.expect("noticed");
    assert!(matches!(ended, Err(SessionError::Lost(_))), "{ended:?}");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert!(hanging.next().await.is_err(), "not a clean end");
    drop(hanging);
    assert_eq!(ask(&agent.port, node, addr, b"x").await.unwrap(), [b"x"]);
    again.kill();
}

#[tokio::test]
async fn a_kept_connection_to_a_restarted_peer_costs_no_error() {
    let agent = Agent::new();
    let mut theirs = settings(&[7]);
    let node = theirs.identity.node_id();
    let victim = Victim::start(theirs.clone());
    let addr = victim.addr;
    assert_eq!(ask(&agent.port, node, addr, b"x").await.unwrap(), [b"x"]);
    victim.kill();
    theirs.bind = addr;
    theirs.epoch = Epoch::from_bits(200);
    let again = Victim::start(theirs);
    let start = Instant::now();
    assert_eq!(ask(&agent.port, node, addr, b"y").await.unwrap(), [b"y"]);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(agent.count(Counter::SessionsDialed), 2);
    again.kill();
}

#[tokio::test]
async fn a_newer_run_heard_by_datagram_closes_the_connection() {
    let (mut one, two) = (Agent::new(), Agent::new());
    let (node, addr) = (two.node, two.addr());
    let two = two.echo();
    ask(&one.port, node, addr, b"x").await.unwrap();
    two.send_datagram(one.addr(), None, b"same run").unwrap();
    one.datagram().await;
    assert_eq!(one.count(Counter::PeerRestarted), 0);
    two.set_epoch(Epoch::from_bits(101)).unwrap();
    two.send_datagram(one.addr(), None, b"next run").unwrap();
    one.counted(Counter::PeerRestarted, 1).await;
    ask(&one.port, node, addr, b"x").await.unwrap();
    assert_eq!(one.count(Counter::SessionsDialed), 2);
}
