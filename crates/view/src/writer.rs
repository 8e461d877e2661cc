//! Applies updates, numbers the changes, wakes who waits for them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, atomic::Ordering},
};

use tidings_types::{
    Body, CheckId, Conflict, Content, Departure, Epoch, Key, Lineage, NodeId, NodeName, ServiceId,
    ServiceName, Status, Text, Timestamp, Update,
};

use crate::{
    CheckView, InstanceView, NodeFacts, NodeKey, Origin, Overlay, Service, View, Watch,
    batch::{Batch, Dirty},
    events::Events,
    joined::InstanceRecord,
    overlay::Namesake,
    removed::{Removals, Removed},
    shared::{Bearers, FORMER_NAMES_MAX, INDEX_MAX, Shared},
    slot::{Effect, Slot, Touched},
};

/// What the view must know from the start.
#[derive(Clone, Debug)]
pub struct ViewSettings {
    /// This agent's node.
    pub me: NodeId,
    /// What it is called, until its record is here.
    pub name: NodeName,
    /// The datacenter that this agent answers for.
    pub datacenter: String,
    /// Where the blocking index starts: milliseconds of the start, shifted left by 12, and above
    /// every number that an earlier run handed out. Kept within 1 and 2^53 - 1.
    pub first_index: u64,
    /// How many services without instances keep their index. Above it the oldest is forgotten, and
    /// whoever asks for a service that is not here gets its index instead.
    pub absent_services: usize,
}

impl ViewSettings {
    /// Settings with the default limits.
    pub fn new(me: NodeId, name: NodeName, datacenter: &str, first_index: u64) -> Self {
        Self {
            me,
            name,
            datacenter: datacenter.to_owned(),
            first_index,
            absent_services: ABSENT_SERVICES,
        }
    }
}

/// An empty view and its one writer.
pub fn channel(settings: ViewSettings) -> (ViewWriter, View) {
    let ViewSettings {
        me,
        name,
        datacenter,
        first_index,
        absent_services,
    } = settings;
    let shared = Arc::new(Shared::new(me, name, datacenter, first_index, no_status()));
    let writer = ViewWriter {
        shared: Arc::clone(&shared),
        agents: BTreeMap::new(),
        absent: BTreeSet::new(),
        absent_max: absent_services,
        events: Events::default(),
        removals: Removals::default(),
        former: VecDeque::new(),
    };
    let own = NodeKey::Agent(me);
    writer.name_node(&own, None, Some(shared.my_name.as_str()));
    shared.nodes.insert(own.clone(), writer.new_slot(&own));
    (writer, View { shared })
}

/// The only hand that changes the view: the driver's.
#[derive(Debug)]
pub struct ViewWriter {
    shared: Arc<Shared>,
    /// The agent nodes that have a record: their names, and how they said goodbye.
    agents: BTreeMap<NodeId, (NodeName, Option<Departure>)>,
    /// Services without instances that keep their index, oldest first.
    absent: BTreeSet<(u64, Text)>,
    absent_max: usize,
    events: Events,
    removals: Removals,
    /// Whose names are remembered, oldest first.
    former: VecDeque<NodeId>,
}

impl ViewWriter {
    /// Shows one update to readers. `now` is the driver's clock.
    pub fn apply(&mut self, now: Timestamp, update: Update) {
        self.apply_all(now, [update]);
    }

    /// Shows several updates at once: what they change gets one number, and a waiter wakes once.
    ///
    /// Above [`STEP`] of them it takes several steps, since what changed has to be kept until it is
    /// shown. Their order is then such that no step shows an instance without a check that it names.
    pub fn apply_all(&mut self, now: Timestamp, updates: impl IntoIterator<Item = Update>) {
        self.advance(now);
        let mut updates: Vec<Update> = updates.into_iter().collect();
        if updates.len() > STEP {
            updates.sort_by_key(turn);
        }
        let mut updates = updates.into_iter();
        while !updates.as_slice().is_empty() {
            self.apply_step(updates.by_ref().take(STEP));
        }
    }

    fn apply_step(&mut self, updates: impl Iterator<Item = Update>) {
        let mut batch = Batch {
            index: self.shared.last_index().saturating_add(1).min(INDEX_MAX),
            ..Batch::default()
        };
        for update in updates {
            self.take(&mut batch, update);
        }
        self.publish(batch);
    }

