//! Probes: rare states of the core that a test wants to know it has met.
//!
//! A test that never meets the hard case proves nothing about it. So where a rare branch is taken, the
//! core says so: `self.probes.met(Probe::GapClosed)`. Whoever drives it takes the set after each
//! input. Without the feature `probes`, which the simulator turns on, the set takes no room and
//! [`Probes::met`] does nothing. Each component keeps its own set, so that runs on several threads
//! share nothing.

/// A rare state of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Probe {
    /// A suspect turned out to be alive.
    SuspicionRefuted,
    /// This node was declared down and took a new membership identity.
    IdentityRenewed,
    /// This node was alone, or heard nothing, and announced itself.
    WatchdogFired,
    /// A tombstone or an override met a live entry of its key, in whichever order, and beat it.
    TombstoneBeatLive,
    /// A live entry met a tombstone or an override of its key, in whichever order, and beat it.
    LiveBeatTombstone,
    /// News was too large for a datagram: the position was told in its place.
    NewsTooLarge,
    /// What had waited for a gap in its feed was joined.
    GapClosed,
}

impl Probe {
    /// Every probe.
    pub const ALL: [Self; 7] = [
        Self::SuspicionRefuted,
        Self::IdentityRenewed,
        Self::WatchdogFired,
        Self::TombstoneBeatLive,
        Self::LiveBeatTombstone,
        Self::NewsTooLarge,
        Self::GapClosed,
    ];

    #[cfg(feature = "probes")]
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The probes met since the set was last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    #[cfg(feature = "probes")]
    met: u32,
}

impl Probes {
    /// Whether probes are compiled in, for a state that takes work to recognise.
    pub const ARE_ON: bool = cfg!(feature = "probes");

    /// This state was met.
    pub const fn met(&mut self, probe: Probe) {
        #[cfg(feature = "probes")]
        {
            self.met |= probe.bit();
        }
        #[cfg(not(feature = "probes"))]
        let _ = probe;
    }

    /// What was met since the last time.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// What either set has.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        #[cfg(feature = "probes")]
        return Self {
            met: self.met | other.met,
        };
        #[cfg(not(feature = "probes"))]
        return other;
    }

    /// Each probe that was met.
    pub fn iter(self) -> impl Iterator<Item = Probe> {
        Probe::ALL.into_iter().filter(move |probe| self.has(*probe))
    }

    const fn has(self, probe: Probe) -> bool {
        #[cfg(feature = "probes")]
        return self.met & probe.bit() != 0;
        #[cfg(not(feature = "probes"))]
        {
            let _ = probe;
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_tells_each_probe_once_and_only_where_probes_are_on() {
        let (mut one, mut other) = (Probes::default(), Probes::default());
        one.met(Probe::GapClosed);
        one.met(Probe::GapClosed);
        other.met(Probe::TombstoneBeatLive);
        let met: Vec<_> = one.take().and(other.take()).iter().collect();
        let expected = [Probe::TombstoneBeatLive, Probe::GapClosed];
        assert_eq!(met, &expected[..if Probes::ARE_ON { 2 } else { 0 }]);
        assert_eq!(one, Probes::default());
    }
}
