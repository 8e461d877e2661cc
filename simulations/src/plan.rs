//! A scenario made concrete: names resolved, repetitions written out, contradictions refused.

mod planner;
mod trouble;

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use tidings_types::Timestamp;

use self::planner::{Planner, moment};
pub use self::trouble::{Comeback, Trouble, What};
use crate::{
    figures::Budget,
    link::Link,
    mechanism::Mechanism,
    scenario::{Cluster, Deadlines, DiskSpeed, EventName, Inbox, Place, Scenario, Settings},
    workload::{self, Op},
};

/// Hosts in one world, at most.
pub const HOSTS: usize = 128;
/// Seeds in the seed list unless a scenario says otherwise.
const SEEDS: usize = 3;

/// Everything that will be done, in concrete terms.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's name.
    pub name: String,
    /// What it shows.
    pub about: String,
    /// The mechanism that it needs and that the core is yet to have.
    pub waits_for: Option<Mechanism>,
    /// Every draw derives from this.
    pub seed: u64,
    /// How many hosts there are.
    pub hosts: usize,
    /// When each host starts.
    pub boots: Vec<Timestamp>,
    /// The hosts in the seed list.
    pub seeds: Vec<usize>,
    /// The cluster in which each host starts.
    pub clusters: Vec<Cluster>,
    /// When everything is healed and left alone.
    pub heal: Timestamp,
    /// When the run ends.
    pub end: Timestamp,
    /// What differs from the node's default settings.
    pub settings: Settings,
    /// How links behave unless they are in `paths`.
    pub link: Link,
    /// Links that differ.
    pub paths: Vec<(usize, usize, Link)>,
    /// How fast disks are.
    pub disk: DiskSpeed,
    /// How much of what comes in may wait.
    pub inbox: Option<Inbox>,
    /// What clients do, by time.
    pub ops: Vec<Op>,
    /// What goes wrong.
    pub trouble: Vec<Trouble>,
    /// Moments at which a host's disk is copied, for a rollback.
    pub images: Vec<(Timestamp, usize)>,
    /// Whether a host comes back with a copy of another's disk.
    pub copies: bool,
    /// What queries must be answered.
    pub reads: Vec<Query>,
    /// What must come eventually.
    pub deadlines: Deadlines,
    /// Events that must happen.
    pub sometimes: Vec<EventName>,
    /// Events that must not happen.
    pub never: Vec<EventName>,
    /// Hosts that a fault of their own makes sick.
    pub sick: BTreeSet<usize>,
    /// The hosts that the quiet phase judges; all of them if absent.
    pub core: Option<BTreeSet<usize>>,
    /// Hosts whose driver is dishonest at some time.
    pub liars: BTreeSet<usize>,
    /// What the run may cost.
    pub budget: Budget,
    /// How often a healthy, connected node may be called down.
    pub false_downs_max: Option<u64>,
    /// How often healthy nodes may have been made to rejoin.
    pub rejoins_max: Option<u64>,
}

/// A query with the answer that it must get.
#[derive(Clone, Debug)]
pub struct Query {
    /// When.
    pub at: Timestamp,
    /// Asked of whom.
    pub on: Vec<usize>,
    /// The service asked for.
    pub service: String,
    /// The ports served, sorted.
    pub ports: Vec<u16>,
    /// How many instances are marked stale.
    pub stale: Option<usize>,
    /// How many instances are in conflict.
    pub conflicts: Option<usize>,
    /// Whether the agent takes itself for an island.
    pub island: Option<bool>,
}

