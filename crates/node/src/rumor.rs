//! How new dots travel, and who is known to hold them.
//!
//! A durable batch goes to up to [`FANOUT`] peers at once; in a small cluster that is everybody. In
//! a larger one each receiver passes on what was new to it. Whoever receives news from its owner
//! says how much it holds now; who stays silent is offered the position again. What still gets
//! lost is found by the fingerprints and repaired (`reconcile`).

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use tidings_types::{Delta, Lineage, NodeId, Probe, Timestamp, Transfer};
use tidings_wire::{EncodeError, datagram};

use crate::{Node, Output, timers::Timer};

/// Peers that the owner of new dots tells at once.
const FANOUT: usize = 31;
/// Peers that a receiver passes news on to, in a cluster that the owner cannot cover.
const FORWARD: usize = 4;
/// Deltas in one datagram, at most, that are looked at.
const DELTAS: usize = 32;
/// How long a told peer may stay silent before it is offered the position.
const ACK_AFTER: Duration = Duration::from_millis(60);
/// Offers to a silent peer.
const OFFERS: u32 = 4;

/// Own rumors to each peer in one span. What comes beyond is told in one rumor when the span is over:
/// a node that writes without a pause must not be taken for one that floods.
const PUSHES: u32 = 40;
const PUSH_SPAN: Duration = Duration::from_millis(100);

/// The pause between the first two pulls that shall close one gap; each further one is twice as long.
const GAP_PAUSE: Duration = Duration::from_millis(100);
/// Doublings of that pause, at most: a gap that nobody can close costs a pull a minute.
const GAP_DOUBLINGS: u32 = 9;

/// Feeds of which something waits until a gap below it is closed. Bounded as what waits is.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    asked: BTreeMap<NodeId, Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    times: u32,
    again_at: Timestamp,
}

impl Gaps {
    /// Whether the gap in `owner`'s feed is to be asked for now. Takes note that it is.
    fn is_due(&mut self, owner: NodeId, now: Timestamp) -> bool {
        let asked = self.asked.entry(owner).or_default();
        if now < asked.again_at {
            return false;
        }
        asked.again_at = now + GAP_PAUSE * 2u32.pow(asked.times.min(GAP_DOUBLINGS));
        asked.times += 1;
        true
    }

    /// Nothing of the feed waits any more.
    fn closed(&mut self, owner: NodeId) {
        self.asked.remove(&owner);
    }
}

/// Told peers that have not said yet that they hold the news. Bounded by the members.
#[derive(Debug, Default)]
pub(crate) struct Unacked {
    peers: BTreeMap<NodeId, Silence>,
}

#[derive(Debug)]
struct Silence {
    addr: SocketAddr,
    offers: u32,
    due: Timestamp,
}

/// How many own rumors went out lately.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    since: Timestamp,
    count: u32,
    /// Up to where it was told, if something was put off since.
    behind: Option<Lineage>,
}

impl Pushes {
    /// Whether one more may go out, which begins at `from`. Takes note that it does, or does not.
    fn admits(&mut self, now: Timestamp, from: &Lineage) -> bool {
        if self.behind.is_some() {
            return false;
        }
        if now >= self.ends() {
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
        let admitted = self.count <= PUSHES;
        if !admitted {
            self.behind = Some(from.clone());
        }
        admitted
    }

    fn ends(&self) -> Timestamp {
        self.since + PUSH_SPAN
    }

    /// From where on it is to be told now what was put off.
    fn take_behind(&mut self, now: Timestamp) -> Option<Lineage> {
        let ends = self.ends();
        self.behind.take_if(|_| now >= ends)
    }
}

impl Node {
    /// Tells peers of dots that have just become durable.
    ///
    /// Not while the own feed is damaged: no damaged feed is given to anybody, and what its sum would
    /// foretell is not what peers hold. They find the news when the feed is whole.
    pub(crate) fn push_own(&mut self, delta: Delta) {
        if self.registry.is_damaged(self.me) {
            return;
        }
        if self.pushes.admits(self.now, &delta.from) {
            self.tell_news(Some(&delta));
        } else {
            self.timers.set_by(Timer::Push, self.pushes.ends());
        }
    }

    /// Tells peers of own news: in a rumor, or where there is none, by the position.
    fn tell_news(&mut self, news: Option<&Delta>) {
        let targets = self.membership.peers(FANOUT, &[self.me]);
        if targets.is_empty() {
            return;
        }
        match news {
            Some(delta) => self.send_rumor(delta, &targets),
            None => {
                for &(peer, addr) in &targets {
                    self.send_have(peer, addr, self.me);
                }
            }
        }
        let due = self.now + ACK_AFTER;
        for (peer, addr) in targets {
            let silence = Silence {
                addr,
                offers: 0,
                due,
            };
            self.unacked.peers.insert(peer, silence);
        }
        self.timers.set_by(Timer::Acks, due);
    }

    /// Tells in one what was put off.
    pub(crate) fn on_push_due(&mut self) {
        let Some(behind) = self.pushes.take_behind(self.now) else {
            return;
        };
        let news = match self.registry.transfer(self.me, &behind) {
            Some(Transfer::Delta(delta)) => Some(delta),
            Some(Transfer::Snapshot(_)) => None,
            // A damaged feed is given to nobody.
            None => return,
        };
        self.pushes.admits(self.now, &behind);
        self.tell_news(news.as_ref());
    }

