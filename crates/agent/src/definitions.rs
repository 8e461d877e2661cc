//! Services and checks that definition files hold, kept registered as the files say.
//!
//! What a file defines is registered when it is new or changed, and taken away when no file defines
//! it any more, also if that happened while the agent was down: what came from files is kept in the
//! data directory. An unchanged definition is no registration, so that one that somebody overrode
//! does not come back with the next restart.
//!
//! Files are read at the start, on SIGHUP, and whenever one has come, gone or changed (see
//! [`looks`](crate::looks)). A file that cannot be used keeps all of them out, and what the files said
//! before goes on.
//!
//! | Module | Holds |
//! |---|---|
//! | `files` | the files of a directory, and what they define |
//! | `registered` | what of it the node is told |
//! | `known` | what came from files, across restarts |

mod files;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod known;
mod registered;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tidings_checks::Checks;
use tidings_http::Defined;
use tidings_types::{CheckId, ServiceId};
use tidings_view::Commands;
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::{JoinError, spawn_blocking},
    time::{MissedTickBehavior, interval},
};

use self::{files::Files, registered::Registered};
use crate::{
    check_results::CheckResults,
    looks::{Found, Look, Looks, Mark},
};

pub(crate) use files::Loaded;
pub use files::{DEFINITION_FILE_BYTES_MAX, DEFINITION_FILES_MAX, DefinitionFileError};

/// How often it is looked whether files have changed, and whether the node takes now what it refused.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Requests to read the files at once that wait; a further one is refused.
const ASKED: usize = 16;
/// What came from files, in the data directory.
const KNOWN_FILE: &str = "definitions.json";

/// Why what the files say is not what is registered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// Nothing has changed.
    #[error("the definition files stay as they were: {0}")]
    Unusable(#[from] DefinitionFileError),
    /// Some of it may be registered.
    #[error("not all that the definition files say is registered yet, which is tried again: {0}")]
    Unregistered(String),
    /// A defect in this program. Nothing has changed.
    #[error("the definition files could not be read, please report this: {0}")]
    Broken(#[from] JoinError),
    /// Nothing was looked at.
    #[error("too many ask for the definition files at this moment; try again")]
    Busy,
    /// Nothing was looked at.
    #[error("the agent is about to end and reads no definition files any more")]
    Ending,
}

type Taken = Result<(), NotTaken>;

/// Where definition files are.
#[derive(Debug)]
pub(crate) struct Place {
    /// The directory of the files, if there is one.
    pub(crate) dir: Option<PathBuf>,
    /// The agent's data directory, if it has one.
    pub(crate) data: Option<PathBuf>,
    /// Whether checks in them may run programs.
    pub(crate) programs: bool,
}

/// The definition files of an agent, for whoever asks about them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct DefinitionFiles {
    shared: Arc<Shared>,
    asked: mpsc::Sender<oneshot::Sender<Taken>>,
}

#[derive(Debug, Default)]
struct Shared {
    sources: Mutex<Sources>,
    taken: AtomicU64,
    refused: AtomicU64,
}

/// Which file defines what now.
#[derive(Debug, Default)]
struct Sources {
    services: BTreeMap<ServiceId, PathBuf>,
    checks: BTreeMap<CheckId, PathBuf>,
}

impl Sources {
    fn of(loaded: &Loaded) -> Self {
        let mut sources = Self::default();
        for (id, (file, service)) in &loaded.services {
            sources.services.insert(id.clone(), file.clone());
            let checks = service.checks.iter();
            let checks = checks.map(|(id, _)| (id.clone(), file.clone()));
            sources.checks.extend(checks);
        }
        let checks = loaded.checks.iter();
        let checks = checks.map(|(id, (file, _))| (id.clone(), file.clone()));
        sources.checks.extend(checks);
        sources
    }
}

impl DefinitionFiles {
    /// Reads the files anew.
    pub(crate) async fn reload(&self) -> Taken {
        let (reply, done) = oneshot::channel();
        self.asked.try_send(reply).map_err(|error| match error {
            TrySendError::Full(_) => NotTaken::Busy,
            TrySendError::Closed(_) => NotTaken::Ending,
        })?;
        done.await.unwrap_or(Err(NotTaken::Ending))
    }

