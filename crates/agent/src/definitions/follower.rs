//! Looks at the files again and again, and takes what is new.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinError, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{DefinitionFileError, Loaded, Shared, Taken, files::Files, registered::Registered};
use crate::looks::{Found, Look, Looks, Mark};

/// How often it is looked whether files have changed, and whether the node takes now what it refused.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What was refused and may be taken without a change is tried again after a pause that doubles up to
/// this, unless a try takes long.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(10);
/// The pause is this many times as long as the try took: thousands of refusals shall not keep a core busy.
const AGAIN_PER_TRY: u32 = 50;
/// But no longer than this.
const AGAIN_SLOW_MAX: Duration = Duration::from_secs(300);

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
    /// Why checks that were lost are not back; told once.
    not_restored: Option<String>,
    outside: Outside,
}

/// Who asks for readings, and is told how it stands.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) shared: Arc<Shared>,
    pub(super) asked: mpsc::Receiver<oneshot::Sender<Taken>>,
}

/// When what was refused is tried again though nothing has changed.
#[derive(Clone, Copy, Debug)]
struct Again {
    mark: Mark,
    pause: Duration,
    /// `None`: what is wrong stays wrong until the files change.
    at: Option<Instant>,
}

impl Follower {
    pub(super) fn new(
        dir: Option<PathBuf>,
        programs: bool,
        registered: Registered,
        outside: Outside,
    ) -> Self {
        Self {
            dir,
            programs,
            registered,
            loaded: Loaded::default(),
            looks: Looks::default(),
            again: None,
            not_restored: None,
            outside,
        }
    }

    /// Registers what was read at the start, and what is found from then on.
    pub(crate) async fn run(mut self, loaded: Loaded) {
        let mark = loaded.mark.unwrap_or_else(|| Mark::of([]));
        let start = Instant::now();
        let begun = self.take(mark, Ok(loaded)).await;
        log(self.judge(mark, Look::Settled, start, begun));
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Without a directory there is nothing to find; what a former one defined is taken away.
            let follows = self.dir.is_some() || !self.looks.took_any();
            tokio::select! {
                asked = self.outside.asked.recv() => {
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
        let start = Instant::now();
        let loaded = match files {
            Ok(files) => self.read(files).await?,
            Err(error) => Err(error),
        };
        let taken = self.take(mark, loaded).await;
        self.judge(mark, look, start, taken)
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
        self.outside.shared.taken.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Notes what became of a look since `start`. An error is passed on if it is news, or was asked for.
    fn judge(&mut self, mark: Mark, look: Look, start: Instant, taken: Taken) -> Taken {
        let Err(error) = taken else {
            self.again = None;
            self.note(None);
            return Ok(());
        };
        let before = self.again.filter(|again| again.mark == mark);
        let pause = before.map_or(LOOK_EVERY, |again| (again.pause * 2).min(AGAIN_AFTER_MAX));
        // The first try is slow for what it registers, the next ones for what they are refused.
        let took = before.map_or(Duration::ZERO, |_| start.elapsed());
        let slow = (took * AGAIN_PER_TRY).min(AGAIN_SLOW_MAX);
        let at = (!error.is_final()).then(|| Instant::now() + pause.max(slow));
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
        let before = std::mem::replace(&mut *self.outside.shared.refused(), wrong);
        if before.is_some() && is_right {
            tracing::info!("what the definition files say is registered again");
        }
    }

    async fn restore_lost(&mut self) {
        let restored = self.registered.restore_lost(&self.loaded).await;
        let refused = restored.err().map(|refused| refused.to_string());
        if let Some(refused) = &refused
            && self.not_restored.as_ref() != Some(refused)
        {
            tracing::warn!(
                "checks of definition files went with their services and are not back: {refused}"
            );
        }
        self.not_restored = refused;
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
