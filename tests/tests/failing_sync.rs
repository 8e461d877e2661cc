//! A disk whose syncs fail under a running agent, or that turns read-only: what is in doubt is
//! refused and given up, nothing that was acknowledged is lost, not even to a power failure that
//! follows, and the agent goes on by itself once the disk is well.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tidings_tests::{
    agent::Agent,
    calls::Calls,
    cluster,
    faults::{Disk, Fault, Outcome, Strikes},
    figures::Figures,
    ledger::{Ledger, WHOLE_WITHIN},
    reads::Reads,
    stage::{Needs, Stage, story},
    stats::{Spans, measured, times},
    wait::{self, ensure},
};

/// A disk that is well again is used again in this time.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);
/// A fault shows in an answer in this time.
const REFUSED_WITHIN: Duration = Duration::from_secs(2);
/// How long a fault that stays is looked at.
const LOOK: Duration = Duration::from_secs(3);

#[test]
fn a_sync_that_fails_once_is_got_over_and_nothing_acknowledged_is_lost() {
    let name = "a_sync_that_fails_once_is_got_over_and_nothing_acknowledged_is_lost";
    story(name, Needs::Nothing, |stage| {
        let mut sick = Sick::start(stage, 3);
        for _ in 0..times(10, 2) {
            for outcome in [Outcome::Kept, Outcome::Lost, Outcome::Undone] {
                let refusal = sick.fall_ill(Fault::Sync(outcome, Strikes::Once));
                assert!(refusal.contains("Input/output error"), "{refusal}");
                sick.recover();
                sick.lose_power();
            }
        }
        sick.report("a sync that failed once");
    });
}

#[test]
fn a_disk_whose_syncs_fail_for_a_while_refuses_writes_and_is_used_again() {
    let name = "a_disk_whose_syncs_fail_for_a_while_refuses_writes_and_is_used_again";
    story(name, Needs::Nothing, |stage| {
        let mut sick = Sick::start(stage, 3);
        for _ in 0..times(5, 1) {
            for outcome in [Outcome::Kept, Outcome::Lost, Outcome::Undone] {
                sick.fall_ill(Fault::Sync(outcome, Strikes::Each));
                sick.stay_ill("check that disk");
                sick.recover();
                sick.lose_power();
            }
        }
        sick.report("syncs that failed for a while");
    });
}

#[test]
fn a_disk_that_turns_read_only_refuses_writes_and_is_used_again() {
    let name = "a_disk_that_turns_read_only_refuses_writes_and_is_used_again";
    story(name, Needs::Nothing, |stage| {
        let mut sick = Sick::start(stage, 3);
        for _ in 0..times(10, 3) {
            sick.fall_ill(Fault::ReadOnly);
            sick.stay_ill("make it writable");
            sick.recover();
            sick.lose_power();
        }
        sick.report("a read-only disk");
    });
}

#[test]
fn an_agent_without_peers_loses_nothing_acknowledged_to_a_failed_sync() {
    let name = "an_agent_without_peers_loses_nothing_acknowledged_to_a_failed_sync";
    story(name, Needs::Nothing, |stage| {
        let mut sick = Sick::start(stage, 1);
        // Enough that pages of the store split in a batch that fails: then the batches after it rest
        // on pages that only it wrote.
        // Two runs each; above 256 the node has to stay up for a while before it writes again.
        for _ in 0..40 {
            for outcome in [Outcome::Kept, Outcome::Lost, Outcome::Undone] {
                sick.fall_ill(Fault::Sync(outcome, Strikes::Once));
                sick.recover();
                sick.lose_power();
            }
        }
        sick.report("a sync that failed once, without peers");
    });
}

/// Agents of which the first has a sick disk, and what its clients were told.
struct Sick {
    agents: Vec<Agent>,
    disk: Disk,
    calls: Calls,
    /// Of a cluster of three.
    ledger: Option<Ledger>,
    reads: Option<Reads>,
    /// When the disk was well again.
    well_since: Instant,
    taken: Spans,
    read: Spans,
}

impl Sick {
    fn start(stage: &Stage, count: usize) -> Self {
        let mut specs = cluster::specs(stage, count);
        let disk = Disk::under(stage, &mut specs[0]);
        let mut agents = cluster::start(specs);
        for text in EXPECTED {
            agents[0].expect_error(text);
        }
        let ledger = (count == 3).then(|| Ledger::fill(&agents));
        let mut calls = Calls::default();
        for _ in 0..20 {
            calls.register(&agents[0]).expect("the disk is well");
        }
        Self {
            agents,
            disk,
            calls,
            ledger,
            reads: None,
            well_since: Instant::now(),
            taken: Spans::new(),
            read: Spans::new(),
        }
    }

