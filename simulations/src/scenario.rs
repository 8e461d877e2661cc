//! The scenario file: what a world is made of, what is done to it and what must come of it.
//!
//! This module is the format alone: names are resolved and contradictions refused in
//! [`plan`](crate::plan). Unknown fields are errors, so that a typing mistake cannot turn a fault
//! off.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

use crate::{
    link::Paths,
    span::{Shift, Span},
};

/// A scenario as its file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its ending.
    pub name: String,
    /// What it shows, in one or two sentences.
    pub about: String,
    /// Every draw derives from this.
    #[serde(default = "one")]
    pub seed: u64,
    /// How many hosts there are.
    pub nodes: usize,
    /// Names for sets of hosts. `all` is given.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<usize>>,
    /// How long things happen, and how long they are left alone afterwards.
    pub phases: Phases,
    /// How long after the one before it each host starts; zero starts them in the same instant.
    #[serde(default)]
    pub stagger: Span,
    /// The hosts in the seed list; the first three if absent.
    pub seeds: Option<Vec<usize>>,
    /// What differs from the node's default settings.
    #[serde(default)]
    pub config: Settings,
    /// How the hosts are connected.
    #[serde(default)]
    pub links: Paths,
    /// How fast the disks are.
    #[serde(default)]
    pub disk: DiskSpeed,
    /// What clients do.
    #[serde(default)]
    pub workload: Vec<Work>,
    /// What goes wrong.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// What must come of it, beyond the invariants that always hold.
    pub expect: Expect,
}

/// The two phases of a run.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Phases {
    /// Faults and workload happen; at its end every fault is healed.
    pub chaos: Span,
    /// Nothing happens; what must come eventually comes here.
    pub quiet: Span,
}

/// What differs from the node's default settings.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
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
}

/// How fast the disks are.
#[derive(Clone, Copy, Debug, Deserialize)]
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

/// Some hosts: one by number, several, or a group's name.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Hosts {
    /// One host.
    One(usize),
    /// Several hosts.
    Many(Vec<usize>),
    /// A group.
    Group(String),
}

/// How often a piece of work is repeated.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Repeat {
    /// The time between two.
    pub every: Span,
    /// How many there are in all.
    pub times: usize,
    /// Each takes one of so many ids (`-0`, `-1`, .. after the id), drawn from the seed, and a port
    /// that grows by one each time.
    #[serde(default = "one_key")]
    pub keys: u64,
}

/// One thing that a client does.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Work {
    /// Registers an instance at its own agent; with a check if a status is given.
    Register {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// The instance's id.
        id: String,
        /// The service's name.
        service: String,
        /// The instance's port.
        port: u16,
        /// The first status of its check.
        check: Option<Status>,
        /// Repetition.
        repeat: Option<Repeat>,
    },
    /// Deregisters an instance at its own agent.
    Deregister {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// The instance's id.
        id: String,
        /// Repetition.
        repeat: Option<Repeat>,
    },
    /// Reports what the check of an instance found.
    Check {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// The instance's id.
        id: String,
        /// What it found.
        status: Status,
    },
    /// Registers an instance of a node that runs no agent.
    RegisterExternal {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// The external node's name.
        node: String,
        /// The instance's id.
        id: String,
        /// The service's name.
        service: String,
        /// The instance's port.
        port: u16,
    },
    /// Deregisters an external node, or one instance of it.
    DeregisterExternal {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// The external node's name.
        node: String,
        /// The instance's id; all if absent.
        id: Option<String>,
    },
    /// An operator deregisters what another host's agent registered.
    Override {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// Whose record.
        of: usize,
        /// The instance's id; the whole node if absent.
        id: Option<String>,
    },
    /// An operator takes a dead member for one that has left.
    ForceLeave {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// Which member.
        of: usize,
    },
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Good.
    Passing,
    /// Usable.
    Warning,
    /// Not to be used.
    Critical,
}

/// One thing that goes wrong. Without `for` it lasts until the end of the chaos phase.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Fault {
    /// Nothing passes from the first hosts to the second, nor back unless told so.
    Cut {
        /// When.
        at: Span,
        /// How long.
        r#for: Option<Span>,
        /// From whom to whom.
        between: [Hosts; 2],
        /// Which directions.
        #[serde(default)]
        way: Way,
        /// Which lanes.
        #[serde(default)]
        lane: CutLane,
    },
    /// The links between the hosts, both ways, behave differently.
    Weather {
        /// When.
        at: Span,
        /// How long.
        r#for: Option<Span>,
        /// From whom to whom.
        between: [Hosts; 2],
        /// How they behave.
        link: crate::link::Link,
    },
    /// The process stands still: timers are late, what comes in waits.
    Pause {
        /// When.
        at: Span,
        /// How long.
        r#for: Option<Span>,
        /// Which hosts.
        node: Hosts,
    },
    /// The process is killed.
    Crash {
        /// When.
        at: Span,
        /// Which hosts.
        node: Hosts,
        /// When and with what it comes back; never if absent.
        restart: Option<Restart>,
    },
    /// The process says goodbye and stops.
    Depart {
        /// When.
        at: Span,
        /// Which hosts.
        node: Hosts,
        /// Whether it means to come back.
        #[serde(default)]
        how: Goodbye,
        /// When it comes back; never if absent.
        restart: Option<Restart>,
    },
    /// The wall clock is wrong.
    Clock {
        /// When.
        at: Span,
        /// How long.
        r#for: Option<Span>,
        /// Which hosts.
        node: Hosts,
        /// By how much.
        #[serde(default)]
        offset: Shift,
        /// By how much it goes fast, in parts per million.
        #[serde(default)]
        rate_ppm: i64,
        /// Whether it stands still.
        #[serde(default)]
        frozen: bool,
    },
    /// The local host refuses to send from the first hosts to the second.
    SendErrors {
        /// When.
        at: Span,
        /// How long.
        r#for: Option<Span>,
        /// Which hosts.
        node: Hosts,
        /// To whom.
        to: Hosts,
    },
    /// The disk refuses every write.
    DiskFull {
        /// When.
        at: Span,
        /// How long.
        r#for: Option<Span>,
        /// Which hosts.
        node: Hosts,
    },
}

