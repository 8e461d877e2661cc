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
use tidings_view::Commands;

use super::{
    files::Loaded,
    known::{Known, hash_of},
};
use crate::check_results::CheckResults;

/// Names of each kind that one line of the log shows.
const NAMES_SHOWN: usize = 10;

/// What is registered because files say so. All errors are reasons for people.
#[derive(Debug)]
pub(super) struct Registered {
    commands: Commands,
    checks: Arc<Checks<CheckResults>>,
    known: Known,
    known_file: Option<PathBuf>,
    changes: Changes,
}

/// What the node took, for the log.
#[derive(Debug, Default)]
pub(super) struct Changes {
    registered: Vec<String>,
    taken_away: Vec<String>,
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
            let shown = &names[..names.len().min(NAMES_SHOWN)];
            let before = if nth > 0 { "; " } else { "" };
            write!(f, "{before}{what} {}", shown.join(", "))?;
            if names.len() > shown.len() {
                write!(f, " and {} more", names.len() - shown.len())?;
            }
        }
        Ok(())
    }
}

impl Registered {
    /// What came from files earlier is kept in `known_file`.
    pub(super) fn new(
        commands: Commands,
        checks: Arc<Checks<CheckResults>>,
        known_file: Option<PathBuf>,
    ) -> Self {
        let known = known_file.as_deref().map(Known::read).unwrap_or_default();
        Self {
            commands,
            checks,
            known,
            known_file,
            changes: Changes::default(),
        }
    }

    /// Registers what is new or changed in `loaded`, and takes away what it does not define any more.
    /// Tells what the node took since this was done last.
    pub(super) async fn apply(&mut self, loaded: &Loaded) -> Result<Changes, String> {
        // Known before it is registered: what is not acknowledged when the agent is killed is
        // taken away all the same once its file is gone.
        for (id, (_, service)) in &loaded.services {
            let entry = self.known.services.entry(id.to_string()).or_default();
            let checks = service.checks.iter();
            entry.checks.extend(checks.map(|(id, _)| id.to_string()));
        }
        for id in loaded.checks.keys() {
            self.known.checks.entry(id.to_string()).or_default();
        }
        self.save()?;
        self.take_away(loaded).await?;
        for (file, service) in loaded.services.values() {
            self.register_service(file, service).await?;
        }
        for (id, (file, check)) in &loaded.checks {
            self.register_check(file, id, check).await?;
        }
        self.save()?;
        Ok(mem::take(&mut self.changes))
    }

    /// Takes away what no file defines any more.
    async fn take_away(&mut self, loaded: &Loaded) -> Result<(), String> {
        let services: Vec<String> = self.known.services.keys().cloned().collect();
        for name in services {
            let Ok(id) = ServiceId::new(&name) else {
                continue;
            };
            if !loaded.services.contains_key(&id) {
                self.send(Command::DeregisterService { id }).await?;
                self.known.services.remove(&name);
                self.changes.taken_away.push(name);
            }
        }
        let checks: Vec<String> = self.known.checks.keys().cloned().collect();
        for name in checks {
            let Ok(id) = CheckId::new(&name) else {
                continue;
            };
            if !loaded.checks.contains_key(&id) {
                self.send(Command::DeregisterCheck { id }).await?;
                self.known.checks.remove(&name);
                self.changes.taken_away.push(name);
            }
        }
        Ok(())
    }

    async fn register_service(
        &mut self,
        file: &Path,
        service: &ServiceDefinition,
    ) -> Result<(), String> {
        for (id, check) in &service.checks {
            self.allow_program(id, check);
        }
        let hash = hash_of(&(&service.instance, &service.checks))?;
        let name = service.id.as_str();
        let known = self.known.services.get(name);
        if known.is_some_and(|known| known.hash == hash) {
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
        let checks = service.checks.iter();
        let now: BTreeSet<String> = checks.map(|(id, _)| id.to_string()).collect();
        let before = self.known.services.get(name);
        let gone = before
            .iter()
            .flat_map(|known| known.checks.difference(&now));
        for gone in gone {
            if let Ok(id) = CheckId::new(gone) {
                self.send(Command::DeregisterCheck { id }).await?;
            }
        }
        let entry = self.known.services.entry(name.to_owned()).or_default();
        (entry.hash, entry.checks) = (hash, now);
        self.changes.registered.push(named(name, file));
        Ok(())
    }

    async fn register_check(
        &mut self,
        file: &Path,
        id: &CheckId,
        check: &Check,
    ) -> Result<(), String> {
        self.allow_program(id, check);
        let hash = hash_of(check)?;
        if self.known.checks.get(id.as_str()) == Some(&hash) {
            return Ok(());
        }
        let (name, id, check) = (id.to_string(), id.clone(), Box::new(check.clone()));
        self.send(Command::RegisterCheck { id, check }).await?;
        self.changes.registered.push(named(&name, file));
        self.known.checks.insert(name, hash);
        Ok(())
    }

    fn allow_program(&self, id: &CheckId, check: &Check) {
        if check.kind.runs_program() && !self.checks.allow_program(id, &check.kind) {
            tracing::warn!(check = %id, "too many checks run programs; this one does not");
        }
    }

    /// Sends a command; that there is nothing to remove is no error.
    async fn send(&self, command: Command) -> Result<(), String> {
        match self.commands.send(command).await {
            Ok(_) | Err(Refusal::UnknownService { .. } | Refusal::UnknownCheck { .. }) => Ok(()),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    fn save(&self) -> Result<(), String> {
        let file = self.known_file.as_deref();
        file.map_or(Ok(()), |file| self.known.save(file))
    }
}

fn named(id: &str, file: &Path) -> String {
    format!("{id} ({})", file.display())
}
