//! Which crate may use which, read from `cargo metadata`.
//!
//! The core decides and never acts, so nothing in it may reach a socket, a disk, a thread or an
//! async runtime, not even through somebody else's crate. A dependency that points the wrong way
//! compiles well and is noticed too late; this test notices it first.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Each crate of the workspace, and the crates of the workspace that it may use.
///
/// `types -> {registry, wire} -> membership -> node -> agent -> cli` and
/// `types -> view -> {http, dns, checks} -> agent`; the simulator sees the core only. The tests
/// talk to real processes and see no crate but the nouns, and the transport and the membership, by which some
/// play members themselves; the fuzz targets call every parser.
const MAY_USE: &[(&str, &[&str])] = &[
    ("tidings-types", &[]),
    ("tidings-registry", &["types"]),
    ("tidings-wire", &["types"]),
    ("tidings-membership", &["types", "registry", "wire"]),
    ("tidings-node", &["types", "registry", "wire", "membership"]),
    ("tidings-view", &["types"]),
    ("tidings-checks", &["types", "view"]),
    ("tidings-filter", &[]),
    ("tidings-http", &["types", "view", "filter"]),
    ("tidings-dns", &["types", "view"]),
    (
        "tidings-agent",
        &[
            "types",
            "registry",
            "wire",
            "membership",
            "node",
            "view",
            "checks",
            "http",
            "dns",
        ],
    ),
    ("tidings", &["types", "agent"]),
    (
        "tidings-sim",
        &["types", "registry", "wire", "membership", "node"],
    ),
    // Its rogue speaks as a member does, and does not mean it.
    (
        "tidings-tests",
        &["types", "registry", "wire", "membership", "agent"],
    ),
    (
        "tidings-fuzz-targets",
        &[
            "types", "registry", "wire", "node", "view", "filter", "http", "dns", "agent",
        ],
    ),
];

/// The sans-IO core, and the simulator that drives it without an operating system.
const WITHOUT_IO: &[&str] = &[
    "tidings-types",
    "tidings-registry",
    "tidings-wire",
    "tidings-membership",
    "tidings-node",
    "tidings-filter",
    "tidings-sim",
];

/// What brings sockets, disks, threads or clocks with it.
const IO: &[&str] = &[
    "async-channel",
    "async-std",
    "axum",
    "chrono",
    "crossbeam-channel",
    "dashmap",
    "futures-executor",
    "hickory-proto",
    "hyper",
    "mio",
    "parking_lot",
    "quinn",
    "quinn-proto",
    "quinn-udp",
    "rayon",
    "redb",
    "reqwest",
    "ring",
    "rustls",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tracing-subscriber",
];

/// TLS is ring's alone: a second provider doubles the build and makes the process-wide one a race.
const OTHER_TLS: &[&str] = &[
    "aws-lc-fips-sys",
    "aws-lc-rs",
    "aws-lc-sys",
    "boring",
    "boring-sys",
    "native-tls",
    "openssl",
    "openssl-sys",
];

#[test]
fn each_crate_uses_only_what_stands_before_it() {
    let graph = Graph::read();
    let rules: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    for member in &graph.members {
        let name = graph.name(member);
        let allowed = rules
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no place in the dependency direction yet"));
        for used in graph.uses(member, true) {
            if graph.members.contains(used) {
                let used = graph.name(used);
                let short = used.trim_start_matches("tidings-");
                assert!(
                    used == name || allowed.contains(&short),
                    "{name} must not use {used}"
                );
            }
        }
    }
    for (name, _) in MAY_USE {
        assert!(
            graph.members.iter().any(|id| graph.name(id) == *name),
            "{name} has a place in the direction but is not in the workspace"
        );
    }
}

#[test]
fn nothing_in_the_core_or_the_simulator_can_do_io() {
    let graph = Graph::read();
    for name in WITHOUT_IO {
        let reached = graph.reach(graph.member(name));
        for (id, by) in &reached {
            assert!(
                !IO.contains(&graph.name(id)),
                "{name} reaches {} through {}",
                graph.name(id),
                graph.name(by)
            );
        }
    }
}

#[test]
fn the_agent_does_reach_io_so_the_search_can_find_it() {
    let graph = Graph::read();
    let reached = graph.reach(graph.member("tidings"));
    for name in ["tokio", "quinn", "redb", "ring", "dashmap"] {
        assert!(
            reached.keys().any(|id| graph.name(id) == name),
            "{name} was not found below the binary: the search is broken"
        );
    }
}

#[test]
fn ring_is_the_only_tls_provider() {
    let graph = Graph::read();
    for id in graph.packages.keys() {
        let name = graph.name(id);
        assert!(!OTHER_TLS.contains(&name), "{name} is in the tree");
    }
}

/// Package ids are cargo's own: unique strings, opaque here.
type Id = String;

/// The resolved dependency graph of the workspace.
struct Graph {
    members: BTreeSet<Id>,
    packages: BTreeMap<Id, Package>,
}

struct Package {
    name: String,
    /// What it is built from or with.
    uses: Vec<Id>,
    /// What only its tests use.
    tests_use: Vec<Id>,
}

impl Graph {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo starts, since it started this test");
        assert!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
        let names: BTreeMap<Id, String> = array(&metadata["packages"])
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        Self {
            members: array(&metadata["workspace_members"]).map(text).collect(),
            packages: array(&metadata["resolve"]["nodes"])
                .map(|node| {
                    let id = text(&node["id"]);
                    let package = Package::read(names[&id].clone(), node);
                    (id, package)
                })
                .collect(),
        }
    }

    fn name(&self, id: &Id) -> &str {
        &self.packages[id].name
    }

    fn member(&self, name: &str) -> &Id {
        self.members
            .iter()
            .find(|id| self.name(id) == name)
            .unwrap_or_else(|| panic!("{name} is a crate of the workspace"))
    }

    fn uses(&self, id: &Id, in_tests_too: bool) -> impl Iterator<Item = &Id> {
        let package = &self.packages[id];
        let tests_use = package.tests_use.iter().filter(move |_| in_tests_too);
        package.uses.iter().chain(tests_use)
    }

    /// Everything that is built into `start`, each with the package that brought it in.
    fn reach<'a>(&'a self, start: &'a Id) -> BTreeMap<&'a Id, &'a Id> {
        let mut reached = BTreeMap::new();
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            for used in self.uses(id, false) {
                if !reached.contains_key(used) {
                    reached.insert(used, id);
                    open.push(used);
                }
            }
        }
        reached
    }
}

impl Package {
    fn read(name: String, node: &Value) -> Self {
        let (mut uses, mut tests_use) = (Vec::new(), Vec::new());
        for dependency in array(&node["deps"]) {
            // A null kind is an ordinary dependency; one package may be used in several kinds.
            let built_in = array(&dependency["dep_kinds"]).any(|kind| kind["kind"] != "dev");
            let list = if built_in { &mut uses } else { &mut tests_use };
            list.push(text(&dependency["pkg"]));
        }
        Self {
            name,
            uses,
            tests_use,
        }
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value
        .as_array()
        .expect("cargo's format 1 has a list here")
        .iter()
}

fn text(value: &Value) -> String {
    let text = value.as_str().expect("cargo's format 1 has a string here");
    text.to_owned()
}