    /// The file that defines this, if one does.
    pub(crate) fn source(&self, what: Defined<'_>) -> Option<String> {
        let sources = self.shared.sources.lock();
        let sources = sources.unwrap_or_else(PoisonError::into_inner);
        let file = match what {
            Defined::Service(id) => sources.services.get(id),
            Defined::Check(id) => sources.checks.get(id),
        };
        file.map(|file| file.display().to_string())
    }

    /// Times that all files were read and what they define was registered, that of the start included.
    pub(crate) fn taken(&self) -> u64 {
        self.shared.taken.load(Relaxed)
    }

    /// Looks at the files that found what cannot be used or registered.
    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Relaxed)
    }
}

/// Follows the files, and alone registers what they define.
#[derive(Debug)]
pub(crate) struct Follower {
    dir: Option<PathBuf>,
    programs: bool,
    registered: Registered,
    looks: Looks,
    shared: Arc<Shared>,
    asked: mpsc::Receiver<oneshot::Sender<Taken>>,
}

/// The two ends of what an agent does with the files at `place`.
pub(crate) fn follow(
    place: Place,
    commands: Commands,
    checks: Arc<Checks<CheckResults>>,
) -> (DefinitionFiles, Follower) {
    let shared = Arc::<Shared>::default();
    let (ask, asked) = mpsc::channel(ASKED);
    let known_file = place.data.map(|data| data.join(KNOWN_FILE));
    let follower = Follower {
        dir: place.dir,
        programs: place.programs,
        registered: Registered::new(commands, checks, known_file),
        looks: Looks::default(),
        shared: Arc::clone(&shared),
        asked,
    };
    let asked = ask;
    (DefinitionFiles { shared, asked }, follower)
}

impl Follower {
    /// Registers what was read at the start, and what is found from then on.
    pub(crate) async fn run(mut self, loaded: Loaded) {
        let mark = loaded.mark.unwrap_or_else(|| Mark::of([]));
        log(self.take(mark, &loaded).await);
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Without a directory there is nothing to find; what a former one defined is taken away.
            let follows = self.dir.is_some() || !self.looks.took_any();
            tokio::select! {
                asked = self.asked.recv() => {
                    let Some(reply) = asked else {
                        return;
                    };
                    // Whoever asked may have gone.
                    let _ = reply.send(self.look(Look::AtOnce).await);
                }
                _ = ticks.tick(), if follows => {
                    log(self.look(Look::Settled).await);
                }
            }
        }
    }

    /// Takes what is new. Without being asked for, an error is told only once.
    async fn look(&mut self, look: Look) -> Taken {
        let dir = self.dir.clone();
        let files = spawn_blocking(move || Files::find(dir.as_deref())).await?;
        let mark = match &files {
            Ok(files) => files.mark,
            Err(error) => Mark::of_error(error),
        };
        match (self.looks.find(mark), look) {
            (_, Look::AtOnce) | (Found::Settled, _) => {}
            (Found::InForce | Found::Fresh, Look::Settled) => return Ok(()),
        }
        let taken = match self.read(files).await {
            Ok(loaded) => self.take(mark, &loaded).await,
            Err(error) => Err(error),
        };
        taken.or_else(|error| {
            self.shared.refused.fetch_add(1, Relaxed);
            let is_told = self.looks.refuse(mark) || look == Look::AtOnce;
            if is_told { Err(error) } else { Ok(()) }
        })
    }

    async fn read(&self, files: Result<Files, DefinitionFileError>) -> Result<Loaded, NotTaken> {
        let (files, programs) = (files?, self.programs);
        Ok(spawn_blocking(move || files.read(programs)).await??)
    }

    async fn take(&mut self, mark: Mark, loaded: &Loaded) -> Taken {
        self.set_sources(loaded);
        let applied = self.registered.apply(loaded).await;
        let changes = applied.map_err(NotTaken::Unregistered)?;
        if !changes.is_empty() {
            tracing::info!("definition files: {changes}");
        }
        self.looks.took(mark);
        self.shared.taken.fetch_add(1, Relaxed);
        Ok(())
    }

    fn set_sources(&self, loaded: &Loaded) {
        let sources = self.shared.sources.lock();
        *sources.unwrap_or_else(PoisonError::into_inner) = Sources::of(loaded);
    }
}

fn log(taken: Taken) {
    if let Err(error) = taken {
        tracing::error!("{error}");
    }
}
