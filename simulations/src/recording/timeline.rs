//! From when to when agents held the same, saw each other, and were there at all.

use std::collections::BTreeMap;

use tidings_types::{MemberStatus, Timestamp};

use super::{Happening, Process, Recording, View};
use crate::scenario::Cluster;

/// What follows from a recording's moments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    /// How far the running agents were apart, whenever that changed.
    pub(crate) divergence: Vec<Divergence>,
    /// Whether every running node saw every running node as reachable, whenever that changed.
    pub(crate) whole: Vec<(Timestamp, bool)>,
    /// Who declared whom down, by time.
    pub(crate) downs: Vec<Down>,
    /// When processes that had started were not there, or stood still.
    pub(crate) outages: Vec<Outage>,
    /// When the last host started for the first time.
    begun: Timestamp,
}

/// How far the running agents are apart from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Divergence {
    pub(crate) at: Timestamp,
    /// How many different things they hold; clusters count apart.
    pub(crate) states: usize,
    /// How many of them do not hold what most hold.
    pub(crate) nodes: usize,
}

/// One node declares another down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Down {
    pub(crate) at: Timestamp,
    pub(crate) by: usize,
    pub(crate) of: usize,
}

/// A process was not there, or stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) host: usize,
    pub(crate) from: Timestamp,
    /// `None` if the run ended before it did.
    pub(crate) until: Option<Timestamp>,
    /// Whether it was there and stood still.
    pub(crate) paused: bool,
}

impl Timeline {
    /// What follows from a recording.
    pub(crate) fn new(recording: &Recording) -> Self {
        let mut reader = Reader::new(recording);
        let mut moments = recording.moments.iter().peekable();
        while let Some(moment) = moments.next() {
            reader.take(moment.at, moment.host, &moment.what);
            // What happens in one instant is looked at when all of it has happened.
            if moments.peek().is_none_or(|next| next.at > moment.at) {
                reader.look(moment.at);
            }
        }
        reader.timeline
    }

    /// From when on the running agents held the same to the end; `None` if they did not.
    pub(crate) fn agreed_for_good(&self) -> Option<Timestamp> {
        let last = self.divergence.last().filter(|last| last.states == 1)?;
        Some(last.at)
    }

    /// When the running agents held the same, the first time from `from` on and before `until`.
    pub(crate) fn agreed(&self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let points = self
            .divergence
            .iter()
            .map(|point| (point.at, point.states == 1));
        first_true(points, from, until)
    }

    /// When every running node saw every running node, the first time from `from` on.
    pub(crate) fn whole(&self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        first_true(self.whole.iter().copied(), from, until)
    }

    /// When most different things were held at once, after the cluster had come together.
    pub(crate) fn most_divergent(&self) -> Option<Divergence> {
        let end = Timestamp::from_micros(u64::MAX);
        let together = self.agreed(self.whole(self.begun, end)?, end)?;
        let mut begun = self
            .divergence
            .iter()
            .skip_while(|point| point.at < together);
        let most = begun.clone().map(|point| point.states).max()?;
        let first = begun.find(|point| point.states == most);
        first.copied().filter(|point| point.states > 1)
    }
}

fn first_true(
    points: impl Iterator<Item = (Timestamp, bool)>,
    from: Timestamp,
    until: Timestamp,
) -> Option<Timestamp> {
    let mut held = false;
    for (at, holds) in points {
        if at > from && held {
            return Some(from);
        }
        if at >= until {
            return None;
        }
        if at > from && holds {
            return Some(at);
        }
        held = holds;
    }
    held.then_some(from)
}

/// Goes through a recording's moments.
struct Reader<'a> {
    recording: &'a Recording,
    timeline: Timeline,
    clusters: Vec<Cluster>,
    processes: Vec<Process>,
    /// Whether it has ever run.
    begun: Vec<bool>,
    holds: Vec<Option<usize>>,
    views: Vec<Vec<View>>,
}

impl<'a> Reader<'a> {
    fn new(recording: &'a Recording) -> Self {
        let hosts = recording.hosts;
        Self {
            timeline: Timeline::default(),
            clusters: recording.clusters.clone(),
            processes: vec![Process::Gone; hosts],
            begun: vec![false; hosts],
            holds: vec![None; hosts],
            views: vec![vec![View::UNKNOWN; hosts]; hosts],
            recording,
        }
    }

