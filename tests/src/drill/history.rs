//! What clients asked for and were told, and in which order as far as they can know.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use super::{
    book::{CallId, Health, Key, Service},
    lives::Lives,
    plan,
};

/// Since the begin of the drill.
pub type Moment = Duration;

/// From when until when something may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Not before.
    pub begin: Moment,
    /// Not after.
    pub end: Moment,
}

impl Span {
    /// How long it is.
    pub const fn length(&self) -> Duration {
        self.end.saturating_sub(self.begin)
    }

    /// The part that it shares with another, in length.
    pub fn shared(&self, other: &Self) -> Duration {
        let begin = self.begin.max(other.begin);
        self.end.min(other.end).saturating_sub(begin)
    }

    /// Whether it shares a moment with another.
    pub fn meets(&self, other: &Self) -> bool {
        self.begin <= other.end && other.begin <= self.end
    }
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where, and its number there.
    pub id: CallId,
    /// What it is about.
    pub key: Key,
    /// What it asks for.
    pub act: Act,
    /// From the question to the answer.
    pub span: Span,
    /// The answer.
    pub outcome: Outcome,
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// An instance.
    Register,
    /// Its end.
    Deregister,
    /// Its check's status.
    Report(Health),
}

/// How a call was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With success.
    Done,
    /// With an error: nothing may have changed.
    Refused(String),
    /// Not at all: it may have been done.
    Silent(String),
    /// Nobody took it, so it was not done.
    Unsent(String),
}

/// A question, and what was answered.
#[derive(Clone, Debug)]
pub struct Look {
    /// Whose agent was asked.
    pub at: usize,
    /// How.
    pub way: Way,
    /// For what.
    pub service: Service,
    /// From the question to the answer.
    pub span: Span,
    /// The instances, or why there was no answer.
    pub answer: Result<Shown, String>,
}

/// How an agent is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// `/v1/health/service/`.
    Http,
    /// SRV.
    Dns,
}

/// What an answer shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Instances that a call may have registered.
    pub seen: Vec<Seen>,
    /// What no call can have asked for, in words.
    pub strange: Vec<String>,
}

/// One instance in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The call that registered it.
    pub call: CallId,
    /// Of which instance, if the answer says so.
    pub key: Option<Key>,
    /// The node that it belongs to, if the answer says so.
    pub node: Option<u128>,
    /// Its check: its status, and the call that reported it, if one did.
    pub check: Option<(Health, Option<u32>)>,
}

/// Everything that is judged.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// When agents ran.
    pub lives: Lives,
    /// Answers, in the order of their questions.
    pub looks: Vec<Look>,
    calls: BTreeMap<CallId, Call>,
    by_key: BTreeMap<Key, Vec<CallId>>,
}

impl History {
    /// From what was written down, in whatever order.
    pub fn new(lives: Lives, mut calls: Vec<Call>, mut looks: Vec<Look>) -> Self {
        calls.sort_by_key(|call| call.span.begin);
        looks.sort_by_key(|look| look.span.begin);
        let mut by_key: BTreeMap<Key, Vec<CallId>> = BTreeMap::new();
        for call in &calls {
            by_key.entry(call.key).or_default().push(call.id);
        }
        let calls = calls.into_iter().map(|call| (call.id, call)).collect();
        Self {
            lives,
            looks,
            calls,
            by_key,
        }
    }

    /// Every call.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.values()
    }

    /// The call with that id.
    pub fn call(&self, id: CallId) -> Option<&Call> {
        self.calls.get(&id)
    }

    /// The calls about `key`, in the order in which they were made.
    pub fn calls_on(&self, key: Key) -> impl DoubleEndedIterator<Item = &Call> {
        let ids = self.by_key.get(&key).into_iter().flatten();
        ids.map(|id| &self.calls[id])
    }

    /// The calls about what a host owns that came after the one of that number.
    pub fn calls_after(&self, key: Key, number: u32) -> impl Iterator<Item = &Call> {
        let ids = self.by_key.get(&key).map_or(&[][..], Vec::as_slice);
        // One client makes them all, one after the other.
        let after = ids.partition_point(|id| id.number <= number);
        ids[after..].iter().map(|id| &self.calls[id])
    }

    /// Everything that calls were about.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.by_key.keys().copied()
    }

    /// The answers that an agent gave.
    pub fn shown_at(&self, host: usize) -> impl Iterator<Item = (&Look, &Shown)> {
        let at = self.looks.iter().filter(move |look| look.at == host);
        at.filter_map(|look| Some((look, look.answer.as_ref().ok()?)))
    }

    /// The answers that each process of an agent gave.
    pub fn shown_by_lives(&self, host: usize) -> Vec<Vec<(&Look, &Shown)>> {
        let mut by_lives = vec![Vec::new(); self.lives.of(host).len()];
        for (look, shown) in self.shown_at(host) {
            if let Some(life) = self.lives.during(host, &look.span) {
                by_lives[life].push((look, shown));
            }
        }
        by_lives
    }

    /// The generation of what `host` held throughout `span`; none if it was not up.
    pub fn generation(&self, host: usize, span: &Span) -> Option<u32> {
        let life = self.lives.during(host, span)?;
        Some(self.lives.of(host)[life].generation)
    }

    /// What was asked for about `key`, and what became of its host, in order and in words.
    pub fn story(&self, key: Key, around: Moment) -> String {
        let mut lines: Vec<(Moment, String)> = Vec::new();
        for call in self.calls_on(key) {
            let outcome = match &call.outcome {
                Outcome::Done => format!("acknowledged at {}", seconds(call.span.end)),
                Outcome::Refused(reason) => format!("refused: {reason}"),
                Outcome::Silent(reason) | Outcome::Unsent(reason) => {
                    let cause = reason.rsplit(": ").next().unwrap_or_default();
                    format!("not answered: {cause}")
                }
            };
            let line = format!("{} {:?}, {outcome}", call.id, call.act);
            lines.push((call.span.begin, line));
        }
        lines.extend(self.lives.story(key.owner()));
        lines.sort();
        let (before, after): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|(at, _)| *at <= around);
        let left_out = before.len().saturating_sub(STORY);
        let told = before
            .into_iter()
            .skip(left_out)
            .chain(after.into_iter().take(STORY));
        let mut story = format!("    {} on {}", key.id(), key.node());
        if left_out > 0 {
            let _ = write!(story, ", without the first {left_out} events");
        }
        for (at, line) in told {
            let _ = write!(story, "\n      {} {line}", seconds(at));
        }
        story
    }
}

/// Events before and after a moment that a story tells.
const STORY: usize = 12;

impl Call {
    /// Whether it was answered with success.
    pub fn is_done(&self) -> bool {
        self.outcome == Outcome::Done
    }

    /// Whether it may have been done.
    pub const fn may_be_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done | Outcome::Silent(_))
    }
}

impl Seen {
    /// The number of the call that it shows: the report if one was made, else the registration.
    pub fn number(&self) -> u32 {
        let report = self.check.and_then(|(_, report)| report);
        report.unwrap_or(self.call.number)
    }
}

/// A moment, for people.
pub fn seconds(moment: Moment) -> String {
    format!("{:.3} s", moment.as_secs_f64())
}

/// A host's agent, for people.
pub fn who(host: usize) -> String {
    plan::name(host)
}
