//! The scenario file: what a world is made of, what is done to it and what must come of it.
//!
//! This module is the format alone: names are resolved and contradictions refused in
//! [`plan`](crate::plan). Unknown fields are errors, so that a typing mistake cannot turn a fault
//! off.

mod event;
mod expect;
mod fault;
mod mistake;
mod work;
mod write;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

pub(crate) use self::mistake::nearest;
pub use self::{
    event::EventName,
    expect::{Deadlines, Expect, ReadExpectation},
    fault::{Cluster, CutLane, DiskFate, Fault, Goodbye, Lie, Restart, Way},
    mistake::Place,
    work::{Repeat, Status, Work},
};
use crate::{link::Paths, mechanism::Mechanism, span::Span};

/// A scenario as its file says it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its ending.
    pub name: String,
    /// What it shows, in one or two sentences.
    pub about: String,
    /// A mechanism that it needs and that the core is yet to have. Until then it is read and not run.
    pub waits_for: Option<Mechanism>,
    /// Every draw derives from this.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub seed: u64,
    /// How many hosts there are.
    pub nodes: usize,
    /// Names for sets of hosts. `all` is given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub groups: BTreeMap<String, Vec<usize>>,
    /// How long things happen, and how long they are left alone afterwards.
    pub phases: Phases,
    /// How long after the one before it each host starts; zero starts them in the same instant.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stagger: Span,
    /// The hosts in the seed list; the first three if absent.
    pub seeds: Option<Vec<usize>>,
    /// The hosts that start in the second cluster; none if absent.
    pub second_cluster: Option<Hosts>,
    /// What differs from the node's default settings.
    #[serde(default, skip_serializing_if = "is_default")]
    pub config: Settings,
    /// How the hosts are connected.
    #[serde(default, skip_serializing_if = "is_default")]
    pub links: Paths,
    /// How fast the disks are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disk: DiskSpeed,
    /// How much of what comes in may wait, and how fast it is handled; without limits if absent.
    pub inbox: Option<Inbox>,
    /// What clients do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub workload: Vec<Work>,
    /// The hosts that the quiet phase heals and judges, where some fault lasts for ever outside of them;
    /// all if absent.
    pub core: Option<Hosts>,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fault: Vec<Fault>,
    /// What must come of it, beyond the invariants that always hold.
    pub expect: Expect,
}

/// The two phases of a run.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Phases {
    /// Faults and workload happen; at its end every fault is healed that does not last for ever.
    pub chaos: Span,
    /// Nothing happens; what must come eventually comes here.
    pub quiet: Span,
}

/// What differs from the node's default settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// `false` runs every periodic timer exactly, so that nodes stay in lock-step.
    pub jitter: Option<bool>,
    /// How long two fingerprints may differ before a repair.
    pub repair_after: Option<Span>,
    /// How long a node that is not in the roster is served as stale.
    pub stale_for: Option<Span>,
    /// How often replicas are saved.
    pub save_every: Option<Span>,
    /// How long an island's expectation stays.
    pub island_half_life: Option<Span>,
    /// How many removal marks a feed keeps before it forgets them.
    pub marks_kept: Option<u8>,
    /// How many runs a feed keeps before it shortens its lineage.
    pub runs_kept: Option<u8>,
}

/// How fast the disks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DiskSpeed {
    /// From asking until it is durable, at least.
    pub min: Span,
    /// From asking until it is durable, at most.
    pub max: Span,
}

impl Default for DiskSpeed {
    fn default() -> Self {
        Self {
            min: Span::from_millis(1),
            max: Span::from_millis(4),
        }
    }
}

/// A host's inbox: what the agent's receive queue and its driver are in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Inbox {
    /// Datagrams and requests that may wait.
    pub places: u32,
    /// How many of them are handled in a second.
    pub per_second: u32,
}

/// Some hosts: one by number, several, or a group's name.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Hosts {
    /// One host.
    One(usize),
    /// Several hosts.
    Many(Vec<usize>),
    /// A group.
    Group(String),
}

const fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_one(number: &u64) -> bool {
    *number == 1
}

