//! One node's records, always joined: a reader that takes a slot never sees an instance without the
//! checks that its node has.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidings_types::{CheckId, Instance, ServiceId, ServiceName, Text, Texts};

use crate::{
    CONSUL, CheckView, InstanceView, NodeFacts, Origin, consul,
    joined::{InstanceRecord, OnNode, OwnChecks},
    keyed::Keyed,
};

#[derive(Debug)]
pub(crate) struct Slot {
    /// What is registered on the node. What readers see of it is [`Slot::listed`].
    pub(crate) instances: Keyed<InstanceView>,
    /// Of the instances whose tags anybody may set: the owner's own word, and the write.
    overridable: BTreeMap<ServiceId, (InstanceRecord, Origin)>,
    /// The tags that were set, whether or not their instance is here and allows it.
    tags: BTreeMap<ServiceId, Texts>,
    /// The node itself in the service `consul`.
    server: Option<Arc<InstanceView>>,
    pub(crate) checks: Keyed<CheckView>,
    /// The instances for which checks speak, each with one of them; `None` is the whole node.
    speakers: BTreeSet<(Option<ServiceId>, Option<CheckId>)>,
    /// The checks over which somebody put a tombstone: an instance that names one does not await it.
    buried: BTreeSet<CheckId>,
    on_node: Arc<OnNode>,
    /// When an answer about this node last changed.
    pub(crate) index: u64,
}

/// What a record did to what readers see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// Its origin changed, its content did not: no index moves and nobody is woken.
    Quiet,
    /// Its content changed.
    Moved,
}

/// What a record did, and to which instances: each with the folded name of its service, perhaps
/// repeated. One that changes its service is named with both.
pub(crate) struct Touched {
    pub(crate) effect: Effect,
    pub(crate) instances: Vec<(Text, ServiceId)>,
}

impl Touched {
    const NOTHING: Self = Self {
        effect: Effect::None,
        instances: Vec::new(),
    };
}

impl Slot {
    pub(crate) fn new(facts: NodeFacts, index: u64) -> Self {
        Self {
            instances: Keyed::new(),
            overridable: BTreeMap::new(),
            tags: BTreeMap::new(),
            server: None,
            checks: Keyed::new(),
            speakers: BTreeSet::new(),
            buried: BTreeSet::new(),
            on_node: Arc::new(OnNode::new(Arc::new(facts), Box::default())),
            index,
        }
    }

    /// What is known of the node itself.
    pub(crate) fn facts(&self) -> &Arc<NodeFacts> {
        &self.on_node.facts
    }

    /// Whether nothing stands here any more.
    pub(crate) fn is_empty(&self) -> bool {
        !self.facts().known
            && self.instances.is_empty()
            && self.checks.is_empty()
            && self.tags.is_empty()
    }

    /// Replaces what is known of the node itself.
    pub(crate) fn put_facts(&mut self, mut facts: NodeFacts) -> Touched {
        let before = self.facts();
        let effect = if before.says_the_same(&facts) {
            facts.origin.modify_index = before.origin.modify_index;
            facts.origin.create_index = before.origin.create_index;
            if before.origin == facts.origin {
                return Touched::NOTHING;
            }
            Effect::Quiet
        } else {
            if before.known {
                facts.origin.create_index = before.origin.create_index;
            }
            Effect::Moved
        };
        let was_server = self.server.is_some();
        self.join_all(Arc::new(facts));
        let mut instances = self.every_instance();
        if was_server && self.server.is_none() {
            instances.push((CONSUL.into(), consul::id()));
        }
        Touched { effect, instances }
    }

