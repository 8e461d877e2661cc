//! What a client's command changes through the catalog: records of nodes without an agent, and
//! overrides of what other nodes own.

use std::collections::BTreeSet;

use tidings_types::{
    Body, Check, CheckId, Content, ExternalNode, Instance, Key, NodeId, NodeName, Refusal,
    ServiceId, Slot, Texts,
};

use crate::{
    Node,
    commands::{content_of, refusal},
};

impl Node {
    pub(crate) fn register_external(
        &mut self,
        node: NodeName,
        (record, keeps_record): (ExternalNode, bool),
        renames: Option<&NodeName>,
        service: Option<(ServiceId, Box<Instance>)>,
        checks: Vec<(CheckId, Check)>,
    ) -> Result<bool, Refusal> {
        let agents = self.agents_named(&node);
        if let (Some((id, instance)), true) = (&service, checks.is_empty())
            && let Some(&owner) = agents
                .iter()
                .find(|&&agent| self.lets_tags_be_set(agent, id, instance))
        {
            let key = Key::Tags(owner, id.clone());
            self.write_shared(key, Some(Body::Tags(instance.tags.clone())))?;
            return Ok(true);
        }
        if let Some(owner) = agents.iter().find(|&&agent| self.is_alive(agent)) {
            return Err(Refusal::NodeAlive {
                name: format!("{node} ({owner})"),
            });
        }
        let node_key = Key::ExternalNode(node.clone());
        let is_kept = keeps_record && self.live(&node_key).is_some();
        // Of an agent that is down there is a record, though not one that can be written beside.
        if keeps_record && !is_kept && !agents.is_empty() {
            return Err(Refusal::MissingNode);
        }
        let named = service.as_ref().map(|(id, _)| id);
        let mut wanted = checks
            .iter()
            .filter_map(|(_, check)| check.service.as_ref());
        if wanted.any(|wanted| Some(wanted) != named && !self.has_external(&node, wanted)) {
            return Err(Refusal::MissingService);
        }
        // Nothing is refused from here on, but by the disk.
        if let Some(former) = renames.filter(|former| **former != node) {
            for key in self.external_of(former) {
                self.bury(key)?;
            }
        }
        if !is_kept {
            self.write_shared(node_key, Some(Body::ExternalNode(record)))?;
        }
        if let Some((id, mut instance)) = service {
            let before = self.instance(&Key::ExternalInstance(node.clone(), id.clone()));
            instance.checks = before.map(|before| before.checks).unwrap_or_default();
            for (check, _) in checks
                .iter()
                .filter(|(_, c)| c.service.as_ref() == Some(&id))
            {
                instance.name_check(check);
            }
            let key = Key::ExternalInstance(node.clone(), id);
            self.write_shared(key, Some(Body::Instance(*instance)))?;
        }
        for (id, check) in checks {
            self.register_external_check(&node, id, check)?;
        }
        Ok(true)
    }

    fn has_external(&self, node: &NodeName, service: &ServiceId) -> bool {
        let key = Key::ExternalInstance(node.clone(), service.clone());
        self.instance(&key).is_some()
    }

    /// Whether the instance `id` of `agent` is of that service and its owner lets anybody set its
    /// tags. What else a caller says of it is the owner's alone, and left as it is.
    fn lets_tags_be_set(&self, agent: NodeId, id: &ServiceId, said: &Instance) -> bool {
        let own = self.instance(&Key::Instance(agent, id.clone()));
        own.is_some_and(|own| own.enable_tag_override && own.service == said.service)
    }

    /// Takes back that somebody set the tags of an instance of this node, unless its owner's client
    /// now says `the_same`: of the two the later call counts.
    pub(crate) fn take_back_tags(
        &mut self,
        id: &ServiceId,
        the_same: Option<&Texts>,
    ) -> Result<bool, Refusal> {
        let key = Key::Tags(self.me, id.clone());
        match self.live(&key).as_ref().map(Content::body) {
            Some(Body::Tags(set)) if Some(&set) != the_same => self.bury(key),
            _ => Ok(false),
        }
    }

    fn register_external_check(
        &mut self,
        node: &NodeName,
        id: CheckId,
        check: Check,
    ) -> Result<(), Refusal> {
        // A check that goes over to another service is not awaited by the one before.
        let before = self.live(&Key::ExternalCheck(node.clone(), id.clone()));
        let before = before.and_then(|before| before.check());
        if before.is_some_and(|before| before.service != check.service) {
            self.unname_external_check(node, &id)?;
        }
        if let Some(service) = &check.service {
            let key = Key::ExternalInstance(node.clone(), service.clone());
            let mut instance = self.instance(&key).ok_or(Refusal::MissingService)?;
            if instance.name_check(&id) {
                self.write_shared(key, Some(Body::Instance(instance)))?;
            }
        }
        self.write_shared(
            Key::ExternalCheck(node.clone(), id),
            Some(Body::Check(check)),
        )
    }

