//! E2: nothing acknowledged is lost, unless its owner lost its disk before a peer had it; and nothing
//! that was ended has come back.
//!
//! What each key must hold in the end follows from the calls. Each call that was acknowledged, and
//! that no lost disk took along, leaves one possibility; each other adds one. A peer had it if it has
//! shown it, or a later call of the same client, and did not itself forget that.

use std::collections::{BTreeMap, BTreeSet};

use super::{SAVED, Violation, own::instance_of};
use crate::drill::{
    book::{CallId, Key, Service},
    history::{Act, Call, History, Look, Moment, Shown},
    plan::Disk,
};

/// Adds what breaks it. `last` are the answers over HTTP of all agents once they agree.
pub fn judge(history: &History, last: &[Look], found: &mut Vec<Violation>) {
    let held = Held::by_peers(history);
    let known = Known::before_calls(history);
    for key in history.keys() {
        let wanted = if key.owner().is_some() {
            owned(history, &held, key)
        } else {
            shared(history, &held, &known, key)
        };
        let Some(wanted) = wanted else {
            continue; // Its owner became another node: E4 judges that.
        };
        for look in last.iter().filter(|look| look.service == key.service()) {
            let Ok(shown) = &look.answer else {
                continue; // A9 says so.
            };
            let shows = number_of(history, shown, key);
            if !wanted.contains(&shows) {
                found.push(Violation {
                    id: "E2",
                    at: look.span.end,
                    host: Some(look.at),
                    text: lost(history, key, &wanted, shows),
                });
            }
        }
    }
}

fn lost(
    history: &History,
    key: Key,
    wanted: &BTreeSet<Option<CallId>>,
    shows: Option<CallId>,
) -> String {
    let word =
        |value: &Option<CallId>| value.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
    let wanted: Vec<_> = wanted.iter().map(word).collect();
    let story = history.story(key, Moment::MAX);
    format!(
        "{} shows {}, and should be {}\n{story}",
        key.id(),
        word(&shows),
        wanted.join(" or ")
    )
}

/// The call that an answer shows of a key.
fn number_of(history: &History, shown: &Shown, key: Key) -> Option<CallId> {
    let seen = instance_of(history, shown, key)?;
    Some(CallId {
        number: seen.number(),
        ..seen.call
    })
}

/// How far each generation of each host's calls is with a peer that has not forgotten it.
struct Held(BTreeMap<(usize, u32), u32>);

impl Held {
    fn by_peers(history: &History) -> Self {
        let mut held = BTreeMap::new();
        for look in &history.looks {
            let Ok(shown) = &look.answer else {
                continue;
            };
            if !keeps(history, look) {
                continue;
            }
            for seen in &shown.seen {
                let id = CallId {
                    number: seen.number(),
                    ..seen.call
                };
                let call = history
                    .call(id)
                    .filter(|call| call.is_done() && id.host != look.at);
                let generation = call.and_then(|call| history.generation(id.host, &call.span));
                if let Some(generation) = generation {
                    let number: &mut u32 = held.entry((id.host, generation)).or_default();
                    *number = (*number).max(id.number);
                }
            }
        }
        Self(held)
    }

    /// Whether what a call did can no longer be lost.
    fn has(&self, history: &History, call: &Call) -> bool {
        let host = call.id.host;
        let Some(generation) = history.generation(host, &call.span) else {
            return false;
        };
        let was_lost = history
            .lives
            .losses(host)
            .any(|(_, ended, _)| ended >= generation);
        let held = self.0.get(&(host, generation)).copied().unwrap_or_default();
        call.is_done() && (!was_lost || call.id.number <= held)
    }
}

/// Whether the agent that gave an answer has not forgotten it since.
fn keeps(history: &History, look: &Look) -> bool {
    let Some(life) = history.lives.during(look.at, &look.span) else {
        return false;
    };
    if history
        .lives
        .losses(look.at)
        .any(|(at, ..)| at >= look.span.end)
    {
        return false;
    }
    let killed = history.lives.of(look.at)[life].killed;
    killed.is_none_or(|killed| {
        look.span.end <= history.lives.running_before(look.at, killed.begin, SAVED)
    })
}

