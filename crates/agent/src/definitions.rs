//! Services and checks that definition files hold, kept registered as the files say.
//!
//! What a file defines is registered when it is new or changed, and taken away when no file defines
//! it any more, also if that happened while the agent was down: what came from files is kept in the
//! data directory. An unchanged definition is no registration, so that one that somebody overrode
//! does not come back with the next restart.
//!
//! Files are read at the start, on SIGHUP, and whenever one has come, gone or changed (see
//! [`looks`](crate::looks)). A file that cannot be used keeps all of them out, and what the files said
//! before goes on. What the node does not take of files that can be used is tried again, and does not hold
//! up the rest.
//!
//! | Module | Holds |
//! |---|---|
//! | `files` | the files of a directory, and what they define |
//! | `registered` | what of it the node is told |
//! | `sources` | which file defines what is registered |
//! | `known` | what came from files, across restarts |

mod files;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod known;
mod registered;
mod sources;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tidings_checks::Checks;
use tidings_http::Defined;
use tidings_view::{Commands, View};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::{JoinError, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use self::{
    files::Files,
    registered::{Refused, Registered},
    sources::Sources,
};
use crate::{
    check_results::CheckResults,
    looks::{Found, Look, Looks, Mark},
};

pub(crate) use files::Loaded;
pub use files::{DEFINITION_FILE_BYTES_MAX, DEFINITION_FILES_MAX, DefinitionFileError};

/// How often it is looked whether files have changed, and whether the node takes now what it refused.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What was refused and may be taken without a change is tried again after a pause that doubles up to this.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(10);
/// How long whoever asks for a reading waits.
const RELOADED_WITHIN: Duration = Duration::from_secs(30);
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
    /// All else is registered.
    #[error("not all that the definition files say is registered; the rest is tried again: {0}")]
    Unregistered(#[from] Refused),
    /// A defect in this program. Nothing has changed.
    #[error("the definition files could not be read, please report this: {0}")]
    Broken(#[from] JoinError),
    /// Nothing was looked at.
    #[error("too many ask for the definition files at this moment; try again")]
    Busy,
    /// Nothing was looked at.
    #[error("the agent is about to end and reads no definition files any more")]
    Ending,
    /// It may still come to it.
    #[error(
        "the definition files are not read within {} s; see whether their directory answers",
        RELOADED_WITHIN.as_secs()
    )]
    Slow,
}

impl NotTaken {
    /// Whether it stays so until the files change.
    const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Unusable(DefinitionFileError::Wrong { .. } | DefinitionFileError::TooMany { .. })
        )
    }
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
    sources: Sources,
    taken: AtomicU64,
    /// Why what the files say is not what is registered, if it is not.
    refused: Mutex<Option<String>>,
}

impl DefinitionFiles {
    /// Reads the files anew.
    pub(crate) async fn reload(&self) -> Taken {
        let (reply, done) = oneshot::channel();
        self.asked.try_send(reply).map_err(|error| match error {
            TrySendError::Full(_) => NotTaken::Busy,
            TrySendError::Closed(_) => NotTaken::Ending,
        })?;
        match timeout(RELOADED_WITHIN, done).await {
            Ok(taken) => taken.unwrap_or(Err(NotTaken::Ending)),
            Err(_) => Err(NotTaken::Slow),
        }
    }

    /// The file that defines this, if one does.
    pub(crate) fn source(&self, what: Defined<'_>) -> Option<String> {
        self.shared.sources.of(what)
    }

    /// Times that all files were read and what they define was registered, that of the start included.
    pub(crate) fn taken(&self) -> u64 {
        self.shared.taken.load(Relaxed)
    }

    /// Why what the files say is not what is registered, for people; `None` if it is.
    pub(crate) fn refused(&self) -> Option<String> {
        self.shared.refused().clone()
    }
}

