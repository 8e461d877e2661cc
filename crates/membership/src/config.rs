//! Every interval, fan-out and limit of the membership protocol.

use std::time::Duration;

use tidings_types::limits::{FEEDS, PAYLOAD_BYTES};

use crate::pace::HASTY_PERCENT;

/// Bytes that the driver's frame (kind, fingerprint, lengths) takes of a datagram's payload.
pub const FRAME_RESERVE_BYTES: usize = 64;
/// Bytes of one membership packet, at most.
pub const PACKET_BYTES: usize = PAYLOAD_BYTES - FRAME_RESERVE_BYTES;
/// Bytes below which a packet cannot carry a header and some updates.
const PACKET_BYTES_MIN: usize = 512;

const TICK_MIN: Duration = Duration::from_millis(10);
const TICK_MAX: Duration = Duration::from_secs(3_600);

/// How the membership protocol is tuned. [`Default`] suits a local network of 3 to some thousand
/// nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How often one member is probed; a quarter faster in clusters of up to four. Longer: less
    /// traffic, slower detection.
    pub probe_period: Duration,
    /// How long a direct answer may take before others are asked to try. Longer: fewer needless
    /// indirect probes; it must leave room for them within the period, jitter counted.
    pub probe_rtt: Duration,
    /// How many members are asked to try. More: fewer false suspicions, more packets.
    pub indirect_probes: usize,
    /// How long a suspect has to refute, in a cluster of three. It grows with the logarithm of the
    /// size. Longer: fewer false verdicts, slower detection.
    pub suspicion: Duration,
    /// How many packets carry a piece of news, at least. Fewer than 16 let refutations die out at
    /// 20-30 % loss, and the living are declared down.
    pub transmissions: u8,
    /// How often pending news is sent on by itself.
    pub gossip_interval: Duration,
    /// To how many members each time.
    pub gossip_fanout: usize,
    /// How often a member that is down is tried again in a small cluster. It grows with the size.
    pub retry_down_min: Duration,
    /// How often in a large one. Longer: slower healing after a split, less traffic to the dead.
    pub retry_down_max: Duration,
    /// How many of them each time.
    pub retry_down_fanout: usize,
    /// How often the watchdog looks whether this node is alone or hears nothing.
    pub watchdog_interval: Duration,
    /// After how long without an accepted packet it acts. Shorter than a few probe periods makes it
    /// act without reason, which costs two packets each time.
    pub silence: Duration,
    /// To how many addresses the watchdog announces.
    pub watchdog_fanout: usize,
    /// How often one announce goes to any known address, whatever the state: it joins clusters that
    /// have forgotten each other.
    pub reannounce_interval: Duration,
    /// To how many addresses a node announces at once that has to rejoin or has lost everybody.
    pub rejoin_fanout: usize,
    /// How many times as long as usual a node waits, at most, whose own probes fail. Higher: fewer
    /// false suspicions by a sick node, slower recovery of its judgement. 1 switches it off.
    pub local_health_max: u8,
    /// By how many percent each periodic interval varies, both ways. Zero runs nodes that start
    /// together in lock-step: for tests.
    pub jitter_percent: u8,
    /// Bytes of one packet, at most [`PACKET_BYTES`]. A node refuses longer ones than its own limit,
    /// so receivers are raised first.
    pub packet_bytes: usize,
    /// Members held, down ones counted. Full: news of further ones is not taken.
    pub members_max: usize,
    /// Members remembered while they are down; the one that is down longest is forgotten first.
    pub down_max: usize,
    /// Addresses remembered; the one not heard of for longest is forgotten first.
    pub addresses_max: usize,
    /// Guards that are taken away.
    #[cfg(feature = "mutants")]
    pub mutants: Mutants,
}

/// Switches that restore foca's plain behaviour, one guard each.
#[cfg(feature = "mutants")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mutants {
    /// No announce of our own, except the first one to each seed.
    pub no_watchdog: bool,
    /// A refuted suspicion still ends in a forced rejoin.
    pub no_turn_undead_filter: bool,
    /// A node whose own probes fail accuses all others.
    pub no_abstaining: bool,
}