    pub(crate) fn deregister_catalog(
        &mut self,
        node: &NodeName,
        service: Option<&ServiceId>,
        check: Option<&CheckId>,
    ) -> Result<bool, Refusal> {
        let agents = self.agents_named(node);
        if service.is_none() && check.is_none() {
            return self.deregister_node(node, &agents);
        }
        let mut changed = false;
        if let (Some(check), None) = (check, service) {
            self.unname_own_check(&agents, check)?;
            self.unname_external_check(node, check)?;
        }
        for agent in agents {
            for key in self.owner_keys(agent, service, check) {
                changed |= self.remove_owned(&key)?;
            }
        }
        for key in self.external_keys(node, service, check) {
            changed |= self.bury(key)?;
        }
        for agent in self.agents_named(node) {
            if let Some(service) = service {
                changed |= self.bury(Key::Tags(agent, service.clone()))?;
            }
        }
        Ok(changed)
    }

    /// Removes a node with all that it has. An agent that is alive owns its record: what somebody put
    /// beside it under its name, while it was down, say, is removed alone.
    fn deregister_node(&mut self, node: &NodeName, agents: &[NodeId]) -> Result<bool, Refusal> {
        if agents.iter().any(|&agent| self.is_alive(agent)) {
            let beside = self.external_of(node);
            if beside.iter().all(|key| self.live(key).is_none()) {
                return Err(Refusal::NodeAlive {
                    name: node.to_string(),
                });
            }
            let mut changed = false;
            for key in beside {
                changed |= self.bury(key)?;
            }
            return Ok(changed);
        }
        let owned = agents
            .iter()
            .flat_map(|&agent| self.registry.owned_by(agent).cloned());
        let owned: Vec<Key> = owned.collect();
        let mut changed = false;
        for key in owned {
            changed |= self.remove_owned(&key)?;
        }
        let shared = self.registry.shared_keys();
        let tags =
            shared.filter(|key| matches!(key, Key::Tags(agent, _) if agents.contains(agent)));
        let mut shared: Vec<Key> = tags.cloned().collect();
        shared.extend(self.external_of(node));
        for key in shared {
            changed |= self.bury(key)?;
        }
        Ok(changed)
    }

    /// Whatever stands under the name of a node without an agent.
    fn external_of(&self, node: &NodeName) -> Vec<Key> {
        let shared = self.registry.shared_keys();
        let of_node = shared.filter(|key| external_node(key) == Some(node));
        of_node.cloned().collect()
    }

    /// Takes a check off the list of its instance, if both are this node's. An instance of another
    /// node is left as it is: only its owner writes it.
    fn unname_own_check(&mut self, agents: &[NodeId], id: &CheckId) -> Result<(), Refusal> {
        let own = agents.contains(&self.me).then(|| self.check(id)).flatten();
        match own.and_then(|check| check.service) {
            Some(service) => self.unname_check(&service, id),
            None => Ok(()),
        }
    }

    /// Takes a check off the list of its external instance, so that it is not awaited there.
    fn unname_external_check(&mut self, node: &NodeName, id: &CheckId) -> Result<(), Refusal> {
        let live = self.live(&Key::ExternalCheck(node.clone(), id.clone()));
        let check = live.and_then(|live| live.check());
        let Some(service) = check.and_then(|check| check.service) else {
            return Ok(());
        };
        let key = Key::ExternalInstance(node.clone(), service);
        if let Some(mut instance) = self.instance(&key)
            && instance.unname_check(id)
        {
            self.write_shared(key, Some(Body::Instance(instance)))?;
        }
        Ok(())
    }

    /// The owner keys that a call names: an instance with its checks, or one check.
    fn owner_keys(
        &self,
        agent: NodeId,
        service: Option<&ServiceId>,
        check: Option<&CheckId>,
    ) -> Vec<Key> {
        let owned_check = |id: CheckId| Key::Check(agent, id);
        let mut keys: Vec<Key> = check.cloned().map(owned_check).into_iter().collect();
        if let Some(service) = service {
            let key = Key::Instance(agent, service.clone());
            keys.extend(self.keys_of_checks(&key, service, owned_check));
            keys.push(key);
        }
        keys
    }