    /// Lets the disk have `fault` and returns the first refusal.
    fn fall_ill(&mut self, fault: Fault) -> String {
        self.reads = Some(Reads::of(&self.agents[0], tidings_tests::calls::SERVICE));
        let struck = self.disk.strikes();
        self.disk.set(fault);
        let (agents, calls) = (&self.agents, &mut self.calls);
        let (refusal, _) = wait::until("a write is refused", REFUSED_WITHIN, || {
            match calls.register(&agents[0]) {
                Ok(()) => Err("it is taken".to_owned()),
                Err(refusal) => Ok(refusal),
            }
        });
        self.well_since = Instant::now();
        assert!(self.disk.strikes() > struck, "the disk was well");
        assert!(refusal.contains("500: "), "{refusal}");
        assert!(refusal.contains("feed.redb"), "{refusal}");
        refusal
    }

    /// Looks at a fault that stays; each refusal says what to do.
    fn stay_ill(&mut self, advice: &str) {
        let (agents, calls) = (&self.agents, &mut self.calls);
        let end = Instant::now() + LOOK;
        wait::throughout("writes are refused with the reason", end, || {
            let Err(refusal) = calls.register(&agents[0]) else {
                return Err("one is taken".to_owned());
            };
            ensure(refusal.contains(advice), || refusal)?;
            agents.iter().try_for_each(|agent| {
                let status = agent.status()?;
                status.ensure_reaches(agents.len(), agents.len())
            })
        });
        let figures = Figures::of(&agents[0]).expect("it answers");
        assert!(figures.count("tidings_node_batches_failed_total") > 0);
        self.disk.set(Fault::None);
        self.well_since = Instant::now();
    }

    /// The disk is well: the agent writes again by itself, and all agree.
    fn recover(&mut self) {
        let (agents, calls) = (&self.agents, &mut self.calls);
        let taken = wait::since(self.well_since, "writes are taken", TAKEN_WITHIN, || {
            calls.register(&agents[0])
        });
        self.taken.push(taken.1);
        // A new process counts anew how often a fault has struck.
        self.disk.set(Fault::None);
        let read = self.reads.take().expect("it fell ill").end();
        self.read.push(read.slowest);
        let log = self.agents[0].log();
        assert!(log.contains("the disk takes changes again"), "{log}");
        self.ensure_whole();
    }

    /// Kills the agent, lets the disk forget what never got there, and starts the agent again.
    fn lose_power(&mut self) {
        let before = self.agents[0].status().expect("it answers");
        self.agents[0].kill();
        self.disk.lose_power();
        self.agents[0].restart();
        self.ensure_whole();
        let after = self.agents[0].status().expect("it answers");
        assert_eq!(after.node_id, before.node_id);
        assert!(after.epoch > before.epoch, "no dot is used twice");
        // Replicas may have to be fetched again; nothing of the own feed may have to.
        let log = self.agents[0].log();
        for lost in ["is damaged", "are gone", "was dropped"] {
            let mut lines = log.lines().filter(|line| line.contains("feed.redb"));
            assert!(!lines.any(|line| line.contains(lost)), "{log}");
        }
        for agent in &self.agents {
            let figures = Figures::of(agent).expect("it answers");
            assert_eq!(figures.count("tidings_node_alarms_total"), 0);
        }
    }

    fn ensure_whole(&self) {
        let count = self.agents.len();
        wait::until("what was acknowledged is served", WHOLE_WITHIN, || {
            let mut prints = BTreeSet::new();
            for agent in &self.agents {
                self.calls.ensure_served(agent)?;
                let status = agent.status()?;
                status.ensure_reaches(count, count)?;
                prints.insert(status.fingerprint);
            }
            ensure(prints.len() == 1, || format!("{prints:?} differ"))
        });
        if let Some(ledger) = &self.ledger {
            ledger.wait_until_whole(&self.agents, Instant::now());
        }
    }

    fn report(mut self, what: &str) {
        if let Some(ledger) = &mut self.ledger {
            ledger.go_on(&self.agents);
        }
        self.ensure_whole();
        self.taken.report(
            &format!("writes are taken again after {what}"),
            TAKEN_WITHIN,
        );
        measured(&format!(
            "{what}: acknowledged={} refused={} strikes={} slowest read={:?}",
            self.calls.kept(),
            self.calls.refused(),
            self.disk.strikes(),
            self.read.slowest(),
        ));
    }
}

/// What an agent with a sick disk has to say of it.
const EXPECTED: [&str; 5] = [
    "the disk refused a change",
    "no new epoch could be taken",
    "could not be written",
    "is on a disk that is read-only",
    "a change before this one could not be saved",
];