    /// Moves the clock by which ages are told.
    pub fn advance(&mut self, now: Timestamp) {
        self.shared.set_now(now);
    }

    fn take(&mut self, batch: &mut Batch, update: Update) {
        match update {
            Update::Record {
                key,
                body,
                dot,
                conflict,
            } => {
                let count = conflict.as_ref().map_or(0, |conflict| conflict.count);
                let origin = Origin::new(dot, count, batch.index);
                self.conflict(&key, conflict);
                self.record(batch, &key, body, origin);
            }
            Update::CheckOutput { check, output } => self.check_output(&check, output),
            Update::Roster(roster) => batch.roster = Some(roster),
            Update::Status(status) => self.shared.status.store(Arc::new(*status)),
        }
    }

    fn record(&mut self, batch: &mut Batch, key: &Key, body: Option<Content>, origin: Origin) {
        let node = NodeKey::of(key);
        match key {
            Key::Event(owner, id) => {
                batch.event_table |= self.events.record(*id, *owner, body.as_ref());
                return;
            }
            Key::Node(_) | Key::ExternalNode(_) => self.node(batch, &node, body, origin),
            Key::Instance(_, id) | Key::ExternalInstance(_, id) => {
                let body = body.and_then(InstanceRecord::new);
                self.instance(batch, &node, id, body, origin);
            }
            Key::Tags(_, id) => {
                let tags = body.as_ref().and_then(Content::tags);
                let touched = self.change(&node, |slot| slot.put_tags(id, tags, batch.index));
                let moved = touched.effect == Effect::Moved;
                batch.service_table |= moved;
                batch.check_table |= moved;
                batch.touch(&node, touched);
            }
            Key::Check(_, id) | Key::ExternalCheck(_, id) => {
                let check = body.and_then(|body| CheckView::new(id.clone(), body, origin));
                let touched = self.change(&node, |slot| slot.put_check(id, check, origin));
                batch.check_table |= touched.effect == Effect::Moved;
                batch.touch(&node, touched);
            }
        }
        // A node that is not there has the index of the list of nodes, so that must move with it.
        batch.node_table |= self.drop_if_empty(&node);
    }

    /// Few records are in conflict, so those that are stand apart.
    fn conflict(&self, key: &Key, conflict: Option<Arc<Conflict>>) {
        let conflicts = &self.shared.conflicts;
        match conflict {
            Some(conflict) => drop(conflicts.insert(key.clone(), conflict)),
            None if conflicts.is_empty() => {}
            None => drop(conflicts.remove(key)),
        }
    }

    fn node(&mut self, batch: &mut Batch, node: &NodeKey, body: Option<Content>, origin: Origin) {
        if let NodeKey::Agent(id) = node {
            self.remember_name(*id, body.is_none());
        }
        let facts = match (node, body.as_ref().map(Content::body)) {
            (NodeKey::Agent(id), Some(Body::Node(record))) => {
                NodeFacts::of_agent(*id, &record, origin)
            }
            (NodeKey::External(name), Some(Body::ExternalNode(record))) => {
                NodeFacts::of_external(name, &record, &self.shared.datacenter, origin)
            }
            _ => self.unknown_node(node),
        };
        let before = self
            .shared
            .nodes
            .get(node)
            .map(|slot| Arc::clone(slot.facts()));
        let (after, after_id) = (facts.name.clone(), facts.id.clone());
        if let NodeKey::Agent(id) = node {
            let new = facts.known.then(|| (after.clone(), facts.departure));
            if self.agents.get(id) != new.as_ref() {
                batch.relay = true;
                match new {
                    Some(new) => self.agents.insert(*id, new),
                    None => self.agents.remove(id),
                };
            }
        }
        // An agent has a check of itself, and an instance may await some.
        let mut may_have_checks = node.agent().is_some();
        let touched = self.change(node, |slot| {
            may_have_checks |= !slot.checks.is_empty() || !slot.instances.is_empty();
            slot.put_facts(facts)
        });
        let before = before.as_deref();
        self.name_node(
            node,
            before.map(|facts| facts.name.as_str()),
            Some(after.as_str()),
        );
        if matches!(node, NodeKey::External(_)) {
            let before = before.map(|facts| &*facts.id);
            file(&self.shared.ids, node, before, Some(&after_id));
        }
        if touched.effect == Effect::Moved {
            batch.node_table = true;
            // The lists of services and of checks tell of the node too, and can be asked for the
            // nodes with some metadata only.
            batch.service_table |= !touched.instances.is_empty();
            batch.check_table |= may_have_checks;
        }
        batch.touch(node, touched);
    }

