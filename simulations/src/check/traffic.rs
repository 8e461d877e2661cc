//! B3: an idle cluster is cheap; a heal costs what was different and not what there is; nothing sends
//! many times what is usual for long.

use std::time::Duration;

use tidings_registry::Registry;
use tidings_wire::{FeedPart, Response};

use crate::host::Host;

/// The seconds at the end of a run over which its steady rate is taken.
const STEADY: usize = 10;
/// How many times the steady rate makes a storm.
const STORM: u64 = 10;
/// What leaves the steady rate of a small cluster too small to be multiplied: bytes in a second.
const LULL: u64 = 4_096;

/// The bytes that all hosts have sent.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// In each full second; 0 while clients ask for things, which explains what is sent.
    seconds: Vec<u64>,
    now: u64,
    /// Whether a client asked for something in this second, and in the one before.
    asked: [bool; 2],
    /// On sessions, since the heal.
    repair: u64,
    /// Sessions opened since the heal.
    sessions: u64,
    /// Bytes that hosts lacked at the heal, on their way once.
    lacking: u64,
    healed: bool,
}

impl Traffic {
    /// A datagram or a frame went out.
    pub(crate) const fn sent(&mut self, bytes: usize, on_session: bool) {
        let bytes = bytes as u64;
        self.now += bytes;
        if on_session && self.healed {
            self.repair += bytes;
        }
    }

    /// A client asks for something.
    pub(crate) const fn asked(&mut self) {
        self.asked[0] = true;
    }

    /// A session was opened.
    pub(crate) fn opened(&mut self) {
        self.sessions += u64::from(self.healed);
    }

    /// A second is over.
    pub(crate) fn second(&mut self) {
        let sent = std::mem::take(&mut self.now);
        let is_idle = self.asked == [false; 2];
        self.seconds.push(if is_idle { sent } else { 0 });
        self.asked = [false, self.asked[0]];
    }

    /// Everything is healed, and hosts lack this of each other.
    pub(crate) fn healed(&mut self, hosts: &[Host]) {
        self.healed = true;
        self.lacking = lacking(hosts);
    }

    /// Bytes in a second, of all hosts together, at the end.
    pub(crate) fn steady(&self) -> u64 {
        let last = &self.seconds[self.seconds.len().saturating_sub(STEADY)..];
        last.iter().sum::<u64>() / (last.len() as u64).max(1)
    }

    /// For how long at a time there was a storm, at most.
    pub(crate) fn storm(&self) -> Duration {
        let bound = self.steady().max(LULL) * STORM;
        let runs = self.seconds.split(|&bytes| bytes <= bound);
        let longest = runs.map(<[u64]>::len).max().unwrap_or(0);
        Duration::from_secs(longest as u64)
    }

    /// Bytes on sessions since the heal, and bytes that hosts lacked then.
    pub(crate) const fn repair(&self) -> (u64, u64) {
        (self.repair, self.lacking)
    }

    /// Sessions opened since the heal.
    pub(crate) const fn sessions(&self) -> u64 {
        self.sessions
    }
}

/// What it takes to give each host once what any other of its cluster has and it has not.
fn lacking(hosts: &[Host]) -> u64 {
    let registry = |host: &Host| host.node.as_ref().map(|node| node.registry().clone());
    let mut bytes = 0;
    for host in hosts {
        let Some(mut held) = registry(host) else {
            continue;
        };
        let others = hosts.iter().filter(|other| other.cluster == host.cluster);
        for other in others.filter_map(|other| other.node.as_ref()) {
            bytes += take_all(&mut held, other.registry());
        }
    }
    bytes
}

/// Lets `held` have what it lacks of `other`; says how many bytes of frames that takes.
fn take_all(held: &mut Registry, other: &Registry) -> u64 {
    let mut bytes = 0;
    // So it is nearly always; to look at every feed at every pair of hosts takes long.
    if held.fingerprint() == other.fingerprint() && held.damaged().next().is_none() {
        return bytes;
    }
    for owner in other.owners() {
        let Some(transfer) = other.transfer(owner, &held.held(owner)) else {
            continue;
        };
        if held.apply(transfer.clone()).is_err() {
            continue;
        }
        for part in FeedPart::split(transfer).flatten() {
            let frame = Response::Feed(Box::new(part)).encode();
            bytes += frame.map_or(0, |frame| frame.len() as u64);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_as_long_as_it_lasts_at_a_time() {
        let mut traffic = Traffic::default();
        let loud = usize::try_from(LULL * STORM + 1).unwrap();
        for bytes in [[10, loud, loud, 10], [loud, loud, loud, 10]].concat() {
            traffic.sent(bytes, false);
            traffic.second();
        }
        (0..STEADY).for_each(|_| {
            traffic.sent(20, true);
            traffic.second();
        });
        assert_eq!(traffic.storm(), Duration::from_secs(3));
        assert_eq!(traffic.steady(), 20);
        assert_eq!(traffic.repair(), (0, 0));
    }
}
