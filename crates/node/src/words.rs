//! What nodes say of themselves, in their own records, that the roster needs.

use std::collections::BTreeMap;

use tidings_types::{Body, Content, Departure, Key, NodeId};

use crate::Node;

/// What nodes' own records say that the roster needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    pub(crate) fates: BTreeMap<NodeId, Fate>,
    /// In lower case: names that differ in nothing else are one.
    names: BTreeMap<NodeId, String>,
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
