//! What a client's command changes in this node's own records.

use std::mem;

use tidings_registry::{FEED_BYTES_WRITTEN, WriteError};
use tidings_types::{
    Body, Check, CheckId, CheckStatus, Command, Content, Instance, Key, Outcome, Refusal,
    Registration, ServiceId, Slot, Update,
    limits::{CHECKS_PER_INSTANCE, FEED_RECORDS, RECORD_BYTES},
};

use crate::{CommandId, Node, Output};

impl Node {
    /// Carries out a client's command, or says why not.
    pub(crate) fn on_command(&mut self, id: CommandId, command: Command) {
        if let Command::AwaitHolders { holders, within } = command {
            return self.await_holders(id, holders, within);
        }
        if self.depart.is_some() {
            return self.refuse(id, Refusal::ShuttingDown);
        }
        if self.own.is_paused() {
            if let Some(refusal) = self.own.refusal(self.now) {
                return self.refuse(id, refusal);
            }
            if let Err(id) = self.own.hold(id, command) {
                self.refuse(id, Refusal::Busy);
            }
            return;
        }
        if !self.durable.has_room() {
            return self.refuse(id, Refusal::Busy);
        }
        if let Command::Depart(departure) = command {
            return self.on_depart(id, departure);
        }
        let reported = match &command {
            Command::UpdateCheck { id, .. } => Some(Key::Check(self.me, id.clone())),
            _ => None,
        };
        match self.carry_out(command) {
            Ok(false) if reported.is_some_and(|check| self.is_on_disk(&check)) => {
                self.reply(id, Ok(Outcome::of(false)));
            }
            Ok(changed) => self.persist(Some((id, Outcome::of(changed)))),
            Err(refusal) => {
                // A command is carried out whole or not at all.
                self.writer.discard_staged();
                self.calls.discard_noted();
                self.refuse(id, refusal);
            }
        }
    }

    pub(crate) fn refuse(&mut self, id: CommandId, refusal: Refusal) {
        self.counters.commands_refused += 1;
        self.reply(id, Err(refusal));
    }

    fn carry_out(&mut self, command: Command) -> Result<bool, Refusal> {
        match command {
            Command::RegisterService(registration) => self.register_service(registration),
            Command::RegisterServices(registrations) => {
                let mut changed = false;
                for registration in registrations {
                    changed |= self.register_service(registration)?;
                }
                Ok(changed)
            }
            Command::DeregisterService { id } => self.deregister_service(&id),
            Command::RegisterCheck { id, check } => self.register_check(id, *check),
            Command::DeregisterCheck { id } => self.deregister_check(&id),
            Command::UpdateCheck { id, status, output } => self.update_check(id, status, output),
            Command::RegisterExternal {
                node,
                record,
                keeps_record,
                renames,
                service,
                checks,
            } => {
                let record = (record, keeps_record);
                self.register_external(node, record, renames.as_ref(), service, checks)
            }
            Command::DeregisterCatalog {
                node,
                service,
                check,
            } => self.deregister_catalog(&node, service.as_ref(), check.as_ref()),
            Command::FireEvent { id, event } => self.fire(id, *event),
            Command::Join { addrs } => {
                self.membership.announce(self.now, &addrs);
                Ok(false)
            }
            Command::ForceLeave { node } => self.force_leave(node),
            // Dealt with before, since they write nothing, or no client's record.
            Command::AwaitHolders { .. } | Command::Depart(_) => Ok(false),
        }
    }

