//! The sentences of a story, each kind by itself.

use std::time::Duration;

use tidings_types::Timestamp;

use super::{
    Down, Happening, Line, Recording, SURPRISES, SplitStory, Story, Timeline, Tone, words,
};
use crate::{
    plan::{Trouble, What},
    recording::{sides::blocked, timeline::Outage},
};

/// A declaration so long after a fault can still come of it.
const AFTERMATH: Duration = Duration::from_secs(15);

/// Whether a fault that lasts so long may be what a declaration at `at` comes of.
pub(super) fn just_before(from: Timestamp, until: Timestamp, at: Timestamp) -> bool {
    from <= at && at <= until + AFTERMATH
}

/// Whether a fault stops or disturbs packets between two hosts.
pub(super) fn touches_link(trouble: &Trouble, a: usize, b: usize) -> bool {
    let links = match &trouble.what {
        What::Weather(links, _) => Some(links.as_slice()),
        what => blocked(what),
    };
    links.is_some_and(|links| links.contains(&(a, b)) || links.contains(&(b, a)))
}

/// Every split, what came of it, and its end.
pub(super) fn splits(story: &Story, recording: &Recording, lines: &mut Vec<Line>) {
    let mut begun = Timestamp::ZERO;
    for (nth, split) in story.splits.iter().enumerate() {
        let (from, until) = (split.split.from, split.split.until);
        let before = nth.checked_sub(1).and_then(|nth| story.splits.get(nth));
        let goes_on = before.is_some_and(|before| before.split.until == from);
        if !goes_on {
            begun = from;
        }
        lines.push(beginning(split, goes_on));
        let next = story.splits.get(nth + 1);
        let changes = next.is_some_and(|next| next.split.from == until);
        lines.extend(declared_across(split, changes));
        if until > recording.end {
            let text = "The run ends before the split does.".to_owned();
            lines.push(line(recording.end, Tone::Note, text));
        } else if !changes {
            let lasted = words::span(until.since(begun));
            let text = format!("The split is healed, after {lasted}: all can reach each other.");
            lines.push(line(until, Tone::Heal, text));
            lines.push(whole_again(split, next, recording));
            lines.push(agreed_again(split, next, story.agreed_for_good, recording));
        }
    }
}

fn beginning(SplitStory { split, .. }: &SplitStory, goes_on: bool) -> Line {
    let sides: Vec<String> = split.sides.iter().map(|side| words::hosts(side)).collect();
    let sides = sides.join(" | ");
    let what = if goes_on {
        "The split changes"
    } else {
        "The network is split"
    };
    let one_way = if split.one_way {
        " Something still passes in one direction."
    } else {
        ""
    };
    let text = format!("{what}: {sides}.{one_way}");
    line(split.from, Tone::Split, text)
}

fn whole_again(story: &SplitStory, next: Option<&SplitStory>, recording: &Recording) -> Line {
    let Some(at) = story.whole else {
        return never("see all others as reachable", next, recording);
    };
    let after = words::span(at.since(story.split.until));
    let text =
        format!("Every running node sees all others as reachable again, {after} after the heal.");
    line(at, Tone::Agreed, text)
}

fn agreed_again(
    story: &SplitStory,
    next: Option<&SplitStory>,
    for_good: Option<Timestamp>,
    recording: &Recording,
) -> Line {
    let Some(at) = story.agreed else {
        return never("hold the same", next, recording);
    };
    let to_the_end = if for_good == Some(at) {
        ", and to the end"
    } else {
        ""
    };
    let when = if at == story.split.until {
        "when the split is healed".to_owned()
    } else {
        let after = words::span(at.since(story.split.until));
        format!("again, {after} after the heal")
    };
    let text = format!("All running agents hold the same {when}{to_the_end}.");
    line(at, Tone::Agreed, text)
}

