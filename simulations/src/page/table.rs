//! Who declared whom down, as a table: nodes that declare by row, nodes that are declared by column.

use std::fmt::Write;

use tidings_types::Timestamp;

use super::{STRIPES, escaped};
use crate::recording::{Recording, Story, story::SplitStory, timeline::Down, words};

/// Columns that a table has, at most.
const COLUMNS: usize = 10;

/// The table of the split with most declarations, or of the whole run if it was never split.
pub(super) fn declared(recording: &Recording, story: &Story) -> String {
    let greatest = story.splits.iter().max_by_key(|split| split.downs.len());
    let downs = greatest.map_or(&story.timeline.downs, |split| &split.downs);
    if downs.is_empty() {
        return String::new();
    }
    let caption = match greatest {
        Some(SplitStory { split, .. }) => format!(
            "Who declared whom down in the split of {} to {}",
            words::moment(split.from),
            words::moment(split.until.min(recording.end))
        ),
        None => "Who declared whom down first, and when".to_owned(),
    };
    let table = if recording.hosts <= COLUMNS {
        by_pair(recording.hosts, greatest, downs, &caption)
    } else {
        by_row(recording.hosts, greatest, downs, &caption)
    };
    let more = match story.splits.len() {
        0 => "<p>By row: who declares, at which second. Empty: never.</p>".to_owned(),
        1 => "<p>By row: who declares, at which second. Grey: on the same side.</p>".to_owned(),
        count => format!(
            "<p>By row: who declares, at which second. Grey: on the same side. Of {count} splits, the one with most declarations; \
             the others are in the drawing.</p>"
        ),
    };
    format!("{table}{more}")
}

fn by_pair(hosts: usize, split: Option<&SplitStory>, downs: &[Down], caption: &str) -> String {
    let mut html = format!(
        "<table><caption>{}</caption><tr><th>declares</th>",
        escaped(caption)
    );
    let put = |html: &mut String, text: &str| html.push_str(text);
    for of in 0..hosts {
        put(&mut html, &format!("<th scope=\"col\">n{of}</th>"));
    }
    put(&mut html, "</tr>\n");
    for by in 0..hosts {
        put(&mut html, &format!("<tr><th scope=\"row\">n{by}</th>"));
        for of in 0..hosts {
            put(&mut html, &cell(by, of, split, downs));
        }
        put(&mut html, "</tr>\n");
    }
    html.push_str("</table>");
    html
}

fn cell(by: usize, of: usize, split: Option<&SplitStory>, downs: &[Down]) -> String {
    if by == of {
        return "<td class=\"own\"></td>".to_owned();
    }
    let first = downs.iter().find(|down| (down.by, down.of) == (by, of));
    let is_same_side = split.is_some_and(|split| !split.split.parts(by, of));
    let is_down_before = split.is_some_and(|split| split.before.contains(&(by, of)));
    match first {
        Some(down) => {
            let at = down.at.as_micros();
            format!(
                "<td><button type=\"button\" class=\"at\" data-at=\"{at}\">{}</button></td>",
                words::moment(down.at).trim_end_matches(" s")
            )
        }
        None if is_same_side => "<td class=\"same\" title=\"same side\"></td>".to_owned(),
        None if split.is_none() => "<td></td>".to_owned(),
        None if is_down_before => "<td class=\"never\">before</td>".to_owned(),
        None => "<td class=\"never\">never</td>".to_owned(),
    }
}

/// Of many nodes: how many each declared down, from when to when.
fn by_row(hosts: usize, split: Option<&SplitStory>, downs: &[Down], caption: &str) -> String {
    let mut html = format!(
        "<table><caption>{}</caption><tr><th>declares</th><th>others</th><th>first</th><th>last</th></tr>\n",
        escaped(caption)
    );
    let rows = (0..hosts).filter_map(|by| {
        let own: Vec<Timestamp> = downs.iter().filter(|d| d.by == by).map(|d| d.at).collect();
        let possible =
            split.map(|split| (0..hosts).filter(|&of| split.split.parts(by, of)).count());
        Some((by, own.len(), possible, *own.first()?, *own.last()?))
    });
    for (by, count, possible, first, last) in rows.take(STRIPES) {
        let of = possible.map_or_else(String::new, |possible| format!(" of {possible}"));
        let at = |at: Timestamp| {
            let text = words::moment(at);
            format!(
                "<button type=\"button\" class=\"at\" data-at=\"{}\">{text}</button>",
                at.as_micros()
            )
        };
        writeln!(
            html,
            "<tr><th scope=\"row\">n{by}</th><td>{count}{of}</td><td>{}</td><td>{}</td></tr>",
            at(first),
            at(last)
        )
        .expect("a string takes every text");
    }
    html.push_str("</table>");
    html
}
