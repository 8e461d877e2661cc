//! Programs that are not ours: where they are, and how they are run.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    binary,
    stage::Stage,
    stats::{say, skipped},
};

/// Names the folder into which `scripts/check/clients.sh` fetches clients, if it is not
/// `check/clients` in the target directory.
pub const VARIABLE: &str = "TIDINGS_CLIENTS";

/// What a program wrote that is shown if its story fails, in lines.
const TAIL: usize = 60;

/// A file or folder that was fetched; `None`, and a line that says so, if it was not.
///
/// # Panics
/// If it was not fetched, and `CI=true`.
pub fn fetched(name: &str) -> Option<PathBuf> {
    let folder = env::var_os(VARIABLE).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| binary::target_dir().join("check/clients"));
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    missing(&format!(
        "{} is not there; `scripts/check.sh --install clients` fetches it",
        path.display()
    ));
    None
}

/// A file that the repository holds for a client.
pub fn kept(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(name)
}

/// What `program` writes to its standard output; `None`, and a line that says so, if it is not
/// installed.
///
/// # Panics
/// If it fails; if it is not installed, and `CI=true`.
pub fn told(program: &str, words: &[&str]) -> Option<String> {
    let Ok(done) = Command::new(program).args(words).output() else {
        missing(&format!("{program} is not installed"));
        return None;
    };
    assert!(done.status.success(), "{program} {words:?}: {done:?}");
    Some(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn missing(what: &str) {
    let ci = env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!ci, "{what}, and CI must have it");
    skipped(what);
}

/// A program that runs until it ends by itself, or is dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    out: PathBuf,
    log: PathBuf,
}

impl Running {
    /// Starts `command`; what it writes is kept under `name` in the story's directory.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn start(stage: &Stage, name: &str, command: &mut Command) -> Self {
        let file = |kind: &str| stage.dir().join(format!("{name}.{kind}"));
        let (out, log) = (file("out"), file("err"));
        let create = |path: &PathBuf| File::create(path).expect("the story's directory takes it");
        let child = command
            .stdin(Stdio::null())
            .stdout(create(&out))
            .stderr(create(&log))
            .spawn();
        let program = command.get_program().display();
        Self {
            name: name.to_owned(),
            child: child.unwrap_or_else(|error| panic!("{program} cannot be run: {error}")),
            out,
            log,
        }
    }

    /// The whole lines of its standard output.
    pub fn lines(&self) -> Vec<String> {
        let told = read(&self.out);
        let whole = told.rfind('\n').map_or("", |end| &told[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// Its standard error.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// Expects it to run.
    ///
    /// # Errors
    /// How it ended, and with which words.
    pub fn ensure_running(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            ended => Err(format!("{} ended: {ended:?}\n{}", self.name, self.tail())),
        }
    }

    /// Waits until it has done its work; returns its standard output.
    ///
    /// # Panics
    /// If it fails, or does not end within `limit`.
    pub fn wait_until_it_succeeds(&mut self, limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be looked at") {
                assert!(status.success(), "{} failed: {status}", self.name);
                return read(&self.out);
            }
            let name = &self.name;
            assert!(
                Instant::now() < deadline,
                "{name} still runs after {limit:?}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn tail(&self) -> String {
        let told = format!("{}{}", read(&self.out), read(&self.log));
        let lines: Vec<_> = told.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            say(&format!("--- the last of {}:\n{}", self.name, self.tail()));
        }
    }
}

/// Runs `command` to its end, which must be a good one; returns its standard output.
///
/// # Panics
/// If it fails, or does not end within `limit`.
pub fn run(stage: &Stage, name: &str, limit: Duration, command: &mut Command) -> String {
    Running::start(stage, name, command).wait_until_it_succeeds(limit)
}

/// Debian's Python, with the packages that were fetched for it alone; `None` as with [`fetched`].
///
/// # Panics
/// As [`fetched`].
pub fn debian_python(program: &str) -> Option<Command> {
    let root = fetched("debian")?;
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(root.join(program))
        .env("PYTHONPATH", root.join("usr/lib/python3/dist-packages"))
        .env("LD_LIBRARY_PATH", libraries(&root.join("usr/lib")))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("LC_ALL", "C.UTF-8");
    Some(command)
}

/// The folders of shared libraries below `/usr/lib`, one per architecture.
fn libraries(lib: &std::path::Path) -> std::ffi::OsString {
    let entries = fs::read_dir(lib).into_iter().flatten().flatten();
    let folders: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|name| name.contains("-linux-"))
        })
        .collect();
    env::join_paths(folders).expect("they hold no colon")
}

fn read(path: &PathBuf) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