fn never(what: &str, next: Option<&SplitStory>, recording: &Recording) -> Line {
    let (at, end) = match next {
        Some(next) => (next.split.from, "the next split"),
        None if recording.full.is_some() => (recording.end, "the recording was full"),
        None => (recording.end, "the end"),
    };
    let text = format!("The running agents did not come to {what} before {end}.");
    line(at, Tone::Note, text)
}

/// Who declared whom down across a split; of one that changes into another, only if somebody did.
fn declared_across(story: &SplitStory, changes: bool) -> Option<Line> {
    let pairs = story.split.pairs();
    let (Some(first), Some(last)) = (story.downs.first(), story.downs.last()) else {
        let text = "In this split nobody declared a node of another side down.".to_owned();
        let is_news = story.before.is_empty() && !changes;
        return is_news.then(|| line(story.split.from, Tone::Note, text));
    };
    let text = if story.downs.len() == 1 {
        format!(
            "n{} declared n{} down; nobody else did so.",
            first.by, first.of
        )
    } else {
        let count = story.downs.len();
        let how_many = if count == pairs {
            format!("all {pairs} declarations across the split were made")
        } else {
            format!("{count} of {pairs} possible declarations across the split were made")
        };
        format!(
            "n{} was the first to declare a node of another side down: n{}. By {} {how_many}; \
             the last was n{} of n{}.",
            first.by,
            first.of,
            words::moment(last.at),
            last.by,
            last.of
        )
    };
    Some(line(first.at, Tone::Down, text))
}

/// Faults that neither split the network nor stop a process.
pub(super) fn other_faults(recording: &Recording, lines: &mut Vec<Line>) {
    let all: Vec<usize> = (0..recording.hosts).collect();
    let is_told = |trouble: &&Trouble| match &trouble.what {
        What::Pause(_) | What::Crash(..) | What::Depart(..) => false,
        // What parts no two sides is told as the fault that it is.
        what => blocked(what).is_none() || !parts_sides(trouble, recording),
    };
    for trouble in recording.troubles.iter().filter(is_told) {
        if trouble.at <= recording.end {
            let text = words::fault(trouble).replace(&words::hosts(&all), "all");
            let until = words::moment(trouble.until);
            let text = format!("{text}, until {until}.");
            lines.push(line(trouble.at, Tone::Fault, text));
        }
    }
}

fn parts_sides(trouble: &Trouble, recording: &Recording) -> bool {
    let Some(links) = blocked(&trouble.what) else {
        return false;
    };
    super::splits(&recording.troubles, |at| recording.clusters_at(at))
        .iter()
        .filter(|split| split.from < trouble.until && trouble.at < split.until)
        .any(|split| links.iter().any(|&(a, b)| split.parts(a, b)))
}

/// Processes that were not there, or stood still, and who noticed.
pub(super) fn outages(timeline: &Timeline, recording: &Recording, lines: &mut Vec<Line>) {
    let mut told: Vec<(&Outage, Vec<usize>)> = Vec::new();
    for outage in &timeline.outages {
        let alike = |known: &&mut (&Outage, Vec<usize>)| {
            (known.0.from, known.0.until, known.0.paused)
                == (outage.from, outage.until, outage.paused)
        };
        match told.iter_mut().find(alike) {
            Some((_, hosts)) => hosts.push(outage.host),
            None => told.push((outage, vec![outage.host])),
        }
    }
    for (outage, hosts) in told {
        let who = words::hosts(&hosts);
        let what = if outage.paused {
            "stands still"
        } else {
            "is stopped"
        };
        let until = match outage.until {
            Some(until) => format!("goes on at {}", words::moment(until)),
            None => "does not go on before the end".to_owned(),
        };
        let noticed = noticed(outage, &hosts, timeline, recording);
        let why = why(outage, recording);
        let text = format!("{who} {what}{why}, and {until}. {noticed}");
        lines.push(line(outage.from, Tone::Fault, text));
    }
}

