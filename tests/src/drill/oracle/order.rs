//! A3 and A5 of what agents own: at one agent a record never goes back while its process lives, and
//! what it has let go of does not return, restarts included.
//!
//! The calls of one client at one agent come one after the other, and so do their effects: whoever
//! shows the effect of one call of a generation has taken all before it. So an agent that shows a
//! late registration must not show what an earlier deregistration took away.

use std::{collections::BTreeMap, time::Duration};

use super::{SAVED, Violation};
use crate::drill::{
    book::{CallId, Key, Service},
    history::{Act, History, Look, Moment, Seen, Span, Way},
    lives::Life,
    plan::Disk,
};

/// An agent that takes much at once shows it record by record: as long may an answer still show what
/// another one has shown to be over.
const GRACE: Duration = Duration::from_secs(1);

/// How far a host's feed was shown to be here: its newest call in each generation.
type Feeds = BTreeMap<(usize, u32), u32>;

/// What an agent must not fall behind.
#[derive(Clone, Debug, Default)]
struct Floors {
    /// The newest call on each key that it has shown.
    keys: BTreeMap<Key, u32>,
    feeds: Feeds,
}

/// Adds what breaks them.
pub fn judge(history: &History, found: &mut Vec<Violation>) {
    for host in 0..history.lives.lives.len() {
        let mut kept = Floors::default();
        let lives = history.lives.of(host).iter();
        for (life, shown) in lives.zip(history.shown_by_lives(host)) {
            if life.disk != Disk::Kept {
                kept = Floors::default();
            }
            let looks: Vec<_> = shown.into_iter().map(|(look, _)| look).collect();
            judge_life(history, &looks, kept.clone(), found);
            for look in looks {
                if is_saved(history, host, life, look) {
                    kept.take(history, look);
                    kept.take_feeds(history, look);
                }
            }
        }
    }
}

/// Whether what an answer showed must outlive the process.
fn is_saved(history: &History, host: usize, life: &Life, look: &Look) -> bool {
    let Some(killed) = life.killed else {
        return false;
    };
    look.span.end <= history.lives.running_before(host, killed.begin, SAVED)
}

fn judge_life(history: &History, looks: &[&Look], mut floors: Floors, found: &mut Vec<Violation>) {
    let mut by_end = looks.to_vec();
    by_end.sort_by_key(|look| look.span.end);
    let (mut ended, mut settled) = (0, 0);
    for look in looks {
        let begin = look.span.begin;
        // What was shown before the question was asked.
        while ended < by_end.len() && by_end[ended].span.end < begin {
            floors.take(history, by_end[ended]);
            ended += 1;
        }
        while settled < by_end.len() && is_settled(history, by_end[settled], begin) {
            floors.take_feeds(history, by_end[settled]);
            settled += 1;
        }
        for seen in seen_in(look) {
            let Some(call) = history.call(seen.call) else {
                continue; // A6 says so.
            };
            if let Some((id, text)) = floors.check(history, call.key, seen.number()) {
                let story = history.story(call.key, look.span.end);
                found.push(Violation {
                    id,
                    at: look.span.end,
                    host: Some(look.at),
                    text: format!("over {:?} {text}\n{story}", look.way),
                });
            }
        }
    }
}

fn is_settled(history: &History, look: &Look, begin: Moment) -> bool {
    let since = Span {
        begin: look.span.end,
        end: begin,
    };
    look.span.end + GRACE + history.lives.paused(look.at, &since) < begin
}

/// The instances of owners in an answer. DNS does not say which report a check shows.
fn seen_in(look: &Look) -> impl Iterator<Item = &Seen> {
    let tells =
        look.service == Service::Web || look.service == Service::Db && look.way == Way::Http;
    let shown = look.answer.as_ref().ok().filter(|_| tells);
    shown.into_iter().flat_map(|shown| &shown.seen)
}

impl Floors {
    fn take(&mut self, history: &History, look: &Look) {
        for seen in seen_in(look) {
            if let Some(call) = history.call(seen.call) {
                let floor = self.keys.entry(call.key).or_default();
                *floor = (*floor).max(seen.number());
            }
        }
    }

    /// A call that was not answered tells nothing of those before it.
    fn take_feeds(&mut self, history: &History, look: &Look) {
        for seen in seen_in(look) {
            let number = seen.number();
            let id = CallId {
                number,
                ..seen.call
            };
            let Some(call) = history.call(id).filter(|call| call.is_done()) else {
                continue;
            };
            if let Some(generation) = call.key.generation() {
                let floor = self.feeds.entry((id.host, generation)).or_default();
                *floor = (*floor).max(number);
            }
        }
    }

