//! What the writer and the readers share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use foldhash::fast::RandomState;
use tidings_types::{Conflict, Key, NodeId, NodeName, Status, Text, Timestamp};

use crate::{
    EventView, NodeKey, Overlay, Service, Watch, removed::RemovedByService, slot::Slot,
    watch::Waiters,
};

/// Names that are remembered of agents that were made to leave.
pub(crate) const FORMER_NAMES_MAX: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) me: NodeId,
    pub(crate) my_name: NodeName,
    pub(crate) datacenter: String,
    /// The first number of this run; lower ones were issued by an earlier run, if at all.
    pub(crate) first_index: u64,
    /// The greatest number issued.
    pub(crate) last_index: AtomicU64,
    /// By folded name. A service without instances stands here for its index.
    pub(crate) services: DashMap<Text, Arc<Service>, RandomState>,
    /// The index of services that are not in `services`.
    pub(crate) absent_index: AtomicU64,
    pub(crate) nodes: DashMap<NodeKey, Slot, RandomState>,
    /// Which nodes bear a folded name.
    pub(crate) names: Bearers,
    /// Which nodes without an agent bear a folded id; one, unless two came about apart.
    pub(crate) ids: Bearers,
    pub(crate) overlay: ArcSwap<Overlay>,
    pub(crate) status: ArcSwap<Status>,
    pub(crate) tables: Tables,
    /// The last events of all nodes.
    pub(crate) events: ArcSwap<Vec<EventView>>,
    /// The shared records that beat others unseen.
    pub(crate) conflicts: DashMap<Key, Arc<Conflict>, RandomState>,
    /// The last instances that went.
    pub(crate) removed: RemovedByService,
    /// What the agents were called that were made to leave; at most [`FORMER_NAMES_MAX`].
    pub(crate) former_names: DashMap<NodeId, NodeName, RandomState>,
    pub(crate) waiters: Waiters,
    /// The driver's clock in microseconds, for ages.
    clock: AtomicU64,
}

/// The index of each list as a whole.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) nodes: AtomicU64,
    pub(crate) services: AtomicU64,
    pub(crate) any_service: AtomicU64,
    pub(crate) checks: AtomicU64,
    pub(crate) events: AtomicU64,
}

/// Which nodes bear a folded text.
pub(crate) type Bearers = DashMap<String, Vec<NodeKey>, RandomState>;

impl Shared {
    pub(crate) fn new(
        me: NodeId,
        my_name: NodeName,
        datacenter: String,
        first_index: u64,
        status: Status,
    ) -> Self {
        let first_index = first_index.clamp(1, INDEX_MAX);
        Self {
            me,
            my_name,
            datacenter,
            first_index,
            last_index: AtomicU64::new(first_index),
            services: DashMap::default(),
            absent_index: AtomicU64::new(first_index),
            nodes: DashMap::default(),
            names: DashMap::default(),
            ids: DashMap::default(),
            overlay: ArcSwap::from_pointee(Overlay::empty(me)),
            status: ArcSwap::from_pointee(status),
            tables: Tables {
                nodes: AtomicU64::new(first_index),
                services: AtomicU64::new(first_index),
                any_service: AtomicU64::new(first_index),
                checks: AtomicU64::new(first_index),
                events: AtomicU64::new(first_index),
            },
            events: ArcSwap::default(),
            conflicts: DashMap::default(),
            removed: RemovedByService::default(),
            former_names: DashMap::default(),
            waiters: Waiters::default(),
            clock: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.load(Ordering::Relaxed))
    }

    pub(crate) fn set_now(&self, now: Timestamp) {
        self.clock.fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.last_index.load(Ordering::Acquire)
    }

    /// Whether `index` can be one that this run has handed out.
    pub(crate) fn was_issued(&self, index: u64) -> bool {
        (self.first_index..=self.last_index()).contains(&index)
    }

    /// When the answer to `watch` last changed.
    pub(crate) fn index(&self, watch: &Watch) -> u64 {
        let table = match watch {
            Watch::Service(name) => {
                return self
                    .services
                    .get(name)
                    .map_or_else(|| self.absent_index(), |service| service.index);
            }
            Watch::Node(key) => {
                return self.nodes.get(key).map_or_else(
                    || self.tables.nodes.load(Ordering::Acquire),
                    |slot| slot.index,
                );
            }
            Watch::Nodes => &self.tables.nodes,
            Watch::Services => &self.tables.services,
            Watch::AnyService => &self.tables.any_service,
            Watch::Checks => &self.tables.checks,
            Watch::Events => &self.tables.events,
        };
        table.load(Ordering::Acquire)
    }

    pub(crate) fn absent_index(&self) -> u64 {
        self.absent_index.load(Ordering::Acquire)
    }
}

/// The greatest index: beyond it JavaScript clients would round.
pub(crate) const INDEX_MAX: u64 = (1 << 53) - 1;
