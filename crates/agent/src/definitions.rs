//! Services and checks that definition files hold, kept registered as the files say.
//!
//! What a file defines is registered when it is new or changed, and taken away when no file defines
//! it any more, also if that happened while the agent was down: what came from files is kept in the
//! data directory. An unchanged definition is no registration, so that one that somebody overrode
//! does not come back with the next restart.
//!
//! Files are read at the start, on SIGHUP, and whenever one has come, gone or changed (see
//! `looks`). A file that cannot be used keeps all of them out, and what the files said
//! before goes on. What the node does not take of files that can be used is tried again, and does not hold
//! up the rest.
//!
//! | Module | Holds |
//! |---|---|
//! | `follower` | looks at the files again and again, and takes what is new |
//! | `files` | the files of a directory, and what they define |
//! | `hcl` | what a file in HCL says |
//! | `registered` | what of it the node is told |
//! | `sources` | which file defines what is registered |
//! | `known` | what came from files, across restarts |

mod files;
mod follower;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hcl;
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
    task::JoinError,
    time::timeout,
};

use self::{
    follower::Outside,
    registered::{Refused, Registered},
    sources::Sources,
};
use crate::check_results::CheckResults;

pub(crate) use files::Loaded;
pub use files::{DEFINITION_FILE_BYTES_MAX, DEFINITION_FILES_MAX, DefinitionFileError};
pub(crate) use follower::Follower;

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
    let registered = Registered::new(commands, checks, view, known_file, sources);
    let outside = Outside {
        shared: Arc::clone(&shared),
        asked,
    };
    let follower = Follower::new(place.dir, place.programs, registered, outside);
    let asked = ask;
    (DefinitionFiles { shared, asked }, follower)
}