/// Whether a file can leave this field out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Scenario {
    /// Reads a scenario's file, after setting each of `settings` (`path.to.field=value`).
    ///
    /// # Errors
    /// Says what in the file or the settings cannot be read.
    pub fn load(path: &Path, settings: &[String]) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, settings).with_context(|| format!("in {}", path.display()))
    }

    /// Reads a scenario's text, after setting each of `settings`.
    ///
    /// # Errors
    /// Says what in the text or the settings cannot be read.
    pub fn parse(text: &str, settings: &[String]) -> Result<Self> {
        if settings.is_empty() {
            return toml::from_str(text).map_err(|error| anyhow!(mistake::explain(text, &error)));
        }
        let mut table: toml::Table =
            toml::from_str(text).map_err(|error| anyhow!(mistake::explain(text, &error)))?;
        for setting in settings {
            set(&mut table, setting)?;
        }
        table
            .try_into()
            .map_err(|error: toml::de::Error| anyhow!(mistake::explain("", &error)))
    }
}

/// Puts `path.to.field=value` into a document. A value that is no TOML is taken as text.
fn set(table: &mut toml::Table, setting: &str) -> Result<()> {
    let (path, value) = setting
        .split_once('=')
        .ok_or_else(|| anyhow!("--set wants path=value, not {setting:?}"))?;
    let value = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut parts: Vec<&str> = path.split('.').collect();
    let field = parts.pop().unwrap_or_default();
    let mut at = table;
    for part in parts {
        at = at
            .entry(part)
            .or_insert_with(|| toml::Table::new().into())
            .as_table_mut()
            .ok_or_else(|| anyhow!("{part} in {path} is no table"))?;
    }
    at.insert(field.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        name = "small"
        about = "Two nodes."
        nodes = 2
        phases = { chaos = "10s", quiet = "5s" }
        [[workload]]
        kind = "register"
        at = "2s"
        via = 0
        id = "web-1"
        service = "web"
        port = 80
        [[fault]]
        kind = "cut"
        at = "3s"
        for = "2s"
        between = [0, [1]]
        [expect]
        eventually = { E1 = "5s" }
    "#;

    #[test]
    fn a_scenario_is_read() {
        let scenario = Scenario::parse(SMALL, &[]).unwrap();
        assert_eq!((scenario.nodes, scenario.seed), (2, 1));
        assert!(matches!(
            &scenario.fault[0],
            Fault::Cut {
                way: Way::Both,
                lane: CutLane::All,
                ..
            }
        ));
    }

    #[test]
    fn a_setting_replaces_what_the_file_says() {
        let settings = ["config.jitter=false", "phases.quiet=7s", "seed=9"].map(str::to_owned);
        let scenario = Scenario::parse(SMALL, &settings).unwrap();
        assert_eq!(scenario.config.jitter, Some(false));
        assert_eq!(scenario.phases.quiet.get().as_secs(), 7);
        assert_eq!(scenario.seed, 9);
        assert!(Scenario::parse(SMALL, &["seed".to_owned()]).is_err());
    }

    #[test]
    fn mistakes_are_named() {
        for (wrong, right, mentions) in [
            ("nodes = 2", "nodez = 2", "line 4: unknown field `nodez`"),
            ("nodes = 2", "nodez = 2", "did you mean `nodes`?"),
            (
                "port = 80",
                "port = 80\nprot = 1",
                "line 13: unknown field `prot`",
            ),
            ("port = 80", "port = 80\nprot = 1", "did you mean `port`?"),
            ("between =", "betwen =", "did you mean `between`?"),
            ("kind = \"cut\"", "kind = \"cutt\"", "did you mean `cut`?"),
            (
                "for = \"2s\"",
                "for = \"2 s\"",
                "line 16: \"2 s\" is no length of time",
            ),
            (
                "at = \"3s\"",
                "at = \"3s..5s\"",
                "a scenario names one value",
            ),
            ("E1 = \"5s\"", "E9 = \"5s\"", "E9"),
        ] {
            let error = Scenario::parse(&SMALL.replace(wrong, right), &[]).unwrap_err();
            assert!(
                format!("{error:#}").contains(mentions),
                "{right}: {error:#}"
            );
        }
    }
}