    /// The shared keys that a call names, likewise.
    fn external_keys(
        &self,
        node: &NodeName,
        service: Option<&ServiceId>,
        check: Option<&CheckId>,
    ) -> Vec<Key> {
        let external_check = |id: CheckId| Key::ExternalCheck(node.clone(), id);
        let mut keys: Vec<Key> = check.cloned().map(external_check).into_iter().collect();
        if let Some(service) = service {
            let key = Key::ExternalInstance(node.clone(), service.clone());
            keys.extend(self.keys_of_checks(&key, service, external_check));
            keys.push(key);
        }
        keys
    }

    /// The checks that speak for an instance, by anything that any feed says of it. What is in force does
    /// not tell: another node may have removed the instance, and its removal of the checks is still on
    /// its way, or not on this disk yet.
    fn keys_of_checks(
        &self,
        instance: &Key,
        service: &ServiceId,
        key_of: impl Fn(CheckId) -> Key,
    ) -> BTreeSet<Key> {
        let entries = self.registry.entries_for(instance);
        let held = entries.filter_map(|entry| Some(entry.body.as_ref()?.instance()?.checks));
        let written = self.instance(instance).map(|instance| instance.checks);
        let named = held.chain(written).flatten();
        named
            .map(key_of)
            .filter(|check| self.speaks_for(check, service))
            .collect()
    }

    /// Whether a check is, or was when it was last heard of, one of that instance.
    fn speaks_for(&self, check: &Key, service: &ServiceId) -> bool {
        let speaks = |body: &Content| {
            let check = body.check();
            check.is_some_and(|check| check.service.as_ref() == Some(service))
        };
        match self.live(check) {
            Some(body) => speaks(&body),
            None => {
                let mut entries = self.registry.entries_for(check);
                entries.any(|entry| entry.body.as_ref().is_some_and(speaks))
            }
        }
    }

    /// Removes an owner key: one's own by its own hand, another's by an override.
    fn remove_owned(&mut self, key: &Key) -> Result<bool, Refusal> {
        if key.owner() == Some(self.me) {
            return self.take_away(key);
        }
        Ok(self
            .writer
            .overrule(&self.registry, key)
            .map_err(refusal)?
            .is_some())
    }

    /// Puts a tombstone over a shared key. That another node has put one there is not enough: it may
    /// not be on this disk yet, and what is acknowledged outlasts a crash.
    fn bury(&mut self, key: Key) -> Result<bool, Refusal> {
        let value = self.writer.in_force(&self.registry, &key);
        if value.is_none_or(|value| value.entry.body.is_none() && value.dot.node == self.me) {
            return Ok(false);
        }
        self.write_shared(key, None)?;
        Ok(true)
    }

    /// Takes a member that is down for one that has left, until it comes back.
    pub(crate) fn force_leave(&mut self, node: NodeId) -> Result<bool, Refusal> {
        let key = Key::Node(node);
        if self.is_alive(node) {
            return Err(Refusal::NodeAlive {
                name: node.to_string(),
            });
        }
        if self.registry.in_force(&key).is_none() {
            return Err(Refusal::UnknownNode {
                name: node.to_string(),
            });
        }
        self.remove_owned(&key)
    }

    fn write_shared(&mut self, key: Key, body: Option<Body>) -> Result<(), Refusal> {
        let body = body.as_ref().map(content_of).transpose()?;
        let written = self
            .writer
            .write_shared(&self.registry, self.wall_ms, key, body);
        written.map(|_| ()).map_err(refusal)
    }

    /// The nodes with an agent that bear this name, without regard to ASCII case.
    ///
    /// The owner's own word counts, overridden or not: what a node has that was made to leave can
    /// still be removed by its name.
    pub(crate) fn agents_named(&self, name: &NodeName) -> Vec<NodeId> {
        let bears = |&node: &NodeId| match self.own_word(node) {
            Some(Body::Node(record)) => record.name.as_str().eq_ignore_ascii_case(name.as_str()),
            _ => false,
        };
        self.registry.owners().filter(bears).collect()
    }

    /// What a node says of itself.
    pub(crate) fn own_word(&self, node: NodeId) -> Option<Body> {
        match &self.registry.slot(node, &Key::Node(node))?.slot {
            Slot::Entry(entry) => entry.body.as_ref().map(Content::body),
            Slot::RemovalMark => None,
        }
    }

    fn is_alive(&self, node: NodeId) -> bool {
        node == self.me || self.roster.is_reachable(node)
    }
}

/// The node without an agent that a shared key belongs to.
const fn external_node(key: &Key) -> Option<&NodeName> {
    match key {
        Key::ExternalNode(node) | Key::ExternalInstance(node, _) | Key::ExternalCheck(node, _) => {
            Some(node)
        }
        Key::Node(_) | Key::Instance(..) | Key::Check(..) | Key::Event(..) | Key::Tags(..) => None,
    }
}
