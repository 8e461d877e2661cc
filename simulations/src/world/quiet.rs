//! The quiet phase: everything is healed, nothing happens, and what must come eventually comes.

use std::{collections::BTreeMap, time::Duration};

use tidings_types::Timestamp;

use super::{Event, LOOK, Step, World};
use crate::{
    check::{Violation, agree, disagreement, sees_its_cluster},
    plan::Query,
    report::Verdict,
    scenario::EventName,
};

/// What has been seen of the quiet phase.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    begun: bool,
    /// The last look at which the running agents differed.
    differed: Option<Timestamp>,
    /// Deadlines that have been judged: E2, E3.
    judged: [bool; 2],
    nobody: bool,
    /// The last timer that went off, and at whom.
    last_timer: Option<(Timestamp, usize)>,
    /// How often timers of two hosts went off in the same microsecond.
    in_step: u64,
}

impl Quiet {
    /// From the heal until the running agents held the same for good; `None` if they never did.
    pub(super) fn converged(&self, heal: Timestamp) -> Option<Duration> {
        self.begun.then(|| {
            self.differed
                .map_or(Duration::ZERO, |at| at.since(heal) + LOOK)
        })
    }

    /// A timer of `host` goes off.
    pub(super) fn timer(&mut self, now: Timestamp, host: usize) {
        if !self.begun {
            return;
        }
        let last = self.last_timer.replace((now, host));
        self.in_step += u64::from(last.is_some_and(|(at, who)| at == now && who != host));
    }

    pub(super) fn verdict(&self) -> Verdict {
        if self.nobody || !self.begun {
            Verdict::Undecided("no agent ran in the quiet phase".to_owned())
        } else {
            Verdict::Pass
        }
    }
}

impl World {
    /// Nothing goes wrong from here on.
    pub(super) fn heal(&mut self) -> Step {
        self.trace.log(self.now, None, || {
            "heals: nothing goes wrong from here on".to_owned()
        });
        self.quiet.begun = true;
        self.heap.push(self.now, Event::Look);
        Ok(())
    }

    /// Looks whether the running agents hold the same, and judges the deadlines that have come.
    pub(super) fn look(&mut self) -> Step {
        self.heap.push(self.now + LOOK, Event::Look);
        let cores = self.cores();
        self.quiet.nobody = cores.is_empty();
        let passed = self.now.since(self.plan.heal);
        let deadlines = self.plan.deadlines;
        let apart = cores.iter().find(|core| !agree(core, &self.hosts));
        if let Some(core) = apart {
            self.quiet.differed = Some(self.now);
            if deadlines
                .E1
                .is_some_and(|deadline| passed >= deadline.get())
            {
                let text = format!(
                    "{passed:?} after the heal the agents still differ; {}",
                    disagreement(core, &self.hosts)
                );
                return Err(self.eventually("E1", None, text));
            }
        }
        let due = |deadline: Option<crate::span::Span>| deadline.is_some_and(|d| passed >= d.get());
        if due(deadlines.E2) && !self.quiet.judged[0] {
            self.quiet.judged[0] = true;
            self.judge_survival()?;
        }
        if due(deadlines.E3) && !self.quiet.judged[1] {
            self.quiet.judged[1] = true;
            self.judge_membership()?;
        }
        Ok(())
    }

    /// Judges once more what must still hold when the run ends, and which events there were.
    pub(super) fn judge_end(&self) -> Step {
        if self.quiet.judged[0] {
            self.judge_survival()?;
        }
        if self.quiet.judged[1] {
            self.judge_membership()?;
        }
        let times = |name: &EventName| self.checks.seen(*name);
        if let Some(name) = self.plan.sometimes.iter().find(|name| times(name) == 0) {
            return Err(self.eventually("sometimes", None, format!("{name:?} never happened")));
        }
        if let Some(name) = self.plan.never.iter().find(|name| times(name) > 0) {
            let text = format!("{name:?} happened {} times", times(name));
            return Err(self.eventually("never", None, text));
        }
        for (count, max, what) in [
            (
                self.checks.false_downs(),
                self.plan.false_downs_max,
                "called down",
            ),
            (self.rejoins(), self.plan.rejoins_max, "made to rejoin"),
        ] {
            if max.is_some_and(|max| count > max) {
                let text = format!("healthy nodes were {what} {count} times");
                return Err(self.eventually("B2", None, text));
            }
        }
        self.judge_jitter()
    }