    /// Puts or removes an instance.
    pub(crate) fn put_instance(
        &mut self,
        id: &ServiceId,
        record: Option<InstanceRecord>,
        mut origin: Origin,
    ) -> Touched {
        let before = self.instances.get(id).cloned();
        let read = record.map(|record| self.with_set_tags(id, record, origin));
        let mut instances: Vec<_> = before
            .iter()
            .map(|view| (ServiceName::fold(view.service()), id.clone()))
            .collect();
        if self.server.is_some() && id.as_str() == CONSUL {
            // It takes the server's place, or gives it back.
            instances.push((CONSUL.into(), id.clone()));
        }
        let Some((record, instance)) = read else {
            self.overridable.remove(id);
            let effect = match self.instances.remove(id) {
                Some(_) => Effect::Moved,
                None => Effect::None,
            };
            return Touched { effect, instances };
        };
        let effect = match before {
            Some(before) if before.record == record => {
                let known = before.origin();
                origin.create_index = known.create_index;
                origin.modify_index = known.modify_index;
                if origin == known {
                    return Touched::NOTHING;
                }
                Effect::Quiet
            }
            Some(before) => {
                origin.create_index = before.origin().create_index;
                Effect::Moved
            }
            None => Effect::Moved,
        };
        instances.push((ServiceName::fold(record.service()), id.clone()));
        let view = self.join(id, record, &instance, origin);
        self.instances.put(Arc::new(view));
        Touched { effect, instances }
    }

    /// Sets the tags of an instance, or takes back that they were set.
    pub(crate) fn put_tags(&mut self, id: &ServiceId, tags: Option<Texts>, index: u64) -> Touched {
        match tags {
            Some(tags) => self.tags.insert(id.clone(), tags),
            None => self.tags.remove(id),
        };
        let Some((record, mut origin)) = self.overridable.get(id).cloned() else {
            return Touched::NOTHING;
        };
        (origin.create_index, origin.modify_index) = (index, index);
        self.put_instance(id, Some(record), origin)
    }

    /// The instance as readers see it: with the tags that were set, if its owner allows that.
    fn with_set_tags(
        &mut self,
        id: &ServiceId,
        record: InstanceRecord,
        origin: Origin,
    ) -> (InstanceRecord, Instance) {
        let mut instance = record.read();
        if !instance.enable_tag_override {
            self.overridable.remove(id);
            return (record, instance);
        }
        self.overridable
            .insert(id.clone(), (record.clone(), origin));
        match self.tags.get(id) {
            None => (record, instance),
            Some(tags) => {
                instance.tags = tags.clone();
                (InstanceRecord::of(&instance), instance)
            }
        }
    }

    /// Puts or removes a check.
    pub(crate) fn put_check(
        &mut self,
        id: &CheckId,
        check: Option<CheckView>,
        origin: Origin,
    ) -> Touched {
        let before = self.checks.get(id).cloned();
        let mut spoken_for: Vec<Option<ServiceId>> =
            before.iter().map(|view| view.service.clone()).collect();
        let is_buried = check.is_none() && origin.dot().is_some();
        let was_buried = if is_buried {
            !self.buried.insert(id.clone())
        } else {
            self.buried.remove(id)
        };
        let effect = match (check, &before) {
            (None, None) if was_buried == is_buried => return Touched::NOTHING,
            (None, None) => {
                spoken_for.extend(self.awaiting(id));
                Effect::Moved
            }
            (None, Some(before)) => {
                self.checks.remove(id);
                self.forget_speaker(&before.service, id);
                Effect::Moved
            }
            (Some(mut check), _) => {
                let same = before.as_ref().is_some_and(|b| b.record == check.record);
                if let Some(before) = &before {
                    check.origin.create_index = before.origin.create_index;
                    if same {
                        check.origin.modify_index = before.origin.modify_index;
                    }
                    if same && check.origin == before.origin {
                        return Touched::NOTHING;
                    }
                    self.forget_speaker(&before.service, id);
                    check.keep_output_of(before);
                }
                spoken_for.push(check.service.clone());
                self.speakers
                    .insert((check.service.clone(), Some(id.clone())));
                self.checks.put(Arc::new(check));
                if same { Effect::Quiet } else { Effect::Moved }
            }
        };
        Touched {
            effect,
            instances: self.rejoin(spoken_for),
        }
    }

    /// The instances that name a check that is not here. Nothing is decoded: whoever withdraws thousands
    /// of checks must not make this agent read all instances for each.
    fn awaiting(&self, check: &CheckId) -> impl Iterator<Item = Option<ServiceId>> {
        let naming = self.instances.values();
        let naming = naming.filter(|view| view.names_missing(check));
        naming.map(|view| Some(view.id.clone()))
    }

