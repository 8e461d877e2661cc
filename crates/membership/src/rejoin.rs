//! Guard: a node that is told again and again that it is down rejoins at a bounded pace.
//!
//! Whoever is told so renews its identity and announces itself at once. If its peers hold another
//! life of it that no renewal beats (a copied data directory, a clock that went back), they tell it
//! again at once, and the two go on at the speed of the network. What comes too soon after a rejoin
//! is left out: it is said again as long as it holds.

use std::time::Duration;

use foca::Message;
use tidings_types::Timestamp;

use crate::{Membership, codec::Packet};

/// The least time between two rejoins.
const REJOIN_INTERVAL: Duration = Duration::from_millis(500);

impl Membership {
    /// Whether a packet would make this node rejoin that has only just done so.
    pub(crate) fn rejoins_too_soon(&mut self, now: Timestamp, packet: &Packet) -> bool {
        let me = self.me();
        let is_recent = self
            .last_rejoin
            .is_some_and(|at| now.since(at) < REJOIN_INTERVAL);
        let mut updates = packet.updates.iter();
        let says_down = matches!(packet.header.message, Message::TurnUndead)
            || updates.any(|update| *update.id() == me && update.state() == foca::State::Down);
        let too_soon = is_recent && says_down;
        self.counters.rejoins_put_off += u64::from(too_soon);
        too_soon
    }
}
