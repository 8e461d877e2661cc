//! The picture: what the page shows of the whole run, without moving parts, for reports.

use std::fmt::Write;

use tidings_types::{MemberStatus, Timestamp};

use super::{STRIPES, escaped};
use crate::{
    Report,
    recording::{Happening, Recording, Story, View, story::Tone, words},
};

const WIDTH: f64 = 1200.0;
/// Left of the time axis: names.
const GUTTER: f64 = 92.0;
const RIGHT: f64 = 16.0;
/// Letters of a sentence that find room.
const SENTENCE: usize = 190;
/// Sentences that are written above the drawing, at most.
const LINES: usize = 24;
const ROW: f64 = 16.0;
const CURVE: f64 = 34.0;
/// Two rows for the names of turning points.
const TAGS: f64 = 34.0;
/// Rows of faults, at most; more are drawn in the last one.
const FAULT_ROWS: usize = 8;

const STYLE: &str = "text{font:11px system-ui,sans-serif;fill:#1b1e23}\
.h{font-weight:700;font-size:15px}.s{fill:#5c6470}.b{font-weight:700}";

/// The picture of a recording.
pub fn svg(recording: &Recording, report: &Report) -> String {
    let story = Story::new(recording, report);
    let mut picture = Picture::new(recording);
    picture.head(report, &story);
    picture.network(&story);
    picture.faults();
    picture.curve(&story);
    for host in 0..recording.hosts {
        picture.lane(host, &story);
    }
    picture.legend();
    picture.moments(&story);
    picture.finish()
}

/// A picture in the making, drawn from the top.
struct Picture<'a> {
    recording: &'a Recording,
    body: String,
    y: f64,
    /// Where the time axis begins.
    top: f64,
}

impl<'a> Picture<'a> {
    const fn new(recording: &'a Recording) -> Self {
        Self {
            recording,
            body: String::new(),
            y: 24.0,
            top: 0.0,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a pixel is far longer than the error"
    )]
    fn x(&self, at: Timestamp) -> f64 {
        let end = self.recording.end.as_micros().max(1) as f64;
        GUTTER + at.as_micros() as f64 / end * (WIDTH - GUTTER - RIGHT)
    }

