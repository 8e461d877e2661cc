//! What one step of the writer has changed, until it is published.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidings_types::{Roster, ServiceId, Text};

use crate::{
    InstanceView, NodeKey,
    slot::{Effect, Touched},
};

/// What one call of [`ViewWriter::apply_all`](crate::ViewWriter::apply_all) has changed so far.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The number of everything that changes in this call.
    pub(crate) index: u64,
    /// Services to publish again, by folded name.
    pub(crate) services: BTreeMap<Text, Dirty>,
    /// Nodes whose index moves.
    pub(crate) nodes: BTreeSet<NodeKey>,
    pub(crate) node_table: bool,
    pub(crate) service_table: bool,
    pub(crate) check_table: bool,
    pub(crate) event_table: bool,
    pub(crate) roster: Option<Arc<Roster>>,
    /// Whether names or departures changed, which the overlay looks at.
    pub(crate) relay: bool,
}

/// What changed of one service.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    /// Whether its index moves.
    pub(crate) moved: bool,
    /// Its instances that came, went or are joined anew.
    pub(crate) instances: BTreeMap<NodeKey, BTreeSet<ServiceId>>,
}

impl Dirty {
    pub(crate) fn holds(&self, view: &InstanceView) -> bool {
        let ids = self.instances.get(&view.node().key);
        ids.is_some_and(|ids| ids.contains(&view.id))
    }
}

impl Batch {
    pub(crate) fn touch(&mut self, node: &NodeKey, touched: Touched) {
        let moved = touched.effect == Effect::Moved;
        for (service, id) in touched.instances {
            let dirty = self.services.entry(service).or_default();
            dirty.moved |= moved;
            let ids = dirty.instances.entry(node.clone()).or_default();
            ids.insert(id);
        }
        if moved {
            self.nodes.insert(node.clone());
        }
    }

    pub(crate) fn moved(&self) -> bool {
        self.node_table
            || self.service_table
            || self.check_table
            || self.event_table
            || !self.nodes.is_empty()
            || self.moves_a_service()
    }

    /// Whether an answer about some service changes.
    pub(crate) fn moves_a_service(&self) -> bool {
        self.services.values().any(|dirty| dirty.moved)
    }
}
