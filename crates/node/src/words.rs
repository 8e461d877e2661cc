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

impl Fate {
    /// Whether the node is not to come back: it said so, or an operator did.
    const fn is_final(&self) -> bool {
        self.evicted || matches!(self.departure, Some(Departure::Left))
    }
}

impl Words {
    pub(crate) fn host(&self, node: NodeId) -> Host<'_> {
        let name = self.names.get(&node);
        name.map_or(Host::Of(node), |name| Host::Named(name))
    }

    /// Those not `met` in this run that are not awaited either: they left, or their host has been another
    /// node since. The latter needs both signs, that the other was met and that it ran later: by one alone
    /// a host could be hidden that has its old disk again, or whose clock is wrong.
    pub(crate) fn former(&self, met: impl Fn(NodeId) -> bool) -> BTreeSet<NodeId> {
        let left = self.fates.iter().filter(|(_, fate)| fate.is_final());
        let left: BTreeSet<NodeId> = left.map(|(&node, _)| node).collect();
        let run = |node| self.runs.get(&node).copied();
        let mut present: BTreeMap<&str, Option<Epoch>> = BTreeMap::new();
        for (&node, name) in &self.names {
            if met(node) && !left.contains(&node) {
                let last = present.entry(name).or_default();
                *last = run(node).max(*last);
            }
        }
        let replaced = self.names.iter().filter(|(node, name)| {
            let later = present.get(name.as_str());
            later.is_some_and(|later| *later > run(**node))
        });
        let replaced = replaced.map(|(&node, _)| node);
        let former = left.iter().copied().chain(replaced);
        former.filter(|&node| !met(node)).collect()
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
    fn a_host_is_the_node_that_was_met_if_that_ran_later() {
        let words = words(&[(1, "a", 9), (2, "b", 30), (3, "b", 10), (4, "b", 20)]);
        assert_eq!(former(&words, &[1, 2]), [node(3), node(4)]);
        assert_eq!(former(&words, &[4]), [node(3)], "2 may have come since");
        assert_eq!(former(&words, &[2, 3, 4]), [], "two hosts of one name");
        assert_eq!(former(&words, &[]), [], "records alone do not tell");
    }

    #[test]
    fn who_left_is_not_awaited_and_replaces_nobody() {
        let mut words = words(&[(2, "b", 10), (3, "b", 30), (4, "c", 10)]);
        let left = Fate {
            departure: Some(Departure::Left),
            ..Fate::default()
        };
        let evicted = Fate {
            evicted: true,
            ..Fate::default()
        };
        words.fates.extend([(node(3), left), (node(4), evicted)]);
        assert_eq!(former(&words, &[]), [node(3), node(4)]);
        assert_eq!(former(&words, &[3]), [node(4)]);
    }
}
