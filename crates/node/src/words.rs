//! What nodes say of themselves, in their own records, that the roster needs.

use std::collections::BTreeMap;

use tidings_types::{Body, Departure, Key, NodeId};

use crate::Node;

/// What nodes' own records say that the roster needs.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) fates: BTreeMap<NodeId, Fate>,
    /// In lower case: names that differ in nothing else are one.
    names: BTreeMap<NodeId, String>,
    /// The nodes that bear this one's name, itself included.
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
    pub(crate) fn read_words(&self) -> Words {
        Words {
            fates: self.fates(),
            names: self.agent_names(),
            named_alike: self.agents_named(&self.config.name),
        }
    }

    /// What each node's own record says of its going.
    fn fates(&self) -> BTreeMap<NodeId, Fate> {
        let nodes = self.registry.owners().filter(|&node| node != self.me);
        let fate = |node| {
            let found = self.registry.in_force(&Key::Node(node));
            let body = found.as_ref().and_then(|found| found.entry.body.as_deref());
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
        };
        nodes.map(|node| (node, fate(node))).collect()
    }
}
