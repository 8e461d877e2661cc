//! Where the log can be listened to, by as many as want, each from the level that it asks for.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use tokio::sync::broadcast;
use tracing::{Level, callsite::rebuild_interest_cache, level_filters::LevelFilter};

/// Lines that wait for a slow listener; then the oldest are lost to it.
const LINES: usize = 512;

/// Where the log can be listened to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogTap {
    lines: broadcast::Sender<Arc<LogLine>>,
    /// What each listener asked for.
    wanted: Arc<Mutex<Vec<Level>>>,
    /// Held while that changes, until subscribers have been asked anew: they look at what is wanted.
    changing: Arc<Mutex<()>>,
}

/// One line of the log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// When it was written.
    pub at: SystemTime,
    /// How grave it is.
    pub level: Level,
    /// What it is about.
    pub message: String,
    /// What is known of it, by name.
    pub fields: Vec<(&'static str, String)>,
}

/// One who listens, until it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    lines: broadcast::Receiver<Arc<LogLine>>,
    level: Level,
    tap: LogTap,
}

impl Default for LogTap {
    fn default() -> Self {
        Self {
            lines: broadcast::Sender::new(LINES),
            wanted: Arc::default(),
            changing: Arc::default(),
        }
    }
}

impl LogTap {
    /// The least grave lines that somebody listens to: others are not worth to be made. When it
    /// changes, `tracing` asks its subscribers anew what they want.
    pub fn hears(&self) -> LevelFilter {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let most = wanted.iter().max();
        most.map_or(LevelFilter::OFF, |&level| level.into())
    }

    /// Passes `line` on to whoever listens. Never waits.
    pub fn tell(&self, line: LogLine) {
        // Without a listener it is told to nobody.
        let _ = self.lines.send(Arc::new(line));
    }

    /// Listens from now on to lines of this level and graver ones.
    pub(crate) fn listen(&self, level: Level) -> Listener {
        let lines = self.lines.subscribe();
        self.change(|wanted| wanted.push(level));
        Listener {
            lines,
            level,
            tap: self.clone(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Level>)) {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.hears();
        change(&mut self.wanted.lock().unwrap_or_else(PoisonError::into_inner));
        if self.hears() != before {
            rebuild_interest_cache();
        }
    }
}

impl Listener {
    /// The next line that was asked for; in its place how many were lost if they came too fast. `None` when
    /// there will be no more.
    pub(crate) async fn next(&mut self) -> Option<Result<Arc<LogLine>, u64>> {
        loop {
            match self.lines.recv().await {
                // A greater level is a lesser matter.
                Ok(line) if line.level > self.level => {}
                Ok(line) => return Some(Ok(line)),
                Err(broadcast::error::RecvError::Lagged(lost)) => return Some(Err(lost)),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let level = self.level;
        self.tap.change(|wanted| {
            if let Some(place) = wanted.iter().position(|wanted| *wanted == level) {
                wanted.swap_remove(place);
            }
        });
    }
}
