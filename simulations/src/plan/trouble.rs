//! Faults made concrete: which links and hosts, from when to when.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use tidings_types::Timestamp;

use super::{Planner, moment};
use crate::{
    link::{Lane, Link},
    scenario::{Cluster, CutLane, DiskFate, Fault, Goodbye, Lie, Restart, Way},
};

/// One thing that goes wrong, from `at` to `until`.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// When it begins.
    pub at: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// What it is.
    pub what: What,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum What {
    /// Nothing passes on these lanes of these directed links.
    Cut(Vec<(usize, usize)>, Vec<Lane>),
    /// These directed links behave differently.
    Weather(Vec<(usize, usize)>, Link),
    /// These processes stand still.
    Pause(Vec<usize>),
    /// These processes are killed.
    Crash(Vec<usize>, Option<Comeback>),
    /// These processes say goodbye and stop.
    Depart(Vec<usize>, Goodbye, Option<Comeback>),
    /// These wall clocks are wrong: offset in milliseconds, rate in parts per million, frozen.
    Clock(Vec<usize>, i64, i64, bool),
    /// The local host refuses to send on these directed links.
    SendErrors(Vec<(usize, usize)>),
    /// These disks refuse every write.
    DiskFull(Vec<usize>),
    /// These directed links hold everything.
    Jam(Vec<(usize, usize)>),
    /// These processes handle what reaches them so much later.
    SlowNode(Vec<usize>, Duration),
    /// A host sends idle datagrams to these, so many to each in a second.
    Flood(usize, Vec<usize>, u32),
    /// A host's driver lies, about the feed of another host if one is given.
    Lie(usize, Lie, Option<usize>),
}

/// How a process comes back.
#[derive(Clone, Copy, Debug)]
pub struct Comeback {
    /// How long after it stopped.
    pub after: Duration,
    /// What its disk holds then.
    pub disk: DiskFate,
    /// The moment whose content a rolled-back disk holds.
    pub image: Option<Timestamp>,
    /// The host whose disk a copied disk is a copy of.
    pub of: Option<usize>,
    /// The cluster in which it comes back.
    pub cluster: Cluster,
}

impl Planner<'_> {
    pub(super) fn trouble(&self, fault: &Fault) -> Result<Trouble> {
        let (at, length) = fault.span();
        let at = moment(at);
        let until = length.map_or(self.heal, |length| at + length.get());
        ensure!(at <= self.heal, "it begins after the chaos phase");
        ensure!(until <= self.heal, "it lasts longer than the chaos phase");
        let what = self.what(fault, at)?;
        Ok(Trouble { at, until, what })
    }

    fn what(&self, fault: &Fault, at: Timestamp) -> Result<What> {
        Ok(match fault {
            Fault::Cut {
                between, way, lane, ..
            } => What::Cut(self.links(between, *way)?, lanes(*lane)),
            Fault::Weather { between, link, .. } => {
                What::Weather(self.links(between, Way::Both)?, *link)
            }
            Fault::Pause { node, .. } => What::Pause(self.hosts(node)?),
            Fault::Crash { node, restart, .. } => {
                let hosts = self.hosts(node)?;
                let comeback = self.comeback(at, &hosts, *restart)?;
                What::Crash(hosts, comeback)
            }
            Fault::Depart {
                node, how, restart, ..
            } => {
                let hosts = self.hosts(node)?;
                let comeback = self.comeback(at, &hosts, *restart)?;
                What::Depart(hosts, *how, comeback)
            }
            Fault::Clock {
                node,
                offset,
                rate_ppm,
                frozen,
                ..
            } => What::Clock(self.hosts(node)?, offset.millis(), *rate_ppm, *frozen),
            Fault::SendErrors { node, to, .. } => {
                let between = [node.clone(), to.clone()];
                What::SendErrors(self.links(&between, Way::AToB)?)
            }
            Fault::DiskFull { node, .. } => What::DiskFull(self.hosts(node)?),
            Fault::Jam { between, way, .. } => What::Jam(self.links(between, *way)?),
            Fault::SlowNode { node, late, .. } => What::SlowNode(self.hosts(node)?, late.get()),
            Fault::Flood {
                from,
                to,
                per_second,
                ..
            } => {
                ensure!(*per_second > 0, "a flood has more than nothing in a second");
                self.known(vec![*from])?;
                What::Flood(*from, self.hosts(to)?, *per_second)
            }
            Fault::Lie {
                node, about, of, ..
            } => {
                self.known(std::iter::once(*node).chain(*of).collect())?;
                ensure!(*of != Some(*node), "nobody lies about itself");
                What::Lie(*node, *about, *of)
            }
        })
    }

    fn comeback(
        &self,
        at: Timestamp,
        hosts: &[usize],
        restart: Option<Restart>,
    ) -> Result<Option<Comeback>> {
        let Some(Restart {
            after,
            disk,
            image,
            of,
            cluster,
        }) = restart
        else {
            return Ok(None);
        };
        let image = image.map(moment);
        ensure!(
            at + after.get() <= self.heal,
            "it restarts after the chaos phase"
        );
        ensure!(
            image.is_some() == (disk == DiskFate::RolledBack),
            "a rolled-back disk, and no other, names the moment of its image"
        );
        ensure!(
            image.is_none_or(|image| image <= at),
            "its image lies in the future"
        );
        ensure!(
            of.is_some() == (disk == DiskFate::Copied),
            "a copied disk, and no other, names the host that it was copied from"
        );
        self.known(of.into_iter().collect())?;
        ensure!(
            of.is_none_or(|of| !hosts.contains(&of)),
            "nobody's disk is a copy of itself"
        );
        ensure!(
            cluster == Cluster::First || disk == DiskFate::Lost,
            "who comes back in another cluster has lost its disk"
        );
        Ok(Some(Comeback {
            after: after.get(),
            disk,
            image,
            of,
            cluster,
        }))
    }
}

/// The hosts whose driver is dishonest at some time.
pub(super) fn liars(trouble: &[Trouble]) -> BTreeSet<usize> {
    let liar = |trouble: &Trouble| match trouble.what {
        What::Lie(host, ..) => Some(host),
        _ => None,
    };
    trouble.iter().filter_map(liar).collect()
}

/// The moments at which a disk is copied, because it is rolled back to them later.
pub(super) fn images(trouble: &[Trouble]) -> Vec<(Timestamp, usize)> {
    let mut images = Vec::new();
    for trouble in trouble {
        if let What::Crash(hosts, Some(comeback)) | What::Depart(hosts, _, Some(comeback)) =
            &trouble.what
            && let Some(image) = comeback.image
        {
            images.extend(hosts.iter().map(|&host| (image, host)));
        }
    }
    images
}

/// Whether a host comes back with a copy of another's disk.
pub(super) fn copies(trouble: &[Trouble]) -> bool {
    trouble.iter().any(|trouble| match &trouble.what {
        What::Crash(_, Some(comeback)) | What::Depart(_, _, Some(comeback)) => {
            comeback.of.is_some()
        }
        _ => false,
    })
}

fn lanes(lane: CutLane) -> Vec<Lane> {
    match lane {
        CutLane::All => vec![Lane::Datagram, Lane::Session],
        CutLane::Datagram => vec![Lane::Datagram],
        CutLane::Session => vec![Lane::Session],
    }
}