    fn send_rumor(&mut self, delta: &Delta, targets: &[(NodeId, SocketAddr)]) {
        let body = datagram::Body::Rumors(vec![delta.clone()]);
        let fits = self.datagram(body).encode();
        for &(peer, addr) in targets {
            match &fits {
                Ok(payload) => {
                    self.counters.rumors_sent += 1;
                    let payload = payload.clone();
                    self.out.push_back(Output::Datagram {
                        to: addr,
                        receiver: Some(peer),
                        payload,
                    });
                }
                // Too large for a packet: the peer pulls it.
                Err(EncodeError::TooLarge { .. }) => {
                    self.probes.met(Probe::NewsTooLarge);
                    self.send_have(peer, addr, delta.state.owner);
                }
                Err(_) => {}
            }
        }
    }

    /// Says how much this node holds of `owner`'s feed.
    fn send_have(&mut self, peer: NodeId, addr: SocketAddr, owner: NodeId) {
        let lineage = self.registry.lineage(owner);
        self.send(peer, addr, datagram::Body::Have { owner, lineage });
    }

    /// Sends a datagram to a known peer.
    pub(crate) fn send(&mut self, peer: NodeId, addr: SocketAddr, body: datagram::Body) {
        if let Ok(payload) = self.datagram(body).encode() {
            self.out.push_back(Output::Datagram {
                to: addr,
                receiver: Some(peer),
                payload,
            });
        }
    }

    /// Offers the own position to told peers that stay silent.
    pub(crate) fn on_acks_due(&mut self) {
        let own = self.registry.position(self.me);
        let mut offers = Vec::new();
        let (now, peers) = (self.now, &self.peers);
        self.unacked.peers.retain(|&peer, silence| {
            if silence.offers >= OFFERS || peers.holds(peer).is_some_and(|held| held.covers(own)) {
                return false;
            }
            if silence.due <= now {
                offers.push((peer, silence.addr));
                silence.offers += 1;
                silence.due = now + ACK_AFTER * 2u32.pow(silence.offers);
            }
            true
        });
        for (peer, addr) in offers {
            self.send_have(peer, addr, self.me);
        }
        if let Some(due) = self.unacked.peers.values().map(|silence| silence.due).min() {
            self.timers.set_by(Timer::Acks, due);
        }
    }

    /// News came.
    pub(crate) fn on_rumors(&mut self, from: SocketAddr, sender: NodeId, deltas: Vec<Delta>) {
        for delta in deltas.into_iter().take(DELTAS) {
            self.on_rumor(from, sender, delta);
        }
    }

    fn on_rumor(&mut self, from: SocketAddr, sender: NodeId, delta: Delta) {
        let owner = delta.state.owner;
        let joined = self.registry.apply(Transfer::Delta(delta.clone()));
        let Some(applied) = self.on_joined_transfer(sender, owner, joined) else {
            return;
        };
        if applied.advanced {
            self.counters.rumors_new += 1;
            if self.membership.alive() > FANOUT {
                let targets = self.membership.peers(FORWARD, &[self.me, sender, owner]);
                self.send_rumor(&delta, &targets);
            }
        } else {
            self.counters.rumors_known += 1;
        }
        if applied.alarm.is_some() && self.ask_owner(owner) {
            return;
        }
        if !applied.gap {
            self.gaps.closed(owner);
        }
        let asks = applied.alarm.is_some() || applied.gap && self.gaps.is_due(owner, self.now);
        if asks {
            self.pull(sender, from, vec![owner]);
        } else if owner == sender && !applied.gap {
            self.send_have(sender, from, owner);
        }
    }

    /// A peer says how much it holds of `owner`'s feed.
    pub(crate) fn on_have(
        &mut self,
        from: SocketAddr,
        sender: NodeId,
        owner: NodeId,
        lineage: &Lineage,
    ) {
        if owner == self.me {
            self.on_ack(sender, lineage);
            if self.refuses_claim(sender, lineage) {
                return;
            }
        }
        if !self.registry.position(owner).covers(lineage) {
            self.pull(sender, from, vec![owner]);
        } else if owner == sender {
            self.send_have(sender, from, owner);
        }
    }

    /// A peer is known to hold this much of this node's feed.
    pub(crate) fn on_ack(&mut self, peer: NodeId, lineage: &Lineage) {
        let held = common(self.registry.position(self.me), lineage);
        if let Some(known) = self.peers.entry(peer) {
            let before = (!self.waits.is_empty()).then(|| known.holds.clone());
            known.holds.join(&held);
            if let Some(before) = before {
                self.waits.note(&before, &known.holds);
                self.answer_waits();
            }
        }
        if !self.synced.covers(&held) {
            self.synced.join(&held);
            self.status_dirty = true;
        }
    }
}

/// What both positions cover. A peer is believed to hold what this node wrote and nothing else, so
/// that what it says takes no more room than that.
fn common(own: &Lineage, held: &Lineage) -> Lineage {
    let mut common = Lineage::empty();
    if held.floor() >= own.floor() {
        common.raise_floor(own.floor());
    }
    for (epoch, head) in own.heads() {
        let both = if epoch < held.floor() {
            head
        } else {
            head.min(held.head(epoch))
        };
        common.advance(epoch, both);
    }
    common
}
