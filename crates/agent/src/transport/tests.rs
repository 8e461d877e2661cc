//! The transport over loopback: real sockets, real handshakes.

mod datagrams;
mod knocks;
mod restart;
mod rogue;
mod rotation;
mod sessions;
mod strangers;

use std::{net::SocketAddr, time::Duration};

use tidings_types::{ClusterId, Epoch, NodeId};
use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, sleep, timeout},
};

use super::*;

/// An agent's port with what came in.
struct Agent {
    port: Transport,
    events: Receiver<Event>,
    node: NodeId,
}

const CLUSTER: ClusterId = ClusterId::from_bytes([1; 16]);
const EPOCH: Epoch = Epoch::from_bits(100);
/// No state is waited for longer than this.
const DEADLINE: Duration = Duration::from_secs(10);

/// Settings on a free loopback port, with cluster keys made of these bytes.
fn settings(keys: &[u8]) -> Settings {
    let keys: Vec<_> = keys.iter().map(|&k| [k; 32]).collect();
    Settings::new(
        SocketAddr::from(([127, 0, 0, 1], 0)),
        CLUSTER,
        KeyRing::new(&keys).unwrap(),
        NodeKey::generate().unwrap(),
        EPOCH,
    )
}

impl Agent {
    fn new() -> Self {
        Self::with(settings(&[7]))
    }

    fn with(settings: Settings) -> Self {
        let node = settings.identity.node_id();
        let (port, events) = Transport::bind(settings).unwrap();
        Self { port, events, node }
    }

    fn addr(&self) -> SocketAddr {
        self.port.local_addr()
    }

    async fn event(&mut self) -> Event {
        let event = timeout(DEADLINE, self.events.recv()).await;
        event.expect("an event in time").expect("an open port")
    }

    /// The next datagram's sender and payload.
    async fn datagram(&mut self) -> (NodeId, Vec<u8>) {
        match self.event().await {
            Event::Datagram {
                sender, payload, ..
            } => (sender, payload),
            other => panic!("{other:?} instead of a datagram"),
        }
    }

    /// The next request's asker, frame and responder.
    async fn request(&mut self) -> (NodeId, Vec<u8>, Responder) {
        match self.event().await {
            Event::Request {
                from,
                frame,
                responder,
                ..
            } => (from, frame, responder),
            other => panic!("{other:?} instead of a request"),
        }
    }

    fn count(&self, counter: Counter) -> u64 {
        self.port.counters().of(counter)
    }

    /// Waits until something has been counted this often.
    async fn counted(&self, counter: Counter, times: u64) {
        let deadline = Instant::now() + DEADLINE;
        while self.count(counter) < times {
            assert!(Instant::now() < deadline, "{counter:?} below {times}");
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Answers every request with its own frame, for as long as the port is open.
    fn echo(mut self) -> Transport {
        let port = self.port.clone();
        drop(self.port);
        tokio::spawn(async move {
            while let Some(event) = self.events.recv().await {
                if let Event::Request {
                    frame,
                    mut responder,
                    ..
                } = event
                {
                    responder.send(&frame).await.unwrap();
                    responder.finish();
                }
            }
        });
        port
    }
}

/// All frames of the answer.
async fn ask(
    from: &Transport,
    node: NodeId,
    addr: SocketAddr,
    frame: &[u8],
) -> Result<Vec<Vec<u8>>, SessionError> {
    let answer = timeout(DEADLINE, async {
        let mut answer = from.request(node, addr, frame.to_vec()).await?;
        let mut frames = Vec::new();
        while let Some(frame) = answer.next().await? {
            frames.push(frame);
        }
        Ok(frames)
    });
    answer.await.expect("an answer in time")
}
