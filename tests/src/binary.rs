//! Which `tidings` is tested.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

/// Names a binary to be tested instead of the one in the target directory.
pub const VARIABLE: &str = "TIDINGS_BIN";

/// What a command that asks an agent takes from its environment.
const ASKING: [&str; 4] = [
    "TIDINGS_HTTP_ADDR",
    "TIDINGS_CACERT",
    "TIDINGS_CLIENT_CERT",
    "TIDINGS_CLIENT_KEY",
];

/// The binary under test: what [`VARIABLE`] names, else the newer of `release/tidings` and
/// `debug/tidings` in the target directory. The newer one, since a forgotten release build would
/// hide whatever was changed after it.
///
/// # Panics
/// If there is none: a test that starts nothing must not pass.
pub fn path() -> PathBuf {
    if let Some(named) = env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        assert!(
            named.is_file(),
            "{VARIABLE} names no file: {}",
            named.display()
        );
        return named;
    }
    let target = target_dir();
    let built = ["release", "debug"].map(|profile| target.join(profile).join("tidings"));
    built
        .iter()
        .filter_map(|path| Some((modified(path)?, path.clone())))
        .max()
        .map(|(_, path)| path)
        .unwrap_or_else(|| {
            panic!(
                "there is no tidings to test in {}: build it with `cargo build -p tidings` (or \
                 with --release), or name one in {VARIABLE}",
                target.display()
            )
        })
}

/// What a command told.
#[derive(Clone, Debug)]
pub struct Told {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `tidings` with `words` to its end.
///
/// # Panics
/// If it cannot be run.
pub fn run(words: &[&str]) -> Told {
    let mut command = Command::new(path());
    for variable in ASKING {
        command.env_remove(variable);
    }
    let output = command
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("the binary can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Told {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// A test's own executable stands in `TARGET/PROFILE/deps/`.
pub(crate) fn target_dir() -> PathBuf {
    let me = env::current_exe().expect("a running test has an executable");
    let target = me.ancestors().nth(3);
    target
        .expect("cargo builds tests three levels deep")
        .to_owned()
}
