//! Guard: a node that has reason to doubt itself accuses nobody.
//!
//! A node that is deaf, mute, paused or overloaded finds everybody else dead, and SWIM lets it say so:
//! five deaf nodes of a hundred make each healthy one rejoin. So the verdict on a suspect has two
//! parts. This node itself takes the suspect for down when the suspicion's time is over, since its own
//! readers must not be sent to the dead. Others are told only if the node may trust itself: somebody
//! else answered a probe since the suspicion began, and few of the members probed lately did not.
//! Until then the node is *in doubt* and holds its verdicts; the suspects are probed on and may
//! refute. The doubt ends when probes are answered again or suspects show that they live. What was
//! found during it counts for nothing then: a suspect is accused only if it fails a probe again. Nor
//! does what was found while this node heard nobody: a suspect's time counts from when it hears again.
//!
//! The second measure is Lifeguard's multiplier (Dadgar, Phillips, Currey, "Lifeguard: Local Health
//! Awareness for More Accurate Failure Detection", 2018): the more a node has reason to take itself
//! for slow, the longer it waits for answers and the longer its suspects have. What counts: a stall,
//! and probes that fail one after another while other packets come. Being suspected does not: after a
//! split everybody was, and would be slow to notice the next one.

use std::{collections::VecDeque, time::Duration};

use foca::{Incarnation, Timer};
use tidings_types::{NodeId, Timestamp};

use crate::{
    MemberId, Membership, State,
    effects::Effects,
    timers::{Event, Slot},
};

/// Members whose last probe is remembered.
const OUTCOMES: usize = 10;
/// Percentage of them whose probes may fail before this node doubts itself; one may in any case.
const FAILED_PERCENT: usize = 30;
/// How often a held verdict is looked at again.
const HOLD: Duration = Duration::from_secs(1);
/// Probe periods without a packet that are silence. Of three members of which one is down each hears the
/// other in every period, by a ping or by a request to ping, and jitter makes that a little more.
const SILENCE: (u32, u32) = (7, 4);
/// How many suspicion times a suspect has whom only others accuse, before this node takes it for
/// down: the accuser's verdict and the suspect's answer both need to get here.
const HEARSAY: u32 = 2;

/// What this node's probes say of itself.
#[derive(Debug)]
pub(crate) struct LocalHealth {
    /// The last probe of each of the members probed last, the latest at the end.
    outcomes: VecDeque<Outcome>,
    /// Probes that failed one after another, of members that were not suspects.
    failed_in_a_row: u32,
    score: u32,
    /// Since when this node may trust itself; `None` while it is in doubt.
    sound_since: Option<Timestamp>,
    /// Since when packets have come without a long pause.
    hearing_since: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Outcome {
    node: NodeId,
    answered: Option<Timestamp>,
}

/// The probe under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probing {
    pub(crate) id: MemberId,
    began: Timestamp,
    answered: bool,
}

impl Default for LocalHealth {
    fn default() -> Self {
        Self {
            outcomes: VecDeque::new(),
            failed_in_a_row: 0,
            score: 0,
            sound_since: Some(Timestamp::ZERO),
            hearing_since: Timestamp::ZERO,
        }
    }
}

impl LocalHealth {
    /// How many times as long as usual this node waits.
    pub(crate) const fn factor(&self) -> u32 {
        self.score + 1
    }

    pub(crate) fn answered(&mut self, node: NodeId, now: Timestamp) {
        self.note(node, Some(now));
        self.failed_in_a_row = 0;
        self.score = self.score.saturating_sub(1);
    }

    /// A probe failed; `heard` tells whether anything came while it was under way.
    fn failed(&mut self, node: NodeId, heard: bool, score_max: u32) {
        self.note(node, None);
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        // One failure is the peer's fault, and silence is no sign of slowness.
        if self.failed_in_a_row > 1 && heard {
            self.worse(score_max);
        }
    }

    fn worse(&mut self, score_max: u32) {
        self.score = (self.score + 1).min(score_max);
    }

