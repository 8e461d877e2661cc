//! A member that is alive and gives one feed, and no more: it holds nobody else's, so that hundreds of
//! them stand beside one agent in one process.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidings_agent::transport::{self, Event, KeyRing, NodeKey, Responder, Transport};
use tidings_membership::{Config, MemberId, Membership, Output};
use tidings_types::{Epoch, Lineage, NodeId, Timestamp};
use tidings_wire::{Datagram, FeedPart, Request, Response, datagram};
use tokio::{
    runtime::Runtime,
    sync::mpsc,
    time::{Instant, interval, sleep_until},
};

use crate::{keys, rogue::cluster};

/// How often a feed is offered that nobody has asked for yet.
const OFFER_AGAIN: Duration = Duration::from_millis(500);

/// A member before it joins: it has an id, and so can its feed be made.
#[derive(Debug)]
pub struct Member {
    transport: Transport,
    events: mpsc::Receiver<Event>,
    me: MemberId,
}

/// A member that has joined.
#[derive(Debug)]
pub struct Joined {
    given: Arc<AtomicBool>,
}

impl Joined {
    /// Whether somebody has been given its feed whole.
    pub fn has_given(&self) -> bool {
        self.given.load(Ordering::Relaxed)
    }
}

impl Member {
    /// A member at `addr`, in the cluster of the key file `key`.
    ///
    /// # Panics
    /// If the address cannot be had.
    pub fn new(runtime: &Runtime, addr: SocketAddr, key: &Path) -> Self {
        let keys = KeyRing::new(&[keys::secret(key)]).expect("one key is a ring");
        let identity = NodeKey::generate().expect("the system gives randomness");
        let node = identity.node_id();
        let epoch = Epoch::from_bits(1 << 60);
        let settings = transport::Settings::new(addr, cluster(), keys, identity, epoch);
        let _inside = runtime.enter();
        let (transport, events) = Transport::bind(settings).expect("a free address can be bound");
        let generation = epoch.bits();
        let me = MemberId {
            node,
            addr,
            generation,
        };
        Self {
            transport,
            events,
            me,
        }
    }

    /// Its node.
    pub const fn node(&self) -> NodeId {
        self.me.node
    }

    /// Its run.
    pub const fn epoch(&self) -> Epoch {
        Epoch::from_bits(self.me.generation)
    }

    /// Where it is.
    pub const fn addr(&self) -> SocketAddr {
        self.me.addr
    }

    /// Joins the agent at `seed`, stays alive as long as the runtime, and gives its feed to whoever asks.
    ///
    /// # Panics
    /// If the feed has no parts.
    pub fn join(self, runtime: &Runtime, seed: SocketAddr, feed: Vec<FeedPart>) -> Joined {
        let given = Arc::new(AtomicBool::new(false));
        let lineage = feed[0].state.lineage.clone();
        let begin = Instant::now();
        let mut membership = Membership::new(Config::default(), self.me, 1, Timestamp::ZERO);
        membership.set_seeds(Timestamp::ZERO, vec![seed]);
        let life = Life {
            transport: self.transport,
            events: self.events,
            membership,
            begin,
            fingerprint: 0,
            feed: Arc::new(feed),
            lineage,
            given: Arc::clone(&given),
        };
        runtime.spawn(life.live());
        Joined { given }
    }
}

struct Life {
    transport: Transport,
    events: mpsc::Receiver<Event>,
    membership: Membership,
    begin: Instant,
    /// The fingerprint last heard. It says that it holds the same, so that nobody looks for a difference.
    fingerprint: u128,
    feed: Arc<Vec<FeedPart>>,
    lineage: Lineage,
    given: Arc<AtomicBool>,
}

impl Life {
    async fn live(mut self) {
        let mut offers = interval(OFFER_AGAIN);
        loop {
            self.send();
            let due = self.membership.poll_timeout();
            let due = due.map_or(Duration::from_secs(1), |at| {
                Duration::from_micros(at.as_micros())
            });
            let timer = sleep_until(self.begin + due);
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.take(event),
                    None => return,
                },
                () = timer => {
                    let now = self.now();
                    self.membership.handle_timeout(now);
                }
                _ = offers.tick(), if !self.given.load(Ordering::Relaxed) => self.offer(),
            }
        }
    }

    fn now(&self) -> Timestamp {
        let micros = self.begin.elapsed().as_micros();
        Timestamp::from_micros(u64::try_from(micros).expect("it does not run that long"))
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Datagram {
                from,
                sender,
                payload,
                ..
            } => {
                let Ok(datagram) = Datagram::decode(&payload) else {
                    return;
                };
                self.fingerprint = datagram.fingerprint;
                if let datagram::Body::Membership(bytes) = datagram.body {
                    let now = self.now();
                    // What is refused is counted by the component, and nobody looks at it here.
                    let _ = self.membership.handle_packet(now, from, sender, &bytes);
                }
            }
            Event::Request {
                frame, responder, ..
            } => {
                if let Ok(Request::Pull(wants)) = Request::decode(&frame)
                    && wants
                        .iter()
                        .any(|want| want.owner == self.membership.me().node)
                {
                    let (feed, given) = (Arc::clone(&self.feed), Arc::clone(&self.given));
                    tokio::spawn(give(feed, given, responder));
                }
            }
            _ => {}
        }
    }

    fn send(&mut self) {
        while let Some(output) = self.membership.poll_output() {
            if let Output::Packet {
                to,
                receiver,
                bytes,
            } = output
            {
                self.tell(to, receiver, datagram::Body::Membership(bytes));
            }
        }
    }

    fn offer(&self) {
        let me = self.membership.me().node;
        for peer in self.membership.members() {
            let have = datagram::Body::Have {
                owner: me,
                lineage: self.lineage.clone(),
            };
            self.tell(peer.addr, Some(peer.node), have);
        }
    }

    fn tell(&self, to: SocketAddr, receiver: Option<NodeId>, body: datagram::Body) {
        let datagram = Datagram {
            fingerprint: self.fingerprint,
            wall_ms: 0,
            body,
        };
        if let Ok(payload) = datagram.encode() {
            // What the system does not send is lost, as packets may be.
            let _ = self.transport.send_datagram(to, receiver, &payload);
        }
    }
}

async fn give(feed: Arc<Vec<FeedPart>>, given: Arc<AtomicBool>, mut responder: Responder) {
    for part in feed.iter() {
        let response = Response::Feed(Box::new(part.clone()));
        let frame = response.encode().expect("a part fits a frame");
        if responder.send(&frame).await.is_err() {
            return;
        }
    }
    responder.finish();
    given.store(true, Ordering::Relaxed);
}
