//! A3, A4 and A5 of shared records: which any agent may write, and of which the greatest stamp wins.
//!
//! A client sees no stamps, so it cannot say which of two writes must win. But versions only move
//! forward: what an agent has shown to be over, it must not show again, and a write that it has
//! acknowledged replaces what it showed before that.

use std::collections::BTreeMap;

use super::{Violation, own::instance_of};
use crate::drill::{
    book::{CallId, Key, Service},
    history::{Act, Call, History, Look, Moment, Shown},
};

/// Adds what breaks them.
pub fn judge(history: &History, found: &mut Vec<Violation>) {
    let shared = |key: &Key| key.owner().is_none();
    let keys: Vec<_> = history.keys().filter(shared).collect();
    for host in 0..history.lives.lives.len() {
        for mut shown in history.shown_by_lives(host) {
            shown.retain(|(look, _)| look.service == Service::Ext);
            for &key in &keys {
                let seen = shown.iter();
                let seen = seen.map(|(look, shown)| Sight::of(history, look, shown, key));
                judge_life(history, (key, host), &seen.collect::<Vec<_>>(), found);
            }
        }
    }
}

/// What one answer shows of a key.
struct Sight<'a> {
    look: &'a Look,
    shows: Option<CallId>,
}

impl<'a> Sight<'a> {
    fn of(history: &History, look: &'a Look, shown: &Shown, key: Key) -> Self {
        let shows = instance_of(history, shown, key).map(|seen| seen.call);
        Self { look, shows }
    }
}

/// When a value was last shown before another one was, and what came next.
type Over = BTreeMap<CallId, (Moment, Option<CallId>)>;