/// What an owner's key may show; `None` if that node is no more.
fn owned(history: &History, held: &Held, key: Key) -> Option<BTreeSet<Option<CallId>>> {
    let (owner, generation) = (key.owner()?, key.generation()?);
    let mut later = history
        .lives
        .losses(owner)
        .filter(|(_, ended, _)| *ended >= generation);
    if later.any(|(_, _, disk)| disk == Disk::Lost) {
        return None;
    }
    let mut may = BTreeSet::from([None]);
    for call in history.calls_on(key).filter(|call| call.may_be_done()) {
        if held.has(history, call) {
            may.clear();
        }
        may.insert((call.act != Act::Deregister).then_some(call.id));
    }
    Some(may)
}

/// What a shared key may show: any write that no other is known to have replaced.
fn shared(
    history: &History,
    held: &Held,
    known: &Known,
    key: Key,
) -> Option<BTreeSet<Option<CallId>>> {
    let calls: Vec<_> = history
        .calls_on(key)
        .filter(|call| call.may_be_done())
        .collect();
    let standing: Vec<_> = calls
        .iter()
        .filter(|call| held.has(history, call))
        .collect();
    let mut may = BTreeSet::new();
    for call in &calls {
        let is_over = |by: &&&&Call| known.replaces(history, by, call);
        if !standing.iter().any(|by| is_over(&by)) {
            may.insert((call.act == Act::Register).then_some(call.id));
        }
    }
    if !standing.iter().any(|call| call.act == Act::Register) {
        may.insert(None);
    }
    Some(may)
}

/// When each life of each agent first showed a registration of a shared instance.
struct Known(BTreeMap<(usize, usize, CallId), Moment>);

impl Known {
    fn before_calls(history: &History) -> Self {
        let mut known = BTreeMap::new();
        for look in history
            .looks
            .iter()
            .filter(|look| look.service == Service::Ext)
        {
            let life = history.lives.during(look.at, &look.span);
            let Some((life, shown)) = life.zip(look.answer.as_ref().ok()) else {
                continue;
            };
            for seen in &shown.seen {
                let first = known
                    .entry((look.at, life, seen.call))
                    .or_insert(look.span.end);
                *first = (*first).min(look.span.end);
            }
        }
        Self(known)
    }

    /// Whether the agent of `by` knew `call` when it did `by`.
    fn replaces(&self, history: &History, by: &Call, call: &Call) -> bool {
        let host = by.id.host;
        if call.id.host == host {
            let disk = |call: &Call| history.generation(host, &call.span);
            let earlier = call.span.end <= by.span.begin;
            return earlier && call.is_done() && disk(call) == disk(by);
        }
        let life = history.lives.during(host, &by.span);
        let first = life.and_then(|life| self.0.get(&(host, life, call.id)));
        first.is_some_and(|&first| first <= by.span.begin)
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{A, B, DB, EXT, MadeUp, WEB, WEB_TOO, WELL};
    use crate::drill::{book::Health, history::Act, plan::Disk};

    const END: u64 = 90_000;

    #[test]
    fn what_was_acknowledged_last_is_there_in_the_end() {
        let mut made = MadeUp::new();
        made.done(A, WEB, Act::Register, 10, 20);
        let two = made.done(A, WEB, Act::Register, 30, 40);
        made.done(A, WEB_TOO, Act::Register, 50, 60);
        made.done(A, WEB_TOO, Act::Deregister, 70, 80);
        made.killed(A, 100, 200, Disk::Kept);
        made.shows(B, WEB, &[two], END, END + 1);
        assert_eq!(made.lost(), WELL);
        made.shows(B, WEB, &[], END, END + 1);
        assert_eq!(made.lost(), ["E2"]);
    }

    #[test]
    fn an_older_state_is_not_what_was_acknowledged() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        made.done(A, WEB, Act::Register, 30, 40);
        made.shows(B, WEB, &[one], END, END + 1);
        assert_eq!(made.lost(), ["E2"]);
    }

