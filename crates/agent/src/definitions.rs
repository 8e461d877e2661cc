//! Services and checks that definition files hold, kept registered as the files say.
//!
//! What a file defines is registered when it is new or changed, and taken away when no file defines
//! it any more, also if that happened while the agent was down: what came from files is kept in the
//! data directory. An unchanged definition is no registration, so that one that somebody overrode
//! does not come back with the next restart.

mod files;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Display, Write as _},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tidings_checks::Checks;
use tidings_http::{Defined, ServiceDefinition};
use tidings_types::{Check, CheckId, Command, Refusal, Registration, ServiceId};
use tidings_view::Commands;
use tokio::time::sleep;

use crate::{check_results::CheckResults, disk::data_dir::replace_file};

pub(crate) use files::Loaded;
pub use files::{DEFINITION_FILE_BYTES_MAX, DEFINITION_FILES_MAX, DefinitionFileError};

/// The pause before definitions are registered again that were refused at the start.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// What came from files, in the data directory.
const KNOWN_FILE: &str = "definitions.json";

/// The definition files of an agent. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct DefinitionFiles(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: Option<PathBuf>,
    programs: bool,
    commands: Commands,
    checks: Arc<Checks<CheckResults>>,
    /// One reload at a time; what came from files so far.
    known: tokio::sync::Mutex<Known>,
    known_file: Option<PathBuf>,
    /// Which file defines what now.
    sources: Mutex<Sources>,
}

#[derive(Debug, Default)]
struct Sources {
    services: BTreeMap<ServiceId, PathBuf>,
    checks: BTreeMap<CheckId, PathBuf>,
}

/// What came from files: the hash of each definition that was acknowledged, or an empty one.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    services: BTreeMap<String, KnownService>,
    checks: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct KnownService {
    hash: String,
    checks: BTreeSet<String>,
}

impl DefinitionFiles {
    /// The files of `dir`, if there is one; `data` is where it is kept what came from them.
    pub(crate) fn new(
        dir: Option<PathBuf>,
        data: Option<PathBuf>,
        programs: bool,
        commands: Commands,
        checks: Arc<Checks<CheckResults>>,
    ) -> Self {
        let known_file = data.map(|data| data.join(KNOWN_FILE));
        let known = known_file.as_deref().map(read_known);
        Self(Arc::new(Inner {
            dir,
            programs,
            commands,
            checks,
            known: tokio::sync::Mutex::new(known.unwrap_or_default()),
            known_file,
            sources: Mutex::default(),
        }))
    }

    /// Registers what was read at the start, until all of it is acknowledged.
    pub(crate) async fn begin(self, loaded: Loaded) {
        while let Err(reason) = self.apply(&loaded).await {
            tracing::warn!(reason, "definitions could not be registered yet");
            sleep(AGAIN_AFTER).await;
        }
    }

    /// Reads the files anew. An error is a reason for people.
    pub(crate) async fn reload(self) -> Result<(), String> {
        let Some(dir) = self.0.dir.clone() else {
            return Ok(());
        };
        let programs = self.0.programs;
        let loaded = tokio::task::spawn_blocking(move || Loaded::read(&dir, programs)).await;
        let loaded = loaded.map_err(|error| error.to_string())?;
        self.apply(&loaded.map_err(|error| error.to_string())?)
            .await
    }

    /// The file that defines this, if one does.
    pub(crate) fn source(&self, what: Defined<'_>) -> Option<String> {
        let sources = self.0.sources.lock();
        let sources = sources.unwrap_or_else(PoisonError::into_inner);
        let file = match what {
            Defined::Service(id) => sources.services.get(id),
            Defined::Check(id) => sources.checks.get(id),
        };
        file.map(|file| file.display().to_string())
    }

    async fn apply(&self, loaded: &Loaded) -> Result<(), String> {
        let mut known = self.0.known.lock().await;
        self.set_sources(loaded);
        // Known before it is registered: what is not acknowledged when the agent is killed is
        // taken away all the same once its file is gone.
        for (id, (_, service)) in &loaded.services {
            let entry = known.services.entry(id.to_string()).or_default();
            let checks = service.checks.iter();
            entry.checks.extend(checks.map(|(id, _)| id.to_string()));
        }
        for id in loaded.checks.keys() {
            known.checks.entry(id.to_string()).or_default();
        }
        self.save(&known)?;
        self.take_away(&mut known, loaded).await?;
        for (_, service) in loaded.services.values() {
            self.register_service(&mut known, service).await?;
        }
        for (id, (_, check)) in &loaded.checks {
            self.register_check(&mut known, id, check).await?;
        }
        self.save(&known)
    }

