//! What nodes say of themselves, in their own records, that the roster needs.

use std::collections::{BTreeMap, BTreeSet};

use tidings_types::{Body, Content, Departure, Epoch, Key, NodeId};

use crate::Node;

/// What nodes' own records say that the roster needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    pub(crate) fates: BTreeMap<NodeId, Fate>,
    /// In lower case: names that differ in nothing else are one.
    names: BTreeMap<NodeId, String>,
    /// When each node's last run began that something is known of, by its own clock.
    runs: BTreeMap<NodeId, Epoch>,
    /// The nodes that bear this one's name, itself included, in order.
    pub(crate) named_alike: Vec<NodeId>,
}

/// The machine that a node runs on, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host<'a> {
    Named(&'a str),
    /// That of a node whose record is not here.
    Of(NodeId),
}

/// What a node's own record says of its going.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    pub(crate) departure: Option<Departure>,
    /// An operator made it leave.
    pub(crate) evicted: bool,
    /// Whether the node ought to be there.
    pub(crate) counts: bool,
}

impl Words {
    pub(crate) fn host(&self, node: NodeId) -> Host<'_> {
        let name = self.names.get(&node);
        name.map_or(Host::Of(node), |name| Host::Named(name))
    }

    /// The nodes whose host is another node since. Of those that bear one name it is the one that was
    /// `met`, whoever wrote last if there is more than one such; the others that were not met are former.
    pub(crate) fn former(&self, met: impl Fn(NodeId) -> bool) -> BTreeSet<NodeId> {
        let mut present: BTreeMap<&str, (bool, Option<Epoch>, NodeId)> = BTreeMap::new();
        let mut former = BTreeSet::new();
        for (&node, name) in &self.names {
            let bearer = (met(node), self.runs.get(&node).copied(), node);
            let Some(other) = present.insert(name, bearer) else {
                continue;
            };
            let (less, more) = (bearer.min(other), bearer.max(other));
            present.insert(name, more);
            if !less.0 {
                former.insert(less.2);
            }
        }
        former
    }
}

impl Node {
    /// What is said now, where `known` was said before `nodes` said something else.
    pub(crate) fn reread_words(&self, known: &mut Words, nodes: impl Iterator<Item = NodeId>) {
        for node in nodes {
            self.reread(known, node);
        }
    }

    fn reread(&self, known: &mut Words, node: NodeId) {
        let has_feed = !self.registry.position(node).is_empty();
        if has_feed && node != self.me {
            known.fates.insert(node, self.fate(node));
        } else {
            known.fates.remove(&node);
        }
        let name = match self.own_word(node) {
            Some(Body::Node(record)) => Some(record.name.as_str().to_ascii_lowercase()),
            _ => None,
        };
        let own = self.config.name.as_str();
        let is_alike = name.as_ref().is_some_and(|n| n.eq_ignore_ascii_case(own));
        match (known.named_alike.binary_search(&node), is_alike) {
            (Err(place), true) => known.named_alike.insert(place, node),
            (Ok(place), false) => drop(known.named_alike.remove(place)),
            _ => {}
        }
        if let Some(name) = name {
            known.names.insert(node, name);
        } else {
            known.names.remove(&node);
        }
        if let Some(run) = self.registry.position(node).last_epoch() {
            known.runs.insert(node, run);
        } else {
            known.runs.remove(&node);
        }
    }

    /// What a node's own record says of its going.
    fn fate(&self, node: NodeId) -> Fate {
        let found = self.registry.in_force(&Key::Node(node));
        let body = found
            .as_ref()
            .and_then(|found| found.entry.body.as_ref())
            .map(Content::body);
        match body {
            Some(Body::Node(record)) => Fate {
                departure: record.departure,
                evicted: false,
                counts: record.departure != Some(Departure::Left),
            },
            _ => Fate {
                departure: None,
                evicted: found.is_some(),
                counts: false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 16])
    }

    /// Nodes with their hosts' names and the moments when their last runs began.
    fn words(nodes: &[(u8, &str, u64)]) -> Words {
        let mut words = Words::default();
        for &(n, name, run) in nodes {
            words.names.insert(node(n), name.to_owned());
            words.runs.insert(node(n), Epoch::from_bits(run));
        }
        words
    }

    fn former(words: &Words, met: &[u8]) -> Vec<NodeId> {
        let met: Vec<_> = met.iter().map(|&n| node(n)).collect();
        let former = words.former(|node| met.contains(&node));
        former.into_iter().collect()
    }

    #[test]
    fn of_nodes_known_by_their_records_the_last_to_run_is_what_the_host_is() {
        let words = words(&[(1, "a", 9), (2, "b", 30), (3, "b", 10), (4, "b", 20)]);
        assert_eq!(former(&words, &[]), [node(3), node(4)]);
        assert_eq!(former(&words, &[1]), [node(3), node(4)]);
    }

    #[test]
    fn who_was_met_counts_before_the_clocks_that_others_ran_by() {
        let words = words(&[(2, "b", 30), (3, "b", 10), (4, "b", 20)]);
        assert_eq!(former(&words, &[3]), [node(2), node(4)]);
        // Two hosts of one name: neither has become the other.
        assert_eq!(former(&words, &[3, 4]), [node(2)]);
        assert_eq!(former(&words, &[2, 3, 4]), []);
    }
}
