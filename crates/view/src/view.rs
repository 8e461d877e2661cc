//! The queries.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidings_types::{
    CheckId, Conflict, Key, NodeId, NodeName, Roster, ServiceId, Status, Timestamp,
};
use tokio::time::Instant;

use crate::{
    CheckView, EventView, InstanceView, Listed, NodeFacts, NodeKey, Overlay, Removed, Service,
    Standing, Watch, joined::nameless, shared::Shared, slot::Slot, watch,
};

/// The read view. Cheap to clone; every query is answered from this agent's memory.
///
/// Read [`View::index`] before the data that it stands for, so that a change in between is met
/// again rather than missed.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) shared: Arc<Shared>,
}

/// One node with what stands on it, whatever its liveness.
///
/// An agent's node is also listed as an instance of [`CONSUL`](crate::CONSUL), except in
/// [`View::own`]: that is what clients have registered.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// The node itself.
    pub facts: Arc<NodeFacts>,
    /// Its instances, by id.
    pub instances: BTreeMap<ServiceId, Arc<InstanceView>>,
    /// Its checks, by id. Those whose instance is not in force are left out.
    pub checks: BTreeMap<CheckId, Arc<CheckView>>,
    /// When an answer about this node last changed, by this agent's counter.
    pub index: u64,
}

impl NodeView {
    fn of(slot: &Slot) -> Self {
        let shown = |check: &&Arc<CheckView>| {
            let service = check.service.as_ref();
            service.is_none_or(|id| slot.instances.contains_key(id))
        };
        Self {
            facts: Arc::clone(slot.facts()),
            instances: slot
                .instances
                .values()
                .map(|instance| (instance.id.clone(), Arc::clone(instance)))
                .collect(),
            checks: slot
                .checks
                .values()
                .filter(shown)
                .map(|check| (check.id.clone(), Arc::clone(check)))
                .collect(),
            index: slot.index,
        }
    }

    /// Every check as clients see it: with the instance for which it speaks, and with those that
    /// an instance names and that are not here.
    pub fn listed_checks(&self) -> Vec<ListedCheck> {
        let missing = self.instances.values().flat_map(|instance| {
            let missing = instance.missing_checks();
            missing.map(|check| (Arc::new(check), Some(Arc::clone(instance))))
        });
        let here = self.checks.values().map(|check| {
            let service = check.service.as_ref();
            let instance = service.and_then(|id| self.instances.get(id)).cloned();
            (Arc::clone(check), instance)
        });
        here.chain(missing)
            .map(|(check, instance)| ListedCheck {
                node: Arc::clone(&self.facts),
                check,
                instance,
            })
            .collect()
    }
}

/// A check with the node and the instance for which it speaks.
#[derive(Clone, Debug)]
pub struct ListedCheck {
    /// The node on which it stands.
    pub node: Arc<NodeFacts>,
    /// The check.
    pub check: Arc<CheckView>,
    /// Its instance; `None` if it speaks for the whole node.
    pub instance: Option<Arc<InstanceView>>,
}

impl View {
    /// This agent's node.
    pub fn me(&self) -> NodeId {
        self.shared.me
    }

    /// What this agent's node is called.
    pub fn my_name(&self) -> &NodeName {
        &self.shared.my_name
    }

    /// This agent's datacenter.
    pub fn datacenter(&self) -> &str {
        &self.shared.datacenter
    }

    /// The driver's clock as the writer saw it last.
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// The instances of the service called `name`, in whatever case; `None` if there are none.
    pub fn service(&self, name: &str) -> Option<Arc<Service>> {
        let found = self
            .shared
            .services
            .get(name.to_ascii_lowercase().as_str())?;
        (!found.instances.is_empty()).then(|| Arc::clone(&found))
    }

    /// What is served of the service called `name` now: live instances, then stale ones.
    pub fn lookup(&self, name: &str) -> Vec<Listed> {
        // The service comes before the overlay: the writer goes the other way round.
        let service = self.service(name);
        let overlay = self.overlay();
        service.map_or_else(Vec::new, |service| overlay.list(&service, self.now()))
    }

    /// What the write in force of a shared record beat, if its writer had not seen it.
    pub fn conflict(&self, key: &Key) -> Option<Arc<Conflict>> {
        let found = self.shared.conflicts.get(key)?;
        Some(Arc::clone(&found))
    }

    /// The shared records whose write in force beat others that its writer had not seen, in the order of
    /// their keys.
    pub fn conflicts(&self) -> Vec<(Key, Arc<Conflict>)> {
        let conflicts = self.shared.conflicts.iter();
        let mut conflicts: Vec<_> = conflicts
            .map(|entry| (entry.key().clone(), Arc::clone(entry.value())))
            .collect();
        conflicts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        conflicts
    }

    /// Every service that has instances, by folded name.
    pub fn services(&self) -> Vec<Arc<Service>> {
        let mut services: Vec<_> = self
            .shared
            .services
            .iter()
            .filter(|entry| !entry.instances.is_empty())
            .map(|entry| (entry.key().clone(), Arc::clone(entry.value())))
            .collect();
        services.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        services.into_iter().map(|(_, service)| service).collect()
    }

