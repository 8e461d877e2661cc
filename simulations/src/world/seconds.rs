//! What is judged once a second, and what a run has cost.

use std::time::Duration;

use super::{Event, Step, World, liar};
use crate::{check::Told, figures::Figures};

/// Every so many seconds one host is looked at closely.
const CLOSER: usize = 5;

impl World {
    /// What is looked at once a second.
    pub(super) fn second(&mut self) -> Step {
        self.trace.second();
        self.checks.traffic_mut().second();
        self.heap
            .push(self.now + Duration::from_secs(1), Event::Second);
        self.checks
            .equal_fingerprints_mean_equal_content(self.now, &self.hosts)?;
        self.checks.lies_are_put_right(self.now)?;
        self.checks.liars_cost_little(self.now, &self.hosts)?;
        self.checks
            .everybody_goes_on_calling(self.now, &self.hosts)?;
        self.look_closely()?;
        self.every_yield_ends()?;
        self.checks
            .every_call_is_answered(self.now, &self.hosts, self.plan.disk.max.get())
    }

    /// Judges what is dear to judge: of all hosts what is cheap, of one host in turn the rest.
    fn look_closely(&mut self) -> Step {
        for (host, state) in self.hosts.iter().enumerate() {
            let sessions = self.sessions.opened_by(host);
            self.checks.holds_little(self.now, host, state, sessions)?;
        }
        let seconds = self.trace.digests().len();
        self.checks
            .merging_is_lawful(self.now, seconds, &self.hosts, liar::id_of)?;
        if !seconds.is_multiple_of(CLOSER) {
            return Ok(());
        }
        let turn = seconds / CLOSER;
        let host = turn % self.hosts.len();
        let state = &self.hosts[host];
        self.checks.holds_small_feeds(self.now, host, state)?;
        self.checks.followers_see_it_all(self.now, host, state)
    }

    /// What the run has cost so far.
    pub(super) fn figures(&self, events: u64) -> Figures {
        let traffic = self.checks.traffic();
        let (repair_bytes, lacking_bytes) = traffic.repair();
        let running = self.hosts.iter().filter(|host| host.is_up()).count() as u64;
        Figures {
            staleness: self.checks.staleness(),
            steady_bytes: traffic.steady() / running.max(1),
            storm: traffic.storm(),
            repair_bytes,
            lacking_bytes,
            sessions: traffic.sessions(),
            told: Told::of(&self.hosts),
            events_per_delivery: events as f64 / self.checks.delivered().max(1) as f64,
        }
    }
}
