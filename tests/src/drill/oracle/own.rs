//! A4 and A5 at the owner: an agent shows what its own clients were told, from the answer on,
//! restarts included, and nothing that they took away.
//!
//! What was registered before a disk was emptied or lost is left out: [`super::survival`] judges it.

use std::collections::BTreeMap;

use super::Violation;
use crate::drill::{
    book::{Health, Key, Service},
    history::{Act, Call, History, Look, Seen, Shown, Way},
};

/// Adds what breaks them.
pub fn judge(history: &History, found: &mut Vec<Violation>) {
    for host in 0..history.lives.lives.len() {
        let own = history.keys().filter(|key| key.owner() == Some(host));
        let calls: BTreeMap<Key, Vec<&Call>> = own
            .map(|key| (key, history.calls_on(key).collect()))
            .collect();
        for (look, shown) in history.shown_at(host) {
            let Some(generation) = history.generation(host, &look.span) else {
                continue;
            };
            let shown = by_key(history, shown);
            let asked = calls.iter().filter(|(key, _)| {
                key.generation() == Some(generation) && key.service() == look.service
            });
            for (&key, calls) in asked {
                let shown = shown.get(&key).map_or(&[][..], Vec::as_slice);
                if let Err((id, text)) = check(look, calls, shown) {
                    let story = history.story(key, look.span.end);
                    found.push(Violation {
                        id,
                        at: look.span.end,
                        host: Some(host),
                        text: format!("over {:?} {} {text}\n{story}", look.way, key.id()),
                    });
                }
            }
        }
    }
}

fn by_key<'a>(history: &History, shown: &'a Shown) -> BTreeMap<Key, Vec<&'a Seen>> {
    let mut by_key: BTreeMap<Key, Vec<&Seen>> = BTreeMap::new();
    for seen in &shown.seen {
        if let Some(call) = history.call(seen.call) {
            by_key.entry(call.key).or_default().push(seen);
        }
    }
    by_key
}

/// The calls are those about one key: each was answered before the next was made.
fn check(look: &Look, calls: &[&Call], shown: &[&Seen]) -> Result<(), (&'static str, String)> {
    if shown.len() > 1 {
        return Err(("A4", format!("is shown {} times", shown.len())));
    }
    let shown = shown.first();
    let answered = calls.partition_point(|call| call.span.end <= look.span.begin);
    let last = calls[..answered].iter().rposition(|call| call.is_done());
    let later = &calls[last.map_or(0, |last| last + 1)..];
    let begun = later.partition_point(|call| call.span.begin <= look.span.end);
    let later = later[..begun].iter().filter(|call| call.may_be_done());
    let last = last.map(|last| &calls[last]);
    let after = last.map_or(0, |call| call.id.number);
    let may: Vec<_> = last.into_iter().chain(later).copied().collect();
    if may.is_empty() || last.is_none() && shown.is_none() {
        return Ok(());
    }
    if look.service == Service::Db && look.way == Way::Dns {
        return check_dns(shown.is_some(), &may);
    }
    let Some(seen) = shown else {
        return match may.iter().any(|call| call.act == Act::Deregister) {
            true => Ok(()),
            false => Err((
                "A4",
                format!("is not shown, and call {after} was acknowledged"),
            )),
        };
    };
    let number = seen.number();
    let fits = |call: &&Call| call.id.number == number && call.act != Act::Deregister;
    if may.iter().any(fits) {
        return Ok(());
    }
    let ended = calls.iter().any(|call| {
        call.act == Act::Deregister && call.is_done() && (number..=after).contains(&call.id.number)
    });
    let id = if ended { "A5" } else { "A4" };
    Err((
        id,
        format!("is shown by call {number}, and call {after} was acknowledged"),
    ))
}

/// DNS leaves out what is critical.
fn check_dns(is_shown: bool, may: &[&Call]) -> Result<(), (&'static str, String)> {
    let shows = |call: &&Call| match call.act {
        Act::Register => true,
        Act::Report(health) => health != Health::Critical,
        Act::Deregister => false,
    };
    if may.iter().any(|call| shows(call) == is_shown) {
        return Ok(());
    }
    let is = if is_shown { "shown" } else { "left out" };
    Err(("A4", format!("is {is}, and its check says otherwise")))
}

