//! What files define, registered at the node.

use std::{
    collections::BTreeSet,
    fmt, mem,
    path::{Path, PathBuf},
    sync::Arc,
};

use tidings_checks::Checks;
use tidings_http::ServiceDefinition;
use tidings_types::{Check, CheckId, Command, Refusal, Registration, ServiceId};
use tidings_view::{Commands, View, Watch};

use super::{
    files::{Loaded, shown},
    known::{Known, KnownFile, hash_of},
    sources::Sources,
};
use crate::check_results::CheckResults;

/// Names of each kind that one line of the log shows.
const NAMES_SHOWN: usize = 10;

/// What is registered because files say so.
#[derive(Debug)]
pub(super) struct Registered {
    commands: Commands,
    checks: Arc<Checks<CheckResults>>,
    view: View,
    known: Known,
    file: Option<KnownFile>,
    sources: Sources,
    changes: Changes,
    /// The own node's index when it was looked whether checks were lost.
    looked_at: u64,
}

/// What the node took, for the log.
#[derive(Debug, Default)]
pub(super) struct Changes {
    registered: Vec<String>,
    taken_away: Vec<String>,
}

/// What the node did not take: its reasons, each with what it is about. All else is registered.
#[derive(Debug, Default)]
pub(crate) struct Refused(Vec<String>);

impl Registered {
    /// What came from files earlier is kept in `known_file`.
    pub(super) fn new(
        commands: Commands,
        checks: Arc<Checks<CheckResults>>,
        view: View,
        known_file: Option<PathBuf>,
        sources: Sources,
    ) -> Self {
        let (file, known) = known_file.map(KnownFile::read).unzip();
        Self {
            commands,
            checks,
            view,
            known: known.unwrap_or_default(),
            file,
            sources,
            changes: Changes::default(),
            looked_at: 0,
        }
    }

    /// What the node took since this was asked last.
    pub(super) fn changes(&mut self) -> Changes {
        mem::take(&mut self.changes)
    }

    /// Registers what is new or changed in `loaded`, and takes away what it does not define any more.
    pub(super) async fn apply(&mut self, loaded: &Loaded) -> Result<(), Refused> {
        let before = self.known.clone();
        self.expect(loaded);
        self.save().map_err(|reason| Refused(vec![reason]))?;
        let mut refused = Refused::default();
        self.take_away(loaded, &mut refused).await;
        for (_, service) in loaded.services.values() {
            self.drop_moved_checks(service, loaded, &mut refused).await;
        }
        for (id, (file, service)) in &loaded.services {
            if let Err(refusal) = self.register_service(file, service, loaded).await {
                self.known.take_back_service(id.as_str(), &before, &refusal);
                refused.note(id, &refusal);
            }
        }
        for (id, (file, check)) in &loaded.checks {
            if let Err(refusal) = self.register_check(file, id, check).await {
                self.known.take_back_check(id.as_str(), &before, &refusal);
                refused.note(id, &refusal);
            }
        }
        refused.0.extend(self.save().err());
        refused.all()
    }

    /// Registers the checks again that went with their services while these came back: a client may take
    /// away and register anew what a check from a file speaks for.
    pub(super) async fn restore_lost(&mut self, loaded: &Loaded) -> Result<(), Refused> {
        let own = Watch::Node(tidings_view::NodeKey::Agent(self.view.me()));
        let index = self.view.index(&own);
        if mem::replace(&mut self.looked_at, index) == index {
            return Ok(());
        }
        let mut refused = Refused::default();
        for (id, (file, check)) in &loaded.checks {
            let speaks_for = check.service.as_ref();
            let is_lost = speaks_for.is_some_and(|id| self.view.own_instance(id).is_some())
                && self.view.own_check(id).is_none();
            if !is_lost {
                continue;
            }
            self.known.checks.remove(id.as_str());
            if let Err(refusal) = self.register_check(file, id, check).await {
                // The next look tries again, though nothing changes until then.
                self.looked_at = 0;
                refused.note(id, &refusal);
            }
        }
        refused.all()
    }

    /// Notes what is about to be registered: what is not acknowledged when the agent is killed is taken
    /// away all the same once its file is gone.
    fn expect(&mut self, loaded: &Loaded) {
        for (id, (_, service)) in &loaded.services {
            let entry = self.known.services.entry(id.to_string()).or_default();
            let checks = service.checks.iter();
            entry.checks.extend(checks.map(|(id, _)| id.to_string()));
        }
        for id in loaded.checks.keys() {
            self.known.checks.entry(id.to_string()).or_default();
        }
    }

    /// Takes away what no file defines any more.
    async fn take_away(&mut self, loaded: &Loaded, refused: &mut Refused) {
        let services = self.known.services.keys();
        let services: Vec<_> = services.filter_map(|id| ServiceId::new(id).ok()).collect();
        for id in services {
            if loaded.services.contains_key(&id) {
                continue;
            }
            let command = Command::DeregisterService { id: id.clone() };
            match self.send(command).await {
                Ok(()) => {
                    self.known.services.remove(id.as_str());
                    self.sources.forget_service(&id);
                    self.changes.taken_away.push(id.to_string());
                }
                Err(refusal) => refused.note(&id, &refusal),
            }
        }
        let checks = self.known.checks.keys();
        let checks: Vec<_> = checks.filter_map(|id| CheckId::new(id).ok()).collect();
        for id in checks {
            if loaded.checks.contains_key(&id) {
                continue;
            }
            // One that a service defines now is a new one.
            match self.deregister_check(&id).await {
                Ok(()) => {
                    self.known.checks.remove(id.as_str());
                    self.changes.taken_away.push(id.to_string());
                }
                Err(refusal) => refused.note(&id, &refusal),
            }
        }
    }