    #[test]
    fn what_was_deregistered_is_not_there_in_the_end() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        made.done(A, WEB, Act::Deregister, 30, 40);
        made.shows(B, WEB, &[one], END, END + 1);
        assert_eq!(made.lost(), ["E2"]);
    }

    #[test]
    fn what_was_not_answered_may_be_there_or_not() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        let two = made.silent(A, WEB, Act::Register, 30, 40);
        made.shows(A, WEB, &[one], END, END + 1);
        made.shows(B, WEB, &[two], END, END + 1);
        assert_eq!(made.lost(), WELL);
        made.shows(B, WEB, &[], END, END + 1);
        assert_eq!(made.lost(), ["E2"]);
    }

    #[test]
    fn the_last_report_is_there_in_the_end() {
        let mut made = MadeUp::new();
        let db = made.done(A, DB, Act::Register, 10, 20);
        let report = made.done(A, DB, Act::Report(Health::Warning), 30, 40);
        made.shows_check(B, db, (Health::Warning, Some(report)), END, END + 1);
        assert_eq!(made.lost(), WELL);
        made.shows_check(B, db, (Health::Passing, None), END, END + 1);
        assert_eq!(made.lost(), ["E2"]);
    }

    #[test]
    fn an_emptied_disk_may_take_along_what_no_peer_had() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        made.shows(B, WEB, &[one], 30, 40);
        let two = made.done(A, WEB, Act::Register, 50, 60);
        made.killed(A, 100, 200, Disk::Emptied);
        made.shows(A, WEB, &[one], END, END + 1);
        made.shows(A, WEB, &[two], END, END + 1);
        assert_eq!(made.lost(), WELL);
        made.shows(A, WEB, &[], END, END + 1);
        assert_eq!(made.lost(), ["E2"]);
    }

    #[test]
    fn a_peer_that_was_killed_at_once_had_nothing() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        made.shows(B, WEB, &[one], 30, 40);
        made.killed(A, 100, 200, Disk::Emptied);
        made.killed(B, 100, 200, Disk::Kept);
        made.shows(A, WEB, &[], END, END + 1);
        assert_eq!(made.lost(), WELL);
    }

    #[test]
    fn a_node_that_is_no_more_loses_everything() {
        let mut made = MadeUp::new();
        made.done(A, WEB, Act::Register, 10, 20);
        made.killed(A, 100, 200, Disk::Lost);
        made.shows(B, WEB, &[], END, END + 1);
        assert_eq!(made.lost(), WELL);
    }

    #[test]
    fn of_concurrent_writes_any_may_win() {
        let mut made = MadeUp::new();
        let one = made.done(A, EXT, Act::Register, 10, 20);
        let two = made.done(B, EXT, Act::Register, 15, 25);
        made.shows_of(A, EXT, A, one, END, END + 1);
        made.shows_of(B, EXT, B, two, END, END + 1);
        assert_eq!(made.lost(), WELL);
        made.shows(A, EXT, &[], END, END + 1);
        assert_eq!(made.lost(), ["E2"]);
    }

    #[test]
    fn a_write_whose_writer_knew_another_replaces_it() {
        let mut made = MadeUp::new();
        let one = made.done(A, EXT, Act::Register, 10, 20);
        made.shows_of(B, EXT, A, one, 25, 26);
        made.done(B, EXT, Act::Deregister, 30, 40);
        made.shows(A, EXT, &[], END, END + 1);
        assert_eq!(made.lost(), WELL);
        made.shows_of(A, EXT, A, one, END, END + 1);
        assert_eq!(made.lost(), ["E2"]);
    }
}
