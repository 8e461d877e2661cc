//! Histories that nobody lived through: each says what it needs to, and the rest is well.

use super::{Violation, survival};
use crate::drill::{
    book::{CallId, Health, Key, Service},
    history::{Act, Call, History, Look, Moment, Outcome, Seen, Shown, Span, Way},
    lives::{Life, Lives},
    plan::Disk,
};

/// Two hosts.
pub(super) const A: usize = 0;
pub(super) const B: usize = 1;
/// What the first of them has.
pub(super) const WEB: Key = Key::Own { host: A, slot: 0 };
pub(super) const WEB_TOO: Key = Key::Own { host: A, slot: 1 };
pub(super) const DB: Key = Key::Own { host: A, slot: 5 };
/// What both write.
pub(super) const EXT: Key = Key::Shared(0);

/// Nothing is broken.
pub(super) const WELL: [&str; 0] = [];

#[derive(Clone, Debug)]
pub(super) struct MadeUp {
    pub(super) lives: Lives,
    pub(super) looks: Vec<Look>,
    calls: Vec<Call>,
}

/// The node that a host is at first.
pub(super) fn node(host: usize) -> u128 {
    100 + host as u128
}

impl MadeUp {
    pub(super) fn new() -> Self {
        let life = |host| Life {
            started: Moment::ZERO,
            ready: Some(Moment::ZERO),
            killed: None,
            disk: Disk::Kept,
            node: node(host),
            generation: 0,
        };
        Self {
            lives: Lives {
                lives: vec![vec![life(A)], vec![life(B)]],
                pauses: Vec::new(),
            },
            looks: Vec::new(),
            calls: Vec::new(),
        }
    }

    pub(super) fn done(&mut self, host: usize, key: Key, act: Act, begin: u64, end: u64) -> u32 {
        self.call(host, key, act, span(begin, end), Outcome::Done)
    }

    pub(super) fn silent(&mut self, host: usize, key: Key, act: Act, begin: u64, end: u64) -> u32 {
        let outcome = Outcome::Silent("silence".to_owned());
        self.call(host, key, act, span(begin, end), outcome)
    }

    pub(super) fn refused(&mut self, host: usize, key: Key, act: Act, begin: u64, end: u64) -> u32 {
        let outcome = Outcome::Refused("no".to_owned());
        self.call(host, key, act, span(begin, end), outcome)
    }

    fn call(&mut self, host: usize, key: Key, act: Act, span: Span, outcome: Outcome) -> u32 {
        let before = self
            .calls
            .iter()
            .filter(|call| call.id.host == host)
            .count();
        let number = u32::try_from(before).unwrap() + 1;
        let id = CallId { host, number };
        self.calls.push(Call {
            id,
            key,
            act,
            span,
            outcome,
        });
        number
    }

    /// `at` shows these registrations of the first host, and nothing else.
    pub(super) fn shows(&mut self, at: usize, key: Key, calls: &[u32], begin: u64, end: u64) {
        let seen = calls
            .iter()
            .map(|&number| self.seen(Way::Http, key, A, number));
        let seen = seen.collect();
        self.look(at, Way::Http, key.service(), span(begin, end), seen);
    }

    pub(super) fn shows_over_dns(
        &mut self,
        at: usize,
        key: Key,
        calls: &[u32],
        begin: u64,
        end: u64,
    ) {
        let seen = calls
            .iter()
            .map(|&number| self.seen(Way::Dns, key, A, number));
        let seen = seen.collect();
        self.look(at, Way::Dns, key.service(), span(begin, end), seen);
    }

    /// `at` shows a registration of `by`.
    pub(super) fn shows_of(
        &mut self,
        at: usize,
        key: Key,
        by: usize,
        call: u32,
        begin: u64,
        end: u64,
    ) {
        let seen = vec![self.seen(Way::Http, key, by, call)];
        self.look(at, Way::Http, key.service(), span(begin, end), seen);
    }

    /// `at` shows [`DB`] with this check.
    pub(super) fn shows_check(
        &mut self,
        at: usize,
        call: u32,
        check: (Health, Option<u32>),
        begin: u64,
        end: u64,
    ) {
        let mut seen = self.seen(Way::Http, DB, A, call);
        seen.check = Some(check);
        self.look(at, Way::Http, Service::Db, span(begin, end), vec![seen]);
    }

    pub(super) fn fails(&mut self, at: usize, key: Key, begin: u64, end: u64) {
        self.look(at, Way::Http, key.service(), span(begin, end), Vec::new());
        self.looks.last_mut().unwrap().answer = Err("no answer".to_owned());
    }

    pub(super) fn last_seen(&mut self) -> &mut Seen {
        let answer = &mut self.looks.last_mut().unwrap().answer;
        answer.as_mut().unwrap().seen.last_mut().unwrap()
    }

    fn seen(&self, way: Way, key: Key, host: usize, number: u32) -> Seen {
        let tells = way == Way::Http;
        let own = key.owner().filter(|_| tells);
        Seen {
            call: CallId { host, number },
            key: tells.then_some(key),
            node: own.and_then(|owner| self.lives.node(owner, key.generation().unwrap())),
            check: None,
        }
    }

    fn look(&mut self, at: usize, way: Way, service: Service, span: Span, seen: Vec<Seen>) {
        let strange = Vec::new();
        self.looks.push(Look {
            at,
            way,
            service,
            span,
            answer: Ok(Shown { seen, strange }),
        });
    }

    /// A host is killed at `begin`, and up again at `end`.
    pub(super) fn killed(&mut self, host: usize, begin: u64, end: u64, disk: Disk) {
        let lives = &mut self.lives.lives[host];
        let last = lives.last_mut().unwrap();
        last.killed = Some(span(begin, begin + 1));
        let started = span(end, end).begin;
        let next = Life {
            started,
            ready: Some(started),
            killed: None,
            disk,
            node: last.node + u128::from(disk == Disk::Lost) * 100,
            generation: last.generation + u32::from(disk != Disk::Kept),
        };
        lives.push(next);
    }

    pub(super) fn stands_still(&mut self, host: usize, begin: u64, end: u64) {
        self.lives.pauses.push((host, span(begin, end)));
    }

    /// What a judge finds.
    pub(super) fn broken(&self, judge: fn(&History, &mut Vec<Violation>)) -> Vec<&'static str> {
        let mut found = Vec::new();
        judge(&self.history(), &mut found);
        found.into_iter().map(|violation| violation.id).collect()
    }

    /// What is lost, if the answers given after 90 s are the last.
    pub(super) fn lost(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        let last = self
            .looks
            .iter()
            .filter(|look| look.span.begin >= span(90_000, 0).begin);
        let last: Vec<_> = last.cloned().collect();
        let mut before = self.clone();
        before
            .looks
            .retain(|look| !last.iter().any(|other| other.span == look.span));
        survival::judge(&before.history(), &last, &mut found);
        found.into_iter().map(|violation| violation.id).collect()
    }

    fn history(&self) -> History {
        History::new(self.lives.clone(), self.calls.clone(), self.looks.clone())
    }
}

const fn span(begin: u64, end: u64) -> Span {
    Span {
        begin: Moment::from_millis(begin),
        end: Moment::from_millis(end),
    }
}