/// The instance of `key` in an answer, if its call is known.
pub fn instance_of<'a>(history: &History, shown: &'a Shown, key: Key) -> Option<&'a Seen> {
    let mut seen = shown.seen.iter();
    seen.find(|seen| history.call(seen.call).is_some_and(|call| call.key == key))
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{A, B, DB, MadeUp, WEB, WELL};
    use crate::drill::{book::Health, history::Act, plan::Disk};

    #[test]
    fn what_was_acknowledged_is_shown_from_the_answer_on() {
        let mut made = MadeUp::new();
        made.shows(A, WEB, &[], 5, 6);
        let one = made.done(A, WEB, Act::Register, 10, 20);
        made.shows(A, WEB, &[], 15, 16);
        made.shows(A, WEB, &[one], 15, 16);
        made.shows(A, WEB, &[one], 21, 22);
        made.killed(A, 30, 40, Disk::Kept);
        made.shows_over_dns(A, WEB, &[one], 50, 51);
        // Peers may be late.
        made.shows(B, WEB, &[], 50, 51);
        assert_eq!(made.broken(super::judge), WELL);
        made.shows(A, WEB, &[], 52, 53);
        assert_eq!(made.broken(super::judge), ["A4"]);
    }

    #[test]
    fn an_older_registration_is_not_what_was_acknowledged() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        let two = made.silent(A, WEB, Act::Register, 30, 40);
        made.shows(A, WEB, &[one], 50, 51);
        made.shows(A, WEB, &[two], 52, 53);
        let three = made.done(A, WEB, Act::Register, 60, 70);
        made.shows(A, WEB, &[three], 80, 81);
        assert_eq!(made.broken(super::judge), WELL);
        made.shows(A, WEB, &[two], 82, 83);
        assert_eq!(made.broken(super::judge), ["A4"]);
    }

    #[test]
    fn what_was_deregistered_is_gone_from_the_answer_on() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        made.done(A, WEB, Act::Deregister, 30, 40);
        made.shows(A, WEB, &[one], 35, 36);
        made.shows(A, WEB, &[], 35, 36);
        made.shows(A, WEB, &[], 41, 42);
        assert_eq!(made.broken(super::judge), WELL);
        made.killed(A, 50, 60, Disk::Kept);
        made.shows(A, WEB, &[one], 70, 71);
        assert_eq!(made.broken(super::judge), ["A5"]);
    }

    #[test]
    fn what_a_disk_lost_is_judged_elsewhere() {
        let mut made = MadeUp::new();
        made.done(A, WEB, Act::Register, 10, 20);
        made.killed(A, 30, 40, Disk::Emptied);
        made.shows(A, WEB, &[], 50, 51);
        assert_eq!(made.broken(super::judge), WELL);
    }

    #[test]
    fn dns_leaves_out_what_is_critical_and_nothing_else() {
        let mut made = MadeUp::new();
        let db = made.done(A, DB, Act::Register, 10, 20);
        made.shows_over_dns(A, DB, &[db], 21, 22);
        made.done(A, DB, Act::Report(Health::Critical), 30, 40);
        made.shows_over_dns(A, DB, &[], 41, 42);
        assert_eq!(made.broken(super::judge), WELL);
        made.shows_over_dns(A, DB, &[db], 43, 44);
        assert_eq!(made.broken(super::judge), ["A4"]);
    }

    #[test]
    fn a_report_is_shown_from_the_answer_on() {
        let mut made = MadeUp::new();
        let db = made.done(A, DB, Act::Register, 10, 20);
        let report = made.done(A, DB, Act::Report(Health::Warning), 30, 40);
        made.shows_check(A, db, (Health::Passing, None), 35, 36);
        made.shows_check(A, db, (Health::Warning, Some(report)), 41, 42);
        assert_eq!(made.broken(super::judge), WELL);
        made.shows_check(A, db, (Health::Passing, None), 43, 44);
        assert_eq!(made.broken(super::judge), ["A4"]);
    }

    #[test]
    fn an_instance_is_shown_once() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        let two = made.done(A, WEB, Act::Register, 30, 40);
        made.shows(A, WEB, &[one, two], 50, 51);
        assert_eq!(made.broken(super::judge), ["A4"]);
    }
}