    /// Takes away the checks of a service that speak for something else from now on, before that is
    /// registered with them.
    async fn drop_moved_checks(
        &self,
        service: &ServiceDefinition,
        loaded: &Loaded,
        refused: &mut Refused,
    ) {
        for id in self.dropped_checks(service) {
            if loaded.defines_check(&id)
                && let Err(refusal) = self.deregister_check(&id).await
            {
                refused.note(&id, &refusal);
            }
        }
    }

    async fn register_service(
        &mut self,
        file: &Path,
        service: &ServiceDefinition,
        loaded: &Loaded,
    ) -> Result<(), Refusal> {
        for (id, check) in &service.checks {
            self.allow_program(id, check);
        }
        let hash = hash_of(&(&service.instance, &service.checks));
        let name = service.id.as_str();
        let known = self.known.services.get(name);
        if known.is_some_and(|known| known.hash == hash) {
            self.sources.set_service(service, file);
            return Ok(());
        }
        // Checks that clients added through the API stay.
        self.send(Command::RegisterService(Registration {
            id: service.id.clone(),
            instance: Box::new(service.instance.clone()),
            checks: service.checks.clone(),
            replace_checks: false,
        }))
        .await?;
        self.sources.set_service(service, file);
        // Only now: without any check it would pass in between.
        for gone in self.dropped_checks(service) {
            if !loaded.defines_check(&gone) {
                self.deregister_check(&gone).await?;
            }
        }
        let entry = self.known.services.entry(name.to_owned()).or_default();
        entry.hash = hash;
        entry.checks = service
            .checks
            .iter()
            .map(|(id, _)| id.to_string())
            .collect();
        self.changes.registered.push(named(name, file));
        Ok(())
    }

    /// The checks that a service had from files and does not have any more.
    fn dropped_checks(&self, service: &ServiceDefinition) -> Vec<CheckId> {
        let checks = service.checks.iter();
        let now: BTreeSet<&str> = checks.map(|(id, _)| id.as_str()).collect();
        let known = self.known.services.get(service.id.as_str());
        let known = known.iter().flat_map(|known| known.checks.iter());
        let dropped = known.filter(|id| !now.contains(id.as_str()));
        dropped.filter_map(|id| CheckId::new(id).ok()).collect()
    }

    async fn register_check(
        &mut self,
        file: &Path,
        id: &CheckId,
        check: &Check,
    ) -> Result<(), Refusal> {
        self.allow_program(id, check);
        let hash = hash_of(check);
        if self.known.checks.get(id.as_str()) != Some(&hash) {
            self.send(Command::RegisterCheck {
                id: id.clone(),
                check: Box::new(check.clone()),
            })
            .await?;
            self.known.checks.insert(id.to_string(), hash);
            self.changes.registered.push(named(id.as_str(), file));
        }
        self.sources.set_check(id, file);
        Ok(())
    }

    async fn deregister_check(&self, id: &CheckId) -> Result<(), Refusal> {
        self.send(Command::DeregisterCheck { id: id.clone() })
            .await?;
        self.sources.forget_check(id);
        Ok(())
    }

    fn allow_program(&self, id: &CheckId, check: &Check) {
        if check.kind.runs_program() && !self.checks.allow_program(id, &check.kind) {
            tracing::warn!(check = %id, "too many checks run programs; this one does not");
        }
    }

    /// Sends a command; that there is nothing to remove is no error.
    async fn send(&self, command: Command) -> Result<(), Refusal> {
        match self.commands.send(command).await {
            Ok(_) | Err(Refusal::UnknownService { .. } | Refusal::UnknownCheck { .. }) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// Keeps what is known on disk. An error is a reason for people.
    fn save(&mut self) -> Result<(), String> {
        let known = &self.known;
        self.file.as_mut().map_or(Ok(()), |file| file.save(known))
    }
}

impl Changes {
    pub(super) const fn is_empty(&self) -> bool {
        self.registered.is_empty() && self.taken_away.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("registered", &self.registered),
            ("taken away", &self.taken_away),
        ];
        let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty());
        for (nth, (what, names)) in kinds.enumerate() {
            let before = if nth > 0 { "; " } else { "" };
            write!(f, "{before}{what} ")?;
            list(f, names, ", ")?;
        }
        Ok(())
    }
}

impl Refused {
    fn note(&mut self, what: &impl fmt::Display, refusal: &Refusal) {
        self.0.push(format!("{what}: {refusal}"));
    }

    fn all(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.0, "; ")
    }
}

/// The first of them, and how many there are more.
fn list(f: &mut fmt::Formatter<'_>, of: &[String], between: &str) -> fmt::Result {
    let shown = &of[..of.len().min(NAMES_SHOWN)];
    f.write_str(&shown.join(between))?;
    match of.len() - shown.len() {
        0 => Ok(()),
        more => write!(f, "{between}and {more} more"),
    }
}

fn named(id: &str, file: &Path) -> String {
    format!("{id} ({})", shown(file))
}