    fn set_sources(&self, loaded: &Loaded) {
        let mut sources = Sources::default();
        for (id, (file, service)) in &loaded.services {
            sources.services.insert(id.clone(), file.clone());
            let checks = service.checks.iter();
            sources
                .checks
                .extend(checks.map(|(id, _)| (id.clone(), file.clone())));
        }
        let checks = loaded.checks.iter();
        sources
            .checks
            .extend(checks.map(|(id, (file, _))| (id.clone(), file.clone())));
        *self
            .0
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = sources;
    }

    /// Takes away what no file defines any more.
    async fn take_away(&self, known: &mut Known, loaded: &Loaded) -> Result<(), String> {
        let services: Vec<String> = known.services.keys().cloned().collect();
        for name in services {
            let Ok(id) = ServiceId::new(&name) else {
                continue;
            };
            if !loaded.services.contains_key(&id) {
                self.send(Command::DeregisterService { id }).await?;
                known.services.remove(&name);
            }
        }
        let checks: Vec<String> = known.checks.keys().cloned().collect();
        for name in checks {
            let Ok(id) = CheckId::new(&name) else {
                continue;
            };
            if !loaded.checks.contains_key(&id) {
                self.send(Command::DeregisterCheck { id }).await?;
                known.checks.remove(&name);
            }
        }
        Ok(())
    }

    async fn register_service(
        &self,
        known: &mut Known,
        service: &ServiceDefinition,
    ) -> Result<(), String> {
        for (id, check) in &service.checks {
            self.allow_program(id, check);
        }
        let entry = known.services.entry(service.id.to_string()).or_default();
        let hash = hash_of(&(&service.instance, &service.checks))?;
        if entry.hash == hash {
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
        let now: BTreeSet<String> = service
            .checks
            .iter()
            .map(|(id, _)| id.to_string())
            .collect();
        for gone in entry.checks.difference(&now) {
            if let Ok(id) = CheckId::new(gone) {
                self.send(Command::DeregisterCheck { id }).await?;
            }
        }
        (entry.hash, entry.checks) = (hash, now);
        Ok(())
    }

    async fn register_check(
        &self,
        known: &mut Known,
        id: &CheckId,
        check: &Check,
    ) -> Result<(), String> {
        self.allow_program(id, check);
        let hash = hash_of(check)?;
        let entry = known.checks.entry(id.to_string()).or_default();
        if *entry == hash {
            return Ok(());
        }
        let (id, check) = (id.clone(), Box::new(check.clone()));
        self.send(Command::RegisterCheck { id, check }).await?;
        *entry = hash;
        Ok(())
    }

    fn allow_program(&self, id: &CheckId, check: &Check) {
        if check.kind.runs_program() && !self.0.checks.allow_program(id, &check.kind) {
            tracing::warn!(check = %id, "too many checks run programs; this one does not");
        }
    }

    /// Sends a command; that there is nothing to remove is no error.
    async fn send(&self, command: Command) -> Result<(), String> {
        match self.0.commands.send(command).await {
            Ok(_) | Err(Refusal::UnknownService { .. } | Refusal::UnknownCheck { .. }) => Ok(()),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    fn save(&self, known: &Known) -> Result<(), String> {
        let Some(file) = &self.0.known_file else {
            return Ok(());
        };
        let told = |error: &dyn Display| format!("{}: {error}", file.display());
        // Where nothing came from files there is nothing that a disk could damage.
        if known.services.is_empty() && known.checks.is_empty() {
            return match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(told(&error)),
                _ => Ok(()),
            };
        }
        let content = serde_json::to_vec_pretty(known).map_err(|error| told(&error))?;
        let dir = file.parent().unwrap_or(file);
        replace_file(dir, file, &content).map_err(|error| told(&error))
    }
}

/// What came from files before, as far as it can be read.
fn read_known(file: &Path) -> Known {
    let known = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Known::default(),
        Err(error) => Err(error),
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
    };
    known.unwrap_or_else(|error| {
        let file = file.display();
        tracing::warn!(%file, %error, "what came from definition files is not known: all of them are registered again, and what none of them defines any more stays until it is deregistered");
        Known::default()
    })
}

/// A hash that is equal for equal definitions, across restarts.
fn hash_of(definition: &impl Serialize) -> Result<String, String> {
    let bytes = bincode::serde::encode_to_vec(definition, bincode::config::standard())
        .map_err(|error| error.to_string())?;
    let mut text = String::new();
    for byte in digest(&SHA256, &bytes).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