    fn note(&mut self, node: NodeId, answered: Option<Timestamp>) {
        self.outcomes.retain(|outcome| outcome.node != node);
        if self.outcomes.len() >= OUTCOMES {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back(Outcome { node, answered });
    }

    /// A member whose probe failed lives: the failure says nothing any more.
    fn forgive(&mut self, node: NodeId) {
        self.outcomes
            .retain(|outcome| outcome.node != node || outcome.answered.is_some());
    }

    /// Nothing speaks against this node any more.
    fn recover(&mut self, now: Timestamp) {
        self.sound_since = Some(now);
        self.score = 0;
        self.failed_in_a_row = 0;
    }

    /// Whether too many probes fail. `counts` tells whose say something: those of members that are
    /// taken for down already fail whatever the state of this node.
    fn is_poor(&self, counts: impl Fn(NodeId) -> bool) -> bool {
        let counted = self.outcomes.iter().filter(|outcome| counts(outcome.node));
        let (mut all, mut failed) = (0, 0);
        for outcome in counted {
            all += 1;
            failed += usize::from(outcome.answered.is_none());
        }
        failed > (all * FAILED_PERCENT / 100).max(1)
    }

    /// Whether nobody but `suspect` has answered a probe since then.
    fn is_silent(&self, suspect: NodeId, since: Timestamp) -> bool {
        let mut others = self.outcomes.iter().filter(|o| o.node != suspect);
        !others.any(|outcome| outcome.answered.is_some_and(|at| at >= since))
    }
}

impl Membership {
    /// How many times as long as usual this node waits for others, because it seems to be slow: 1 if
    /// it is well.
    pub const fn local_health(&self) -> u32 {
        self.health.factor()
    }

    /// Whether so little answers this node that the fault is likely its own.
    pub const fn is_in_doubt(&self) -> bool {
        self.health.sound_since.is_none()
    }

    /// Takes note of how probes ended during one call of foca. To be called before the member list
    /// is read: whoever was a suspect before says nothing of this node.
    pub(crate) fn note_probes(&mut self, now: Timestamp, effects: &Effects) {
        if let Some(answer) = effects.answered {
            self.note_answer(now, answer);
        }
        if let Some(failed) = effects.probe_failed {
            self.note_failure(now, failed);
        }
        if let Some(id) = effects.probing {
            self.counters.probes += 1;
            self.probing = Some(Probing {
                id,
                began: now,
                answered: false,
            });
        }
        self.last_sent_as = effects.sent_as.or(self.last_sent_as);
    }

    /// This process slept.
    pub(crate) fn note_slowness(&mut self) {
        self.health.worse(self.score_max());
    }

    fn note_answer(&mut self, now: Timestamp, answer: MemberId) {
        let Some(probing) = self.probing.as_mut().filter(|p| p.id == answer) else {
            return;
        };
        if std::mem::replace(&mut probing.answered, true) {
            return;
        }
        self.health.answered(answer.node, now);
        self.look_for_recovery(now);
    }

    /// Takes note of members that live after all: this node is heard, and hears.
    pub(crate) fn note_recovered(&mut self, now: Timestamp, nodes: &[NodeId]) {
        nodes.iter().for_each(|&node| self.health.forgive(node));
        if !nodes.is_empty() {
            self.look_for_recovery(now);
        }
    }

    fn look_for_recovery(&mut self, now: Timestamp) {
        if self.is_in_doubt() && !self.finds_many_dead() {
            self.health.recover(now);
            // Peers know better who is there.
            self.contact_due = true;
            self.note_change(now);
        }
    }

    fn note_failure(&mut self, now: Timestamp, failed: MemberId) {
        self.counters.probes_failed += 1;
        let began = self.probing.map_or(now, |probing| probing.began);
        let heard = self.last_accepted > began;
        let row = self.members.get(failed.node).filter(|row| row.id == failed);
        if row.is_some_and(|row| row.state == State::Alive) {
            self.health.failed(failed.node, heard, self.score_max());
        }
        self.members.failed(failed, began);
    }

    fn finds_many_dead(&self) -> bool {
        self.health.is_poor(|node| {
            let row = self.members.get(node);
            row.is_some_and(|row| !row.is_down())
        })
    }

    /// Whether the suspicion that is due has to wait: this node takes the suspect for down, but does
    /// not say so.
    pub(crate) fn holds_verdict(&mut self, now: Timestamp, timer: &Timer<MemberId>) -> bool {
        let Timer::ChangeSuspectToDown { member_id, .. } = timer else {
            return false;
        };
        let node = member_id.node;
        let row = self.members.get(node);
        let Some(&row) = row.filter(|row| row.state == State::Suspect) else {
            return false;
        };
        if !self.config.abstains() || self.may_accuse(now, node, row.since, row.failed) {
            return false;
        }
        self.counters.verdicts_held += u64::from(self.condemn(now, node));
        let again = now + self.jittered(HOLD);
        self.timers
            .set(Slot::Suspicion(node), again, Event::Foca(timer.clone()));
        true
    }

    /// A packet was accepted.
    pub(crate) fn note_accepted(&mut self, now: Timestamp) {
        if self.hears_nobody(now) {
            self.health.hearing_since = now;
        }
        self.last_accepted = now;
    }

