//! The habits of this code base that no compiler checks.
//!
//! Clippy knows most of them; these are what it cannot see, or sees only where it is built: files
//! that grow without end, exceptions without a reason, unfinished code, and clocks or hash order in
//! the core.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Above this a file holds more than one idea.
const FILE_LINES_MAX: usize = 700;

/// Exceptions say why, and vanish when they are no longer needed: `#[expect(.., reason = "..")]`.
const NEVER: &[(&str, &str)] = &[
    ("#[allow(", "write #[expect(lint, reason = \"..\")]"),
    ("#![allow(", "write #![expect(lint, reason = \"..\")]"),
    ("todo!(", "finish it, or leave it out"),
    ("unimplemented!(", "finish it, or answer with an error"),
];

/// Equal inputs must give equal outputs, in every process and on every machine.
const NEVER_IN_THE_CORE: &[(&str, &str)] = &[
    ("HashMap", "hash order differs per process: BTreeMap"),
    ("HashSet", "hash order differs per process: BTreeSet"),
    ("Instant::", "time is an argument: Timestamp"),
    ("SystemTime", "wall time is an input"),
    ("std::fs", "the core persists through outputs"),
    ("std::thread", "the core has no threads"),
    ("UdpSocket", "the core sends outputs, not packets"),
    ("TcpStream", "the core sends outputs, not packets"),
    ("async fn", "the core does not wait"),
    ("rand::rng", "randomness comes from the seed"),
];

/// Where Rust is written, from the root of the repository.
const ALL: &[&str] = &["crates", "simulations", "tests"];

const CORE: &[&str] = &[
    "crates/types/src",
    "crates/registry/src",
    "crates/wire/src",
    "crates/membership/src",
    "crates/node/src",
];

#[test]
fn no_file_holds_more_than_one_idea() {
    let long: Vec<String> = sources(ALL)
        .map(|source| (source.text.lines().count(), source.path))
        .filter(|(lines, _)| *lines > FILE_LINES_MAX)
        .map(|(lines, path)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(
        long.is_empty(),
        "over {FILE_LINES_MAX} lines, split them:\n{}",
        long.join("\n")
    );
}

#[test]
fn nothing_is_unfinished_or_excepted_without_a_reason() {
    assert_without(sources(ALL), NEVER);
}

#[test]
fn the_core_knows_no_clock_no_hash_order_and_no_io() {
    let decides = sources(CORE).filter(|source| !source.is_test());
    assert_without(decides, NEVER_IN_THE_CORE);
}

#[test]
fn what_is_forbidden_would_be_found() {
    let bad = Source {
        path: PathBuf::from("bad.rs"),
        text: "use std::collections::HashMap;\n// A HashMap in a comment is fine.\n".to_owned(),
    };
    let found = bad.offences(NEVER_IN_THE_CORE);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("bad.rs:1: HashMap"), "{found:?}");
}

/// One file of Rust.
struct Source {
    /// From the root of the repository.
    path: PathBuf,
    text: String,
}

impl Source {
    /// A test may look at a clock: it is a driver.
    fn is_test(&self) -> bool {
        self.path
            .components()
            .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
    }

    /// Where this file writes something of `never` as code, not in a comment.
    fn offences(&self, never: &[(&str, &str)]) -> Vec<String> {
        let mut found = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for (words, instead) in never {
                if code.contains(words) {
                    let path = self.path.display();
                    found.push(format!("{path}:{}: {words} ({instead})", number + 1));
                }
            }
        }
        found
    }
}

fn assert_without(sources: impl Iterator<Item = Source>, never: &[(&str, &str)]) {
    let found: Vec<String> = sources.flat_map(|source| source.offences(never)).collect();
    assert!(found.is_empty(), "found:\n{}", found.join("\n"));
}

/// Every Rust file below `dirs`, except this one: it has to name what it forbids.
fn sources(dirs: &[&str]) -> impl Iterator<Item = Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie one level below the root");
    let mut paths = Vec::new();
    for dir in dirs {
        collect(&root.join(dir), &mut paths);
    }
    paths
        .into_iter()
        .filter(|path| !path.ends_with(file!()))
        .map(move |path| Source {
            text: fs::read_to_string(&path).expect("sources are readable text"),
            path: path
                .strip_prefix(root)
                .expect("it was found below the root")
                .to_path_buf(),
        })
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)
        .expect("the directory is in the repository")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(&path, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}