    fn instance(
        &mut self,
        batch: &mut Batch,
        node: &NodeKey,
        id: &ServiceId,
        record: Option<InstanceRecord>,
        origin: Origin,
    ) {
        let stays = record
            .as_ref()
            .map(|record| ServiceName::fold(record.service()));
        let (mut before, mut after) = (None, None);
        let touched = self.change(node, |slot| {
            before = slot.instances.get(id).cloned();
            let touched = slot.put_instance(id, record, origin);
            after = slot.instances.get(id).cloned();
            touched
        });
        let moved = touched.effect == Effect::Moved;
        batch.service_table |= moved;
        // Checks are listed with the service and the tags of their instance. One without any can show or
        // hide those of others: of a last resort, which is for a service without any live instance.
        let mut either = before.iter().chain(&after);
        batch.check_table |= moved
            && (either.any(|view| view.has_own_checks())
                || self.shared.overlay.load().has_last_resort());
        batch.touch(node, touched);
        let before = before.map(|before| (ServiceName::fold(before.service()), before));
        if let Some((service, before)) =
            before.filter(|(service, _)| stays.as_ref() != Some(service))
        {
            let by = stays.is_none().then(|| origin.dot()).flatten();
            let removed = Removed::new(&before, self.shared.now(), by);
            self.removals.note(&self.shared.removed, service, removed);
        }
    }

    /// Changes the slot of `node`, which is made if it is not there.
    fn change(&self, node: &NodeKey, change: impl FnOnce(&mut Slot) -> Touched) -> Touched {
        let mut named = false;
        let mut slot = self.shared.nodes.entry(node.clone()).or_insert_with(|| {
            named = true;
            self.new_slot(node)
        });
        let touched = change(&mut slot);
        let name = slot.facts().name.clone();
        drop(slot);
        if named {
            self.name_node(node, None, Some(name.as_str()));
        }
        touched
    }

    fn drop_if_empty(&self, node: &NodeKey) -> bool {
        let is_mine = *node == NodeKey::Agent(self.shared.me);
        let emptied = |slot: &Slot| !is_mine && slot.is_empty();
        let dropped = self.shared.nodes.remove_if(node, |_, slot| emptied(slot));
        if let Some((_, slot)) = &dropped {
            self.name_node(node, Some(slot.facts().name.as_str()), None);
        }
        dropped.is_some()
    }

    fn check_output(&self, check: &CheckId, output: String) {
        let own = NodeKey::Agent(self.shared.me);
        if let Some(slot) = self.shared.nodes.get(&own)
            && let Some(check) = slot.checks.get(check)
        {
            check.says(output);
        }
    }

    /// Shows the batch: data first, then indexes, then the waiters are woken.
    fn publish(&mut self, mut batch: Batch) {
        self.relay(&mut batch);
        let moved = batch.moved();
        if moved {
            self.shared.last_index.store(batch.index, Ordering::Release);
        }
        for (service, dirty) in &batch.services {
            self.put_together(service, dirty, batch.index);
        }
        if !moved {
            return;
        }
        if batch.event_table {
            self.shared.events.store(Arc::new(self.events.last()));
        }
        for node in &batch.nodes {
            if let Some(mut slot) = self.shared.nodes.get_mut(node) {
                slot.index = batch.index;
            }
        }
        let tables = &self.shared.tables;
        for (moved, table) in [
            (batch.node_table, &tables.nodes),
            (batch.service_table, &tables.services),
            (batch.moves_a_service(), &tables.any_service),
            (batch.check_table, &tables.checks),
            (batch.event_table, &tables.events),
        ] {
            if moved {
                table.store(batch.index, Ordering::Release);
            }
        }
        self.wake(batch);
    }

    fn wake(&self, batch: Batch) {
        let any_service = batch.moves_a_service();
        let services = batch.services.into_iter();
        let services = services.filter(|(_, dirty)| dirty.moved);
        let services = services.map(|(service, _)| Watch::Service(service));
        let nodes = batch.nodes.into_iter().map(Watch::Node);
        let tables = [
            (batch.node_table, Watch::Nodes),
            (batch.service_table, Watch::Services),
            (any_service, Watch::AnyService),
            (batch.check_table, Watch::Checks),
            (batch.event_table, Watch::Events),
        ];
        let tables = tables.into_iter().filter(|(moved, _)| *moved);
        for watch in services.chain(nodes).chain(tables.map(|(_, watch)| watch)) {
            self.shared.waiters.wake(&watch, batch.index);
        }
    }

