//! Looks at what the agent was set up with, for `tidings doctor`, and at who is where, for joining.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use rustix::process::{Resource, getrlimit};
use tidings_http::{DataSetup, SeedAnswer, SeedAnswerKind, SeedSetup, Setup};
use tidings_view::View;
use tokio::{
    sync::Semaphore,
    task::{JoinSet, spawn_blocking},
};

use crate::{
    agent::Addresses,
    seeds::Seed,
    settings::Settings,
    transport::{Knock, Met, Transport},
};

/// Addresses of seeds at which one look knocks.
const KNOCKS: usize = 64;
/// Knocks at once, of all who look: each is a handshake of both sides.
const KNOCKS_AT_ONCE: usize = 16;

/// A seed with its place in the settings and what its name stands for.
type Resolved = (usize, Result<Vec<SocketAddr>, String>, Seed);

/// What stays as it was at the start, and the view of the members.
#[derive(Clone, Debug)]
pub(crate) struct Looking {
    seeds: Vec<Seed>,
    warnings: Vec<String>,
    data_dir: Option<PathBuf>,
    addresses: Addresses,
    view: View,
    transport: Transport,
    knocking: Arc<Semaphore>,
}

impl Looking {
    pub(crate) fn new(
        settings: &Settings,
        addresses: Addresses,
        view: View,
        transport: Transport,
    ) -> Self {
        Self {
            seeds: settings.seeds.clone(),
            warnings: settings.warnings(),
            data_dir: settings.data_dir.clone(),
            addresses,
            view,
            transport,
            knocking: Arc::new(Semaphore::new(KNOCKS_AT_ONCE)),
        }
    }

    /// Looks at it now. Takes as long as the slowest name and the slowest knock, which have limits.
    pub(crate) async fn look(self) -> Setup {
        let mut resolving = JoinSet::new();
        for (place, seed) in self.seeds.iter().cloned().enumerate() {
            resolving.spawn(async move { (place, seed.resolve().await, seed) });
        }
        let mut seeds = resolving.join_all().await;
        seeds.sort_by_key(|(place, ..)| *place);
        let answers = self.knock_at_strangers(&seeds).await;
        let seeds = seeds.into_iter();
        let seeds = seeds.map(|(_, found, seed)| self.seed(&seed, found, &answers));
        Setup {
            http: self.addresses.http,
            dns: self.addresses.dns,
            advertised: self.addresses.gossip,
            seeds: seeds.collect(),
            warnings: self.warnings.clone(),
            data: data(self.data_dir.clone()).await,
            open_files: getrlimit(Resource::Nofile).current,
            definitions_refused: None,
        }
    }

    fn seed(
        &self,
        seed: &Seed,
        found: Result<Vec<SocketAddr>, String>,
        answers: &BTreeMap<SocketAddr, SeedAnswer>,
    ) -> SeedSetup {
        let (addresses, error) = match found {
            Ok(addresses) => (addresses, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let answers = addresses.iter().filter_map(|addr| answers.get(addr));
        SeedSetup {
            seed: seed.to_string(),
            members: self.members_at(&addresses),
            answers: answers.cloned().collect(),
            addresses,
            error,
        }
    }

    /// Who is at the addresses at which no reachable member is.
    async fn knock_at_strangers(&self, seeds: &[Resolved]) -> BTreeMap<SocketAddr, SeedAnswer> {
        let found = seeds.iter().filter_map(|(_, found, _)| found.as_ref().ok());
        let strange = found.flatten().copied();
        let strange = strange.filter(|&addr| self.members_at(&[addr]).is_empty());
        let strange = strange.collect();
        self.knock(strange).await
    }

    /// Who is at these addresses: each is asked once.
    pub(crate) async fn knock(
        &self,
        addresses: BTreeSet<SocketAddr>,
    ) -> BTreeMap<SocketAddr, SeedAnswer> {
        let mut knocking = JoinSet::new();
        let mut answers = BTreeMap::new();
        for (place, address) in addresses.into_iter().enumerate() {
            if place >= KNOCKS {
                let (answer, detail) = (SeedAnswerKind::NotAsked, String::new());
                let answer = SeedAnswer {
                    address,
                    answer,
                    detail,
                };
                answers.insert(address, answer);
                continue;
            }
            let looking = self.clone();
            knocking.spawn(async move {
                // The semaphore is never closed.
                let _place = looking.knocking.acquire().await;
                let knock = looking.transport.knock(address).await;
                (address, looking.answer(address, knock))
            });
        }
        answers.extend(knocking.join_all().await);
        answers
    }

    fn answer(&self, address: SocketAddr, knock: Knock) -> SeedAnswer {
        let is_me = knock.node == Some(self.view.me());
        let (answer, detail) = match knock.met {
            Met::Member(_) if is_me => (SeedAnswerKind::Myself, String::new()),
            Met::Member(key) => (
                SeedAnswerKind::Member,
                format!("under the cluster key {key}"),
            ),
            Met::OtherKey(Some(key)) => (
                SeedAnswerKind::OtherKey,
                format!("it proves itself under the key {key}, which is not accepted here"),
            ),
            Met::OtherKey(None) => {
                let ours = self.transport.keys().first().map(ToString::to_string);
                let ours = ours.unwrap_or_default();
                let text =
                    format!("it does not accept the key {ours}, under which this agent sends");
                (SeedAnswerKind::OtherKey, text)
            }
            Met::OtherCluster => (SeedAnswerKind::OtherCluster, String::new()),
            Met::Busy => (SeedAnswerKind::Busy, String::new()),
            Met::Strange(why) => (SeedAnswerKind::Strange, why),
            Met::Silent(why) => (SeedAnswerKind::Silent, why),
        };
        SeedAnswer {
            address,
            answer,
            detail,
        }
    }

    /// The reachable members at these addresses.
    fn members_at(&self, addresses: &[SocketAddr]) -> Vec<String> {
        let roster = self.view.roster();
        let there = roster
            .members
            .iter()
            .filter(|(_, member)| member.status.is_reachable() && addresses.contains(&member.addr));
        there
            .map(|(id, _)| self.view.name_of_agent(*id).to_string())
            .collect()
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
