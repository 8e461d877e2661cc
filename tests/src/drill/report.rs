//! What came of a drill, for people.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    time::Duration,
};

use super::{
    history::{Act, History, Moment, Outcome, Span, Way},
    oracle::{Violation, ending::Ending},
};

/// What came of a drill.
#[derive(Clone, Debug)]
pub struct Report {
    timeline: Vec<(Moment, String)>,
    /// By what was asked.
    counts: BTreeMap<&'static str, Count>,
    instances: usize,
    taken: u64,
    endings: Vec<String>,
    violations: Vec<Violation>,
}

/// How often something was asked, and how it was answered.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    asked: usize,
    answered: usize,
    slowest: Duration,
}

/// With fewer calls acknowledged or fewer questions answered, nothing was tried.
const CALLS_MIN: usize = 50;
const ANSWERS_MIN: usize = 100;
const CALLS: [&str; 3] = ["registrations", "deregistrations", "check reports"];
const QUESTIONS: [&str; 2] = ["HTTP questions", "DNS questions"];

impl Report {
    /// Of what was seen and judged. `taken` is the number of packets that the rules took away.
    pub fn new(
        history: &History,
        timeline: Vec<(Moment, String)>,
        ending: &Ending,
        taken: u64,
        violations: Vec<Violation>,
    ) -> Self {
        let mut counts: BTreeMap<&'static str, Count> = BTreeMap::new();
        let mut count = |what, host, span: &Span, is_answered: bool| {
            let paused = history.lives.paused(host, span);
            let count = counts.entry(what).or_default();
            count.asked += 1;
            if is_answered {
                count.answered += 1;
                count.slowest = count.slowest.max(span.length().saturating_sub(paused));
            }
        };
        for call in history.calls() {
            let what = match call.act {
                Act::Register => CALLS[0],
                Act::Deregister => CALLS[1],
                Act::Report(_) => CALLS[2],
            };
            count(
                what,
                call.id.host,
                &call.span,
                call.outcome == Outcome::Done,
            );
        }
        for look in &history.looks {
            let what = QUESTIONS[usize::from(look.way == Way::Dns)];
            count(what, look.at, &look.span, look.answer.is_ok());
        }
        let shown = history
            .looks
            .iter()
            .filter_map(|look| look.answer.as_ref().ok());
        Self {
            timeline,
            counts,
            instances: shown.map(|shown| shown.seen.len()).sum(),
            taken,
            endings: endings(ending),
            violations,
        }
    }

    /// The exit code of a program: 0 if nothing is broken, 1 if something is, 2 if too little was
    /// tried to say.
    pub fn exit_code(&self) -> u8 {
        let answered = |what: &[&str]| -> usize {
            let counts = what.iter().filter_map(|what| self.counts.get(what));
            counts.map(|count| count.answered).sum()
        };
        if !self.violations.is_empty() {
            1
        } else if answered(&CALLS) < CALLS_MIN || answered(&QUESTIONS) < ANSWERS_MIN {
            2
        } else {
            0
        }
    }

    /// The exit code in words.
    pub fn verdict(&self) -> &'static str {
        match self.exit_code() {
            0 => "PASS: every promise was kept",
            1 => "FAIL: a promise was broken; its id and its story stand above",
            _ => "UNDECIDED: too little was asked and answered to say",
        }
    }

    /// Whether that invariant is broken.
    pub fn breaks(&self, id: &str) -> bool {
        self.violations.iter().any(|violation| violation.id == id)
    }
}

fn endings(ending: &Ending) -> Vec<String> {
    let mut told = Vec::new();
    if let Ok(took) = &ending.agreed {
        told.push(format!(
            "all agents agree {:.1} s after the last fault",
            took.as_secs_f64()
        ));
    }
    if let Some(Ok(took)) = &ending.gone {
        let took = took.as_secs_f64();
        told.push(format!(
            "an agent that is killed for good is gone everywhere after {took:.1} s"
        ));
    }
    told
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "== What happened")?;
        for (at, what) in &self.timeline {
            writeln!(f, "  {:>6.1} s  {what}", at.as_secs_f64())?;
        }
        writeln!(f, "\n== What was asked")?;
        writeln!(
            f,
            "  {:<18} {:>7} {:>9} {:>9}",
            "", "asked", "answered", "slowest"
        )?;
        for (what, count) in &self.counts {
            let slowest = format!("{} ms", count.slowest.as_millis());
            writeln!(
                f,
                "  {what:<18} {:>7} {:>9} {slowest:>9}",
                count.asked, count.answered
            )?;
        }
        writeln!(
            f,
            "  {} instances in the answers were judged",
            self.instances
        )?;
        writeln!(f, "  {} packets were taken away", self.taken)?;
        for ending in &self.endings {
            writeln!(f, "  {ending}")?;
        }
        if self.violations.is_empty() {
            return Ok(());
        }
        let mut told = String::new();
        for violation in &self.violations {
            write!(told, "\n{violation}\n")?;
        }
        write!(f, "\n== What is broken\n{told}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::{
        book::{CallId, Key, Service},
        history::{Call, Look, Shown},
        lives::Lives,
    };

    fn report(calls: u32, looks: u32, violations: Vec<Violation>) -> Report {
        let span = Span {
            begin: Moment::ZERO,
            end: Moment::from_millis(3),
        };
        let call = |number| Call {
            id: CallId { host: 0, number },
            key: Key::Shared(0),
            act: Act::Register,
            span,
            outcome: Outcome::Done,
        };
        let look = |_| Look {
            at: 0,
            way: Way::Http,
            service: Service::Ext,
            span,
            answer: Ok(Shown::default()),
        };
        let (calls, looks) = ((1..=calls).map(call), (0..looks).map(look));
        let history = History::new(Lives::default(), calls.collect(), looks.collect());
        let ending = Ending {
            healed: Moment::ZERO,
            agreed: Ok(Duration::from_secs(4)),
            last: Vec::new(),
            gone: None,
            crashes: Vec::new(),
        };
        Report::new(&history, Vec::new(), &ending, 7, violations)
    }

    #[test]
    fn the_exit_code_tells_broken_from_untried() {
        let broken = Violation {
            id: "A5",
            at: Moment::ZERO,
            host: Some(2),
            text: "it is back".to_owned(),
        };
        assert_eq!(report(50, 100, Vec::new()).exit_code(), 0);
        assert_eq!(report(49, 100, Vec::new()).exit_code(), 2);
        assert_eq!(report(50, 99, Vec::new()).exit_code(), 2);
        let broken = report(50, 99, vec![broken]);
        assert_eq!(broken.exit_code(), 1);
        assert!(broken.breaks("A5") && !broken.breaks("A3"));
        let told = broken.to_string();
        assert!(
            told.contains("A5 broken at 0.000 s on n3: it is back"),
            "{told}"
        );
        assert!(
            told.contains("registrations           50        50      3 ms"),
            "{told}"
        );
    }
}
