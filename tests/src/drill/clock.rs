//! Wall clocks that are off: libfaketime between an agent and the C library.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::agent::Spec;

/// Names the library, if it is not where Debian has it.
pub const VARIABLE: &str = "TIDINGS_FAKETIME";

/// The wall clock of one agent.
#[derive(Clone, Debug)]
pub struct Clock {
    file: PathBuf,
}

impl Clock {
    /// Puts a clock that is right so far under the agent that `spec` will start.
    ///
    /// # Panics
    /// If the agent's folder takes no file.
    pub fn under(spec: &mut Spec, library: &Path) -> Self {
        let file = spec.dir.join(format!("{}.clock", spec.name));
        spec.env.extend([
            ("LD_PRELOAD", library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", file.clone()),
            // The file is read again once a second.
            ("FAKETIME_CACHE_DURATION", PathBuf::from("1")),
            // Clocks that are set do not disturb what measures spans, nor do they age files.
            ("FAKETIME_DONT_FAKE_MONOTONIC", PathBuf::from("1")),
            ("NO_FAKE_STAT", PathBuf::from("1")),
        ]);
        let clock = Self { file };
        clock.set(0);
        clock
    }

    /// Has the clock be off by so many seconds from now on.
    ///
    /// # Panics
    /// If that cannot be told.
    pub fn set(&self, by: i64) {
        // Replaced as a whole: the agent may read it at any moment.
        let aside = self.file.with_extension("aside");
        fs::write(&aside, format!("{by:+}\n"))
            .and_then(|()| fs::rename(&aside, &self.file))
            .expect("the agent's folder takes a file");
    }
}

/// Where the library is, if it is there.
pub fn library() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Some(named.into());
    }
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.exists())
}
