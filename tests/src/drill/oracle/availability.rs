//! A9: an agent that is up answers, and accepts, whatever the network does.

use std::time::Duration;

use super::Violation;
use crate::drill::{
    history::{History, Outcome, Span, seconds},
    lives::Life,
};

/// An answer takes no longer, on a machine that does much else; the time that the agent stood still
/// does not count.
const PATIENCE: Duration = Duration::from_secs(5);
/// An agent answers so soon after its start.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// Adds what breaks it.
pub fn judge(history: &History, found: &mut Vec<Violation>) {
    for call in history.calls() {
        let failed = match &call.outcome {
            Outcome::Done => None,
            Outcome::Refused(reason) | Outcome::Silent(reason) | Outcome::Unsent(reason) => {
                Some(reason)
            }
        };
        let refused = matches!(call.outcome, Outcome::Refused(_));
        let what = format!("{:?} of {}", call.act, call.key.id());
        let text = judge_answer(history, call.id.host, &call.span, failed, refused);
        push(found, call.id.host, &call.span, &what, text);
    }
    for look in &history.looks {
        let failed = look.answer.as_ref().err();
        let what = format!(
            "the question for {} over {:?}",
            look.service.name(),
            look.way
        );
        let text = judge_answer(history, look.at, &look.span, failed, false);
        push(found, look.at, &look.span, &what, text);
    }
    for host in 0..history.lives.lives.len() {
        for life in history.lives.of(host) {
            if let Some(text) = is_late(life) {
                push(found, host, &life.span(), "its start", Some(text));
            }
        }
    }
}

fn push(found: &mut Vec<Violation>, host: usize, span: &Span, what: &str, text: Option<String>) {
    found.extend(text.map(|text| Violation {
        id: "A9",
        at: span.begin,
        host: Some(host),
        text: format!("{what} {text}"),
    }));
}

/// What is wrong with an answer, if anything.
fn judge_answer(
    history: &History,
    host: usize,
    span: &Span,
    failed: Option<&String>,
    refused: bool,
) -> Option<String> {
    if history.lives.was_down(host, span) && !refused {
        return None;
    }
    let paused = history.lives.paused(host, span);
    let took = span.length().saturating_sub(paused);
    match failed {
        Some(reason) if refused => Some(format!("is refused: {reason}")),
        // Who asked while the agent stood still may have given up.
        Some(reason) if paused.is_zero() || took > PATIENCE => {
            Some(format!("is not answered: {reason}"))
        }
        _ if took > PATIENCE => Some(format!("is answered after {}", seconds(took))),
        _ => None,
    }
}

fn is_late(life: &Life) -> Option<String> {
    let took = life.ready.map(|ready| ready.saturating_sub(life.started));
    match took {
        Some(took) if took <= STARTS_WITHIN => None,
        Some(took) => Some(format!("took {}", seconds(took))),
        None => Some("was never followed by an answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{A, MadeUp, WEB, WELL};
    use crate::drill::{history::Act, plan::Disk};

    #[test]
    fn an_agent_that_was_killed_or_stood_still_need_not_answer() {
        let mut made = MadeUp::new();
        made.done(A, WEB, Act::Register, 10, 4_000);
        made.silent(A, WEB, Act::Register, 5_000, 6_000);
        made.killed(A, 5_500, 5_600, Disk::Kept);
        made.fails(A, WEB, 5_550, 5_560);
        made.stands_still(A, 10_000, 18_000);
        made.fails(A, WEB, 11_000, 17_000);
        made.done(A, WEB, Act::Register, 10_500, 19_000);
        assert_eq!(made.broken(super::judge), WELL);
    }

    #[test]
    fn an_agent_that_is_up_answers() {
        let mut made = MadeUp::new();
        made.fails(A, WEB, 10, 20);
        assert_eq!(made.broken(super::judge), ["A9"]);
        let mut made = MadeUp::new();
        made.silent(A, WEB, Act::Register, 10, 20);
        assert_eq!(made.broken(super::judge), ["A9"]);
    }

    #[test]
    fn an_agent_that_is_up_accepts() {
        let mut made = MadeUp::new();
        made.refused(A, WEB, Act::Register, 10, 20);
        assert_eq!(made.broken(super::judge), ["A9"]);
    }

    #[test]
    fn an_answer_that_comes_late_is_none() {
        let mut made = MadeUp::new();
        made.shows(A, WEB, &[], 10, 5_100);
        assert_eq!(made.broken(super::judge), ["A9"]);
        let mut made = MadeUp::new();
        made.stands_still(A, 100, 1_100);
        made.done(A, WEB, Act::Register, 10, 6_100);
        assert_eq!(made.broken(super::judge), ["A9"]);
    }

    #[test]
    fn an_agent_starts() {
        let mut made = MadeUp::new();
        made.killed(A, 100, 200, Disk::Kept);
        made.lives.lives[A].last_mut().unwrap().ready = None;
        assert_eq!(made.broken(super::judge), ["A9"]);
    }
}