    fn register_service(&mut self, registration: Registration) -> Result<bool, Refusal> {
        let Registration {
            id,
            mut instance,
            checks,
            replace_checks,
        } = registration;
        let known = self.checks_of(&id);
        let listed: Vec<CheckId> = checks.iter().map(|(check, _)| check.clone()).collect();
        let (stay, go): (Vec<_>, Vec<_>) = known
            .into_iter()
            .filter(|c| !listed.contains(c))
            .partition(|_| !replace_checks);
        instance.checks = listed.into_iter().chain(stay).collect();

        let mut changed = false;
        for (check_id, mut check) in checks {
            check.service = Some(id.clone());
            changed |= self.put_check(check_id, check)?;
        }
        changed |= self.take_back_tags(&id, Some(&instance.tags))?;
        changed |= self.put(Key::Instance(self.me, id), Body::Instance(*instance))?;
        for check in go {
            changed |= self.take_away(&Key::Check(self.me, check))?;
        }
        Ok(changed)
    }

    fn deregister_service(&mut self, id: &ServiceId) -> Result<bool, Refusal> {
        let checks = self.checks_of(id);
        if !self.take_away(&Key::Instance(self.me, id.clone()))? {
            return Err(Refusal::UnknownService { id: id.clone() });
        }
        self.take_back_tags(id, None)?;
        for check in checks {
            self.take_away(&Key::Check(self.me, check))?;
        }
        Ok(true)
    }

    fn register_check(&mut self, id: CheckId, check: Check) -> Result<bool, Refusal> {
        if let Some(service) = &check.service {
            let key = Key::Instance(self.me, service.clone());
            let Some(mut instance) = self.instance(&key) else {
                return Err(Refusal::NoSuchServiceForCheck {
                    id: service.clone(),
                });
            };
            if instance.name_check(&id) {
                self.put(key, Body::Instance(instance))?;
            }
        }
        self.put_check(id, check)
    }

    fn deregister_check(&mut self, id: &CheckId) -> Result<bool, Refusal> {
        let known = self.check(id);
        if !self.take_away(&Key::Check(self.me, id.clone()))? {
            return Err(Refusal::UnknownCheck { id: id.clone() });
        }
        if let Some(service) = known.and_then(|check| check.service) {
            self.unname_check(&service, id)?;
        }
        Ok(true)
    }

    /// Takes the check off the instance's list, so that it is not awaited there.
    pub(crate) fn unname_check(
        &mut self,
        service: &ServiceId,
        id: &CheckId,
    ) -> Result<(), Refusal> {
        let key = Key::Instance(self.me, service.clone());
        if let Some(mut instance) = self.instance(&key)
            && instance.unname_check(id)
        {
            self.put(key, Body::Instance(instance))?;
        }
        Ok(())
    }

    fn update_check(
        &mut self,
        id: CheckId,
        status: CheckStatus,
        output: String,
    ) -> Result<bool, Refusal> {
        let Some(mut check) = self.check(&id) else {
            return Err(Refusal::UnknownCheck { id });
        };
        if check.status == status {
            let update = Update::CheckOutput { check: id, output };
            self.out.push_back(Output::Publish(update));
            return Ok(false);
        }
        check.status = status;
        let said = mem::replace(&mut check.output, output.into());
        let key = Key::Check(self.me, id);
        match self.put(key.clone(), Body::Check(check.clone())) {
            Err(Refusal::RecordsTooLarge { .. } | Refusal::RecordTooLarge { .. }) => {
                // A full feed must not keep a check from turning. What it says gets no longer.
                let mut ends = (0..=said.len().min(check.output.len())).rev();
                let end = ends.find(|&at| check.output.is_char_boundary(at));
                check.output = check.output[..end.unwrap_or_default()].into();
                self.put(key, Body::Check(check))
            }
            result => result,
        }
    }

    /// Registers a check. A known one keeps its status and output, and leaves the instance that it
    /// spoke for until now.
    fn put_check(&mut self, id: CheckId, mut check: Check) -> Result<bool, Refusal> {
        if let Some(known) = self.check(&id) {
            check.status = known.status;
            check.output = known.output;
            if let Some(before) = known
                .service
                .filter(|before| Some(before) != check.service.as_ref())
            {
                self.unname_check(&before, &id)?;
            }
        }
        self.put(Key::Check(self.me, id), Body::Check(check))
    }

