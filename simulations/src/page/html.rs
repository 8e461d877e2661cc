//! The page: a template, filled.

use std::fmt::Write;

use super::{PAGE_BYTES, data, escaped, table};
use crate::{
    Report, Verdict,
    recording::{Recording, Story, words},
};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// In the order in which they build on each other.
const SCRIPTS: &[&str] = &[
    include_str!("script/data.js"),
    include_str!("script/window.js"),
    include_str!("script/shapes.js"),
    include_str!("script/network.js"),
    include_str!("script/lanes.js"),
    include_str!("script/packets.js"),
    include_str!("script/events.js"),
    include_str!("script/page.js"),
];
/// Letters of a sentence, at most; what is broken stands above in full.
const SENTENCE: usize = 180;
/// Sentences that a page tells, at most.
const LINES: usize = 120;

/// The page for a recording. `command` makes it again.
pub fn html(mut recording: Recording, report: &Report, command: &str) -> String {
    let story = Story::new(&recording, report);
    loop {
        let page = page(&recording, &story, report, command);
        let fits = page.len() <= PAGE_BYTES;
        if fits || !recording.thin() {
            return page;
        }
    }
}

fn page(recording: &Recording, story: &Story, report: &Report, command: &str) -> String {
    let script = SCRIPTS.concat();
    let data = data::json(recording, story, report).to_string();
    // Inside a script element only the end tag and a comment's beginning mean anything.
    let data = data.replace('<', "\\u003c");
    fill(|name| match name {
        "TITLE" => format!("{} \u{b7} seed {}", escaped(&recording.name), report.seed),
        "NAME" => escaped(&recording.name),
        "ABOUT" => escaped(&recording.about),
        "VERDICT" => escaped(&verdict(report)),
        "VERDICT_CLASS" => report.verdict.as_str().to_lowercase(),
        "BANNER" => banner(report),
        "FACTS" => escaped(&facts(recording, report, command)),
        "STORY" => sentences(story),
        "DECLARED" => table::declared(recording, story),
        "STYLE" => STYLE.to_owned(),
        "SCRIPT" => script.clone(),
        "DATA" => data.clone(),
        other => unreachable!("the template has no place called {other}"),
    })
}

/// The template with each `{{PLACE}}` replaced. What is put in is not looked at again.
fn fill(content: impl Fn(&str) -> String) -> String {
    let mut parts = TEMPLATE.split("{{");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (place, rest) = part.split_once("}}").unwrap_or((part, ""));
        page.push_str(&content(place));
        page.push_str(rest);
    }
    page
}

fn verdict(report: &Report) -> String {
    match &report.verdict {
        Verdict::Pass => "passed".to_owned(),
        Verdict::Broken(violation) => format!("{} broken", violation.invariant),
        Verdict::Undecided(_) => "undecided".to_owned(),
        Verdict::Waiting(_) => "not run".to_owned(),
    }
}

/// What is broken, in full.
fn banner(report: &Report) -> String {
    match &report.verdict {
        Verdict::Broken(violation) => {
            format!(
                "<p id=\"violation\">{}</p>",
                escaped(&violation.to_string())
            )
        }
        _ => String::new(),
    }
}

fn facts(recording: &Recording, report: &Report, command: &str) -> String {
    let (kept, seen) = (recording.packets.kept() as u64, recording.packets.seen());
    let packets = if kept == seen {
        format!("{seen} packets")
    } else {
        format!("{seen} packets, {kept} of them shown one by one (all are in the strips)")
    };
    let coarse = match recording.resolution {
        0 => String::new(),
        us => format!(
            " \u{b7} changes within {} are drawn as one",
            words::span(std::time::Duration::from_micros(us))
        ),
    };
    let undecided = match &report.verdict {
        Verdict::Undecided(reason) => format!(" \u{b7} undecided: {reason}"),
        _ => String::new(),
    };
    format!(
        "{} nodes \u{b7} {} of simulated time \u{b7} seed {} \u{b7} {packets} \u{b7} trace {:016x}{coarse}{undecided} \u{b7} {command}",
        recording.hosts,
        words::span(report.virtual_time),
        report.seed,
        report.hash,
    )
}

fn sentences(story: &Story) -> String {
    let mut html = String::new();
    for line in story.lines.iter().take(LINES) {
        writeln!(
            html,
            "<li><button type=\"button\" class=\"at\" data-at=\"{}\">{}</button>\
             <span class=\"tone tone-{tone}\">{tone}</span><span>{}</span></li>",
            line.at.as_micros(),
            words::moment(line.at),
            escaped(&words::cut(&line.text, SENTENCE)),
            tone = line.tone.as_str(),
        )
        .expect("a string takes every text");
    }
    if story.lines.len() > LINES {
        let more = story.lines.len() - LINES;
        writeln!(
            html,
            "<li><span></span><span></span><span>{more} more are in the drawing alone.</span></li>"
        )
        .expect("a string takes every text");
    }
    html
}