    /// Joins the instances for which a changed check speaks, and names them.
    fn rejoin(&mut self, spoken_for: Vec<Option<ServiceId>>) -> Vec<(Text, ServiceId)> {
        if spoken_for.contains(&None) {
            self.join_all(Arc::clone(self.facts()));
            return self.every_instance();
        }
        let mut instances = Vec::new();
        for id in spoken_for.into_iter().flatten() {
            if let Some(view) = self.instances.get(&id).cloned() {
                instances.push((ServiceName::fold(view.service()), id.clone()));
                let view = self.join(&id, view.record.clone(), &view.record(), view.origin());
                self.instances.put(Arc::new(view));
            }
        }
        instances
    }

    fn join_all(&mut self, facts: Arc<NodeFacts>) {
        let checks = self.speaking_for(&None).cloned().collect();
        self.on_node = Arc::new(OnNode::new(facts, checks));
        let views: Vec<_> = self.instances.values().cloned().collect();
        for view in views {
            let record = view.record.clone();
            let joined = self.join(&view.id, record, &view.record(), view.origin());
            self.instances.put(Arc::new(joined));
        }
        self.server = consul::instance_of(self.facts()).map(|record| {
            let (on_node, origin) = (Arc::clone(&self.on_node), self.facts().origin);
            // Nobody can register a check for what nobody registered.
            let checks = OwnChecks::default();
            Arc::new(InstanceView::new(
                consul::id(),
                record,
                on_node,
                origin,
                checks,
            ))
        });
    }

    /// The view of an instance: its record, which says `instance`, with the checks that are here.
    fn join(
        &self,
        id: &ServiceId,
        record: InstanceRecord,
        instance: &Instance,
        origin: Origin,
    ) -> InstanceView {
        let speaks = |view: &&Arc<CheckView>| view.service.as_ref() == Some(id);
        let mut checks = OwnChecks::default();
        for check in &instance.checks {
            if self.buried.contains(check) {
                checks.withdrawn.push(check.clone());
                continue;
            }
            match self.checks.get(check).filter(speaks) {
                Some(view) => checks.here.push(Arc::clone(view)),
                None => checks.awaited.push(check.clone()),
            }
        }
        let service = Some(id.clone());
        let others = self
            .speaking_for(&service)
            .filter(|view| !instance.checks.contains(&view.id));
        checks.here.extend(others.cloned());
        let on_node = Arc::clone(&self.on_node);
        InstanceView::new(id.clone(), record, on_node, origin, checks)
    }

    fn speaking_for<'a>(
        &'a self,
        service: &'a Option<ServiceId>,
    ) -> impl Iterator<Item = &'a Arc<CheckView>> {
        let first = (service.clone(), None);
        let speakers = self.speakers.range(first..);
        let speakers = speakers.take_while(move |(spoken_for, _)| spoken_for == service);
        speakers.filter_map(|(_, id)| self.checks.get(id.as_ref()?))
    }

    fn forget_speaker(&mut self, service: &Option<ServiceId>, id: &CheckId) {
        self.speakers.remove(&(service.clone(), Some(id.clone())));
    }

    /// The instance that readers see under `id`.
    pub(crate) fn listed(&self, id: &ServiceId) -> Option<&Arc<InstanceView>> {
        let registered = self.instances.get(id);
        registered.or_else(|| self.server().filter(|server| server.id == *id))
    }

    /// The node itself in the service `consul`, unless a registered instance took its place.
    pub(crate) fn server(&self) -> Option<&Arc<InstanceView>> {
        let server = self.server.as_ref();
        server.filter(|server| !self.instances.contains_key(&server.id))
    }

    /// Every instance that readers see, with the folded name of its service.
    pub(crate) fn every_instance(&self) -> Vec<(Text, ServiceId)> {
        let instances = self.instances.values().chain(self.server());
        instances
            .map(|view| (ServiceName::fold(view.service()), view.id.clone()))
            .collect()
    }
}