    /// Timers of different hosts drift apart, so that they never send all at once.
    fn judge_jitter(&self) -> Step {
        let quiet = self.plan.end.since(self.plan.heal).as_secs();
        let in_step = self.quiet.in_step;
        if self.plan.settings.jitter != Some(false) && in_step > quiet {
            let text = format!(
                "timers of two hosts went off in the same microsecond {in_step} times in {quiet} s"
            );
            return Err(self.eventually("B3", None, text));
        }
        Ok(())
    }

    /// How often the healthy nodes that run had to take a new membership identity.
    pub(super) fn rejoins(&self) -> u64 {
        let healthy = self.hosts.iter().enumerate();
        let healthy = healthy.filter(|(host, _)| !self.plan.sick.contains(host));
        let nodes = healthy.filter_map(|(_, host)| host.node.as_ref());
        nodes.map(|node| node.membership_counters().rejoins).sum()
    }

    /// The hosts whose process is there and goes, and whose driver is honest: of each cluster that
    /// has some.
    fn cores(&self) -> Vec<Vec<usize>> {
        let mut cores = BTreeMap::<_, Vec<usize>>::new();
        for (host, state) in self.hosts.iter().enumerate() {
            if state.is_running() && !self.plan.liars.contains(&host) {
                cores.entry(state.cluster).or_default().push(host);
            }
        }
        cores.into_values().collect()
    }

    fn judge_survival(&self) -> Step {
        for core in self.cores() {
            self.checks
                .nothing_is_lost(&core, &self.hosts)
                .map_err(|(host, text)| self.eventually("E2", Some(host), text))?;
        }
        Ok(())
    }

    fn judge_membership(&self) -> Step {
        for core in self.cores() {
            sees_its_cluster(&core, &self.hosts)
                .map_err(|(host, text)| self.eventually("E3", Some(host), text))?;
        }
        Ok(())
    }

    /// Asks a query whose answer the scenario knows.
    pub(super) fn query(&self, nth: usize) -> Step {
        let query = &self.plan.reads[nth];
        for &host in &query.on {
            if !self.hosts[host].is_running() {
                return Err(self.violation("A9", host, "it is not there to be asked".to_owned()));
            }
            if let Err(text) = self.answer_fits(host, query) {
                return Err(self.violation("reads", host, text));
            }
        }
        Ok(())
    }

    fn answer_fits(&self, host: usize, query: &Query) -> Result<(), String> {
        let state = &self.hosts[host];
        let served = state.reads.serve(state.me(), &query.service);
        let mut ports: Vec<u16> = served.iter().map(|instance| instance.port).collect();
        ports.sort_unstable();
        let stale = served.iter().filter(|instance| instance.stale).count();
        let conflicts = served.iter().filter(|instance| instance.conflicts).count();
        let island = state.reads.roster().island;
        let fits = ports == query.ports
            && query.stale.is_none_or(|wanted| wanted == stale)
            && query.conflicts.is_none_or(|wanted| wanted == conflicts)
            && query.island.is_none_or(|wanted| wanted == island);
        if fits {
            return Ok(());
        }
        Err(format!(
            "{} is answered with ports {ports:?}, {stale} stale, {conflicts} in conflict, island {island}; \
             expected ports {:?}, stale {:?}, conflicts {:?}, island {:?}",
            query.service, query.ports, query.stale, query.conflicts, query.island
        ))
    }

    fn eventually(&self, invariant: &'static str, host: Option<usize>, text: String) -> Violation {
        Violation {
            invariant,
            at: self.now,
            host,
            text,
        }
    }
}
