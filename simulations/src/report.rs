//! What came of a run, in one line for people and in JSON for programs.

use std::{collections::BTreeMap, fmt::Write, path::Path, time::Duration};

use crate::{
    Mutant, Scenario, check::Violation, commit, figures::Figures, mechanism::Mechanism, trace::Step,
};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The scenario.
    pub name: String,
    /// The seed that it ran with.
    pub seed: u64,
    /// The guard that was taken away.
    pub mutant: Mutant,
    /// How many hosts there were.
    pub hosts: usize,
    /// How long it was for those inside.
    pub virtual_time: Duration,
    /// How many events there were.
    pub events: u64,
    /// How many datagrams and frames of sessions nodes were handed.
    pub messages: u64,
    /// From the heal until all running agents held the same for good.
    pub converged: Option<Duration>,
    /// How often a healthy, connected node was called down.
    pub false_downs: u64,
    /// How often running nodes had to rejoin under a new identity.
    pub rejoins: u64,
    /// What it cost.
    pub figures: Figures,
    /// What was not over when it ended, in words.
    pub pending: Option<String>,
    /// How often each event and rare state was met; those that were not are there with 0.
    pub probes: BTreeMap<&'static str, u64>,
    /// Whether it passed.
    pub verdict: Verdict,
    /// The trace's hash.
    pub hash: u64,
    /// The trace's hash at the end of each second.
    pub digests: Vec<u64>,
    /// The events of the second that was watched.
    pub steps: Vec<Step>,
}

/// Whether a run passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every invariant and expectation held.
    Pass,
    /// One did not.
    Broken(Violation),
    /// Nothing can be said, for this reason.
    Undecided(String),
    /// It was not run: the core is yet to have a mechanism that it needs.
    Waiting(Mechanism),
}

impl Verdict {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Broken(_) => "FAIL",
            Self::Undecided(_) => "UNDECIDED",
            Self::Waiting(_) => "waiting",
        }
    }

    /// The exit code of a program that ran it.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Pass | Self::Waiting(_) => 0,
            Self::Broken(_) => 1,
            Self::Undecided(_) => 2,
        }
    }
}

impl Report {
    /// Nothing can be said of `scenario`, for this reason.
    pub fn undecided(scenario: &Scenario, reason: String) -> Self {
        Self {
            name: scenario.name.clone(),
            seed: scenario.seed,
            mutant: Mutant::None,
            hosts: scenario.nodes,
            virtual_time: Duration::ZERO,
            events: 0,
            messages: 0,
            converged: None,
            false_downs: 0,
            rejoins: 0,
            figures: Figures::default(),
            pending: None,
            probes: BTreeMap::new(),
            verdict: Verdict::Undecided(reason),
            hash: 0,
            digests: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// One line.
    pub fn line(&self) -> String {
        if let Verdict::Waiting(mechanism) = &self.verdict {
            return format!("waiting   {:<32} for {mechanism}", self.name);
        }
        let converged = self
            .converged
            .map_or_else(|| "-".to_owned(), |span| format!("{span:?}"));
        format!(
            "{:<9} {:<32} seed {:<6} {:>3} nodes {:>9.1} s {:>10} events  converged in {:<9} trace {:016x}",
            self.verdict.as_str(),
            self.name,
            self.seed,
            self.hosts,
            self.virtual_time.as_secs_f64(),
            self.events,
            converged,
            self.hash,
        )
    }

    /// Why it did not pass, and how to see it again; `None` if it passed.
    pub fn failure(&self, file: &Path, settings: &[String]) -> Option<String> {
        let reason = match &self.verdict {
            Verdict::Pass | Verdict::Waiting(_) => return None,
            Verdict::Broken(violation) => violation.to_string(),
            Verdict::Undecided(reason) => reason.clone(),
        };
        let pending = self.pending.as_deref();
        let pending = pending.map_or_else(String::new, |what| format!("\n  pending: {what}"));
        let features = match self.mutant {
            Mutant::None => "",
            _ => " --features mutants",
        };
        let mut text = format!(
            "  {reason}{pending}\n  replay: cargo run --release -p tidings-sim{features} -- replay"
        );
        write!(text, " {} --seed {}", file.display(), self.seed)
            .expect("a string takes every text");
        for setting in settings {
            write!(text, " --set {setting}").expect("a string takes every text");
        }
        if self.mutant != Mutant::None {
            write!(text, " --mutant {}", self.mutant.name()).expect("a string takes every text");
        }
        write!(text, "\n  {}", commit::describe()).expect("a string takes every text");
        Some(text)
    }

    /// For programs. The digests of each second only if `digests`.
    pub fn json(&self, digests: bool) -> serde_json::Value {
        let hex = |hash: &u64| format!("{hash:016x}");
        let step = |step: &Step| {
            serde_json::json!({
                "micros": step.at.as_micros(),
                "seq": step.seq,
                "host": step.host,
                "kind": step.kind,
                "digest": hex(&step.digest),
            })
        };
        let violation = match &self.verdict {
            Verdict::Broken(violation) => Some(violation),
            _ => None,
        };
        let waits_for = match self.verdict {
            Verdict::Waiting(mechanism) => Some(mechanism.as_str()),
            _ => None,
        };
        serde_json::json!({
            "name": self.name,
            "seed": self.seed,
            "nodes": self.hosts,
            "virtual_seconds": self.virtual_time.as_secs_f64(),
            "events": self.events,
            "messages": self.messages,
            "converged_seconds": self.converged.map(|span| span.as_secs_f64()),
            "false_downs": self.false_downs,
            "rejoins": self.rejoins,
            "probes": self.probes,
            "figures": self.figures.json(),
            "pending": self.pending,
            "verdict": self.verdict.as_str(),
            "waits_for": waits_for,
            "invariant": violation.map(|violation| violation.invariant),
            "reason": violation.map(ToString::to_string),
            "trace": hex(&self.hash),
            "digests": digests.then(|| self.digests.iter().map(hex).collect::<Vec<_>>()),
            "steps": (!self.steps.is_empty()).then(|| self.steps.iter().map(step).collect::<Vec<_>>()),
        })
    }
}
