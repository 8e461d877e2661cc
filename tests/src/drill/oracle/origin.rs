//! A6: each instance that is shown was asked for by a client, as it stands and where it stands.

use super::Violation;
use crate::drill::{
    book::CallId,
    history::{Act, Call, History, Look, Seen},
};

/// Adds what breaks it.
pub fn judge(history: &History, found: &mut Vec<Violation>) {
    for look in &history.looks {
        let Ok(shown) = &look.answer else {
            continue;
        };
        let seen = shown
            .seen
            .iter()
            .filter_map(|seen| is_asked_for(history, look, seen).err());
        found.extend(
            shown
                .strange
                .iter()
                .cloned()
                .chain(seen)
                .map(|text| Violation {
                    id: "A6",
                    at: look.span.end,
                    host: Some(look.at),
                    text: format!("it shows over {:?} what nobody asked for: {text}", look.way),
                }),
        );
    }
}

fn is_asked_for(history: &History, look: &Look, seen: &Seen) -> Result<(), String> {
    let made = |call: &&Call| call.span.begin <= look.span.end && call.may_be_done();
    let call = history.call(seen.call).filter(made);
    let Some(call) = call.filter(|call| call.act == Act::Register) else {
        return Err(format!("{} registered nothing yet", seen.call));
    };
    let same_key = seen.key.is_none_or(|key| key == call.key);
    if !same_key || call.key.service() != look.service {
        return Err(format!("{} registered {}", seen.call, call.key.id()));
    }
    if let (Some(owner), Some(generation)) = (call.key.owner(), call.key.generation()) {
        let node = history.lives.node(owner, generation);
        if seen.node.is_some() && seen.node != node {
            let id = seen.node.unwrap_or_default();
            return Err(format!(
                "{} is not an instance of node {id:032x}",
                call.key.id()
            ));
        }
    }
    let Some((health, Some(number))) = seen.check else {
        return Ok(());
    };
    let report = CallId {
        number,
        ..seen.call
    };
    let report = history.call(report).filter(made);
    let fits = |report: &Call| report.key == call.key && report.act == Act::Report(health);
    if report.is_some_and(fits) {
        return Ok(());
    }
    Err(format!(
        "nobody reported {health:?} with report {number} on {}",
        call.key.id()
    ))
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{A, B, DB, MadeUp, WEB, WELL};
    use crate::drill::{book::Health, history::Act};

    #[test]
    fn what_was_asked_for_may_be_shown() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        let two = made.silent(A, WEB, Act::Register, 30, 40);
        let db = made.done(A, DB, Act::Register, 50, 60);
        let report = made.done(A, DB, Act::Report(Health::Warning), 70, 80);
        made.shows(B, WEB, &[one], 15, 16);
        made.shows(B, WEB, &[two], 35, 36);
        made.shows_check(B, db, (Health::Passing, None), 61, 62);
        made.shows_check(B, db, (Health::Warning, Some(report)), 75, 76);
        made.shows_over_dns(B, WEB, &[two], 90, 91);
        assert_eq!(made.broken(super::judge), WELL);
    }

    #[test]
    fn nothing_is_shown_before_it_is_asked_for() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        made.shows(B, WEB, &[one], 5, 9);
        assert_eq!(made.broken(super::judge), ["A6"]);
    }

    #[test]
    fn what_was_refused_is_not_shown() {
        let mut made = MadeUp::new();
        let one = made.refused(A, WEB, Act::Register, 10, 20);
        made.shows(B, WEB, &[one], 30, 31);
        assert_eq!(made.broken(super::judge), ["A6"]);
    }

    #[test]
    fn a_report_is_shown_as_it_was_made() {
        let mut made = MadeUp::new();
        let db = made.done(A, DB, Act::Register, 50, 60);
        let report = made.done(A, DB, Act::Report(Health::Warning), 70, 80);
        made.shows_check(B, db, (Health::Critical, Some(report)), 90, 91);
        assert_eq!(made.broken(super::judge), ["A6"]);
    }

    #[test]
    fn an_instance_is_its_owners() {
        let mut made = MadeUp::new();
        let one = made.done(A, WEB, Act::Register, 10, 20);
        made.shows(B, WEB, &[one], 30, 31);
        made.last_seen().node = Some(999);
        assert_eq!(made.broken(super::judge), ["A6"]);
    }

    #[test]
    fn strange_things_are_broken_promises() {
        let mut made = MadeUp::new();
        made.shows(B, WEB, &[], 30, 31);
        let shown = made.looks.last_mut().unwrap().answer.as_mut().unwrap();
        shown.strange.push("port 80".to_owned());
        assert_eq!(made.broken(super::judge), ["A6"]);
    }
}
