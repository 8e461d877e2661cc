//! The goodbye.
//!
//! A node that goes on purpose says so in its own record: a fact of its own, which travels and is
//! repaired like any other, so that nobody has to guess why it is silent. The driver may stop once
//! a peer is known to have it, or when waiting longer would help nobody.

use std::time::Duration;

use tidings_types::{Body, Departure, Key, Node as NodeRecord, Outcome, Timestamp};

use crate::{CommandId, Node, Output, timers::Timer};

/// How often a goodbye that nobody acknowledged is said again.
const AGAIN_EVERY: Duration = Duration::from_millis(50);

/// A goodbye on its way.
#[derive(Debug)]
pub(crate) struct Goodbye {
    departure: Departure,
    until: Timestamp,
    said: bool,
}

impl Node {
    /// This node's record as it ought to be.
    pub(crate) fn record(&self) -> NodeRecord {
        NodeRecord {
            name: self.config.name.clone(),
            gossip: self.addr,
            address: self.config.address.clone().into(),
            datacenter: self.config.datacenter.clone().into(),
            meta: self.config.meta.clone().into(),
            build: self.config.build.clone().into(),
            departure: self.depart.as_ref().map(|goodbye| goodbye.departure),
        }
    }

    /// Says goodbye. The command is answered when the goodbye is on disk.
    pub(crate) fn on_depart(&mut self, id: CommandId, departure: Departure) {
        let until = self.now + self.config.depart_within;
        self.depart = Some(Goodbye {
            departure,
            until,
            said: false,
        });
        self.end_waits();
        let body = Body::Node(self.record());
        let changed = matches!(
            self.writer
                .register(&self.registry, Key::Node(self.me), body),
            Ok(Some(_))
        );
        self.persist(Some((id, Outcome::of(changed))));
        self.timers.set(Timer::Depart, self.now + AGAIN_EVERY);
    }

    /// Ends the goodbye when a peer has it or its time is up; else says it again.
    pub(crate) fn on_depart_due(&mut self) {
        let (now, idle) = (self.now, self.durable.is_idle());
        let own = self.registry.lineage(self.me);
        let heard = idle && self.is_alone_or_heard(&own);
        let Some(goodbye) = self.depart.as_mut().filter(|goodbye| !goodbye.said) else {
            return;
        };
        if !heard && now < goodbye.until {
            self.timers.set(Timer::Depart, now + AGAIN_EVERY);
            return;
        }
        goodbye.said = true;
        self.membership.leave(now);
        self.drain_membership();
        self.out.push_back(Output::Departed);
    }

    /// Whether every reachable peer is known to hold all of this node's feed.
    pub(crate) fn is_alone_or_heard(&self, own: &tidings_types::Lineage) -> bool {
        let mut peers = self.roster.reachable_peers();
        peers.all(|(peer, _)| self.peers.holds(peer).is_some_and(|held| held.covers(own)))
    }
}