    /// Whether nobody at all was heard for so long that a suspect's answer may have been missed too.
    fn hears_nobody(&self, now: Timestamp) -> bool {
        let silence = self.config.probe_period * self.health.factor() * SILENCE.0 / SILENCE.1;
        now.since(self.last_accepted) >= silence
    }

    fn may_accuse(
        &mut self,
        now: Timestamp,
        node: NodeId,
        since: Timestamp,
        failed: Option<Timestamp>,
    ) -> bool {
        if self.health.is_silent(node, since) || self.finds_many_dead() {
            if self.health.sound_since.take().is_some() {
                self.note_change(now);
            }
            return false;
        }
        let Some(sound) = self.health.sound_since else {
            return false;
        };
        if self.hears_nobody(now) {
            return false;
        }
        let time = self.pace.suspicion * self.health.factor();
        let sound = sound.max(self.health.hearing_since);
        failed.is_some_and(|at| at >= sound) && now.since(since.max(sound)) >= time
    }

    /// Gives a suspect its time, whoever suspects it.
    pub(crate) fn doubt(&mut self, now: Timestamp, id: MemberId, incarnation: Incarnation) {
        let due = now + self.pace.suspicion * HEARSAY;
        let event = Event::Doubt(id, incarnation);
        self.timers.set(Slot::Doubt(id.node), due, event);
    }

    /// Takes a suspect for down whose time is over and that nobody spoke for.
    pub(crate) fn end_doubt(&mut self, now: Timestamp, id: MemberId, incarnation: Incarnation) {
        let stands = self.members.get(id.node).is_some_and(|row| {
            row.id == id && row.incarnation == incarnation && row.state == State::Suspect
        });
        if stands && self.config.abstains() {
            self.condemn(now, id.node);
        }
    }

    /// Takes a suspect for down without telling anybody; whether it was not before.
    fn condemn(&mut self, now: Timestamp, node: NodeId) -> bool {
        let is_new = self.members.condemn(node, now);
        if is_new {
            self.counters.downs += 1;
            self.note_change(now);
        }
        is_new
    }

    /// Whether what this node holds against a suspect was found while it was in doubt, and counts for
    /// nothing since.
    pub(crate) fn is_unfounded(&self, id: MemberId, incarnation: Incarnation) -> bool {
        let (row, sound) = (self.members.get(id.node), self.health.sound_since);
        row.zip(sound).is_some_and(|(row, sound)| {
            row.id == id
                && row.incarnation == incarnation
                && row.state == State::Suspect
                && row.is_down()
                && row.failed.is_none_or(|at| at < sound)
        })
    }

    fn score_max(&self) -> u32 {
        u32::from(self.config.local_health_max.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORE_MAX: u32 = 7;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 16])
    }

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn silence_is_that_nobody_else_has_answered_since() {
        let mut health = LocalHealth::default();
        health.failed(node(1), true, SCORE_MAX);
        assert!(health.is_silent(node(1), at(5)));
        health.answered(node(2), at(4));
        assert!(health.is_silent(node(1), at(5)));
        health.answered(node(1), at(6));
        assert!(health.is_silent(node(1), at(5)));
        health.answered(node(2), at(6));
        assert!(!health.is_silent(node(1), at(5)));
    }

    #[test]
    fn one_failure_or_three_of_ten_are_the_others_fault() {
        let mut health = LocalHealth::default();
        let all = |_| true;
        health.failed(node(1), true, SCORE_MAX);
        health.answered(node(2), at(6));
        assert!(!health.is_poor(all), "one of two");
        health.failed(node(3), true, SCORE_MAX);
        assert!(health.is_poor(all), "two of three");
        assert!(!health.is_poor(|probed| probed != node(3)));
        (4..=9).for_each(|n| health.answered(node(n), at(6)));
        assert!(!health.is_poor(all), "two of nine");
        health.failed(node(10), true, SCORE_MAX);
        assert!(!health.is_poor(all), "three of ten");
        health.failed(node(2), true, SCORE_MAX);
        assert!(health.is_poor(all), "four of ten");
    }

    #[test]
    fn failures_in_a_row_make_a_node_wait_and_answers_end_it() {
        let mut health = LocalHealth::default();
        (1..=9).for_each(|n| health.failed(node(n), false, SCORE_MAX));
        assert_eq!(health.factor(), 1, "it hears nothing at all");
        health.answered(node(1), at(1));
        (1..=3).for_each(|n| health.failed(node(n), true, SCORE_MAX));
        assert_eq!(health.factor(), 3);
        (4..=99).for_each(|n| health.failed(node(n), true, SCORE_MAX));
        assert_eq!(health.factor(), SCORE_MAX + 1);
        (1..=20).for_each(|n| health.answered(node(n), at(1)));
        assert_eq!(health.factor(), 1);
    }
}
