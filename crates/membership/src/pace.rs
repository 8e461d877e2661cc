//! What follows the size of the cluster, and the translation of the configuration for foca.

use std::{
    num::{NonZeroU8, NonZeroUsize},
    time::Duration,
};

use foca::PeriodicParams;

use crate::Config;

/// Up to how many members the dead are retried at the fastest rate.
const SMALL_CLUSTER: u32 = 8;
/// Up to how many reachable members probes come faster.
///
/// foca goes round the members in random order, so the gap between two probes of one member can be
/// nearly twice as long as a round. With many members the others' probes make up for it; with two or
/// three, only speed does, and it costs nothing.
const HASTY_CLUSTER: usize = 4;
/// The period of probes in such a cluster, as a percentage of the configured one.
pub(crate) const HASTY_PERCENT: u32 = 75;
/// How often foca asks one active member for more members.
const ASK_INTERVAL: Duration = Duration::from_secs(30);

/// The settings that change with the number of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) suspicion: Duration,
    /// The period of probes, as a percentage of the configured one.
    pub(crate) probe_percent: u32,
    transmissions: u8,
    retry_down: Duration,
}

impl Pace {
    /// For `active` reachable members out of `known`, this node counted in both.
    pub(crate) fn of(config: &Config, active: usize, known: usize) -> Self {
        // Whole steps of the binary logarithm: the same on every platform, and set_config is called
        // only a few times while a cluster grows. Three nodes make two steps.
        let steps = u32::try_from(active)
            .unwrap_or(u32::MAX)
            .saturating_add(1)
            .ilog2();
        let news = u8::try_from(steps * 4 / 3).unwrap_or(u8::MAX);
        let known = u32::try_from(known).unwrap_or(u32::MAX);
        Self {
            suspicion: config.suspicion * steps.max(2) / 2,
            probe_percent: if active <= HASTY_CLUSTER {
                HASTY_PERCENT
            } else {
                100
            },
            transmissions: config.transmissions.max(news),
            // Every node retries the dead, so that in large clusters each may do it less often.
            retry_down: (config.retry_down_min.saturating_mul(known) / SMALL_CLUSTER)
                .clamp(config.retry_down_min, config.retry_down_max),
        }
    }

    pub(crate) fn foca(&self, config: &Config) -> foca::Config {
        let periodic = |frequency, members| {
            Some(PeriodicParams {
                frequency,
                num_members: at_least_one(members),
            })
        };
        foca::Config {
            probe_period: config.probe_period,
            probe_rtt: config.probe_rtt,
            num_indirect_probes: at_least_one(config.indirect_probes),
            max_transmissions: NonZeroU8::new(self.transmissions).unwrap_or(NonZeroU8::MIN),
            suspect_to_down_after: self.suspicion,
            // foca's own forgetting would also end its retries, and a split of more than a day would
            // never heal.
            remove_down_after: None,
            max_packet_size: at_least_one(config.packet_bytes),
            notify_down_members: true,
            periodic_announce: periodic(ASK_INTERVAL, 1),
            periodic_announce_to_down_members: periodic(self.retry_down, config.retry_down_fanout),
            periodic_gossip: periodic(config.gossip_interval, config.gossip_fanout),
        }
    }
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicion_grows_with_the_logarithm_of_the_size() {
        let seconds = |n| Pace::of(&Config::default(), n, n).suspicion.as_secs();
        assert_eq!([1, 2, 3].map(seconds), [2, 2, 2]);
        assert_eq!([7, 100, 1_000].map(seconds), [3, 6, 9]);
    }

    #[test]
    fn large_clusters_retry_the_dead_less_often() {
        let seconds = |n| Pace::of(&Config::default(), n, n).retry_down.as_secs();
        assert_eq!([3, 8, 16, 1_000].map(seconds), [1, 1, 2, 5]);
    }

    #[test]
    fn news_never_gets_fewer_transmissions_than_configured() {
        let news = |n| Pace::of(&Config::default(), n, n).transmissions;
        assert_eq!([1, 100, 10_000].map(news), [16, 16, 17]);
    }
}
