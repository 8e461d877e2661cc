//! A stand-in for the node: carries out commands on a map and shows the results in the view.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tidings_types::{
    Body, Check, CheckId, Command, Content, Dot, Epoch, Instance, Key, NodeId, NodeName, Outcome,
    Refusal, Registration, ServiceId, Timestamp, Update,
};
use tidings_view::{CommandReceiver, ViewWriter};

/// The records and the view's writer, shared with the test.
pub(super) struct FakeNode {
    pub(super) me: NodeId,
    pub(super) writer: ViewWriter,
    records: BTreeMap<Key, Body>,
    seq: u64,
    /// What every command is answered with, if the disk is ill.
    pub(super) refusing: Option<Refusal>,
}

pub(super) type Shared = Arc<Mutex<FakeNode>>;

pub(super) async fn run(node: Shared, mut commands: CommandReceiver) {
    while let Some(request) = commands.recv().await {
        let mut node = node.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match node.refusing.clone() {
            Some(refusal) => Err(refusal),
            None => node.carry_out(request.command),
        };
        request.reply.send(answer);
    }
}

impl FakeNode {
    pub(super) fn new(me: NodeId, writer: ViewWriter) -> Self {
        Self {
            me,
            writer,
            records: BTreeMap::new(),
            seq: 0,
            refusing: None,
        }
    }

    /// Writes and removes records in one step.
    pub(super) fn write(&mut self, changes: impl IntoIterator<Item = (Key, Option<Body>)>) {
        let mut updates = Vec::new();
        for (key, body) in changes {
            self.seq += 1;
            let dot = Dot {
                epoch: Epoch::from_bits(1),
                seq: self.seq,
                node: self.me,
            };
            match &body {
                Some(body) => self.records.insert(key.clone(), body.clone()),
                None => self.records.remove(&key),
            };
            let is_live = body.is_some();
            updates.push(Update::Record {
                key,
                body: body.map(Content::from),
                // Removed by its owner: nothing is in force, not even a tombstone.
                dot: is_live.then_some(dot),
                conflict: None,
            });
        }
        self.writer.apply_all(Timestamp::ZERO, updates);
    }

    fn carry_out(&mut self, command: Command) -> Result<Outcome, Refusal> {
        match command {
            Command::RegisterService(registration) => self.register(registration),
            Command::RegisterServices(registrations) => {
                for registration in registrations {
                    self.register(registration);
                }
            }
            Command::DeregisterService { id } => self.deregister(id)?,
            Command::RegisterCheck { id, check } => self.register_check(id, *check)?,
            Command::DeregisterCheck { id } => self.deregister_check(&id)?,
            Command::UpdateCheck { id, status, output } => {
                let key = self.check_key(&id);
                let Some(Body::Check(check)) = self.records.get(&key).cloned() else {
                    return Err(Refusal::UnknownCheck { id });
                };
                if check.status == status {
                    let update = Update::CheckOutput { check: id, output };
                    self.writer.apply(Timestamp::ZERO, update);
                } else {
                    let check = Check {
                        status,
                        output: output.into(),
                        ..check
                    };
                    self.write([(key, Some(Body::Check(check)))]);
                }
            }
            Command::RegisterExternal {
                node,
                record,
                keeps_record,
                renames,
                service,
                checks,
            } => {
                let is_there = self.records.contains_key(&Key::ExternalNode(node.clone()));
                let record = (!keeps_record || !is_there).then_some(Body::ExternalNode(record));
                self.register_external(&node, record, service, checks)?;
                if let Some(former) = renames {
                    self.deregister_external(&former, None, None)?;
                }
            }
            Command::DeregisterCatalog {
                node,
                service,
                check,
            } => {
                self.deregister_external(&node, service.as_ref(), check.as_ref())?;
            }
            Command::FireEvent { id, event } => {
                self.write([(Key::Event(self.me, id), Some(Body::Event(*event)))]);
            }
            // This node and one peer hold everything at once, and nobody else ever will.
            Command::AwaitHolders { holders, .. } => {
                return Ok(Outcome {
                    holders: Some(holders.min(2)),
                    ..Outcome::of(false)
                });
            }
            Command::Join { addrs } => assert!(!addrs.is_empty()),
            Command::ForceLeave { node } if node == NodeId::from_bytes([9; 16]) => {
                return Err(Refusal::UnknownNode {
                    name: node.to_string(),
                });
            }
            Command::ForceLeave { .. } | Command::Depart(_) => {}
        }
        Ok(Outcome::of(true))
    }

    fn register(&mut self, registration: Registration) {
        let Registration {
            id,
            mut instance,
            checks,
            replace_checks,
        } = registration;
        let known = self.checks_of(&id);
        let listed: Vec<_> = checks.iter().map(|(id, _)| id.clone()).collect();
        let mut changes = Vec::new();
        for old in known {
            if listed.contains(&old) {
            } else if replace_checks {
                changes.push((self.check_key(&old), None));
            } else {
                instance.name_check(&old);
            }
        }
        for (check_id, mut check) in checks {
            let key = self.check_key(&check_id);
            if let Some(Body::Check(old)) = self.records.get(&key) {
                check.status = old.status;
                check.output.clone_from(&old.output);
            }
            instance.name_check(&check_id);
            changes.push((key, Some(Body::Check(check))));
        }
        let key = Key::Instance(self.me, id);
        changes.push((key, Some(Body::Instance(*instance))));
        self.write(changes);
    }

