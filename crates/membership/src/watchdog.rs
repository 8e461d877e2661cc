//! Guard: announces that never stop.
//!
//! foca stops all its timers when no active member is left, so two nodes that lost each other never
//! speak again. And when a healed split makes all nodes renew their identities at once, each talks to
//! the others' former ones and nobody listens: only an announce is taken under a former identity. So
//! announces go out on our own timers, to addresses rather than identities, for ever.

use std::net::SocketAddr;

use tidings_types::{NodeId, Probe, Timestamp};

use crate::{
    MemberId, Membership,
    id::canonical,
    timers::{Event, Slot},
};

/// Addresses that one call may announce to.
const ANNOUNCE_MAX: usize = 64;

impl Membership {
    /// Replaces the seeds by what their names resolve to now, and announces this node to the new ones.
    pub fn set_seeds(&mut self, now: Timestamp, addrs: Vec<SocketAddr>) {
        let new = self.addresses.set_seeds(addrs);
        self.announce_to(now, new);
    }

    /// Takes note of where members were in earlier runs; they are tried when this node is alone.
    pub fn add_known(
        &mut self,
        now: Timestamp,
        known: impl IntoIterator<Item = (NodeId, SocketAddr)>,
    ) {
        let me = self.me().node;
        for (_, addr) in known.into_iter().filter(|&(node, _)| node != me) {
            self.addresses.saw(canonical(addr), now);
        }
    }

    /// Announces this node to these addresses at once, and to them again whenever it is alone.
    pub fn announce(&mut self, now: Timestamp, addrs: &[SocketAddr]) {
        for &addr in addrs.iter().take(ANNOUNCE_MAX) {
            self.addresses.saw(canonical(addr), now);
        }
        self.announce_to(now, addrs.iter().copied());
    }

    pub(crate) fn start_watchdog(&mut self, now: Timestamp) {
        if self.config.has_watchdog() {
            self.set_watchdog(now);
            self.set_reannounce(now);
        }
    }

    /// Looks whether this node is alone, or wedged among members that do not listen.
    pub(crate) fn watch(&mut self, now: Timestamp) {
        self.set_watchdog(now);
        let is_alone = self.alive() == 0;
        self.contact_due |= is_alone;
        if is_alone || now.since(self.last_accepted) >= self.config.silence {
            let sent = self.announce_to_some(now, self.config.watchdog_fanout);
            self.counters.watchdog_fired += u64::from(sent);
            if sent {
                self.probes.met(Probe::WatchdogFired);
            }
        }
    }

    /// Joins clusters that have forgotten each other.
    pub(crate) fn reannounce(&mut self, now: Timestamp) {
        self.set_reannounce(now);
        self.announce_to_some(now, 1);
    }

    /// After a loss of everybody or a forced rejoin nobody knows this identity: says it at once.
    pub(crate) fn call_out(&mut self, now: Timestamp) {
        if self.config.has_watchdog() {
            self.announce_to_some(now, self.config.rejoin_fanout);
        }
    }

    fn announce_to_some(&mut self, now: Timestamp, count: usize) -> bool {
        let me = self.me().addr;
        let addrs = self.addresses.pick(count, me, &mut self.rng);
        let any = !addrs.is_empty();
        self.announce_to(now, addrs);
        any
    }

    fn announce_to(&mut self, now: Timestamp, addrs: impl IntoIterator<Item = SocketAddr>) {
        let me = self.me().addr;
        let others = addrs.into_iter().map(canonical).filter(|&addr| addr != me);
        for addr in others.take(ANNOUNCE_MAX) {
            self.drive(now, false, |swim, effects| {
                swim.announce(MemberId::anyone_at(addr), effects)
            });
        }
    }

    fn set_watchdog(&mut self, now: Timestamp) {
        let due = now + self.jittered(self.config.watchdog_interval);
        self.timers.set(Slot::Watchdog, due, Event::Watchdog);
    }

    fn set_reannounce(&mut self, now: Timestamp) {
        let due = now + self.jittered(self.config.reannounce_interval);
        self.timers.set(Slot::Reannounce, due, Event::Reannounce);
    }
}
