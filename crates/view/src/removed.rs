//! Instances that went: remembered for a while, so that somebody can be told why one is missing.

use std::{collections::VecDeque, sync::Arc};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use tidings_types::{Dot, ServiceId, Text, Timestamp};

use crate::{InstanceView, NodeFacts};

/// An instance that was taken out of its service in this run of the agent.
#[derive(Clone, Debug)]
pub struct Removed {
    /// Where it stood.
    pub node: Arc<NodeFacts>,
    /// Its id on that node.
    pub id: ServiceId,
    /// When this agent heard of it, by the driver's clock.
    pub at: Timestamp,
    /// The write that took it away, if that was not its owner's own removal, of which no dot is kept:
    /// an override or a tombstone, in the feed of the node at which it was asked for.
    pub by: Option<Dot>,
}

impl Removed {
    pub(crate) fn new(instance: &InstanceView, at: Timestamp, by: Option<Dot>) -> Self {
        Self {
            node: Arc::clone(instance.node()),
            id: instance.id.clone(),
            at,
            by,
        }
    }
}

/// What readers find, by the folded name of the service, oldest first.
pub(crate) type RemovedByService = DashMap<Text, VecDeque<Removed>, RandomState>;

/// The writer's part: which services have something to forget, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Removals(VecDeque<Text>);

impl Removals {
    /// Takes note of one, and forgets what is beyond [`REMOVED_KEPT`].
    pub(crate) fn note(&mut self, found: &RemovedByService, service: Text, removed: Removed) {
        let entry = found.entry(service.clone());
        entry.or_default().push_back(removed);
        self.0.push_back(service);
        while self.0.len() > REMOVED_KEPT {
            let Some(oldest) = self.0.pop_front() else {
                return;
            };
            found.entry(oldest.clone()).and_modify(|of_it| {
                of_it.pop_front();
            });
            found.remove_if(&oldest, |_, of_it| of_it.is_empty());
        }
    }
}

/// Instances that went and are remembered, over all services.
pub const REMOVED_KEPT: usize = 1_024;
