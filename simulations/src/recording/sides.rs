//! How the plan's faults split the network, and when.

use std::collections::{BTreeMap, BTreeSet};

use tidings_types::Timestamp;

use crate::{
    link::Lane,
    plan::{Trouble, What},
    scenario::Cluster,
};

/// A time in which the network is split in one and the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    /// Hosts that reach each other both ways, directly or through others of their side.
    pub(crate) sides: Vec<Vec<usize>>,
    /// Whether something still passes in one direction.
    pub(crate) one_way: bool,
    /// The cluster of each host then.
    clusters: Vec<Cluster>,
}

impl Split {
    /// Whether it keeps two hosts of one cluster apart.
    pub(crate) fn parts(&self, a: usize, b: usize) -> bool {
        let side = |host| self.sides.iter().position(|side| side.contains(&host));
        self.clusters[a] == self.clusters[b]
            && matches!((side(a), side(b)), (Some(a), Some(b)) if a != b)
    }

    /// How many hosts it keeps apart from how many, each counted from both sides.
    pub(crate) fn pairs(&self) -> usize {
        let hosts = 0..self.clusters.len();
        let apart = |a| hosts.clone().filter(|&b| self.parts(a, b)).count();
        hosts.clone().map(apart).sum()
    }
}

/// Every split that the faults make among hosts of one cluster, by time. Links that lose packets
/// split nothing: what is cut, jammed or refused does.
pub(crate) fn splits(
    troubles: &[Trouble],
    clusters_at: impl Fn(Timestamp) -> Vec<Cluster>,
) -> Vec<Split> {
    let changes: BTreeSet<Timestamp> = troubles
        .iter()
        .filter(|trouble| blocked(&trouble.what).is_some())
        .flat_map(|trouble| [trouble.at, trouble.until])
        .collect();
    let changes: Vec<Timestamp> = changes.into_iter().collect();
    let mut splits: Vec<Split> = Vec::new();
    for pair in changes.windows(2) {
        let (from, until) = (pair[0], pair[1]);
        let closed = closed_at(troubles, from);
        let clusters = clusters_at(from);
        let Some((sides, one_way)) = sides(&closed, &clusters) else {
            continue;
        };
        match splits.last_mut() {
            Some(last) if last.until == from && last.sides == sides && last.one_way == one_way => {
                last.until = until;
            }
            _ => splits.push(Split {
                from,
                until,
                sides,
                one_way,
                clusters,
            }),
        }
    }
    splits
}

/// The directed links on which no datagram passes.
pub(crate) fn blocked(what: &What) -> Option<&[(usize, usize)]> {
    match what {
        What::Cut(links, lanes) if lanes.contains(&Lane::Datagram) => Some(links),
        What::SendErrors(links) | What::Jam(links) => Some(links),
        _ => None,
    }
}

fn closed_at(troubles: &[Trouble], at: Timestamp) -> BTreeSet<(usize, usize)> {
    troubles
        .iter()
        .filter(|trouble| trouble.at <= at && at < trouble.until)
        .filter_map(|trouble| blocked(&trouble.what))
        .flatten()
        .copied()
        .collect()
}

/// The sides, and whether something passes in one direction between two of them; `None` if there is
/// but one side.
fn sides(
    closed: &BTreeSet<(usize, usize)>,
    clusters: &[Cluster],
) -> Option<(Vec<Vec<usize>>, bool)> {
    let mut side_of = vec![None; clusters.len()];
    let mut sides: Vec<Vec<usize>> = Vec::new();
    for first in 0..clusters.len() {
        if side_of[first].is_some() {
            continue;
        }
        let (number, mut todo, mut side) = (sides.len(), vec![first], Vec::new());
        side_of[first] = Some(number);
        while let Some(host) = todo.pop() {
            side.push(host);
            for peer in 0..clusters.len() {
                let is_open = !closed.contains(&(host, peer)) && !closed.contains(&(peer, host));
                if side_of[peer].is_none() && clusters[peer] == clusters[host] && is_open {
                    side_of[peer] = Some(number);
                    todo.push(peer);
                }
            }
        }
        side.sort_unstable();
        sides.push(side);
    }
    let mut per_cluster = BTreeMap::<Cluster, usize>::new();
    for side in &sides {
        *per_cluster.entry(clusters[side[0]]).or_default() += 1;
    }
    sides.retain(|side| per_cluster[&clusters[side[0]]] > 1);
    if sides.is_empty() {
        return None;
    }
    let is_half_open =
        |&(a, b): &(usize, usize)| side_of[a] != side_of[b] && !closed.contains(&(b, a));
    Some((sides, closed.iter().any(is_half_open)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(from: u64, until: u64, links: &[(usize, usize)]) -> Trouble {
        Trouble {
            at: Timestamp::from_micros(from),
            until: Timestamp::from_micros(until),
            what: What::Cut(links.to_vec(), vec![Lane::Datagram, Lane::Session]),
        }
    }

    fn both(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
        pairs.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect()
    }

    fn splits_of(troubles: &[Trouble], clusters: [Cluster; 3]) -> Vec<Split> {
        splits(troubles, |_| clusters.to_vec())
    }

    const THREE: [Cluster; 3] = [Cluster::First; 3];

    #[test]
    fn a_cut_between_all_of_two_sides_splits_and_one_link_does_not() {
        let aside = cut(10, 20, &both(&[(0, 2), (1, 2)]));
        let split = splits_of(&[aside], THREE);
        assert_eq!(split.len(), 1);
        assert_eq!(split[0].sides, [vec![0, 1], vec![2]]);
        assert_eq!(split[0].pairs(), 4);
        assert!(!split[0].one_way && split[0].parts(0, 2) && !split[0].parts(0, 1));
        assert_eq!(splits_of(&[cut(10, 20, &both(&[(0, 2)]))], THREE).len(), 0);
    }

    #[test]
    fn faults_that_overlap_are_laid_over_each_other() {
        let (first, second) = (
            cut(10, 30, &both(&[(0, 2), (1, 2)])),
            cut(20, 40, &both(&[(0, 1), (0, 2)])),
        );
        let found: Vec<_> = splits_of(&[first, second], THREE)
            .into_iter()
            .map(|split| {
                (
                    split.from.as_micros(),
                    split.until.as_micros(),
                    split.sides.len(),
                )
            })
            .collect();
        assert_eq!(found, [(10, 20, 2), (20, 30, 3), (30, 40, 2)]);
    }

    #[test]
    fn a_link_that_is_open_one_way_does_not_hold_a_side_together() {
        let deaf = cut(0, 5, &[(0, 2), (1, 2)]);
        let found = splits_of(&[deaf], THREE);
        assert!(found[0].one_way);
        assert_eq!(found[0].sides, [vec![0, 1], vec![2]]);
    }

    #[test]
    fn clusters_that_never_were_one_are_not_split() {
        let apart = [Cluster::First, Cluster::First, Cluster::Second];
        let across = cut(0, 5, &both(&[(0, 2), (1, 2)]));
        assert_eq!(splits_of(&[across], apart).len(), 0);
        let within = cut(0, 5, &both(&[(0, 1)]));
        assert_eq!(splits_of(&[within], apart)[0].sides, [vec![0], vec![1]]);
    }
}