    /// Lays a new roster, or new names, over the records; marks what is shown differently.
    fn relay(&self, batch: &mut Batch) {
        if batch.roster.is_none() && !batch.relay {
            return;
        }
        let before = self.shared.overlay.load_full();
        let roster = batch
            .roster
            .take()
            .unwrap_or_else(|| Arc::clone(before.roster()));
        let namesakes = self.agents.iter().map(|(&id, (name, departure))| Namesake {
            id,
            name: name.as_str(),
            departure: *departure,
        });
        let after = Arc::new(Overlay::new(self.shared.me, roster, namesakes));
        self.shared.overlay.store(Arc::clone(&after));
        let differs = |key: &NodeKey, known: bool| {
            before.standing(key) != after.standing(key)
                || !known && before.member_address(key) != after.member_address(key)
        };
        let changed: Vec<NodeKey> = self
            .shared
            .nodes
            .iter()
            .filter(|slot| differs(slot.key(), slot.facts().known))
            .map(|slot| slot.key().clone())
            .collect();
        for node in changed {
            self.mark_whole_node(batch, &node);
        }
    }

    /// Moves the index of everything that stands on `node`; nothing is joined anew.
    fn mark_whole_node(&self, batch: &mut Batch, node: &NodeKey) {
        let Some(slot) = self.shared.nodes.get(node) else {
            return;
        };
        batch.node_table |= slot.facts().known;
        batch.check_table = true;
        for (service, _) in slot.every_instance() {
            batch.service_table = true;
            batch.services.entry(service).or_default().moved = true;
        }
        batch.nodes.insert(node.clone());
    }

    /// Publishes a service as its instances stand now, under the index `new_index` if it moves.
    fn put_together(&mut self, name: &Text, dirty: &Dirty, new_index: u64) {
        let before = self.shared.services.get(name).map(|s| Arc::clone(&s));
        let instances = self.place(name, dirty, before.as_deref());
        let before_name = before.as_ref().map(|service| &service.name);
        let spelling = match (instances.first(), before_name) {
            (Some(first), Some(name)) if first.service() == name.as_str() => name.clone(),
            (Some(first), _) => first.record().service,
            (None, Some(name)) => name.clone(),
            (None, None) => return,
        };
        let old_index = before.as_ref().map(|service| service.index);
        let index = match old_index {
            _ if dirty.moved => new_index,
            Some(old_index) => old_index,
            None => self.shared.absent_index(),
        };
        if let Some(old_index) = old_index {
            self.absent.remove(&(old_index, name.clone()));
        }
        if instances.is_empty() {
            self.absent.insert((index, name.clone()));
        }
        let service = Service {
            name: spelling,
            instances,
            index,
        };
        self.shared.services.insert(name.clone(), Arc::new(service));
        self.forget_absent();
    }

    /// The instances of a service in the order in which they are answered: those of before, but
    /// the dirty ones as they stand now. A service of thousands is not gathered for one of them.
    fn place(
        &self,
        name: &Text,
        dirty: &Dirty,
        before: Option<&Service>,
    ) -> Arc<[Arc<InstanceView>]> {
        let before = before.map(|service| &service.instances);
        if let (true, Some(before)) = (dirty.instances.is_empty(), before) {
            return Arc::clone(before);
        }
        let kept = before.into_iter().flat_map(|instances| instances.iter());
        let kept = kept.filter(|view| !dirty.holds(view));
        let mut instances: Vec<_> = kept.cloned().collect();
        for (node, ids) in &dirty.instances {
            let Some(slot) = self.shared.nodes.get(node) else {
                continue;
            };
            for view in ids.iter().filter_map(|id| slot.listed(id)) {
                // One that changed its service is dirty in the old one too.
                if view.service().eq_ignore_ascii_case(name) {
                    let at = instances.partition_point(|other| order(other, view).is_lt());
                    instances.insert(at, Arc::clone(view));
                }
            }
        }
        instances.into()
    }

    /// Forgets the services that have been away longest.
    fn forget_absent(&mut self) {
        while self.absent.len() > self.absent_max {
            let Some((index, name)) = self.absent.pop_first() else {
                return;
            };
            // Raised before the entry goes, so that no reader sees the index fall.
            self.shared.absent_index.fetch_max(index, Ordering::AcqRel);
            self.shared.services.remove(&name);
        }
    }

