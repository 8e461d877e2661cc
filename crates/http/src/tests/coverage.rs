//! What Consul's clients rely on, and which test holds it: `coverage/*.toml`, checked and printed.
//!
//! `cargo test -p tidings-http coverage -- --nocapture` prints the table. An item has tests, or the
//! reason why it is refused, or the mark `missing = true`; whoever does the work takes the mark off.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use serde::Deserialize;

use crate::{refusals, routes};

const FILES: [&str; 4] = [
    include_str!("coverage/rules.toml"),
    include_str!("coverage/filter.toml"),
    include_str!("coverage/agent.toml"),
    include_str!("coverage/catalog.toml"),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// How many items each section has, so that none is lost unseen.
    sections: BTreeMap<String, usize>,
    item: Vec<Item>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    /// The section and a number from 1.
    id: String,
    mark: Mark,
    /// What Consul does, in our own words.
    says: String,
    /// The patterns or families of `routes` and `refusals` that it speaks of.
    #[serde(default)]
    endpoints: Vec<String>,
    /// The functions that hold it.
    #[serde(default)]
    tests: Vec<String>,
    /// Why it is not done, if it never will be or not in this version.
    refused: Option<String>,
    /// Whether it is still to do.
    #[serde(default)]
    missing: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Mark {
    #[serde(rename = "M")]
    Must,
    #[serde(rename = "S")]
    Should,
}

impl Item {
    fn state(&self) -> &'static str {
        match (&self.refused, self.missing) {
            (_, true) => "missing",
            (Some(_), _) => "refused",
            _ => "tested",
        }
    }
}

fn files() -> Vec<File> {
    let read = |text: &&str| toml::from_str(text).unwrap();
    FILES.iter().map(read).collect()
}

fn items() -> Vec<Item> {
    files().into_iter().flat_map(|file| file.item).collect()
}

#[test]
fn every_item_has_a_test_a_refusal_or_a_mark() {
    for item in items() {
        let refused = item.refused.as_deref().is_some_and(|why| !why.is_empty());
        let settled = refused || !item.tests.is_empty();
        assert!(
            settled != item.missing,
            "{}: it needs tests or a refusal, or else the mark",
            item.id
        );
        assert!(!item.says.is_empty(), "{}: it says nothing", item.id);
    }
}

#[test]
fn each_section_has_all_its_items() {
    for file in files() {
        let expected = file.sections.iter();
        let expected = expected.flat_map(|(name, n)| (1..=*n).map(move |i| format!("{name}-{i}")));
        let expected: BTreeSet<_> = expected.collect();
        let found: BTreeSet<_> = file.item.iter().map(|item| item.id.clone()).collect();
        assert_eq!(found, expected);
        assert_eq!(found.len(), file.item.len(), "an id is there twice");
    }
}

#[test]
fn each_named_test_exists() {
    let mut known = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for dir in [
        "crates/http",
        "crates/checks",
        "crates/filter",
        "crates/node",
        "crates/view",
        "crates/agent",
        "tests/tests",
    ] {
        collect(&root.join(dir), &mut known);
    }
    for item in items() {
        for test in &item.tests {
            assert!(known.contains(test), "{}: there is no test {test}", item.id);
        }
    }
}

/// The functions below `dir` that stand below a test attribute.
fn collect(dir: &Path, known: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, known);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let mut is_test = false;
            for line in fs::read_to_string(&path).unwrap().lines() {
                let line = line.trim();
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    is_test = true;
                } else if let Some((_, rest)) = line.split_once("fn ") {
                    let name = rest.split('(').next().unwrap_or_default();
                    if is_test {
                        known.insert(name.to_owned());
                    }
                    is_test = false;
                }
            }
        }
    }
}

#[test]
fn each_endpoint_is_spoken_of() {
    let items = items();
    let named: BTreeSet<&str> = items
        .iter()
        .flat_map(|item| item.endpoints.iter().map(String::as_str))
        .collect();
    // What is tidings' own is no promise to Consul's clients.
    let ours = |pattern: &&str| !pattern.starts_with("/v1/tidings/") && *pattern != "/metrics";
    let known: BTreeSet<&str> = routes::patterns()
        .chain(refusals::families())
        .filter(ours)
        .collect();
    assert_eq!(named, known);
}

#[test]
fn the_table_can_be_read() {
    let items = items();
    let mut table = String::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for item in &items {
        *counts.entry(item.state()).or_default() += 1;
        let held = match (&item.refused, item.tests.is_empty()) {
            (Some(why), _) => why.clone(),
            (None, false) => item.tests.join(", "),
            (None, true) => "-".to_owned(),
        };
        let mark = match item.mark {
            Mark::Must => "must",
            Mark::Should => "should",
        };
        let state = item.state();
        writeln!(
            table,
            "| {} | {mark} | {state} | {} | {held} |",
            item.id, item.says
        )
        .unwrap();
    }
    println_table(&table, &counts);
    assert_eq!(table.lines().count(), items.len());
}

#[expect(
    clippy::print_stdout,
    reason = "who asks for the table runs the test for it"
)]
fn println_table(table: &str, counts: &BTreeMap<&str, usize>) {
    println!("| item | mark | state | what | held by |\n|---|---|---|---|---|\n{table}");
    println!("measured: coverage {counts:?}");
}