    fn put(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = escaped(text);
        self.put(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>"
        ));
    }

    /// A bar from one moment to another; what it says when pointed at.
    fn bar(
        &mut self,
        (from, until): (Timestamp, Timestamp),
        (y, high): (f64, f64),
        fill: &str,
        title: &str,
    ) {
        let (x, wide) = (self.x(from), (self.x(until) - self.x(from)).max(0.5));
        let title = escaped(title);
        self.put(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\" fill=\"{fill}\"><title>{title}</title></rect>"
        ));
    }

    fn head(&mut self, report: &Report, story: &Story) {
        let title = format!(
            "{} \u{b7} seed {} \u{b7} {}",
            self.recording.name,
            report.seed,
            report.verdict.as_str()
        );
        self.text(12.0, self.y, "h", &title);
        self.y += 18.0;
        self.text(12.0, self.y, "s", &self.recording.about.clone());
        self.y += 8.0;
        for line in story.lines.iter().take(LINES) {
            self.y += ROW;
            self.text(12.0, self.y, "b", &words::moment(line.at));
            self.text(GUTTER, self.y, "", &words::cut(&line.text, SENTENCE));
        }
        if story.lines.len() > LINES {
            self.y += ROW;
            let more = format!("{} more", story.lines.len() - LINES);
            self.text(GUTTER, self.y, "s", &more);
        }
        self.y += 26.0;
        self.axis();
        self.top = self.y;
        self.y += TAGS;
    }

    fn axis(&mut self) {
        for step in 0..=10_u64 {
            let at = Timestamp::from_micros(self.recording.end.as_micros() / 10 * step);
            let (x, y, label) = (self.x(at), self.y, words::moment(at));
            let anchor = if step == 10 { "end" } else { "middle" };
            self.put(&format!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"s\" text-anchor=\"{anchor}\">{label}</text>"
            ));
        }
        self.y += 6.0;
    }

    /// Writes as much of a text as finds room.
    fn fitted(&mut self, x: f64, y: f64, room: f64, class: &str, text: &str) {
        let mut letters = text.chars().count();
        while letters > 2 && width_of(letters) > room {
            letters -= 1;
        }
        if letters > 2 {
            self.text(x, y, class, &words::cut(text, letters));
        }
    }

    fn network(&mut self, story: &Story) {
        self.text(12.0, self.y + 11.0, "", "network");
        let whole = (Timestamp::ZERO, self.recording.end);
        self.bar(whole, (self.y, 14.0), "#d9e6df", "whole");
        for split in &story.splits {
            let sides: Vec<String> = split
                .split
                .sides
                .iter()
                .map(|side| words::hosts(side))
                .collect();
            let sides = sides.join(" | ");
            let until = split.split.until.min(self.recording.end);
            self.bar((split.split.from, until), (self.y, 14.0), "#f2d9a8", &sides);
            let (from, y) = (self.x(split.split.from) + 3.0, self.y + 11.0);
            self.fitted(from, y, self.x(until) - from, "b", &sides);
        }
        self.y += ROW + 4.0;
    }

    fn faults(&mut self) {
        let troubles = &self.recording.troubles;
        if troubles.is_empty() {
            return;
        }
        self.text(12.0, self.y + 11.0, "", "faults");
        let mut rows = 0;
        for (nth, trouble) in troubles.iter().enumerate() {
            if trouble.at > self.recording.end {
                continue;
            }
            let row = nth.min(FAULT_ROWS - 1);
            rows = rows.max(row + 1);
            let y = self.y + ROW * f64::from(u32::try_from(row).unwrap_or(u32::MAX));
            let text = words::fault(trouble);
            let until = trouble.until.min(self.recording.end);
            self.bar((trouble.at, until), (y, 13.0), "#e8c98c", &text);
            self.text(
                self.x(trouble.at).min(WIDTH - 320.0) + 3.0,
                y + 10.0,
                "",
                &text,
            );
        }
        self.y += ROW * f64::from(u32::try_from(rows).unwrap_or(u32::MAX)) + 4.0;
    }

    #[expect(clippy::cast_precision_loss, reason = "there are at most 128 hosts")]
    fn curve(&mut self, story: &Story) {
        self.text(12.0, self.y + 11.0, "", "registries");
        let points = &story.timeline.divergence;
        let most = points
            .iter()
            .map(|point| point.states)
            .max()
            .unwrap_or(1)
            .max(2);
        self.text(12.0, self.y + 24.0, "s", &format!("1 to {most}"));
        let base = self.y + CURVE;
        let height =
            |states: usize| base - (states as f64 - 1.0) / (most as f64 - 1.0) * (CURVE - 4.0);
        let mut path = format!("M{GUTTER:.1} {base:.1}");
        for point in points {
            write!(path, "H{:.1}V{:.1}", self.x(point.at), height(point.states))
                .expect("a string takes every text");
        }
        let end = WIDTH - RIGHT;
        self.put(&format!(
            "<path d=\"{path}H{end:.1}V{base:.1}Z\" fill=\"#cc79a7\" fill-opacity=\"0.35\" stroke=\"#8a3f68\"/>"
        ));
        self.y = base + 8.0;
    }

    fn lane(&mut self, host: usize, story: &Story) {
        let stripes = if self.recording.hosts > STRIPES {
            0
        } else {
            self.recording.hosts
        };
        self.text(12.0, self.y + 10.0, "b", &format!("n{host}"));
        self.process(host, story);
        self.y += 12.0;
        if stripes == 0 {
            let stripe = (self.y, 4.0);
            self.stripe(host, None, stripe);
            self.y += 4.0;
        }
        for of in (0..stripes).filter(|&of| of != host) {
            let stripe = (self.y, 4.0);
            self.stripe(host, Some(of), stripe);
            self.y += 4.0;
        }
        self.y += 6.0;
    }

    fn process(&mut self, host: usize, story: &Story) {
        let runs = |moment: &&crate::recording::Moment| {
            moment.host == host && matches!(moment.what, Happening::Process(_))
        };
        let Some(first) = self.recording.moments.iter().find(runs) else {
            return;
        };
        let (at, y) = ((first.at, self.recording.end), self.y);
        self.bar(at, (y, 10.0), "#8fa3b8", "runs");
        for outage in story
            .timeline
            .outages
            .iter()
            .filter(|outage| outage.host == host)
        {
            let until = outage.until.unwrap_or(self.recording.end);
            let (fill, title) = if outage.paused {
                ("#d4d8de", "stands still")
            } else {
                ("#ffffff", "is not there")
            };
            self.bar((outage.from, until), (y, 10.0), fill, title);
        }
        for down in story.timeline.downs.iter().filter(|down| down.by == host) {
            let x = self.x(down.at);
            self.put(&format!(
                "<path d=\"M{:.1} {y:.1}h6l-3 7z\" fill=\"#c4380d\"><title>declares n{} down at {}</title></path>",
                x - 3.0,
                down.of,
                words::moment(down.at)
            ));
        }
    }

    /// What a host takes another for, or all of them: then the worst that is seen of any.
    fn stripe(&mut self, by: usize, of: Option<usize>, at: (f64, f64)) {
        let mut now = vec![View::UNKNOWN; self.recording.hosts];
        let (mut from, mut shown) = (Timestamp::ZERO, View::UNKNOWN);
        let changes: Vec<(Timestamp, usize, View)> = self
            .recording
            .moments
            .iter()
            .filter(|moment| moment.host == by)
            .filter_map(|moment| match moment.what {
                Happening::Sees { of: seen, view } if of.is_none_or(|of| of == seen) => {
                    Some((moment.at, seen, view))
                }
                _ => None,
            })
            .collect();
        for (when, seen, view) in changes {
            now[seen] = view;
            let next = match of {
                Some(of) => now[of],
                None => worst(&now),
            };
            if next.status != shown.status {
                self.seen((from, when), of, shown, at);
                (from, shown) = (when, next);
            }
        }
        self.seen((from, self.recording.end), of, shown, at);
    }

    fn seen(
        &mut self,
        span: (Timestamp, Timestamp),
        of: Option<usize>,
        view: View,
        at: (f64, f64),
    ) {
        if span.0 < span.1 && view.status.is_some() {
            let whom = of.map_or_else(|| "the worst off".to_owned(), |of| format!("n{of}"));
            let title = format!("{whom} {} from {}", view.as_str(), words::moment(span.0));
            self.bar(span, (at.0, at.1 - 0.6), colour(view), &title);
        }
    }

    fn legend(&mut self) {
        self.y += 8.0;
        let mut x = GUTTER;
        for (fill, label) in [
            ("#8fa3b8", "process runs"),
            ("#b9d9ec", "sees alive"),
            ("#e69f00", "suspect"),
            ("#23272e", "down"),
            ("#c9b8d8", "left, restarting"),
            ("#e8c98c", "fault"),
            ("#cc79a7", "different registries"),
        ] {
            let y = self.y;
            self.put(&format!(
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"9\" fill=\"{fill}\" stroke=\"#d4d8de\"/>",
                y - 8.0
            ));
            self.text(x + 16.0, y, "s", label);
            x += 130.0;
        }
        self.y += 22.0;
    }

    /// Lines through everything at the turning points.
    fn moments(&mut self, story: &Story) {
        let end = self.y - 34.0;
        let mut written = [0.0; 2];
        for line in &story.lines {
            let colour = match line.tone {
                Tone::Split => "#a06a00",
                Tone::Heal => "#00795a",
                Tone::Broken => "#c4380d",
                _ => continue,
            };
            let x = self.x(line.at);
            let label = format!("{} {}", line.tone.as_str(), words::moment(line.at));
            let width = width_of(label.len());
            let left = (x + 3.0).min(WIDTH - RIGHT - width);
            let free = written.iter().position(|&until| until < left);
            let row = self.top + ROW * if free == Some(1) { 1.0 } else { 0.0 };
            if let Some(tier) = free {
                written[tier] = left + width;
                self.text(left, row + 11.0, "b", &label);
            }
            self.put(&format!(
                "<path d=\"M{x:.1} {row:.1}V{end:.1}\" stroke=\"{colour}\" stroke-dasharray=\"4 3\"/>"
            ));
        }
    }

    fn finish(self) -> String {
        let high = self.y;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{high:.0}\" viewBox=\"0 0 {WIDTH} {high:.0}\">\n\
             <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.body
        )
    }
}

/// How wide so many letters are, at most.
#[expect(clippy::cast_precision_loss, reason = "no text has that many letters")]
fn width_of(letters: usize) -> f64 {
    letters as f64 * 6.6
}

/// Down before suspect before the rest.
fn worst(views: &[View]) -> View {
    let rank = |view: &&View| match view.status {
        Some(MemberStatus::Down) => 4,
        Some(MemberStatus::Suspect) => 3,
        Some(MemberStatus::Left | MemberStatus::Restarting) => 2,
        Some(MemberStatus::Alive) => 1,
        None => 0,
    };
    views
        .iter()
        .max_by_key(rank)
        .copied()
        .unwrap_or(View::UNKNOWN)
}

const fn colour(view: View) -> &'static str {
    match view.status {
        None => "#eceef1",
        Some(MemberStatus::Alive) => "#b9d9ec",
        Some(MemberStatus::Suspect) => "#e69f00",
        Some(MemberStatus::Down) => "#23272e",
        Some(MemberStatus::Left | MemberStatus::Restarting) => "#c9b8d8",
    }
}