/// The fault that stops a process.
fn why(outage: &Outage, recording: &Recording) -> String {
    let mut faults = recording.troubles.iter();
    let fault = faults.find(|trouble| {
        matches!(trouble.what, What::Crash(..) | What::Depart(..))
            && trouble.at == outage.from
            && words::touched(&trouble.what).contains(&outage.host)
    });
    fault.map_or_else(String::new, |fault| format!(" ({})", words::fault(fault)))
}

fn noticed(outage: &Outage, hosts: &[usize], timeline: &Timeline, recording: &Recording) -> String {
    let until = outage.until.unwrap_or(recording.end);
    let downs: Vec<&Down> = timeline
        .downs
        .iter()
        .filter(|down| hosts.contains(&down.of) && (outage.from..=until).contains(&down.at))
        .collect();
    match downs.as_slice() {
        [] => "Nobody declared it down in that time.".to_owned(),
        [only] => format!(
            "n{} declared it down at {}.",
            only.by,
            words::moment(only.at)
        ),
        [first, .., last] => format!(
            "First declared down at {} (by n{}), last at {} (by n{}).",
            words::moment(first.at),
            first.by,
            words::moment(last.at),
            last.by
        ),
    }
}

/// Declarations that nothing in the plan explains.
pub(super) fn surprises(surprises: &[Down], lines: &mut Vec<Line>) {
    for down in surprises.iter().take(SURPRISES) {
        let (by, of) = (down.by, down.of);
        let text = format!("n{by} declared n{of} down, though no fault stood between them.");
        lines.push(line(down.at, Tone::Down, text));
    }
    if let Some(next) = surprises.get(SURPRISES) {
        let more = surprises.len() - SURPRISES;
        let text = format!("{more} more such declarations follow.");
        lines.push(line(next.at, Tone::Down, text));
    }
}

/// How many calls there were, told when the first is made.
pub(super) fn calls(recording: &Recording, lines: &mut Vec<Line>) {
    let (mut first, mut asked, mut done, mut refused) = (None, 0, 0, 0);
    for moment in &recording.moments {
        match &moment.what {
            Happening::Asked { .. } => {
                first.get_or_insert(moment.at);
                asked += 1;
            }
            Happening::Answered { refusal: None, .. } => done += 1,
            Happening::Answered { .. } => refused += 1,
            _ => {}
        }
    }
    if let Some(at) = first {
        let open = asked - done - refused;
        let text = format!(
            "The first of {asked} calls of clients: {done} were acknowledged, {refused} refused, \
             {open} got no answer."
        );
        lines.push(line(at, Tone::Note, text));
    }
}

/// How far the agents were apart, and whether they hold the same in the end.
pub(super) fn divergence(story: &Story, recording: &Recording, lines: &mut Vec<Line>) {
    if let Some(most) = story.timeline.most_divergent() {
        let text = format!(
            "The agents are furthest apart: {} different registries among those running.",
            most.states
        );
        lines.push(line(most.at, Tone::Note, text));
    }
    let told = |at| story.splits.iter().any(|split| split.agreed == Some(at));
    let (at, tone, text) = match story.agreed_for_good {
        Some(at) if told(at) => return,
        Some(at) => (
            at,
            Tone::Agreed,
            "From here to the end all running agents hold the same.",
        ),
        None if recording.full.is_some() => return,
        None if is_told_by_the_last_split(story, recording) => return,
        None => (
            recording.end,
            Tone::Note,
            "The running agents do not hold the same at the end.",
        ),
    };
    lines.push(line(at, tone, text.to_owned()));
}

fn is_told_by_the_last_split(story: &Story, recording: &Recording) -> bool {
    let last = story.splits.last();
    last.is_some_and(|last| last.agreed.is_none() && last.split.until <= recording.end)
}

const fn line(at: Timestamp, tone: Tone, text: String) -> Line {
    Line { at, tone, text }
}
