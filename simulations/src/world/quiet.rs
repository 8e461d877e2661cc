//! The quiet phase: everything is healed, nothing happens, and what must come eventually comes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidings_types::Timestamp;

use super::{Event, LOOK, Step, World};
use crate::{
    check::{
        LockStep, Violation, agree, answers_without_the_dead, disagreement, sees_its_cluster,
        suspicion, talk, too_many,
    },
    figures::Figures,
    link::Latency,
    plan::Query,
    report::Verdict,
    scenario::EventName,
};

/// How long agents may differ after they should agree: the owner of a feed tidies it when it can be
/// sure that nobody holds more, and that has to reach the others as any change does.
pub(crate) const SPREADS: Duration = Duration::from_secs(5);

/// What has been seen of the quiet phase.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    begun: bool,
    /// The last look at which the running agents differed.
    differed: Option<Timestamp>,
    /// Since when they do, if they do.
    differ_since: Option<Timestamp>,
    /// The invariants whose deadline has come, and that held then.
    judged: BTreeSet<&'static str>,
    /// Whether all have seen their cluster as it is, shortly before the run ends.
    seen_at_last: bool,
    /// How much had been said about records when silence was due.
    said: Option<u64>,
    nobody: bool,
    lock_step: LockStep,
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
        self.lock_step.timer(now, host);
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
        self.checks.traffic_mut().healed(&self.hosts);
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
            let since = *self.quiet.differ_since.get_or_insert(self.now);
            let is_due = deadlines
                .E1
                .is_some_and(|deadline| passed >= deadline.get());
            let came_late = since.since(self.plan.heal) > LOOK && self.now.since(since) < SPREADS;
            if is_due && !came_late {
                let text = format!(
                    "{passed:?} after the heal the agents still differ; {}",
                    disagreement(core, &self.hosts)
                );
                return Err(self.eventually("E1", None, text));
            }
        } else {
            self.quiet.differ_since = None;
        }
        for (invariant, deadline) in deadlines.later() {
            let late = deadline.and_then(|deadline| passed.checked_sub(deadline.get()));
            if let Some(late) = late
                && !self.quiet.judged.contains(invariant)
            {
                match self.judge(invariant) {
                    Ok(()) => self.quiet.judged.insert(invariant),
                    // Over links that lose much, one is taken for dead now and then, and refutes it.
                    Err(_) if invariant == "E3" && late < SPREADS => continue,
                    Err(violation) => return Err(violation),
                };
            }
        }
        if !self.quiet.seen_at_last && self.now + SPREADS >= self.plan.end {
            self.quiet.seen_at_last = self.judge("E3").is_ok();
        }
        Ok(())
    }

    /// Judges an invariant whose deadline has come.
    fn judge(&mut self, invariant: &'static str) -> Step {
        for core in self.cores() {
            let hosts = &self.hosts;
            let judged = match invariant {
                "E2" => self.checks.nothing_is_lost(&core, hosts),
                "E3" => sees_its_cluster(&core, self.plan.core.is_some(), hosts),
                "E4" => answers_without_the_dead(&core, hosts),
                _ => suspicion(&core, hosts).map_or(Ok(()), Err),
            };
            judged.map_err(|(host, text)| self.eventually(invariant, Some(host), text))?;
        }
        if invariant == "E5" {
            self.judge_silence()?;
        }
        Ok(())
    }

    /// E5: nothing was said about records since silence was due.
    fn judge_silence(&mut self) -> Step {
        let cores = self.cores();
        let said = cores.iter().map(|core| talk(core, &self.hosts)).sum();
        match self.quiet.said.replace(said) {
            Some(before) if before != said => {
                let text = format!(
                    "{} rumors, pulls and lists of heads went out after silence was due",
                    said - before
                );
                Err(self.eventually("E5", None, text))
            }
            _ => Ok(()),
        }
    }

    /// Judges once more what must still hold when the run ends, and which events there were.
    pub(super) fn judge_end(&mut self, figures: &Figures) -> Step {
        if let Some((invariant, text)) = self.plan.budget.exceeded(figures) {
            return Err(self.eventually(invariant, None, text));
        }
        let passed = self.now.since(self.plan.heal);
        for (invariant, deadline) in self.plan.deadlines.later() {
            let is_due = deadline.is_some_and(|deadline| passed >= deadline.get());
            if is_due && !(invariant == "E3" && self.quiet.seen_at_last) {
                self.judge(invariant)?;
            }
        }
        for (host, state) in self.hosts.iter().enumerate() {
            self.checks.followers_see_it_all(self.now, host, state)?;
        }
        let times = |name: &EventName| self.checks.seen(*name);
        if let Some(name) = self.plan.sometimes.iter().find(|name| times(name) == 0) {
            return Err(self.eventually("sometimes", None, format!("{name:?} never happened")));
        }
        if let Some(name) = self.plan.never.iter().find(|name| times(name) > 0) {
            let text = format!("{name:?} happened {} times", times(name));
            return Err(self.eventually("never", None, text));
        }
        let downs = (self.checks.false_downs(), self.plan.false_downs_max);
        let judged = too_many(downs, (self.rejoins(), self.plan.rejoins_max));
        judged.map_err(|text| self.eventually("B2", None, text))?;
        self.judge_jitter()
    }

    /// Timers of different hosts drift apart, so that they never send all at once.
    fn judge_jitter(&self) -> Step {
        // Where packets take all the same time, what everybody hears at once sets everybody's timers.
        let is_even = matches!(self.plan.link.latency, Latency::Const { .. });
        if self.plan.settings.jitter == Some(false) || is_even {
            return Ok(());
        }
        let quiet = self.plan.end.since(self.plan.heal);
        let judged = self.quiet.lock_step.is_kept_off(quiet, self.hosts.len());
        judged.map_err(|text| self.eventually("B3", None, text))
    }

    /// What is not over at this moment, in words.
    pub(super) fn pending(&self) -> Option<String> {
        let mut pending = Vec::new();
        for core in self.cores() {
            if !agree(&core, &self.hosts) {
                let differ = disagreement(&core, &self.hosts);
                pending.push(format!("agents differ, {differ}"));
            }
            if let Some((host, text)) = suspicion(&core, &self.hosts) {
                pending.push(format!("n{host}: {text}"));
            }
            for &host in &core {
                let calls = self.hosts[host].open.len();
                if calls > 0 {
                    pending.push(format!("n{host} has {calls} calls to answer"));
                }
                let asks = self.sessions.opened_by(host);
                if asks > 0 {
                    pending.push(format!("n{host} waits for {asks} peers"));
                }
            }
        }
        (!pending.is_empty()).then(|| pending.join("; "))
    }

    /// How often the healthy nodes that run had to take a new membership identity.
    pub(super) fn rejoins(&self) -> u64 {
        let healthy = self.hosts.iter().enumerate();
        let healthy = healthy.filter(|(host, _)| !self.plan.sick.contains(host));
        let nodes = healthy.filter_map(|(_, host)| host.node.as_ref());
        nodes.map(|node| node.membership_counters().rejoins).sum()
    }

    /// The hosts whose process is there and goes, and whose driver is honest: of each cluster that
    /// has some, and of those that the scenario judges.
    fn cores(&self) -> Vec<Vec<usize>> {
        let mut cores = BTreeMap::<_, Vec<usize>>::new();
        for (host, state) in self.hosts.iter().enumerate() {
            let core = self.plan.core.as_ref();
            let is_judged = core.is_none_or(|core| core.contains(&host));
            if is_judged && state.is_running() && !self.plan.liars.contains(&host) {
                cores.entry(state.cluster).or_default().push(host);
            }
        }
        cores.into_values().collect()
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