    fn take(&mut self, at: Timestamp, host: usize, what: &Happening) {
        match what {
            Happening::Process(process) => self.process(at, host, *process),
            Happening::Moved(cluster) => self.clusters[host] = *cluster,
            Happening::Sees { of, view } => {
                let down = Some(MemberStatus::Down);
                if view.status == down && self.views[host][*of].status != down {
                    let down = Down {
                        at,
                        by: host,
                        of: *of,
                    };
                    self.timeline.downs.push(down);
                }
                self.views[host][*of] = *view;
            }
            Happening::Holds(number) => self.holds[host] = Some(*number),
            Happening::Island(_)
            | Happening::Asked { .. }
            | Happening::Answered { .. }
            | Happening::Said(_) => {}
        }
    }

    fn process(&mut self, at: Timestamp, host: usize, process: Process) {
        let before = std::mem::replace(&mut self.processes[host], process);
        let is_out = |process| !matches!(process, Process::Runs(_));
        if is_out(before)
            && let Some(outage) = self.open_outage(host)
        {
            outage.until = Some(at);
        }
        if is_out(process) && self.begun[host] {
            self.timeline.outages.push(Outage {
                host,
                from: at,
                until: None,
                paused: process == Process::Paused,
            });
        }
        if process != Process::Gone && !self.begun[host] {
            self.begun[host] = true;
            self.timeline.begun = at;
        }
    }

    fn open_outage(&mut self, host: usize) -> Option<&mut Outage> {
        let outages = self.timeline.outages.iter_mut().rev();
        outages
            .filter(|outage| outage.until.is_none())
            .find(|outage| outage.host == host)
    }

    fn runs(&self, host: usize) -> bool {
        matches!(self.processes[host], Process::Runs(_))
    }

    fn look(&mut self, at: Timestamp) {
        let (states, nodes) = self.apart();
        let is_new = |last: &Divergence| (last.states, last.nodes) != (states, nodes);
        if self.timeline.divergence.last().is_none_or(is_new) {
            self.timeline
                .divergence
                .push(Divergence { at, states, nodes });
        }
        let whole = self.is_whole();
        if self
            .timeline
            .whole
            .last()
            .is_none_or(|last| last.1 != whole)
        {
            self.timeline.whole.push((at, whole));
        }
    }

    fn apart(&self) -> (usize, usize) {
        let mut held = BTreeMap::<Cluster, BTreeMap<Option<usize>, usize>>::new();
        for host in (0..self.recording.hosts).filter(|&host| self.runs(host)) {
            if !self.recording.liars.contains(&host) {
                let counts = held.entry(self.clusters[host]).or_default();
                *counts.entry(self.holds[host]).or_default() += 1;
            }
        }
        let mut apart = (1, 0);
        for counts in held.values() {
            let most = counts.values().max().copied().unwrap_or(0);
            apart.0 += counts.len() - 1;
            apart.1 += counts.values().sum::<usize>() - most;
        }
        apart
    }

    fn is_whole(&self) -> bool {
        let hosts = 0..self.recording.hosts;
        let running: Vec<usize> = hosts.filter(|&host| self.runs(host)).collect();
        running.iter().all(|&by| {
            running.iter().all(|&of| {
                by == of
                    || self.clusters[by] != self.clusters[of]
                    || self.views[by][of].is_reachable()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn what_holds_already_is_found_at_once() {
        let points = [
            (at(10), false),
            (at(20), true),
            (at(40), false),
            (at(50), true),
        ];
        let first = |from, until| first_true(points.into_iter(), at(from), at(until));
        assert_eq!(first(30, 100), Some(at(30)));
        assert_eq!(first(20, 100), Some(at(20)));
        assert_eq!(first(12, 100), Some(at(20)));
        assert_eq!(first(41, 100), Some(at(50)));
        assert_eq!(first(41, 45), None);
        assert_eq!(first(60, 100), Some(at(60)));
    }
}