impl Plan {
    /// Makes `scenario` concrete.
    ///
    /// # Errors
    /// Says which part of the scenario contradicts itself.
    pub fn new(scenario: &Scenario) -> Result<Self> {
        ensure!(
            (1..=HOSTS).contains(&scenario.nodes),
            "nodes must be 1 to {HOSTS}, not {}",
            scenario.nodes
        );
        if let Some(mechanism) = scenario.waits_for {
            ensure!(
                !mechanism.exists(),
                "it waits for {mechanism}, which is there: take the mark away, and see it pass"
            );
        }
        let heal = moment(scenario.phases.chaos);
        let end = heal + scenario.phases.quiet.get();
        let planner = Planner {
            scenario,
            heal,
            end,
        };
        let ops = workload::expand(scenario).context("in the workload")?;
        if let Some(late) = ops.iter().find(|op| op.at > heal) {
            bail!("a workload item at {} comes after the chaos phase", late.at);
        }
        let mut trouble = Vec::new();
        for (nth, fault) in scenario.fault.iter().enumerate() {
            let part = planner.troubles(fault);
            trouble.extend(part.context(Place { list: "fault", nth })?);
        }
        if let Some(inbox) = scenario.inbox {
            ensure!(
                inbox.places > 0 && inbox.per_second > 0,
                "an inbox needs places, and somebody who empties it"
            );
        }
        let seeds = scenario
            .seeds
            .clone()
            .unwrap_or_else(|| (0..SEEDS.min(scenario.nodes)).collect());
        Ok(Self {
            name: scenario.name.clone(),
            about: scenario.about.clone(),
            waits_for: scenario.waits_for,
            seed: scenario.seed,
            hosts: scenario.nodes,
            boots: planner.boots(),
            seeds: planner.known(seeds)?,
            heal,
            end,
            settings: scenario.config,
            link: scenario.links.default,
            paths: planner.paths()?,
            clusters: planner.clusters()?,
            disk: scenario.disk,
            inbox: planner.inbox()?,
            images: trouble::images(&trouble),
            copies: trouble::copies(&trouble),
            reads: planner.reads()?,
            deadlines: planner.deadlines()?,
            sometimes: scenario.expect.sometimes.clone(),
            never: scenario.expect.never.clone(),
            budget: scenario.expect.budget,
            false_downs_max: scenario.expect.false_downs_max,
            rejoins_max: scenario.expect.rejoins_max,
            sick: planner.sick()?,
            core: planner.core()?,
            liars: trouble::liars(&trouble),
            ops,
            trouble,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"
        name = "base"
        about = "Four nodes."
        nodes = 4
        groups = { left = [0, 1], right = [2, 3] }
        phases = { chaos = "10s", quiet = "5s" }
        [expect]
        eventually = { E1 = "5s" }
    "#;

    fn plan(more: &str) -> Result<Plan> {
        Plan::new(&Scenario::parse(&format!("{BASE}\n{more}"), &[])?)
    }

    #[test]
    fn a_cut_between_groups_names_every_directed_link_once() {
        let cut = |way| {
            let fault = format!(
                "[[fault]]\nkind = \"cut\"\nat = \"1s\"\nbetween = [\"left\", \"right\"]\nway = \"{way}\""
            );
            match &plan(&fault).unwrap().trouble[0].what {
                What::Cut(links, lanes) => (links.clone(), lanes.len()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(cut("both").0.len(), 8);
        assert_eq!(cut("a-to-b").0, [(0, 2), (0, 3), (1, 2), (1, 3)]);
        assert_eq!(cut("b-to-a").0, [(2, 0), (2, 1), (3, 0), (3, 1)]);
    }

    #[test]
    fn a_fault_without_an_end_ends_with_the_chaos_phase() {
        let plan = plan("[[fault]]\nkind = \"pause\"\nat = \"1s\"\nnode = \"all\"").unwrap();
        assert_eq!(plan.trouble[0].until, plan.heal);
    }

    #[test]
    fn contradictions_are_refused() {
        for (more, mentions) in [
            (
                "[[fault]]\nkind = \"pause\"\nat = \"1s\"\nnode = 4",
                "no host 4",
            ),
            (
                "[[fault]]\nkind = \"pause\"\nat = \"1s\"\nnode = \"top\"",
                "no group \"top\"",
            ),
            (
                "[[fault]]\nkind = \"pause\"\nat = \"1s\"\nnode = \"rigth\"",
                "did you mean \"right\"?",
            ),
            (
                "[[fault]]\nkind = \"pause\"\nat = \"11s\"\nnode = 0",
                "after the chaos",
            ),
            (
                "[[fault]]\nkind = \"pause\"\nat = \"9s\"\nfor = \"2s\"\nnode = 0",
                "longer",
            ),
            (
                "[[fault]]\nkind = \"crash\"\nat = \"1s\"\nnode = 0\nrestart = { after = \"1s\", disk = \"rolled-back\" }",
                "image",
            ),
            (
                "[[fault]]\nkind = \"crash\"\nat = \"1s\"\nnode = 0\nrestart = { after = \"1s\", cluster = \"second\" }",
                "lost",
            ),
            (
                "[[fault]]\nkind = \"lie\"\nat = \"1s\"\nnode = 0\nabout = \"foreign-records\"\nof = 0",
                "about itself",
            ),
            (
                "[[fault]]\nkind = \"pause\"\nat = \"1s\"\nfor = \"ever\"\nnode = 0",
                "`core`",
            ),
            (
                "[[workload]]\nkind = \"deregister\"\nat = \"12s\"\nvia = 0\nid = \"a\"",
                "after the chaos",
            ),
        ] {
            let error = format!("{:#}", plan(more).unwrap_err());
            assert!(error.contains(mentions), "{more}: {error}");
        }
    }
}
