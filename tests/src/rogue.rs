//! A member that means ill: it has the cluster's key and a key of its own, and says what it likes.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tidings_agent::{
    cluster_id,
    transport::{self, Event, KeyRing, NodeKey, ResponseStream, Transport},
};
use tidings_types::{ClusterId, Epoch, Lineage, NodeId, Snapshot, Transfer};
use tidings_wire::{Assembly, Datagram, Request, Response, Want, datagram};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
    time::timeout,
};

use crate::{agent::Agent, keys, stage::Stage};

/// How long a victim may take to answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// A member that means ill.
#[derive(Debug)]
pub struct Rogue {
    runtime: Runtime,
    ports: Vec<Transport>,
    events: Vec<mpsc::Receiver<Event>>,
    node: NodeId,
    epoch: Epoch,
}

/// Whom it speaks to.
#[derive(Clone, Copy, Debug)]
pub struct Victim {
    /// Its id.
    pub node: NodeId,
    /// Where it takes gossip.
    pub addr: SocketAddr,
}

impl Victim {
    /// That agent.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn of(agent: &Agent) -> Self {
        let status = agent.status().expect("it answers");
        Self {
            node: status.node_id.parse().expect("a node's id"),
            addr: agent.spec().gossip,
        }
    }
}

impl Rogue {
    /// A rogue with so many ports, all under its one key, in the cluster of the key file `key`.
    ///
    /// # Panics
    /// If a port cannot be had.
    pub fn new(stage: &Stage, key: &Path, ports: usize) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be started");
        let identity = NodeKey::generate().expect("the system gives randomness");
        let secret = keys::secret(key);
        let epoch = Epoch::from_bits(1 << 60);
        let bound = (0..ports).map(|_| {
            let keys = KeyRing::new(&[secret]).expect("one key is a ring");
            let identity = identity.clone();
            let settings =
                transport::Settings::new(stage.free_addr(), cluster(), keys, identity, epoch);
            let _inside = runtime.enter();
            Transport::bind(settings).expect("a free address can be bound")
        });
        let (ports, events) = bound.unzip();
        Self {
            ports,
            events,
            node: identity.node_id(),
            epoch,
            runtime,
        }
    }

    /// Its own id.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Its run.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Its ports.
    pub fn ports(&self) -> &[Transport] {
        &self.ports
    }

    /// Where its tasks run.
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Asks over a session of that port; `None` if it gets none.
    pub async fn ask(&self, port: usize, of: Victim, request: &Request) -> Option<ResponseStream> {
        let frame = request.encode().expect("a small request has a frame");
        let asked = self.ports[port].request(of.node, of.addr, frame);
        timeout(PATIENCE, asked).await.ok()?.ok()
    }

    /// The feed of `owner` as that victim gives it.
    ///
    /// # Panics
    /// If it is not given whole.
    pub fn feed(&self, from: Victim, owner: NodeId) -> Snapshot {
        let want = Want {
            owner,
            held: Lineage::empty(),
            sum: 0,
        };
        self.runtime.block_on(async {
            let asked = self.ask(0, from, &Request::Pull(vec![want])).await;
            let mut answers = asked.expect("a member is answered");
            let mut assembly = Assembly::default();
            while let Some(frame) = answers.next().await.expect("the answer is whole") {
                let Ok(Response::Feed(part)) = Response::decode(&frame) else {
                    panic!("a pull is answered with a feed");
                };
                if let Some(transfer) = assembly.push(*part, &frame).expect("in order") {
                    return match transfer {
                        Transfer::Snapshot(snapshot) => snapshot,
                        Transfer::Delta(delta) => Snapshot {
                            state: delta.state,
                            changes: delta.changes,
                        },
                    };
                }
            }
            panic!("no feed came");
        })
    }

    /// Sends a datagram from the first port.
    ///
    /// # Panics
    /// If it is too large.
    pub fn tell(&self, to: Victim, body: datagram::Body) {
        let datagram = Datagram {
            fingerprint: 0,
            wall_ms: 0,
            body,
        };
        let payload = datagram.encode().expect("it fits a packet");
        let _inside = self.runtime.enter();
        // A full buffer of the system is the rogue's loss.
        let _ = self.ports[0].send_datagram(to.addr, Some(to.node), &payload);
    }

    /// Answers whatever is asked at any port from now on: `answers` gives the responses, which may
    /// never end.
    pub fn answer<I>(&mut self, answers: impl Fn(Request) -> I + Send + Sync + 'static)
    where
        I: Iterator<Item = Response> + Send,
    {
        let answers = Arc::new(answers);
        for mut events in std::mem::take(&mut self.events) {
            let answers = Arc::clone(&answers);
            self.runtime.spawn(async move {
                while let Some(event) = events.recv().await {
                    let Event::Request {
                        frame,
                        mut responder,
                        ..
                    } = event
                    else {
                        continue;
                    };
                    let Ok(request) = Request::decode(&frame) else {
                        continue;
                    };
                    let answers = Arc::clone(&answers);
                    tokio::spawn(async move {
                        for response in answers(request) {
                            let frame = response.encode().expect("a part fits a frame");
                            if responder.send(&frame).await.is_err() {
                                return;
                            }
                        }
                        responder.finish();
                    });
                }
            });
        }
    }
}

/// The cluster that agents without `--cluster` are in.
///
/// # Panics
/// Never.
pub fn cluster() -> ClusterId {
    cluster_id("tidings").expect("it is a name")
}
