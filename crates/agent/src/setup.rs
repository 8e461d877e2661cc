//! Looks at what the agent was set up with, for `tidings doctor`.

use std::{net::SocketAddr, path::PathBuf};

use rustix::process::{Resource, getrlimit};
use tidings_http::{DataSetup, SeedSetup, Setup};
use tidings_view::{NodeKey, View};
use tokio::task::{JoinSet, spawn_blocking};

use crate::{agent::Addresses, seeds::Seed, settings::Settings};

/// What stays as it was at the start, and the view of the members.
#[derive(Clone, Debug)]
pub(crate) struct Looking {
    seeds: Vec<Seed>,
    warnings: Vec<String>,
    data_dir: Option<PathBuf>,
    addresses: Addresses,
    view: View,
}

impl Looking {
    pub(crate) fn new(settings: &Settings, addresses: Addresses, view: View) -> Self {
        Self {
            seeds: settings.seeds.clone(),
            warnings: settings.warnings(),
            data_dir: settings.data_dir.clone(),
            addresses,
            view,
        }
    }

    /// Looks at it now. Takes as long as the slowest name, which has its limit.
    pub(crate) async fn look(self) -> Setup {
        let mut resolving = JoinSet::new();
        for (place, seed) in self.seeds.iter().cloned().enumerate() {
            resolving.spawn(async move { (place, seed.resolve().await, seed) });
        }
        let mut seeds = resolving.join_all().await;
        seeds.sort_by_key(|(place, ..)| *place);
        let seeds = seeds.into_iter();
        let seeds = seeds.map(|(_, found, seed)| self.seed(&seed, found));
        Setup {
            http: self.addresses.http,
            dns: self.addresses.dns,
            advertised: self.addresses.gossip,
            seeds: seeds.collect(),
            warnings: self.warnings.clone(),
            data: data(self.data_dir.clone()).await,
            open_files: getrlimit(Resource::Nofile).current,
        }
    }

    fn seed(&self, seed: &Seed, found: Result<Vec<SocketAddr>, String>) -> SeedSetup {
        let (addresses, error) = match found {
            Ok(addresses) => (addresses, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        SeedSetup {
            seed: seed.to_string(),
            members: self.members_at(&addresses),
            addresses,
            error,
        }
    }

    /// The reachable members at these addresses.
    fn members_at(&self, addresses: &[SocketAddr]) -> Vec<String> {
        let roster = self.view.roster();
        let there = roster
            .members
            .iter()
            .filter(|(_, member)| member.status.is_reachable() && addresses.contains(&member.addr));
        let named = there.map(|(id, _)| {
            let node = self.view.node_by_key(&NodeKey::Agent(*id));
            node.map_or_else(|| id.to_string(), |node| node.facts.name.to_string())
        });
        named.collect()
    }
}

async fn data(dir: Option<PathBuf>) -> Option<DataSetup> {
    let directory = dir?;
    let path = directory.clone();
    // A disk that hangs does not answer this either.
    let free = spawn_blocking(move || {
        let found = rustix::fs::statvfs(&path).ok()?;
        found.f_bavail.checked_mul(found.f_frsize)
    });
    Some(DataSetup {
        directory: directory.display().to_string(),
        free_bytes: free.await.ok().flatten(),
    })
}