    /// The node called `name`, in whatever case, or with that id (a UUID or 32 hexadecimal
    /// digits), unless nothing of it is shown. Of several the one that stands best, agents first.
    pub fn node(&self, name: &str) -> Option<Arc<NodeView>> {
        let bearers = self.shared.names.get(&name.to_ascii_lowercase());
        let bearers: Vec<NodeKey> = bearers.map_or_else(Vec::new, |entry| entry.value().clone());
        let overlay = self.overlay();
        let differs = |key: &NodeKey| match key {
            NodeKey::External(external) => external.as_str() != name,
            NodeKey::Agent(_) => false,
        };
        let best = bearers
            .into_iter()
            .min_by_key(|key| (overlay.standing(key), differs(key), key.clone()))
            .or_else(|| self.node_with_id(name))?;
        (overlay.standing(&best) != Standing::Gone)
            .then(|| self.node_by_key(&best))
            .flatten()
    }

    /// The node with that id: a UUID, or for an agent's also 32 hexadecimal digits. An agent need not be
    /// known.
    pub fn node_with_id(&self, id: &str) -> Option<NodeKey> {
        let external = || {
            let bearers = self.shared.ids.get(&id.to_ascii_lowercase())?;
            bearers.iter().min().cloned()
        };
        let agent = id.parse().ok().map(NodeKey::Agent);
        let is_here = |agent: &NodeKey| self.shared.nodes.contains_key(agent);
        let here = agent.clone().filter(is_here);
        here.or_else(external).or(agent)
    }

    /// The nodes without an agent that are called `name`, in whatever case: one, unless two that are
    /// spelled differently came about apart. The one that is spelled so comes first.
    pub fn externals_named(&self, name: &NodeName) -> Vec<NodeName> {
        let bearers = self.shared.names.get(&name.as_str().to_ascii_lowercase());
        let bearers = bearers.map_or_else(Vec::new, |entry| entry.value().clone());
        let external = bearers.into_iter().filter_map(|key| match key {
            NodeKey::External(name) => Some(name),
            NodeKey::Agent(_) => None,
        });
        let mut external: Vec<_> = external.collect();
        external.sort_by_key(|bearer| (bearer != name, bearer.clone()));
        external
    }

    /// Whether the record of the agent `id` is here.
    pub fn is_known(&self, id: NodeId) -> bool {
        let slot = self.shared.nodes.get(&NodeKey::Agent(id));
        slot.is_some_and(|slot| slot.facts().known)
    }

    /// The nodes with an agent that are called `name`, in whatever case.
    pub fn agents_named(&self, name: &str) -> Vec<NodeId> {
        let bearers = self.shared.names.get(&name.to_ascii_lowercase());
        let bearers = bearers.map_or_else(Vec::new, |entry| entry.value().clone());
        bearers.iter().filter_map(NodeKey::agent).collect()
    }

    /// What stands on `key`, whatever its liveness.
    pub fn node_by_key(&self, key: &NodeKey) -> Option<Arc<NodeView>> {
        let slot = self.shared.nodes.get(key)?;
        let mut node = NodeView::of(&slot);
        if let Some(server) = slot.server() {
            node.instances.insert(server.id.clone(), Arc::clone(server));
        }
        Some(Arc::new(node))
    }

    /// What the agent `id` is called, or was in this run of this agent before it was made to leave; its
    /// id if that is not known.
    pub fn name_of_agent(&self, id: NodeId) -> NodeName {
        if let Some(slot) = self.shared.nodes.get(&NodeKey::Agent(id)) {
            return slot.facts().name.clone();
        }
        let former = self.shared.former_names.get(&id);
        former.map_or_else(|| nameless(id), |name| name.clone())
    }

    /// This agent's own node with what clients have registered at it; there from the start.
    pub fn own(&self) -> Arc<NodeView> {
        let slot = self.shared.nodes.get(&NodeKey::Agent(self.shared.me));
        let slot = slot.expect("the writer makes the own node first and never takes it away");
        Arc::new(NodeView::of(&slot))
    }

    /// This agent's own instance with that id.
    pub fn own_instance(&self, id: &ServiceId) -> Option<Arc<InstanceView>> {
        let slot = self.shared.nodes.get(&NodeKey::Agent(self.shared.me))?;
        slot.instances.get(id).cloned()
    }

    /// This agent's own check with that id, whether or not its instance is in force.
    pub fn own_check(&self, id: &CheckId) -> Option<Arc<CheckView>> {
        let slot = self.shared.nodes.get(&NodeKey::Agent(self.shared.me))?;
        slot.checks.get(id).cloned()
    }

    /// Whether `instance` is among what is served of its service now.
    pub fn serves(&self, instance: &InstanceView) -> bool {
        let service = self.service(instance.service());
        let overlay = self.overlay();
        match overlay.standing(&instance.node().key) {
            Standing::Live | Standing::Stale => true,
            Standing::Down | Standing::Gone => false,
            Standing::LastResort => service.is_none_or(|service| {
                let mut others = service.instances.iter();
                !others.any(|other| overlay.standing(&other.node().key) < Standing::LastResort)
            }),
        }
    }

