//! Finds the hosts and the moments that a scenario names.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use tidings_types::Timestamp;

use super::Query;
use crate::{
    link::Link,
    scenario::{Cluster, Deadlines, Hosts, Inbox, Scenario, Way, nearest},
    span::Span,
};

/// Finds the hosts and moments that a scenario names.
pub(super) struct Planner<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) heal: Timestamp,
    pub(super) end: Timestamp,
}

impl Planner<'_> {
    pub(super) fn boots(&self) -> Vec<Timestamp> {
        let stagger = self.scenario.stagger.get();
        (0..self.scenario.nodes)
            .scan(Timestamp::ZERO, |at, _| {
                let boot = *at;
                *at = *at + stagger;
                Some(boot)
            })
            .collect()
    }

    pub(super) fn clusters(&self) -> Result<Vec<Cluster>> {
        let mut clusters = vec![Cluster::First; self.scenario.nodes];
        if let Some(hosts) = &self.scenario.second_cluster {
            for host in self.hosts(hosts).context("in second-cluster")? {
                clusters[host] = Cluster::Second;
            }
        }
        Ok(clusters)
    }

    pub(super) fn sick(&self) -> Result<BTreeSet<usize>> {
        let sick = self.scenario.expect.sick.as_ref();
        let hosts = sick.map(|hosts| self.hosts(hosts)).transpose();
        Ok(hosts
            .context("in expect.sick")?
            .into_iter()
            .flatten()
            .collect())
    }

    pub(super) fn inbox(&self) -> Result<Option<Inbox>> {
        let inbox = self.scenario.inbox;
        ensure!(
            inbox.is_none_or(|inbox| inbox.places > 0 && inbox.per_second > 0),
            "an inbox needs places, and somebody who empties it"
        );
        Ok(inbox)
    }

    pub(super) fn core(&self) -> Result<Option<BTreeSet<usize>>> {
        let core = self.scenario.core.as_ref();
        let core = core.map(|hosts| self.hosts(hosts)).transpose();
        Ok(core
            .context("in core")?
            .map(|hosts| hosts.into_iter().collect()))
    }

    pub(super) fn known(&self, hosts: Vec<usize>) -> Result<Vec<usize>> {
        match hosts.iter().find(|&&host| host >= self.scenario.nodes) {
            Some(host) => bail!(
                "there is no host {host}; hosts are 0 to {}",
                self.scenario.nodes - 1
            ),
            None => Ok(hosts),
        }
    }

    pub(super) fn hosts(&self, hosts: &Hosts) -> Result<Vec<usize>> {
        let found = match hosts {
            Hosts::One(host) => vec![*host],
            Hosts::Many(hosts) => hosts.clone(),
            Hosts::Group(name) if name == "all" => (0..self.scenario.nodes).collect(),
            Hosts::Group(name) => match self.scenario.groups.get(name) {
                Some(hosts) => hosts.clone(),
                None => {
                    let known = self.scenario.groups.keys().map(String::as_str);
                    let meant = nearest(name, known.chain(["all"]));
                    let meant =
                        meant.map_or_else(String::new, |word| format!("; did you mean {word:?}?"));
                    bail!("there is no group {name:?}{meant}")
                }
            },
        };
        self.known(found)
    }

    /// The directed links between two sets of hosts, in the directions asked for.
    pub(super) fn links(&self, [a, b]: &[Hosts; 2], way: Way) -> Result<Vec<(usize, usize)>> {
        let (a, b) = (self.hosts(a)?, self.hosts(b)?);
        let mut links = Vec::new();
        for &from in &a {
            for &to in &b {
                if way != Way::BToA {
                    links.push((from, to));
                }
                if way != Way::AToB {
                    links.push((to, from));
                }
            }
        }
        links.retain(|(from, to)| from != to);
        links.sort_unstable();
        links.dedup();
        Ok(links)
    }

    pub(super) fn paths(&self) -> Result<Vec<(usize, usize, Link)>> {
        let mut paths = Vec::new();
        for path in &self.scenario.links.path {
            let between = [path.from.clone(), path.to.clone()];
            let links = self.links(&between, Way::AToB).context("in links.path")?;
            paths.extend(links.into_iter().map(|(from, to)| (from, to, path.link)));
        }
        Ok(paths)
    }

    pub(super) fn reads(&self) -> Result<Vec<Query>> {
        let query = |read: &crate::scenario::ReadExpectation| {
            let mut ports = read.ports.clone();
            ports.sort_unstable();
            Ok(Query {
                at: moment(read.at),
                on: self.hosts(&read.on)?,
                service: read.service.clone(),
                ports,
                stale: read.stale,
                conflicts: read.conflicts,
                island: read.island,
            })
        };
        let reads = self
            .scenario
            .expect
            .reads
            .iter()
            .map(query)
            .collect::<Result<Vec<_>>>();
        reads.context("in expect.reads")
    }

    pub(super) fn deadlines(&self) -> Result<Deadlines> {
        let deadlines = self.scenario.expect.eventually;
        let later = deadlines.later().map(|(_, deadline)| deadline);
        let latest = later.into_iter().chain([deadlines.E1]).flatten().max();
        ensure!(
            latest.is_none_or(|latest| latest <= self.scenario.phases.quiet),
            "a deadline lies after the quiet phase"
        );
        Ok(deadlines)
    }
}

pub(super) fn moment(span: Span) -> Timestamp {
    Timestamp::ZERO + span.get()
}