fn judge_life(
    history: &History,
    (key, host): (Key, usize),
    seen: &[Sight<'_>],
    found: &mut Vec<Violation>,
) {
    let mut over = Over::new();
    let mut first = BTreeMap::new();
    for sight in seen {
        if let Some(shows) = sight.shows {
            let at = first.entry(shows).or_insert(sight.look.span.end);
            *at = sight.look.span.end.min(*at);
        }
    }
    // The calls that this agent has acknowledged about this key and not lost with its disk.
    let generation = |sight: &Sight<'_>| history.generation(host, &sight.look.span);
    let generation = seen.first().and_then(generation);
    let kept = |call: &&Call| history.generation(host, &call.span) == generation;
    let own = history.calls_on(key).filter(|call| call.id.host == host);
    let calls: Vec<_> = own.filter(|call| call.is_done()).filter(kept).collect();
    let mut before: Option<&Sight<'_>> = None;
    for sight in seen {
        let span = sight.look.span;
        let mut broken = |id, text: String| {
            let story = history.story(key, span.end);
            found.push(Violation {
                id,
                at: span.end,
                host: Some(host),
                text: format!("over {:?} it shows {text}\n{story}", sight.look.way),
            });
        };
        if let Some(shows) = sight.shows
            && let Some((until, next)) = over.get(&shows)
            && *until < span.begin
        {
            match next {
                None => broken("A5", format!("{shows}, which it has shown to be gone")),
                Some(next) => broken(
                    "A3",
                    format!("{shows}, which it has shown to be replaced by {next}"),
                ),
            }
        }
        if let Some((id, text)) = is_behind(history, key, &calls, &first, sight) {
            broken(id, text);
        }
        if let Some(before) = before
            && before.look.span.end < span.begin
            && before.shows != sight.shows
            && let Some(was) = before.shows
        {
            over.entry(was).or_insert((span.end, sight.shows));
        }
        before = Some(sight);
    }
}

/// A4: whether an answer shows what the agent's last acknowledged call has replaced. `first` tells
/// when it first showed each registration.
fn is_behind(
    history: &History,
    key: Key,
    calls: &[&Call],
    first: &BTreeMap<CallId, Moment>,
    sight: &Sight<'_>,
) -> Option<(&'static str, String)> {
    let span = sight.look.span;
    let last = calls.iter().rfind(|call| call.span.end <= span.begin)?;
    let was_shown = |shows| first.get(&shows).is_some_and(|&at| at <= last.span.begin);
    // Made by the same client before, and not lost since: the agent knew it.
    let is_earlier = |shows: CallId| calls.iter().any(|call| call.id == shows && shows < last.id);
    match sight.shows {
        Some(shows) if shows == last.id => None,
        Some(shows) if is_earlier(shows) => {
            let id = if last.act == Act::Deregister {
                "A5"
            } else {
                "A4"
            };
            Some((
                id,
                format!("{shows}, and {} was acknowledged since", last.id),
            ))
        }
        Some(shows) if was_shown(shows) => {
            let id = if last.act == Act::Deregister {
                "A5"
            } else {
                "A4"
            };
            Some((id, format!("{shows}, which {} has replaced", last.id)))
        }
        Some(_) => None,
        None if last.act == Act::Deregister => None,
        None => {
            let by_another = history.calls_on(key).any(|call| {
                call.act == Act::Deregister
                    && call.may_be_done()
                    && call.span.begin <= span.end
                    && (call.id.host != last.id.host || call.id.number > last.id.number)
            });
            (!by_another).then(|| ("A4", format!("nothing, and {} was acknowledged", last.id)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{A, B, EXT, MadeUp, WELL};
    use crate::drill::{history::Act, plan::Disk};

    #[test]
    fn what_is_replaced_may_be_replaced_again_from_anywhere() {
        let mut made = MadeUp::new();
        let one = made.done(A, EXT, Act::Register, 10, 20);
        let two = made.done(B, EXT, Act::Register, 15, 25);
        made.shows_of(A, EXT, A, one, 30, 31);
        made.shows_of(A, EXT, B, two, 32, 33);
        made.shows(A, EXT, &[], 34, 35);
        made.done(B, EXT, Act::Deregister, 26, 34);
        assert_eq!(made.broken(super::judge), WELL);
    }

    #[test]
    fn what_was_replaced_does_not_come_back() {
        let mut made = MadeUp::new();
        let one = made.done(A, EXT, Act::Register, 10, 20);
        let two = made.done(B, EXT, Act::Register, 15, 25);
        made.shows_of(A, EXT, A, one, 30, 31);
        made.shows_of(A, EXT, B, two, 32, 33);
        made.shows_of(A, EXT, A, one, 34, 35);
        assert_eq!(made.broken(super::judge), ["A3"]);
    }

    #[test]
    fn what_was_gone_does_not_come_back() {
        let mut made = MadeUp::new();
        let one = made.done(A, EXT, Act::Register, 10, 20);
        made.done(B, EXT, Act::Deregister, 30, 40);
        made.shows_of(B, EXT, A, one, 25, 26);
        made.shows(B, EXT, &[], 41, 42);
        made.shows_of(B, EXT, A, one, 43, 44);
        assert_eq!(made.broken(super::judge), ["A5", "A5"]);
    }

    #[test]
    fn a_write_that_was_acknowledged_replaces_what_was_shown_before() {
        let mut made = MadeUp::new();
        let one = made.done(A, EXT, Act::Register, 10, 20);
        made.shows_of(B, EXT, A, one, 25, 26);
        let two = made.done(B, EXT, Act::Register, 30, 40);
        made.shows_of(B, EXT, A, one, 35, 36);
        made.shows_of(B, EXT, B, two, 41, 42);
        assert_eq!(made.broken(super::judge), WELL);
        let mut again = MadeUp::new();
        let one = again.done(A, EXT, Act::Register, 10, 20);
        again.shows_of(B, EXT, A, one, 25, 26);
        again.done(B, EXT, Act::Register, 30, 40);
        again.shows_of(B, EXT, A, one, 41, 42);
        assert_eq!(again.broken(super::judge), ["A4"]);
    }

    #[test]
    fn a_write_that_was_acknowledged_is_shown() {
        let mut made = MadeUp::new();
        made.done(A, EXT, Act::Register, 10, 20);
        made.shows(A, EXT, &[], 21, 22);
        assert_eq!(made.broken(super::judge), ["A4"]);
    }

    #[test]
    fn a_disk_that_was_emptied_forgets_what_was_acknowledged() {
        let mut made = MadeUp::new();
        let one = made.done(A, EXT, Act::Register, 10, 20);
        made.killed(A, 30, 40, Disk::Emptied);
        made.shows(A, EXT, &[], 50, 51);
        made.done(A, EXT, Act::Register, 60, 70);
        made.shows_of(A, EXT, A, one, 80, 81);
        assert_eq!(made.broken(super::judge), WELL);
    }

    #[test]
    fn it_may_have_lost_against_one_that_comes_from_elsewhere() {
        let mut made = MadeUp::new();
        let two = made.done(B, EXT, Act::Register, 5, 6);
        made.done(A, EXT, Act::Register, 10, 20);
        made.shows_of(A, EXT, B, two, 21, 22);
        assert_eq!(made.broken(super::judge), WELL);
    }
}
