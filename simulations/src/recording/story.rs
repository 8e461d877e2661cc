//! What happened in a run, in sentences: what a reader should know before looking at any line.

use std::collections::BTreeSet;

use tidings_types::{MemberStatus, Timestamp};

use super::{
    Happening, Recording,
    sides::{Split, splits},
    timeline::{Down, Timeline},
    words,
};
use crate::{Report, Verdict};

mod telling;

/// Declarations that nothing in the plan explains and that are told one by one, at most.
const SURPRISES: usize = 5;

/// What happened in a run.
#[derive(Clone, Debug)]
pub struct Story {
    /// The splits of the network, by time.
    pub(crate) splits: Vec<SplitStory>,
    /// From when on the running agents held the same to the end; `None` if they did not.
    pub(crate) agreed_for_good: Option<Timestamp>,
    /// The sentences, by time.
    pub(crate) lines: Vec<Line>,
    pub(crate) timeline: Timeline,
}

/// What came of one split.
#[derive(Clone, Debug)]
pub(crate) struct SplitStory {
    pub(crate) split: Split,
    /// Of each two hosts on different sides, when the first declared the second down, if it did.
    pub(crate) downs: Vec<Down>,
    /// Who held whom for down when it began.
    pub(crate) before: BTreeSet<(usize, usize)>,
    /// When every running node saw every running node as reachable again.
    pub(crate) whole: Option<Timestamp>,
    /// When all running agents held the same again.
    pub(crate) agreed: Option<Timestamp>,
}

/// A sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) tone: Tone,
    pub(crate) text: String,
}

/// What a sentence is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Split,
    Down,
    Heal,
    Agreed,
    Fault,
    Broken,
    Note,
}

impl Tone {
    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Down => "down",
            Self::Heal => "healed",
            Self::Agreed => "agreed",
            Self::Fault => "fault",
            Self::Broken => "broken",
            Self::Note => "note",
        }
    }
}

impl Story {
    /// What a recording tells.
    pub fn new(recording: &Recording, report: &Report) -> Self {
        let timeline = Timeline::new(recording);
        let splits = split_stories(recording, &timeline);
        let mut story = Self {
            agreed_for_good: timeline
                .agreed_for_good()
                .filter(|_| recording.full.is_none()),
            splits,
            lines: Vec::new(),
            timeline,
        };
        story.tell(recording, report);
        story.lines.sort_by_key(|line| line.at);
        story
    }

    fn tell(&mut self, recording: &Recording, report: &Report) {
        let mut lines = Vec::new();
        telling::splits(self, recording, &mut lines);
        telling::other_faults(recording, &mut lines);
        telling::outages(&self.timeline, recording, &mut lines);
        telling::surprises(&self.surprises(recording), &mut lines);
        telling::calls(recording, &mut lines);
        telling::divergence(self, recording, &mut lines);
        if let Verdict::Broken(violation) = &report.verdict {
            lines.push(Line {
                at: violation.at,
                tone: Tone::Broken,
                text: format!("Invariant {violation}."),
            });
        }
        if let Some(at) = recording.full {
            lines.push(Line {
                at,
                tone: Tone::Note,
                text: "The recording is full: nothing of what follows in the run is shown or told."
                    .to_owned(),
            });
        }
        self.lines = lines;
    }

    /// Declarations about nodes that ran, by nodes that no fault of the plan had parted from them.
    fn surprises(&self, recording: &Recording) -> Vec<Down> {
        let explained = |down: &&Down| {
            let parted = self.splits.iter().any(|split| {
                split.split.parts(down.by, down.of)
                    && telling::just_before(split.split.from, split.split.until, down.at)
            });
            let out = self.timeline.outages.iter().any(|outage| {
                let until = outage.until.unwrap_or(recording.end);
                (outage.host == down.of || outage.host == down.by)
                    && telling::just_before(outage.from, until, down.at)
            });
            let blocked = recording.troubles.iter().any(|trouble| {
                telling::touches_link(trouble, down.by, down.of)
                    && telling::just_before(trouble.at, trouble.until, down.at)
            });
            !parted && !out && !blocked
        };
        self.timeline
            .downs
            .iter()
            .filter(explained)
            .copied()
            .collect()
    }
}

fn split_stories(recording: &Recording, timeline: &Timeline) -> Vec<SplitStory> {
    let mut splits = splits(&recording.troubles, |at| recording.clusters_at(at));
    splits.retain(|split| split.from < recording.end);
    let story = |(nth, split): (usize, &Split)| {
        let next = splits.get(nth + 1).map_or(recording.end, |next| next.from);
        let over = split.until <= recording.end;
        let until = recording.end.max(split.until);
        let whole = timeline
            .whole(split.until, next.max(split.until))
            .filter(|_| over);
        let agreed = timeline
            .agreed(split.until, next.max(split.until))
            .filter(|_| over);
        let declared_until = whole.unwrap_or(until).min(next.max(split.until));
        SplitStory {
            before: held_for_down(recording, split.from),
            downs: first_downs(split, declared_until, timeline),
            split: split.clone(),
            whole,
            agreed,
        }
    };
    splits.iter().enumerate().map(story).collect()
}

/// Of each two hosts on different sides, the first declaration in the split.
fn first_downs(split: &Split, until: Timestamp, timeline: &Timeline) -> Vec<Down> {
    let mut first: Vec<Down> = Vec::new();
    let within = timeline
        .downs
        .iter()
        .filter(|down| (split.from..=until).contains(&down.at) && split.parts(down.by, down.of));
    for &down in within {
        if !first
            .iter()
            .any(|known| (known.by, known.of) == (down.by, down.of))
        {
            first.push(down);
        }
    }
    first
}

/// Who held whom for down at a moment.
fn held_for_down(recording: &Recording, at: Timestamp) -> BTreeSet<(usize, usize)> {
    let mut held = BTreeSet::new();
    for moment in recording.moments.iter().take_while(|moment| moment.at < at) {
        if let Happening::Sees { of, view } = moment.what {
            if view.status == Some(MemberStatus::Down) {
                held.insert((moment.host, of));
            } else {
                held.remove(&(moment.host, of));
            }
        }
    }
    held
}