    /// A node of which nothing is shown yet: it has the index of a node that is not there.
    fn new_slot(&self, node: &NodeKey) -> Slot {
        let index = self.shared.tables.nodes.load(Ordering::Acquire);
        Slot::new(self.unknown_node(node), index)
    }

    fn unknown_node(&self, node: &NodeKey) -> NodeFacts {
        let mut unknown = NodeFacts::unknown(node.clone(), &self.shared.datacenter);
        match node {
            NodeKey::Agent(id) if *id == self.shared.me => {
                unknown.name = self.shared.my_name.clone();
            }
            NodeKey::Agent(id) => {
                let former = self.shared.former_names.get(id);
                unknown.name = former.map_or(unknown.name, |name| name.clone());
            }
            NodeKey::External(_) => {}
        }
        unknown
    }

    /// Keeps the name of an agent whose record goes, for those who look for it still.
    fn remember_name(&mut self, id: NodeId, goes: bool) {
        let former = &self.shared.former_names;
        if !goes {
            if former.remove(&id).is_some() {
                self.former.retain(|kept| *kept != id);
            }
        } else if let Some((name, _)) = self.agents.get(&id) {
            former.insert(id, name.clone());
            self.former.push_back(id);
        }
        while self.former.len() > FORMER_NAMES_MAX {
            if let Some(oldest) = self.former.pop_front() {
                former.remove(&oldest);
            }
        }
    }

    /// Files `node` under the name `after` instead of `before`.
    fn name_node(&self, node: &NodeKey, before: Option<&str>, after: Option<&str>) {
        file(&self.shared.names, node, before, after);
    }
}

/// Files `node` under `after` instead of `before`, in whatever case; an empty text is none.
fn file(bearers: &Bearers, node: &NodeKey, before: Option<&str>, after: Option<&str>) {
    let folded = |text: &str| (!text.is_empty()).then(|| text.to_ascii_lowercase());
    let (before, after) = (before.and_then(folded), after.and_then(folded));
    if let Some(after) = &after {
        let mut nodes = bearers.entry(after.clone()).or_default();
        if !nodes.contains(node) {
            nodes.push(node.clone());
        }
    }
    if let Some(before) = before.filter(|before| Some(before) != after.as_ref()) {
        if let Some(mut nodes) = bearers.get_mut(&before) {
            nodes.retain(|bearer| bearer != node);
        }
        bearers.remove_if(&before, |_, nodes| nodes.is_empty());
    }
}

/// When an update takes its turn among many: an instance goes before its checks and comes after them.
const fn turn(update: &Update) -> u8 {
    match update {
        // What nobody may see yet is not shown before it is known whose it is.
        Update::Roster(_) => 0,
        Update::Record { key, body, .. } => match (key, body) {
            (Key::Node(_) | Key::ExternalNode(_), Some(_)) => 1,
            (Key::Instance(..) | Key::ExternalInstance(..), None) => 2,
            (Key::Check(..) | Key::ExternalCheck(..), Some(_)) => 3,
            (Key::Instance(..) | Key::ExternalInstance(..), Some(_)) => 4,
            (Key::Check(..) | Key::ExternalCheck(..), None) => 5,
            (Key::Node(_) | Key::ExternalNode(_), None) => 6,
            (Key::Event(..) | Key::Tags(..), _) => 7,
        },
        Update::CheckOutput { .. } | Update::Status(_) => 7,
    }
}

/// The order in which the instances of a service are answered.
fn order(a: &InstanceView, b: &InstanceView) -> std::cmp::Ordering {
    let (node, other) = (a.node(), b.node());
    (&node.name, &a.id, &node.key).cmp(&(&other.name, &b.id, &other.key))
}

/// Before the node has published its figures.
fn no_status() -> Status {
    Status {
        epoch: Epoch::ZERO,
        fingerprint: 0,
        feeds: 0,
        entries: 0,
        conflicts: 0,
        pending: 0,
        synced: Lineage::empty(),
        differs_since: None,
        refused: 0,
    }
}

/// Updates that are shown at once.
pub const STEP: usize = 1_000;

/// How many services without instances keep their index, unless settings say otherwise.
const ABSENT_SERVICES: usize = 10_000;