/// The directions of a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Both.
    #[default]
    Both,
    /// From the first hosts to the second.
    AToB,
    /// From the second hosts to the first.
    BToA,
}

/// The lanes of a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutLane {
    /// Everything.
    #[default]
    All,
    /// Only datagrams.
    Datagram,
    /// Only sessions.
    Session,
}

/// How a process comes back.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Restart {
    /// How long after it stopped.
    pub after: Span,
    /// What its disk holds then.
    #[serde(default)]
    pub disk: DiskFate,
    /// Of a rolled-back disk: the moment of the run whose content it holds.
    pub image: Option<Span>,
}

/// What a disk holds at a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskFate {
    /// Everything that was made durable.
    #[default]
    Intact,
    /// Nothing, not even the key: another node comes back under the old name and address.
    Lost,
    /// The key alone.
    Empty,
    /// What it held at an earlier moment, epoch included.
    RolledBack,
}

/// Whether a node that departs means to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goodbye {
    /// No.
    #[default]
    Left,
    /// Yes.
    Restarting,
}

/// What must come of it. The invariants A1-A7 and A9 hold always and are not named.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expect {
    /// Deadlines in the quiet phase.
    #[serde(default)]
    pub eventually: Deadlines,
    /// What a query must be answered at a moment.
    #[serde(default)]
    pub reads: Vec<ReadExpectation>,
    /// Events that must happen somewhere at least once.
    #[serde(default)]
    pub sometimes: Vec<EventName>,
    /// Events that must not happen anywhere.
    #[serde(default)]
    pub never: Vec<EventName>,
    /// How often a healthy, connected node may be called down by another.
    pub false_downs_max: Option<u64>,
    /// How often nodes that run in the end may have been made to rejoin under a new identity.
    pub rejoins_max: Option<u64>,
}

/// Deadlines after the end of the chaos phase; absent ones are not checked.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(non_snake_case, reason = "the invariants are called so")]
pub struct Deadlines {
    /// Convergence: equal fingerprints and equal content on all running agents.
    pub E1: Option<Span>,
    /// Nothing acknowledged is lost.
    pub E2: Option<Span>,
    /// Each running agent sees exactly the running agents.
    pub E3: Option<Span>,
}

/// What a query must be answered at a moment.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReadExpectation {
    /// When.
    pub at: Span,
    /// Asked of each of these.
    pub on: Hosts,
    /// The service asked for.
    pub service: String,
    /// The ports of the instances served, in any order.
    pub ports: Vec<u16>,
    /// How many of them are marked stale.
    pub stale: Option<usize>,
    /// How many of them are in conflict with another write.
    pub conflicts: Option<usize>,
    /// Whether the agent takes itself for an island.
    pub island: Option<bool>,
}

/// An event that a scenario may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventName {
    /// A member went down in somebody's view.
    MemberDown,
    /// An agent took itself for an island.
    Island,
    /// Feeds were repaired from a peer.
    Repaired,
    /// A registration was overridden by an operator.
    Overridden,
    /// A peer's change was refused.
    Refused,
    /// Two replicas differed at one position.
    Alarm,
    /// A stamp was too far ahead to be adopted.
    ClockAhead,
    /// A node met a greater epoch of itself.
    GreaterEpochMet,
    /// The disk refused a batch.
    NotPersisted,
}

const fn one() -> u64 {
    1
}

const fn one_key() -> u64 {
    1
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
            return Ok(toml::from_str(text)?);
        }
        let mut table: toml::Table = toml::from_str(text)?;
        for setting in settings {
            set(&mut table, setting)?;
        }
        Ok(table.try_into()?)
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
            ("nodes = 2", "nodez = 2", "nodez"),
            ("port = 80", "port = 80\nprot = 1", "prot"),
            ("kind = \"cut\"", "kind = \"cutt\"", "cutt"),
            ("for = \"2s\"", "for = \"2 s\"", "2 s"),
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