impl Shared {
    fn refused(&self) -> MutexGuard<'_, Option<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the files, and alone registers what they define.
#[derive(Debug)]
pub(crate) struct Follower {
    dir: Option<PathBuf>,
    programs: bool,
    registered: Registered,
    /// What was read last.
    loaded: Loaded,
    looks: Looks,
    again: Option<Again>,
    shared: Arc<Shared>,
    asked: mpsc::Receiver<oneshot::Sender<Taken>>,
}

/// When what was refused is tried again though nothing has changed.
#[derive(Clone, Copy, Debug)]
struct Again {
    mark: Mark,
    pause: Duration,
    /// `None`: what is wrong stays wrong until the files change.
    at: Option<Instant>,
}

/// The two ends of what an agent does with the files at `place`.
pub(crate) fn follow(
    place: Place,
    commands: Commands,
    checks: Arc<Checks<CheckResults>>,
    view: View,
) -> (DefinitionFiles, Follower) {
    let shared = Arc::<Shared>::default();
    let (ask, asked) = mpsc::channel(ASKED);
    let known_file = place.data.map(|data| data.join(KNOWN_FILE));
    let sources = shared.sources.clone();
    let follower = Follower {
        dir: place.dir,
        programs: place.programs,
        registered: Registered::new(commands, checks, view, known_file, sources),
        loaded: Loaded::default(),
        looks: Looks::default(),
        again: None,
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
        let begun = self.take(mark, Ok(loaded)).await;
        log(self.judge(mark, Look::Settled, begun));
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
                    self.restore_lost().await;
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
            (_, Look::AtOnce) => {}
            (Found::Settled, _) if self.is_due(mark) => {}
            (Found::InForce, _) => {
                self.note(None);
                return Ok(());
            }
            (Found::Settled | Found::Fresh, _) => return Ok(()),
        }
        let loaded = match files {
            Ok(files) => self.read(files).await?,
            Err(error) => Err(error),
        };
        let taken = self.take(mark, loaded).await;
        self.judge(mark, look, taken)
    }

    async fn read(&self, files: Files) -> Result<Result<Loaded, DefinitionFileError>, JoinError> {
        let programs = self.programs;
        spawn_blocking(move || files.read(programs)).await
    }

    async fn take(&mut self, mark: Mark, loaded: Result<Loaded, DefinitionFileError>) -> Taken {
        self.loaded = loaded?;
        // Until all of it is registered nothing is in force as a whole, not even what was before.
        self.looks.leave();
        let applied = self.registered.apply(&self.loaded).await;
        let changes = self.registered.changes();
        if !changes.is_empty() {
            tracing::info!("definition files: {changes}");
        }
        applied?;
        self.looks.took(mark);
        self.shared.taken.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Notes what became of a look. An error is passed on if it is news, or was asked for.
    fn judge(&mut self, mark: Mark, look: Look, taken: Taken) -> Taken {
        let Err(error) = taken else {
            self.again = None;
            self.note(None);
            return Ok(());
        };
        let before = self.again.filter(|again| again.mark == mark);
        let pause = before.map_or(LOOK_EVERY, |again| (again.pause * 2).min(AGAIN_AFTER_MAX));
        let at = (!error.is_final()).then(|| Instant::now() + pause);
        self.again = Some(Again { mark, pause, at });
        self.note(Some(error.to_string()));
        if self.looks.refuse(mark) || look == Look::AtOnce {
            Err(error)
        } else {
            Ok(())
        }
    }

    /// Whether what was found may be tried.
    fn is_due(&self, mark: Mark) -> bool {
        match self.again.filter(|again| again.mark == mark) {
            Some(Again { at, .. }) => at.is_some_and(|at| Instant::now() >= at),
            None => true,
        }
    }

    /// Notes what is wrong, and tells when nothing is any more.
    fn note(&self, wrong: Option<String>) {
        let is_right = wrong.is_none();
        let before = std::mem::replace(&mut *self.shared.refused(), wrong);
        if before.is_some() && is_right {
            tracing::info!("what the definition files say is registered again");
        }
    }

    async fn restore_lost(&mut self) {
        if let Err(refused) = self.registered.restore_lost(&self.loaded).await {
            tracing::warn!(
                "checks of definition files went with their services and are not back: {refused}"
            );
        }
        let changes = self.registered.changes();
        if !changes.is_empty() {
            tracing::info!(
                "definition files: {changes}, gone with what they speak for and back with it"
            );
        }
    }
}

fn log(taken: Taken) {
    if let Err(error) = taken {
        tracing::error!("{error}");
    }
}
