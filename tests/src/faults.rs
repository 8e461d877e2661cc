//! A disk under one agent that fails as it is told.
//!
//! The agent is the real one and so is its disk; between them stands a small library, compiled from
//! `shims/disk_faults.c` and loaded in front of the C library, that lets calls on files in the data
//! directory fail or take their time.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{agent::Spec, stage::Stage};

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// A sync fails.
    Sync(Outcome, Strikes),
    /// Nothing can be written any more.
    ReadOnly,
    /// Each sync takes this much longer, or until there is another fault.
    Slow(Duration),
}

/// What a failed sync did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is on disk.
    Kept,
    /// Nothing of it is on disk, and the file reads as if it were. The system has given up on it:
    /// no later sync brings there what is not written again.
    Lost,
    /// Nothing of it is on disk, and the file reads as the disk has it.
    Undone,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strikes {
    /// The next sync of the own feed, and never again.
    Once,
    /// Every sync of every file.
    Each,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "sync-kept",
            Self::Lost => "sync-lost",
            Self::Undone => "sync-undone",
        })
    }
}

/// The disk of one agent.
#[derive(Debug)]
pub struct Disk {
    data_dir: PathBuf,
    order: PathBuf,
    kept: PathBuf,
    orders: u64,
}

impl Disk {
    /// Puts a disk that is well so far under the agent that `spec` will start.
    ///
    /// # Panics
    /// If the library cannot be compiled.
    pub fn under(stage: &Stage, spec: &mut Spec) -> Self {
        let place = |what: &str| stage.dir().join(format!("{}.{what}", spec.name));
        let (library, order, kept) = (place("faults.so"), place("order"), place("disk"));
        compile(&library);
        fs::create_dir(&kept).expect("the story's directory takes another");
        let data_dir = spec.data_dir();
        spec.env = vec![
            ("LD_PRELOAD", library),
            ("TIDINGS_FAULTS_DIR", data_dir.clone()),
            ("TIDINGS_FAULTS_ORDER", order.clone()),
            ("TIDINGS_FAULTS_DISK", kept.clone()),
        ];
        Self {
            data_dir,
            order,
            kept,
            orders: 0,
        }
    }

    /// Lets the disk have `fault` from now on, and no other.
    ///
    /// # Panics
    /// If that cannot be told.
    pub fn set(&mut self, fault: Fault) {
        self.orders += 1;
        let words = match fault {
            Fault::None => "well * -1 0".to_owned(),
            Fault::Sync(outcome, Strikes::Once) => format!("{outcome} feed.redb 1 0"),
            Fault::Sync(outcome, Strikes::Each) => format!("{outcome} * -1 0"),
            Fault::ReadOnly => "read-only * -1 0".to_owned(),
            Fault::Slow(by) => format!("slow * -1 {}", by.as_millis()),
        };
        // Replaced as a whole: the agent may read it at any moment.
        let aside = self.order.with_extension("aside");
        fs::write(&aside, format!("{words} {}\n", self.orders))
            .and_then(|()| fs::rename(&aside, &self.order))
            .expect("the story's directory takes a file");
    }

    /// How often faults have struck so far.
    pub fn strikes(&self) -> usize {
        let told = fs::read_to_string(self.order.with_extension("order.struck"));
        told.unwrap_or_default().lines().count()
    }

    /// What a power failure does: of the databases only that is left which the disk has. The agent
    /// must not run.
    ///
    /// # Panics
    /// If the files cannot be put into their places.
    pub fn lose_power(&self) {
        for entry in fs::read_dir(&self.kept).expect("it can be listed") {
            let entry = entry.expect("it can be listed");
            fs::copy(entry.path(), self.data_dir.join(entry.file_name()))
                .expect("the data directory takes its own files");
        }
    }
}

/// Whoever builds this project has a C compiler: Rust links with it.
fn compile(library: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/shims/disk_faults.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(library)
        .args([source, "-ldl"])
        .output()
        .expect("cc can be run");
    assert!(
        compiled.status.success(),
        "{source} cannot be compiled: {}",
        String::from_utf8_lossy(&compiled.stderr)
    );
}
