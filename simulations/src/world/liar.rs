//! A host whose driver is dishonest: its node is as honest as any, what it sends is not.

use std::{net::SocketAddr, time::Duration};

use tidings_types::{ClusterId, Delta, Epoch, NodeId};
use tidings_wire::{Datagram, datagram};

use super::{Event, Step, World};
use crate::{
    forgery,
    plan::What,
    scenario::{Cluster, Lie},
    workload::gossip_addr,
};

/// Between two runs that a liar makes up.
const MINUTE_MS: u64 = 60_000;

/// A lie that is being told.
#[derive(Debug)]
pub(super) struct Lying {
    about: Lie,
    of: Option<usize>,
    /// How often something was made up.
    told: u64,
}

/// How often a liar makes something up.
const fn pace(about: Lie) -> Duration {
    match about {
        Lie::FalseHeads => Duration::from_millis(250),
        Lie::ForeignRecords | Lie::EqualPosition => Duration::from_secs(2),
        Lie::EndlessEpochs => Duration::from_millis(100),
    }
}

impl World {
    /// A host begins to lie.
    pub(super) fn begin_lying(&mut self, nth: usize, host: usize, about: Lie, of: Option<usize>) {
        let lying = Lying { about, of, told: 0 };
        self.lying.insert(host, lying);
        self.heap.push(self.now, Event::Lie(nth));
    }

    /// Sends what a host's driver makes of a datagram that its node wants sent.
    pub(super) fn tell(
        &mut self,
        host: usize,
        to: SocketAddr,
        receiver: Option<NodeId>,
        payload: Vec<u8>,
    ) -> Step {
        match self.as_told(host, payload) {
            Some(payload) => self.send(host, to, receiver, payload),
            None => Ok(()),
        }
    }

    /// The datagram that a host sends in place of the one that its node wants sent, if any.
    fn as_told(&self, host: usize, payload: Vec<u8>) -> Option<Vec<u8>> {
        let altered = match self.lying.get(&host).map(|lying| lying.about) {
            Some(Lie::FalseHeads) => forgery::false_datagram(&payload),
            // What its node says of its feed would end the lie.
            Some(Lie::EndlessEpochs) if !forgery::is_membership(&payload) => return None,
            _ => None,
        };
        Some(altered.unwrap_or(payload))
    }

    /// The answer that a host gives in place of its node's.
    pub(super) fn as_answered(&self, host: usize, frame: Vec<u8>) -> Vec<u8> {
        let state = &self.hosts[host];
        let altered = match (self.lying.get(&host).map(|lying| lying.about), &state.node) {
            (Some(Lie::FalseHeads), _) => forgery::false_answer(&frame),
            (Some(Lie::EqualPosition), Some(node)) => {
                forgery::altered_answer(node.registry(), id_of(state.cluster), &frame)
            }
            (Some(Lie::EndlessEpochs), _) => forgery::without_feed(state.me(), &frame),
            _ => None,
        };
        altered.unwrap_or(frame)
    }

    /// A liar makes something up and tells everybody, as long as it lies.
    pub(super) fn lie(&mut self, nth: usize) -> Step {
        let until = self.plan.trouble[nth].until;
        let What::Lie(host, about, _) = self.plan.trouble[nth].what else {
            return Ok(());
        };
        if self.now >= until {
            return Ok(());
        }
        self.heap.push(self.now + pace(about), Event::Lie(nth));
        if !self.hosts[host].is_running() {
            return Ok(());
        }
        let cluster = self.hosts[host].cluster;
        let peers = (0..self.hosts.len()).filter(|&peer| {
            peer != host && self.hosts[peer].is_up() && self.hosts[peer].cluster == cluster
        });
        for peer in peers.collect::<Vec<_>>() {
            for body in self.made_up(host, peer) {
                let Some(node) = &self.hosts[host].node else {
                    return Ok(());
                };
                let datagram = Datagram {
                    fingerprint: node.registry().fingerprint(),
                    wall_ms: self.hosts[host].clock.read(self.now),
                    body,
                };
                if let Ok(payload) = datagram.encode() {
                    let receiver = Some(self.hosts[peer].me());
                    self.send(host, gossip_addr(peer), receiver, payload)?;
                }
            }
        }
        if let Some(lying) = self.lying.get_mut(&host) {
            lying.told += 1;
        }
        Ok(())
    }

    /// What a liar tells `peer` now.
    fn made_up(&self, host: usize, peer: usize) -> Vec<datagram::Body> {
        let (Some(lying), Some(node)) = (self.lying.get(&host), &self.hosts[host].node) else {
            return Vec::new();
        };
        let (me, registry) = (self.hosts[host].me(), node.registry());
        let cluster = id_of(self.hosts[host].cluster);
        let of = lying.of.map(|of| self.hosts[of].me());
        let feed = of.and_then(|of| registry.snapshot(of));
        let rumor = |delta: Option<Delta>| delta.map(|delta| datagram::Body::Rumors(vec![delta]));
        let claim = |owner| {
            let lineage = forgery::beyond(&registry.lineage(owner));
            Some(datagram::Body::Have { owner, lineage })
        };
        let told = match lying.about {
            Lie::FalseHeads => vec![claim(self.hosts[peer].me()), of.and_then(claim)],
            Lie::ForeignRecords => {
                let own = registry.state(me);
                let stolen = feed.as_ref().and_then(|feed| forgery::stolen(own?, feed));
                vec![
                    rumor(stolen),
                    rumor(feed.as_ref().and_then(forgery::invented)),
                ]
            }
            Lie::EqualPosition => {
                let other = feed.map(|feed| forgery::other_content(cluster, feed));
                vec![rumor(other)]
            }
            Lie::EndlessEpochs => {
                // As if the liar had been restarted every minute from now on.
                let now = self.hosts[host].first_epoch.bits();
                let bits = now + (((lying.told + 1) * MINUTE_MS) << 20);
                vec![rumor(Some(forgery::another_run(
                    me,
                    Epoch::from_bits(bits),
                )))]
            }
        };
        told.into_iter().flatten().collect()
    }
}

/// The id of a cluster.
pub(super) const fn id_of(cluster: Cluster) -> ClusterId {
    match cluster {
        Cluster::First => ClusterId::from_bytes(*b"tidings-simulate"),
        Cluster::Second => ClusterId::from_bytes(*b"another-cluster!"),
    }
}
