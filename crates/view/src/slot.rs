//! One node's records, always joined: a reader that takes a slot never sees an instance without the
//! checks that its node has.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidings_types::{CheckId, ServiceId, Text, Texts};

use crate::{
    CONSUL, CheckBody, CheckView, InstanceBody, InstanceView, NodeFacts, Origin, consul,
    joined::{OnNode, OwnChecks},
    keyed::Keyed,
    memo::Memo,
};

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) facts: Arc<NodeFacts>,
    /// What is registered on the node. What readers see of it is [`Slot::listed`].
    pub(crate) instances: Keyed<InstanceView>,
    /// Of the instances whose tags anybody may set: the owner's own word, and the write.
    overridable: BTreeMap<ServiceId, (InstanceBody, Origin)>,
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
            facts: Arc::new(facts),
            instances: Keyed::new(),
            overridable: BTreeMap::new(),
            tags: BTreeMap::new(),
            server: None,
            checks: Keyed::new(),
            speakers: BTreeSet::new(),
            buried: BTreeSet::new(),
            on_node: Arc::default(),
            index,
        }
    }

    /// Whether nothing stands here any more.
    pub(crate) fn is_empty(&self) -> bool {
        !self.facts.known
            && self.instances.is_empty()
            && self.checks.is_empty()
            && self.tags.is_empty()
    }

    /// Replaces what is known of the node itself.
    pub(crate) fn put_facts(&mut self, mut facts: NodeFacts) -> Touched {
        let before = &self.facts;
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
        self.facts = Arc::new(facts);
        let was_server = self.server.is_some();
        self.join_all();
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
        body: Option<InstanceBody>,
        mut origin: Origin,
    ) -> Touched {
        let before = self.instances.get(id).cloned();
        let body = body.map(|body| self.with_set_tags(id, body, origin));
        let mut instances: Vec<_> = before
            .iter()
            .map(|view| (view.instance.service.folded(), id.clone()))
            .collect();
        if self.server.is_some() && id.as_str() == CONSUL {
            // It takes the server's place, or gives it back.
            instances.push((CONSUL.into(), id.clone()));
        }
        let Some(instance) = body else {
            self.overridable.remove(id);
            let effect = match self.instances.remove(id) {
                Some(_) => Effect::Moved,
                None => Effect::None,
            };
            return Touched { effect, instances };
        };
        let effect = match before {
            Some(before) if before.instance == instance => {
                origin.create_index = before.origin.create_index;
                origin.modify_index = before.origin.modify_index;
                if origin == before.origin {
                    return Touched::NOTHING;
                }
                Effect::Quiet
            }
            Some(before) => {
                origin.create_index = before.origin.create_index;
                Effect::Moved
            }
            None => Effect::Moved,
        };
        instances.push((instance.service.folded(), id.clone()));
        let view = self.join(id, &instance, origin);
        self.instances.put(Arc::new(view));
        Touched { effect, instances }
    }

    /// Sets the tags of an instance, or takes back that they were set.
    pub(crate) fn put_tags(&mut self, id: &ServiceId, tags: Option<Texts>, index: u64) -> Touched {
        match tags {
            Some(tags) => self.tags.insert(id.clone(), tags),
            None => self.tags.remove(id),
        };
        let Some((body, mut origin)) = self.overridable.get(id).cloned() else {
            return Touched::NOTHING;
        };
        (origin.create_index, origin.modify_index) = (index, index);
        self.put_instance(id, Some(body), origin)
    }

    /// The instance as readers see it: with the tags that were set, if its owner allows that.
    fn with_set_tags(
        &mut self,
        id: &ServiceId,
        body: InstanceBody,
        origin: Origin,
    ) -> InstanceBody {
        if !body.enable_tag_override {
            self.overridable.remove(id);
            return body;
        }
        let shown = self.tags.get(id).map(|tags| body.with_tags(tags));
        self.overridable.insert(id.clone(), (body.clone(), origin));
        shown.unwrap_or(body)
    }

    /// Puts or removes a check.
    pub(crate) fn put_check(
        &mut self,
        id: &CheckId,
        body: Option<CheckBody>,
        mut origin: Origin,
    ) -> Touched {
        let before = self.checks.get(id).cloned();
        let mut spoken_for: Vec<Option<ServiceId>> = before
            .iter()
            .map(|view| view.check.service.clone())
            .collect();
        let is_buried = body.is_none() && origin.dot().is_some();
        let was_buried = if is_buried {
            !self.buried.insert(id.clone())
        } else {
            self.buried.remove(id)
        };
        let effect = match (body, &before) {
            (None, None) if was_buried == is_buried => return Touched::NOTHING,
            (None, None) => {
                spoken_for.extend(self.awaiting(id));
                Effect::Moved
            }
            (None, Some(before)) => {
                self.checks.remove(id);
                self.forget_speaker(&before.check.service, id);
                Effect::Moved
            }
            (Some(check), _) => {
                let same = before.as_ref().is_some_and(|b| b.check == check);
                if let Some(before) = &before {
                    origin.create_index = before.origin.create_index;
                    if same {
                        origin.modify_index = before.origin.modify_index;
                    }
                    if same && origin == before.origin {
                        return Touched::NOTHING;
                    }
                }
                spoken_for.push(check.service.clone());
                if let Some(before) = &before {
                    self.forget_speaker(&before.check.service, id);
                }
                self.speakers
                    .insert((check.service.clone(), Some(id.clone())));
                let view = CheckView::new(id.clone(), check, origin);
                if let Some(before) = &before {
                    view.keep_output_of(before);
                }
                self.checks.put(Arc::new(view));
                if same { Effect::Quiet } else { Effect::Moved }
            }
        };
        Touched {
            effect,
            instances: self.rejoin(spoken_for),
        }
    }

    /// The instances that name a check, whether it is here or not.
    fn awaiting(&self, check: &CheckId) -> impl Iterator<Item = Option<ServiceId>> {
        let naming = self.instances.values();
        let naming = naming.filter(|view| view.instance.checks.contains(check));
        naming.map(|view| Some(view.id.clone()))
    }

    /// Joins the instances for which a changed check speaks, and names them.
    fn rejoin(&mut self, spoken_for: Vec<Option<ServiceId>>) -> Vec<(Text, ServiceId)> {
        if spoken_for.contains(&None) {
            self.join_all();
            return self.every_instance();
        }
        let mut instances = Vec::new();
        for id in spoken_for.into_iter().flatten() {
            if let Some(view) = self.instances.get(&id).cloned() {
                instances.push((view.instance.service.folded(), id.clone()));
                let view = self.join(&id, &view.instance, view.origin);
                self.instances.put(Arc::new(view));
            }
        }
        instances
    }

    fn join_all(&mut self) {
        self.on_node = Arc::new(OnNode {
            checks: self.speaking_for(&None).cloned().collect(),
            memo: Memo::default(),
        });
        let views: Vec<_> = self.instances.values().cloned().collect();
        for view in views {
            let joined = self.join(&view.id, &view.instance, view.origin);
            self.instances.put(Arc::new(joined));
        }
        self.server = consul::instance_of(&self.facts).map(|instance| {
            Arc::new(InstanceView {
                node: Arc::clone(&self.facts),
                id: consul::id(),
                instance,
                // Nobody can register a check for what nobody registered.
                own_checks: None,
                on_node: Arc::clone(&self.on_node),
                origin: self.facts.origin,
                memo: Memo::default(),
            })
        });
    }

    fn join(&self, id: &ServiceId, instance: &InstanceBody, origin: Origin) -> InstanceView {
        let speaks = |view: &&Arc<CheckView>| view.check.service.as_ref() == Some(id);
        let named = instance.checks.iter();
        let (mut checks, mut awaited) = (Vec::new(), Vec::new());
        for check in named.filter(|check| !self.buried.contains(*check)) {
            match self.checks.get(check).filter(speaks) {
                Some(view) => checks.push(Arc::clone(view)),
                None => awaited.push(check.clone()),
            }
        }
        let service = Some(id.clone());
        let others = self
            .speaking_for(&service)
            .filter(|view| !instance.checks.contains(&view.id));
        checks.extend(others.cloned());
        let own_checks = OwnChecks {
            here: checks.into(),
            awaited: awaited.into(),
        };
        let has_checks = !own_checks.here.is_empty() || !own_checks.awaited.is_empty();
        InstanceView {
            node: Arc::clone(&self.facts),
            id: id.clone(),
            instance: instance.clone(),
            own_checks: has_checks.then(|| Box::new(own_checks)),
            on_node: Arc::clone(&self.on_node),
            origin,
            memo: Memo::default(),
        }
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
            .map(|view| (view.instance.service.folded(), view.id.clone()))
            .collect()
    }
}