    /// Stages an own record; whether that is a change.
    pub(crate) fn put(&mut self, key: Key, body: Body) -> Result<bool, Refusal> {
        let body = content_of(&body)?;
        let inherited = self.writer.inherited(&self.registry, &key);
        let dot = self.writer.register(&self.registry, key.clone(), body);
        let changed = dot.map_err(refusal)?.is_some();
        if changed {
            self.calls.changed(&key);
            self.twin.overwrote(key, inherited);
        } else if let Some(body) = self.live(&key).filter(|_| !self.is_pending(&key)) {
            self.calls.changed_nothing(key, body);
        }
        Ok(changed)
    }

    /// Stages the removal of an own record; whether there was one.
    pub(crate) fn take_away(&mut self, key: &Key) -> Result<bool, Refusal> {
        let dot = self.writer.deregister(&self.registry, key);
        let removed = dot.map_err(refusal)?.is_some();
        if removed {
            self.calls.changed(key);
        }
        Ok(removed)
    }

    /// The live record in force for a key, own writes on their way to the disk counted.
    pub(crate) fn live(&self, key: &Key) -> Option<Content> {
        self.writer
            .in_force(&self.registry, key)?
            .entry
            .body
            .clone()
    }

    /// Whether the value in force is an own write on its way to the disk.
    pub(crate) fn is_pending(&self, key: &Key) -> bool {
        let dot = |value: tidings_registry::InForce<'_>| value.dot;
        self.writer.in_force(&self.registry, key).map(dot) != self.registry.in_force(key).map(dot)
    }

    /// The live instance under a key, likewise.
    pub(crate) fn instance(&self, key: &Key) -> Option<Instance> {
        self.live(key)?.instance()
    }

    pub(crate) fn check(&self, id: &CheckId) -> Option<Check> {
        self.live(&Key::Check(self.me, id.clone()))?.check()
    }

    /// The checks of this node that speak for the instance, those first that it names.
    pub(crate) fn checks_of(&self, service: &ServiceId) -> Vec<CheckId> {
        let key = Key::Instance(self.me, service.clone());
        let named = self.instance(&key).map(|instance| instance.checks);
        let named = named
            .or_else(|| self.named_before(&key))
            .unwrap_or_default();
        let speaks = |id: &CheckId| {
            self.check(id)
                .is_some_and(|check| check.service.as_ref() == Some(service))
        };
        named.into_iter().filter(speaks).collect()
    }

    /// The checks that an overridden instance names: one of them that was reported on since
    /// outlives the override.
    fn named_before(&self, key: &Key) -> Option<Box<[CheckId]>> {
        match &self.registry.slot(self.me, key)?.slot {
            Slot::Entry(entry) => Some(entry.body.as_ref()?.instance()?.checks),
            Slot::RemovalMark => None,
        }
    }
}

/// Refuses a body that no feed would take, before anything is staged.
pub(crate) fn content_of(body: &Body) -> Result<Content, Refusal> {
    let content = Content::of(body);
    let bytes = content.bytes().len();
    if bytes > RECORD_BYTES {
        return Err(Refusal::RecordTooLarge {
            bytes,
            max: RECORD_BYTES,
        });
    }
    let max = CHECKS_PER_INSTANCE;
    match body {
        Body::Instance(instance) if instance.checks.len() > max => {
            Err(Refusal::TooManyChecks { max })
        }
        _ => Ok(content),
    }
}

/// Says to a client why the own feed did not take a write.
pub(crate) fn refusal(error: WriteError) -> Refusal {
    match error {
        WriteError::TooLarge { bytes } => Refusal::RecordTooLarge {
            bytes,
            max: RECORD_BYTES,
        },
        WriteError::FeedFull => Refusal::TooManyRecords { max: FEED_RECORDS },
        WriteError::FeedTooLarge => Refusal::RecordsTooLarge {
            max: FEED_BYTES_WRITTEN,
        },
        other => Refusal::NotSaved {
            reason: other.to_string(),
        },
    }
}