    fn check(&self, history: &History, key: Key, number: u32) -> Option<(&'static str, String)> {
        let shown = self.keys.get(&key).copied().unwrap_or_default();
        let feed = key.owner().zip(key.generation());
        let taken = feed
            .and_then(|feed| self.feeds.get(&feed))
            .copied()
            .unwrap_or_default();
        let gone = |until: u32| {
            let mut after = history.calls_after(key, number);
            after.any(|call| {
                call.act == Act::Deregister && call.is_done() && call.id.number <= until
            })
        };
        let id = |until| if gone(until) { "A5" } else { "A3" };
        if shown > number {
            let text = format!(
                "it shows {} by call {number}, and has shown call {shown}",
                key.id()
            );
            return Some((id(shown), text));
        }
        let mut later = history.calls_after(key, number);
        let over = later.find(|call| call.is_done() || call.id.number > taken);
        let over = over.filter(|call| call.id.number <= taken)?;
        let text = format!(
            "it shows {} by call {number}, and has shown call {taken}, which came after call {} \
             had replaced that",
            key.id(),
            over.id.number
        );
        Some((id(taken), text))
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{A, B, DB, MadeUp, WEB, WEB_TOO, WELL};
    use crate::drill::{book::Health, history::Act, plan::Disk};

    /// Call 1 and call 2 register the same instance.
    fn two_registrations() -> (MadeUp, u32, u32) {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        let two = made.done(A, WEB, Act::Register, 30, 40);
        (made, one, two)
    }

    #[test]
    fn a_record_that_moves_forward_is_in_order() {
        let (mut made, one, two) = two_registrations();
        made.shows(B, WEB, &[one], 50, 51);
        made.shows(B, WEB, &[two], 52, 53);
        made.shows(B, WEB, &[], 54, 55);
        made.shows(B, WEB, &[two], 56, 57);
        assert_eq!(made.broken(super::judge), WELL);
    }

    #[test]
    fn a_record_that_goes_back_is_not() {
        let (mut made, one, two) = two_registrations();
        made.shows(B, WEB, &[two], 50, 51);
        made.shows_over_dns(B, WEB, &[one], 52, 53);
        assert_eq!(made.broken(super::judge), ["A3"]);
    }

    #[test]
    fn answers_that_were_given_at_once_may_come_in_any_order() {
        let (mut made, one, two) = two_registrations();
        made.shows(B, WEB, &[two], 50, 60);
        made.shows(B, WEB, &[one], 52, 53);
        assert_eq!(made.broken(super::judge), WELL);
    }

    #[test]
    fn another_agent_may_be_behind() {
        let (mut made, one, two) = two_registrations();
        made.shows(A, WEB, &[two], 50, 51);
        made.shows(B, WEB, &[one], 52, 53);
        assert_eq!(made.broken(super::judge), WELL);
    }

    #[test]
    fn reports_move_forward_too() {
        let mut made = MadeUp::new();
        let db = made.done(A, DB, Act::Register, 10, 20);
        let report = made.done(A, DB, Act::Report(Health::Warning), 30, 40);
        made.shows_check(B, db, (Health::Warning, Some(report)), 50, 51);
        assert_eq!(made.broken(super::judge), WELL);
        made.shows_check(B, db, (Health::Passing, None), 52, 53);
        assert_eq!(made.broken(super::judge), ["A3"]);
    }

    #[test]
    fn what_came_after_its_end_was_shown_is_resurrected() {
        let (mut made, one, _) = two_registrations();
        made.done(A, WEB, Act::Deregister, 50, 60);
        let back = made.done(A, WEB, Act::Register, 70, 80);
        made.shows(B, WEB, &[back], 90, 91);
        made.shows(B, WEB, &[one], 92, 93);
        assert_eq!(made.broken(super::judge), ["A5"]);
    }

    #[test]
    fn who_shows_a_later_call_has_taken_the_deregistration_before_it() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        made.done(A, WEB, Act::Deregister, 30, 40);
        let other = made.done(A, WEB_TOO, Act::Register, 50, 60);
        made.shows(B, WEB, &[other], 70, 80);
        // As long as an agent may still be taking it in.
        made.shows(B, WEB, &[one], 90, 100);
        assert_eq!(made.broken(super::judge), WELL);
        made.shows(B, WEB, &[one], 1_200, 1_210);
        assert_eq!(made.broken(super::judge), ["A5"]);
    }

    #[test]
    fn a_call_that_was_not_answered_tells_nothing_of_those_before_it() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        made.done(A, WEB, Act::Deregister, 30, 40);
        let other = made.silent(A, WEB_TOO, Act::Register, 50, 60);
        made.shows(B, WEB, &[other], 70, 80);
        made.shows(B, WEB, &[one], 1_200, 1_210);
        assert_eq!(made.broken(super::judge), WELL);
    }

    #[test]
    fn a_restart_keeps_what_was_saved_and_may_lose_what_was_shown_just_before() {
        let (mut made, one, two) = two_registrations();
        made.shows(B, WEB, &[two], 9_000, 9_001);
        made.killed(B, 10_000, 10_100, Disk::Kept);
        made.shows(B, WEB, &[one], 10_200, 10_300);
        assert_eq!(made.broken(super::judge), WELL);
        made.shows(B, WEB, &[two], 3_000, 3_001);
        assert_eq!(made.broken(super::judge), ["A3"]);
    }

    #[test]
    fn a_lost_disk_forgets() {
        let (mut made, one, two) = two_registrations();
        made.shows(B, WEB, &[two], 3_000, 3_001);
        made.killed(B, 10_000, 10_100, Disk::Emptied);
        made.shows(B, WEB, &[one], 10_200, 10_300);
        assert_eq!(made.broken(super::judge), WELL);
    }
}