/// A setting is outside its range. Nothing was started; the operator has to correct it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("membership setting {field} is out of range: it can be {nearest} at the nearest")]
pub struct ConfigError {
    /// The field of [`Config`].
    pub field: &'static str,
    /// The nearest permitted value.
    pub nearest: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            probe_period: Duration::from_secs(1),
            probe_rtt: Duration::from_millis(500),
            indirect_probes: 3,
            suspicion: Duration::from_secs(2),
            transmissions: 16,
            gossip_interval: Duration::from_millis(200),
            gossip_fanout: 3,
            retry_down_min: Duration::from_secs(1),
            retry_down_max: Duration::from_secs(5),
            retry_down_fanout: 2,
            watchdog_interval: Duration::from_secs(1),
            silence: Duration::from_secs(5),
            watchdog_fanout: 2,
            reannounce_interval: Duration::from_secs(10),
            rejoin_fanout: 3,
            local_health_max: 8,
            jitter_percent: 20,
            packet_bytes: PACKET_BYTES,
            members_max: FEEDS,
            down_max: 4_096,
            addresses_max: 4_096,
            #[cfg(feature = "mutants")]
            mutants: Mutants::default(),
        }
    }
}

impl Config {
    /// Names the first setting that [`Membership::new`](crate::Membership::new) would correct.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let nearest = self.clone().clamped();
        macro_rules! check {
            ($($field:ident),+ $(,)?) => {$(
                if self.$field != nearest.$field {
                    return Err(ConfigError {
                        field: stringify!($field),
                        nearest: format!("{:?}", nearest.$field),
                    });
                }
            )+};
        }
        check!(
            jitter_percent,
            probe_period,
            probe_rtt,
            indirect_probes,
            suspicion,
            transmissions,
            gossip_interval,
            gossip_fanout,
            retry_down_min,
            retry_down_max,
            retry_down_fanout,
            watchdog_interval,
            silence,
            watchdog_fanout,
            reannounce_interval,
            rejoin_fanout,
            local_health_max,
            packet_bytes,
            members_max,
            down_max,
            addresses_max,
        );
        Ok(())
    }

    /// The nearest configuration that cannot spin, wedge or grow without bound.
    pub(crate) fn clamped(mut self) -> Self {
        self.jitter_percent = self.jitter_percent.min(50);
        for tick in [
            &mut self.probe_period,
            &mut self.suspicion,
            &mut self.gossip_interval,
            &mut self.retry_down_min,
            &mut self.retry_down_max,
            &mut self.watchdog_interval,
            &mut self.silence,
            &mut self.reannounce_interval,
        ] {
            *tick = (*tick).clamp(TICK_MIN, TICK_MAX);
        }
        self.retry_down_max = self.retry_down_max.max(self.retry_down_min);
        // The indirect stage must come before the next probe, or foca loses the cycle.
        let shortest =
            self.probe_period * u32::from(100 - self.jitter_percent) / 100 * HASTY_PERCENT / 100;
        self.probe_rtt = self.probe_rtt.clamp(TICK_MIN / 10, shortest * 9 / 10);
        self.transmissions = self.transmissions.clamp(1, 100);
        for fanout in [
            &mut self.indirect_probes,
            &mut self.gossip_fanout,
            &mut self.retry_down_fanout,
            &mut self.watchdog_fanout,
            &mut self.rejoin_fanout,
        ] {
            *fanout = (*fanout).clamp(1, 16);
        }
        self.local_health_max = self.local_health_max.clamp(1, 16);
        self.packet_bytes = self.packet_bytes.clamp(PACKET_BYTES_MIN, PACKET_BYTES);
        self.members_max = self.members_max.clamp(64, FEEDS);
        self.down_max = self.down_max.clamp(1, self.members_max);
        self.addresses_max = self.addresses_max.clamp(16, FEEDS);
        self
    }

    /// Whether our own announces run.
    pub(crate) const fn has_watchdog(&self) -> bool {
        #[cfg(feature = "mutants")]
        return !self.mutants.no_watchdog;
        #[cfg(not(feature = "mutants"))]
        true
    }

    /// Whether a node that has reason to doubt itself accuses nobody.
    pub(crate) const fn abstains(&self) -> bool {
        #[cfg(feature = "mutants")]
        return !self.mutants.no_abstaining;
        #[cfg(not(feature = "mutants"))]
        true
    }

    /// Whether stale suspicions are stopped.
    pub(crate) const fn has_turn_undead_filter(&self) -> bool {
        #[cfg(feature = "mutants")]
        return !self.mutants.no_turn_undead_filter;
        #[cfg(not(feature = "mutants"))]
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn a_direct_wait_without_room_for_the_indirect_stage_is_refused() {
        let config = Config {
            probe_rtt: Duration::from_millis(900),
            ..Config::default()
        };
        assert_eq!(config.validate().unwrap_err().field, "probe_rtt");
        assert_eq!(config.clamped().validate(), Ok(()));
    }

    #[test]
    fn intervals_of_zero_cannot_spin() {
        let config = Config {
            gossip_interval: Duration::ZERO,
            ..Config::default()
        };
        assert_eq!(config.validate().unwrap_err().field, "gossip_interval");
        assert!(config.clamped().gossip_interval >= TICK_MIN);
    }
}