    fn deregister(&mut self, id: ServiceId) -> Result<(), Refusal> {
        let key = Key::Instance(self.me, id.clone());
        if !self.records.contains_key(&key) {
            return Err(Refusal::UnknownService { id });
        }
        let mut gone: Vec<_> = self
            .checks_of(&id)
            .into_iter()
            .map(|c| (self.check_key(&c), None))
            .collect();
        gone.push((key, None));
        self.write(gone);

        Ok(())
    }

    fn deregister_check(&mut self, id: &CheckId) -> Result<(), Refusal> {
        let key = self.check_key(id);
        let Some(Body::Check(check)) = self.records.get(&key).cloned() else {
            return Err(Refusal::UnknownCheck { id: id.clone() });
        };
        let renamed = check.service.and_then(|service| {
            let (key, mut instance) = self.instance(&service)?;
            instance.unname_check(id);
            Some((key, Some(Body::Instance(instance))))
        });
        self.write([(key, None)].into_iter().chain(renamed));

        Ok(())
    }

    fn register_check(&mut self, id: CheckId, mut check: Check) -> Result<(), Refusal> {
        let key = self.check_key(&id);
        if let Some(Body::Check(old)) = self.records.get(&key) {
            check.status = old.status;
            check.output.clone_from(&old.output);
        }
        let mut changes = Vec::new();
        if let Some(service) = &check.service {
            let Some((key, mut instance)) = self.instance(service) else {
                return Err(Refusal::NoSuchServiceForCheck {
                    id: service.clone(),
                });
            };
            instance.name_check(&id);
            changes.push((key, Some(Body::Instance(instance))));
        }
        changes.push((key, Some(Body::Check(check))));
        self.write(changes);
        Ok(())
    }

    fn register_external(
        &mut self,
        node: &NodeName,
        record: Option<Body>,
        service: Option<(ServiceId, Box<Instance>)>,
        checks: Vec<(CheckId, Check)>,
    ) -> Result<(), Refusal> {
        let node_key = Key::ExternalNode(node.clone());
        if record.is_none() && !self.records.contains_key(&node_key) {
            return Err(Refusal::MissingNode);
        }
        let mut changes: Vec<_> = record
            .map(|record| (node_key, Some(record)))
            .into_iter()
            .collect();
        for (_, check) in &checks {
            if let Some(wanted) = &check.service {
                let is_new = service.as_ref().is_some_and(|(id, _)| id == wanted);
                let key = Key::ExternalInstance(node.clone(), wanted.clone());
                if !is_new && !self.records.contains_key(&key) {
                    return Err(Refusal::MissingService);
                }
            }
        }
        if let Some((id, mut instance)) = service {
            let its = checks
                .iter()
                .filter(|(_, check)| check.service.as_ref() == Some(&id));
            instance.checks = its.map(|(id, _)| id.clone()).collect();
            changes.push((
                Key::ExternalInstance(node.clone(), id),
                Some(Body::Instance(*instance)),
            ));
        }
        for (id, check) in checks {
            changes.push((
                Key::ExternalCheck(node.clone(), id),
                Some(Body::Check(check)),
            ));
        }
        self.write(changes);
        Ok(())
    }

    fn deregister_external(
        &mut self,
        node: &NodeName,
        service: Option<&ServiceId>,
        check: Option<&CheckId>,
    ) -> Result<(), Refusal> {
        if node.as_str() == "alive" {
            return Err(Refusal::NodeAlive {
                name: node.to_string(),
            });
        }
        let is_it = |key: &Key| match (key, service, check) {
            (Key::ExternalNode(n), None, None) => n == node,
            (Key::ExternalInstance(n, id), wanted, None) => {
                n == node && wanted.is_none_or(|w| w == id)
            }
            (Key::ExternalCheck(n, id), _, wanted) => n == node && wanted.is_none_or(|w| w == id),
            _ => false,
        };
        let gone: Vec<_> = self
            .records
            .keys()
            .filter(|key| is_it(key))
            .cloned()
            .collect();
        if gone.is_empty() {
            return Err(Refusal::UnknownNode {
                name: node.to_string(),
            });
        }
        self.write(gone.into_iter().map(|key| (key, None)));
        Ok(())
    }

    fn check_key(&self, id: &CheckId) -> Key {
        Key::Check(self.me, id.clone())
    }

    fn instance(&self, id: &ServiceId) -> Option<(Key, Instance)> {
        let key = Key::Instance(self.me, id.clone());
        match self.records.get(&key)? {
            Body::Instance(instance) => Some((key, instance.clone())),
            _ => None,
        }
    }

    fn checks_of(&self, service: &ServiceId) -> Vec<CheckId> {
        let own = self
            .records
            .iter()
            .filter_map(|(key, body)| match (key, body) {
                (Key::Check(node, id), Body::Check(check))
                    if *node == self.me && check.service.as_ref() == Some(service) =>
                {
                    Some(id.clone())
                }
                _ => None,
            });
        own.collect()
    }
}