    /// The nodes that are shown, by name and id: live, stale and down, not those that left.
    pub fn nodes(&self) -> Vec<(Arc<NodeFacts>, Standing)> {
        let overlay = self.overlay();
        let mut nodes: Vec<_> = self
            .shared
            .nodes
            .iter()
            .filter(|slot| slot.facts().known || slot.facts().key == NodeKey::Agent(self.shared.me))
            .map(|slot| (Arc::clone(slot.facts()), overlay.standing(slot.key())))
            .filter(|(_, standing)| *standing != Standing::Gone)
            .collect();
        nodes.sort_unstable_by(|(a, _), (b, _)| (&a.name, &a.key).cmp(&(&b.name, &b.key)));
        nodes
    }

    /// Every check that is shown, of every node, without `serfHealth`; by node name, then check
    /// id. Of a node that is down none is shown.
    pub fn checks(&self) -> Vec<ListedCheck> {
        let overlay = self.overlay();
        let mut checks: Vec<_> = self
            .shared
            .nodes
            .iter()
            .filter(|slot| overlay.standing(slot.key()) <= Standing::LastResort)
            .flat_map(|slot| NodeView::of(&slot).listed_checks())
            .collect();
        // Asked for after the walk, which holds a shard of the map.
        checks.retain(|check| check.instance.as_ref().is_none_or(|i| self.serves(i)));
        checks.sort_by(|a, b| {
            let key =
                |c: &ListedCheck| (c.node.name.clone(), c.node.key.clone(), c.check.id.clone());
            key(a).cmp(&key(b))
        });
        checks
    }

    /// The checks that speak for what is served of a service, in the order of
    /// [`View::lookup`]; those of whole nodes are not among them.
    pub fn service_checks(&self, name: &str) -> Vec<ListedCheck> {
        self.lookup(name)
            .into_iter()
            .flat_map(|listed| {
                let instance = listed.instance;
                let mut own = instance.checks().to_vec();
                own.extend(instance.missing_checks().map(Arc::new));
                own.into_iter().map(move |check| ListedCheck {
                    node: Arc::clone(instance.node()),
                    check,
                    instance: Some(Arc::clone(&instance)),
                })
            })
            .collect()
    }

    /// The instances that went from the service called `name` in this run and are not back in it,
    /// oldest first; of all services the last [`REMOVED_KEPT`](crate::REMOVED_KEPT) are remembered.
    pub fn removed(&self, name: &str) -> Vec<Removed> {
        let folded = name.to_ascii_lowercase();
        let removed = self.shared.removed.get(folded.as_str());
        let mut removed: Vec<_> =
            removed.map_or_else(Vec::new, |removed| removed.iter().cloned().collect());
        let service = self.service(name);
        let here = service.iter().flat_map(|service| service.instances.iter());
        let here = here.map(|view| (view.node().key.clone(), view.id.clone()));
        let mut told: BTreeSet<(NodeKey, ServiceId)> = here.collect();
        // Of one that went several times the last time counts.
        removed.reverse();
        removed.retain(|removed| told.insert((removed.node.key.clone(), removed.id.clone())));
        removed.reverse();
        removed
    }

    /// The last [`EVENTS`](tidings_types::limits::EVENTS) events of all nodes that came
    /// here, the last one at the end.
    pub fn events(&self) -> Arc<Vec<EventView>> {
        self.shared.events.load_full()
    }

    /// Liveness, to be laid over what other queries return. Load it after them.
    pub fn overlay(&self) -> Arc<Overlay> {
        self.shared.overlay.load_full()
    }

    /// The membership view.
    pub fn roster(&self) -> Arc<Roster> {
        Arc::clone(self.shared.overlay.load().roster())
    }

    /// The node's own figures.
    pub fn status(&self) -> Arc<Status> {
        self.shared.status.load_full()
    }

    /// When the answer to `watch` last changed, by this agent's counter. At least 1.
    pub fn index(&self, watch: &Watch) -> u64 {
        self.shared.index(watch)
    }

    /// The greatest index that was handed out. The agent keeps a number above it reserved on disk,
    /// so that the counter never falls.
    pub fn index_high_water(&self) -> u64 {
        self.shared.last_index()
    }

    /// Whether this run has handed out `index`, or could have: the client speaks of what it was told
    /// here, not of another agent or an earlier run.
    pub fn was_issued(&self, index: u64) -> bool {
        self.shared.was_issued(index)
    }

    /// Waits until the answer to `watch` has an index greater than `index`, or until `deadline`.
    ///
    /// Returns at once for an index that this run has not handed out: its client speaks of another
    /// agent or of an earlier run. A return does not promise a change.
    pub async fn changed(&self, watch: &Watch, index: u64, deadline: Instant) {
        watch::wait(&self.shared, watch, index, deadline).await;
    }

    /// How many different things are waited for now.
    pub fn watched(&self) -> usize {
        self.shared.waiters.len()
    }
}
