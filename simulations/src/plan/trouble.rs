//! Faults made concrete: which links and hosts, from when to when.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, bail, ensure};
use tidings_types::Timestamp;

use super::{Planner, moment};
use crate::{
    link::{Lane, Link},
    scenario::{Cluster, CutLane, DiskFate, Fault, Goodbye, Hosts, Lie, Restart, Way},
    span::Span,
};

/// Where a fault without an end is put: no run gets there.
const AFTER_THE_END: Duration = Duration::from_micros(1);

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
    /// What passes over these directed links comes once more so much later.
    Replay(Vec<(usize, usize)>, Duration),
    /// These monotonic clocks go fast, in parts per million.
    Drift(Vec<usize>, i64),
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
    /// What a fault comes to: mostly one thing.
    pub(super) fn troubles(&self, fault: &Fault) -> Result<Vec<Trouble>> {
        let Fault::CrashLoop {
            at,
            r#for,
            node,
            up,
            down,
        } = fault
        else {
            return Ok(vec![self.trouble(fault)?]);
        };
        let (at, round) = (moment(*at), up.get() + down.get());
        ensure!(
            round >= Duration::from_millis(1),
            "a process that neither runs nor stays away crashes without end"
        );
        let restart = Restart {
            after: *down,
            disk: DiskFate::Intact,
            image: None,
            of: None,
            cluster: Cluster::First,
        };
        let hosts = self.hosts(node)?;
        let mut crashes = Vec::new();
        let mut next = at;
        while next < at + r#for.get() {
            let comeback = self.comeback(next, &hosts, Some(restart))?;
            crashes.push(Trouble {
                at: next,
                until: next,
                what: What::Crash(hosts.clone(), comeback),
            });
            next = next + round;
        }
        Ok(crashes)
    }

    fn trouble(&self, fault: &Fault) -> Result<Trouble> {
        let (at, length) = fault.span();
        let at = moment(at);
        ensure!(at <= self.heal, "it begins after the chaos phase");
        let what = self.what(fault, at)?;
        if length == Some(Span::EVER) {
            self.spares_the_core(&what)?;
            let until = self.end + AFTER_THE_END;
            return Ok(Trouble { at, until, what });
        }
        let until = length.map_or(self.heal, |length| at + length.get());
        ensure!(
            until <= self.heal,
            "it lasts longer than the chaos phase; one without an end lasts for \"ever\""
        );
        Ok(Trouble { at, until, what })
    }

    /// What never ends leaves a core of hosts and the links among them alone.
    fn spares_the_core(&self, what: &What) -> Result<()> {
        let Some(core) = &self.scenario.core else {
            bail!("it lasts for ever, so `core` has to name the hosts that it spares");
        };
        let core: BTreeSet<usize> = self.hosts(core)?.into_iter().collect();
        let touched = match what {
            What::Cut(links, _)
            | What::Weather(links, _)
            | What::SendErrors(links)
            | What::Replay(links, _)
            | What::Jam(links) => {
                let within = |(a, b): &(usize, usize)| core.contains(a) && core.contains(b);
                links.iter().find(|link| within(link)).map(|link| link.0)
            }
            What::Pause(hosts)
            | What::Crash(hosts, _)
            | What::Depart(hosts, ..)
            | What::Clock(hosts, ..)
            | What::DiskFull(hosts)
            | What::SlowNode(hosts, _)
            | What::Drift(hosts, _)
            | What::Flood(_, hosts, _) => hosts.iter().copied().find(|host| core.contains(host)),
            What::Lie(host, ..) => Some(*host).filter(|host| core.contains(host)),
        };
        match touched {
            Some(host) => bail!("it lasts for ever, and host {host} is in the core"),
            None => Ok(()),
        }
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
            Fault::Replay {
                between,
                way,
                after,
                r#for,
                ..
            } => What::Replay(self.links(between, *way)?, self.echo(at, *r#for, *after)?),
            Fault::Drift { node, rate_ppm, .. } => self.drift(node, *rate_ppm)?,
            Fault::CrashLoop { .. } => unreachable!("a crash loop is made of crashes"),
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

    /// How much later what passed from `at` on comes again: before the chaos phase is over.
    fn echo(&self, at: Timestamp, length: Option<Span>, after: Span) -> Result<Duration> {
        let left = self.heal.since(at);
        let length = length.map_or(left, Span::get);
        ensure!(
            length.saturating_add(after.get()) <= left,
            "the last of it comes again after the chaos phase"
        );
        Ok(after.get())
    }

    fn drift(&self, node: &Hosts, rate_ppm: i64) -> Result<What> {
        ensure!(
            (-500_000..=1_000_000).contains(&rate_ppm),
            "a monotonic clock goes at half its speed to twice its speed"
        );
        Ok(What::Drift(self.hosts(node)?, rate_ppm))
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
            image.is_some() == disk.is_of_an_image(),
            "a rolled-back, stale or unsynced disk, and no other, names the moment of its image"
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
