//! Seeds: the names under which an agent looks for its cluster.
//!
//! Names are resolved again on each round, for ever: an agent may be started before the DNS entry
//! of its seed exists, and a seed may move. The node decides what to do with the addresses.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use tidings_types::ClusterKeyId;
use tidings_view::View;
use tokio::{
    net::lookup_host,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{settings::GOSSIP_PORT, transport::Transport};

/// The pause between two rounds while this agent knows no other.
const LOOKING: Duration = Duration::from_secs(1);
/// The pause once it does: names may move, and a lost cluster is found again by them.
const JOINED: Duration = Duration::from_secs(30);
/// Rounds without another agent after which it is told.
const IN_VAIN: u32 = 5;
/// How long one name may take in a round; a slow one does not hold up the others.
const NAME_WITHIN: Duration = Duration::from_secs(5);
/// Addresses that one name may stand for.
const ADDRESSES_PER_NAME: usize = 16;

/// The name or address of another agent, resolved anew on each try.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seed {
    host: String,
    port: u16,
}

/// The text names no seed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no seed: give HOST:PORT, as in node1.example:8301 or [2001:db8::1]:8301")]
pub struct SeedError {
    text: String,
}

impl FromStr for Seed {
    type Err = SeedError;

    /// `HOST:PORT`; without a port the usual one is meant.
    fn from_str(text: &str) -> Result<Self, SeedError> {
        let error = || SeedError {
            text: text.to_owned(),
        };
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self {
                host: ip.to_string(),
                port: GOSSIP_PORT,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| error())?),
            None => (text, GOSSIP_PORT),
        };
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(error)?,
            None => host,
        };
        let is_ip = host.parse::<IpAddr>().is_ok();
        let is_name = (1..=253).contains(&host.len())
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        if port == 0 || !(is_ip || is_name) {
            return Err(error());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Seed {
    /// Whether it cannot be reached over loopback. What a name stands for is seen later.
    pub(crate) fn is_elsewhere(&self) -> bool {
        let ip = self.host.parse::<IpAddr>();
        ip.is_ok_and(|ip| !ip.is_loopback())
    }

    /// What it stands for now.
    pub(crate) async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let found = timeout(NAME_WITHIN, lookup_host((self.host.as_str(), self.port)))
            .await
            .map_err(|_| format!("no answer within {} s", NAME_WITHIN.as_secs()))?
            .map_err(|error| error.to_string())?;
        let addrs: Vec<_> = found.take(ADDRESSES_PER_NAME).collect();
        if addrs.is_empty() {
            return Err("it has no address".to_owned());
        }
        Ok(addrs)
    }
}

/// Resolves `seeds` for ever and hands the addresses to `found`, those that never change included:
/// the node tries what it was told last.
pub(crate) async fn watch_seeds(
    seeds: Vec<Seed>,
    view: View,
    transport: Transport,
    found: watch::Sender<Vec<SocketAddr>>,
) {
    let mut failing = BTreeSet::new();
    let mut search = Search::default();
    loop {
        let mut round = JoinSet::new();
        for seed in seeds.clone() {
            round.spawn(async move {
                let result = seed.resolve().await;
                (seed, result)
            });
        }
        let mut addrs = BTreeSet::new();
        while let Some(done) = round.join_next().await {
            let Ok((seed, result)) = done else { continue };
            report(&seed, &result, &mut failing);
            addrs.extend(result.unwrap_or_default());
        }
        let addrs: Vec<_> = addrs.into_iter().collect();
        found.send_if_modified(|last| {
            let news = *last != addrs;
            *last = addrs;
            news
        });
        let alone = view.roster().reachable <= 1;
        search.report(alone, &seeds, &transport.keys());
        sleep(if alone { LOOKING } else { JOINED }).await;
    }
}

/// How long the search for other agents has been in vain.
#[derive(Debug, Default)]
struct Search {
    rounds: u32,
}

impl Search {
    /// Speaks once when nobody has been found for a while, and once when somebody is.
    fn report(&mut self, alone: bool, seeds: &[Seed], keys: &[ClusterKeyId]) {
        if !alone {
            if self.rounds > IN_VAIN {
                tracing::info!("another agent answers now");
            }
            self.rounds = 0;
            return;
        }
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds == IN_VAIN + 1 {
            let seeds: Vec<_> = seeds.iter().map(ToString::to_string).collect();
            tracing::warn!(
                seeds = seeds.join(", "),
                ?keys,
                "no other agent answers; this one goes on alone and looks for them for ever. If they \
                 run, see that they accept the first of its cluster keys"
            );
        }
    }
}

/// Speaks of a name once when it stops resolving and once when it does again.
fn report(seed: &Seed, result: &Result<Vec<SocketAddr>, String>, failing: &mut BTreeSet<Seed>) {
    match result {
        Ok(_) => {
            if failing.remove(seed) {
                tracing::info!(%seed, "the seed's name resolves now");
            }
        }
        Err(reason) => {
            if failing.insert(seed.clone()) {
                tracing::warn!(%seed, %reason, "the seed's name does not resolve; it is tried again, and nothing waits for it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_addresses_and_a_missing_port_are_taken() {
        for (text, shown) in [
            ("node1.example:9000", "node1.example:9000"),
            ("node1", "node1:8301"),
            ("192.0.2.1", "192.0.2.1:8301"),
            ("2001:db8::1", "[2001:db8::1]:8301"),
            ("[2001:db8::1]:9000", "[2001:db8::1]:9000"),
        ] {
            assert_eq!(text.parse::<Seed>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", ":8301", "a:b", "a:0", "a b:1", "[::1:8301", "a:70000"] {
            assert!(text.parse::<Seed>().is_err(), "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_wrong_name_is_told_once_and_again_when_it_comes_back() {
        let seed: Seed = "localhost:8301".parse().unwrap();
        let mut failing = BTreeSet::new();
        report(&seed, &Err("gone".to_owned()), &mut failing);
        assert!(failing.contains(&seed));
        let found = seed.resolve().await;
        assert!(found.is_ok(), "{found:?}");
        report(&seed, &found, &mut failing);
        assert!(failing.is_empty());
    }
}
