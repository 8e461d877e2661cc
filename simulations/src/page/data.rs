//! What the page's scripts draw, as compact JSON.
//!
//! Times are microseconds. What there is much of stands in flat lists: a membership view is
//! `[from, what, from, what, ..]`, packets are one list per column, and sending times are
//! differences.

use serde_json::{Value, json};
use tidings_types::{Liveness, MemberStatus, Timestamp};

use super::STRIPES;
use crate::{
    Report, Verdict,
    recording::{
        Happening, Process, Recording, Story, View,
        kind::{Fate, Group, Kind},
        story::SplitStory,
        timeline::Outage,
        words,
    },
};

/// Everything that the scripts draw.
pub(super) fn json(recording: &Recording, story: &Story, report: &Report) -> Value {
    let violation = match &report.verdict {
        Verdict::Broken(violation) => Some(json!({
            "at": violation.at.as_micros(),
            "host": violation.host,
            "text": violation.to_string(),
        })),
        _ => None,
    };
    json!({
        "hosts": recording.hosts,
        "end": recording.end.as_micros(),
        "quiet": recording.heal.min(recording.end).as_micros(),
        "violation": violation,
        "splits": story.splits.iter().map(|split| split_json(split, recording)).collect::<Vec<_>>(),
        "agreed": story.agreed_for_good.map(Timestamp::as_micros),
        "faults": faults(recording),
        "divergence": divergence(story, recording.resolution),
        "processes": processes(recording, story),
        "islands": islands(recording),
        "downs": story.timeline.downs.iter()
            .flat_map(|down| [down.at.as_micros(), down.by as u64, down.of as u64])
            .collect::<Vec<u64>>(),
        "views": views(recording),
        "shares": recording.hosts > STRIPES,
        "calls": calls(recording),
        "notes": notes(recording),
        "counts": {
            "slice": recording.packets.counts.slice,
            "taken": recording.packets.counts.taken,
            "stopped": recording.packets.counts.stopped,
        },
        "packets": packets(recording),
        "details": recording.details,
        "kinds": Kind::ALL.map(|kind| json!([kind.as_str(), kind.group() as usize])),
        "groups": Group::ALL.map(|group| [group.as_str(), group.meaning()]),
        "fates": Fate::ALL.map(Fate::as_str),
    })
}

fn split_json(story: &SplitStory, recording: &Recording) -> Value {
    json!({
        "from": story.split.from.as_micros(),
        "until": story.split.until.min(recording.end).as_micros(),
        "healed": story.split.until <= recording.end,
        "sides": story.split.sides,
        "words": story.split.sides.iter().map(|side| words::hosts(side)).collect::<Vec<_>>(),
        "one_way": story.split.one_way,
        "agreed": story.agreed.map(Timestamp::as_micros),
        "whole": story.whole.map(Timestamp::as_micros),
    })
}

fn faults(recording: &Recording) -> Vec<Value> {
    let begun = recording
        .troubles
        .iter()
        .filter(|trouble| trouble.at <= recording.end);
    begun
        .map(|trouble| {
            json!({
                "from": trouble.at.as_micros(),
                "until": trouble.until.min(recording.end).as_micros(),
                "kind": words::kind(&trouble.what),
                "text": words::fault(trouble),
                "hosts": words::touched(&trouble.what),
            })
        })
        .collect()
}

/// By host: when its process was there, and when it stood still.
fn processes(recording: &Recording, story: &Story) -> Vec<Value> {
    let of = |host| {
        let first = recording.moments.iter().find(|moment| {
            moment.host == host && matches!(moment.what, Happening::Process(Process::Runs(_)))
        });
        let outages: Vec<&Outage> = story
            .timeline
            .outages
            .iter()
            .filter(|outage| outage.host == host)
            .collect();
        json!({
            "begun": first.map(|moment| moment.at.as_micros()),
            "out": outages.iter().map(|outage| json!([
                outage.from.as_micros(),
                outage.until.unwrap_or(recording.end).as_micros(),
                outage.paused,
            ])).collect::<Vec<_>>(),
        })
    };
    (0..recording.hosts).map(of).collect()
}

/// By host: `[from, until, ..]`.
fn islands(recording: &Recording) -> Vec<Vec<u64>> {
    let mut islands = vec![Vec::new(); recording.hosts];
    for moment in &recording.moments {
        if matches!(moment.what, Happening::Island(_)) {
            islands[moment.host].push(moment.at.as_micros());
        }
    }
    for times in &mut islands {
        if times.len() % 2 == 1 {
            times.push(recording.end.as_micros());
        }
    }
    islands
}

/// `[from, states, nodes, ..]`. Of what is drawn as one, the greatest and the last.
fn divergence(story: &Story, resolution: u64) -> Vec<u64> {
    let mut list: Vec<[u64; 3]> = Vec::new();
    let mut points = story.timeline.divergence.iter().peekable();
    while let Some(first) = points.next() {
        let (mut most, mut last) = (*first, *first);
        while let Some(next) =
            points.next_if(|next| u128::from(resolution) > next.at.since(first.at).as_micros())
        {
            last = *next;
            if next.states > most.states {
                most = *next;
            }
        }
        list.push([first.at.as_micros(), most.states as u64, most.nodes as u64]);
        if last != most {
            list.push([last.at.as_micros(), last.states as u64, last.nodes as u64]);
        }
    }
    list.concat()
}

/// By host: what it takes each other host for, or how many it takes for what.
fn views(recording: &Recording) -> Vec<Vec<Vec<u64>>> {
    let hosts = recording.hosts;
    let of_others = if hosts > STRIPES { 1 } else { hosts };
    let mut views = vec![vec![Vec::new(); of_others]; hosts];
    let mut now = vec![vec![View::UNKNOWN; hosts]; hosts];
    for moment in &recording.moments {
        let Happening::Sees { of, view } = moment.what else {
            continue;
        };
        let (at, by) = (moment.at.as_micros(), moment.host);
        now[by][of] = view;
        if hosts <= STRIPES {
            put(&mut views[by][of], at, &[code(view)], recording.resolution);
        } else {
            let count = |wanted: &[u64]| {
                let seen = now[by].iter().map(|&view| code(view) % 8);
                seen.filter(|code| wanted.contains(code)).count() as u64
            };
            let shares = [count(&[1]), count(&[2]), count(&[3, 4, 5])];
            put(&mut views[by][0], at, &shares, recording.resolution);
        }
    }
    views
}

/// Appends what holds from `at` on; what held for no time, or too short a time, is replaced.
fn put(list: &mut Vec<u64>, at: u64, values: &[u64], resolution: u64) {
    let row = values.len() + 1;
    let mut from = at;
    if list.len() >= row && at - list[list.len() - row] <= resolution {
        from = list[list.len() - row];
        list.truncate(list.len() - row);
    }
    list.push(from);
    list.extend(values);
}

/// Status and overlay in one number.
const fn code(view: View) -> u64 {
    let status = match view.status {
        None => 0,
        Some(MemberStatus::Alive) => 1,
        Some(MemberStatus::Suspect) => 2,
        Some(MemberStatus::Down) => 3,
        Some(MemberStatus::Left) => 4,
        Some(MemberStatus::Restarting) => 5,
    };
    let overlay = match view.overlay {
        Liveness::Live => 0,
        Liveness::Stale => 1,
        Liveness::LastResort => 2,
        Liveness::Hidden => 3,
    };
    status + 8 * overlay
}

/// `[host, asked, answered or null, text, refusal or null]`.
fn calls(recording: &Recording) -> Vec<Value> {
    let mut calls: Vec<(usize, u64, Value)> = Vec::new();
    let mut open = std::collections::BTreeMap::new();
    for moment in &recording.moments {
        let at = moment.at.as_micros();
        match &moment.what {
            Happening::Asked { call, text } => {
                open.insert((moment.host, *call), calls.len());
                calls.push((
                    moment.host,
                    *call,
                    json!([moment.host, at, null, text, null]),
                ));
            }
            Happening::Answered { call, refusal } => {
                if let Some(&nth) = open.get(&(moment.host, *call)) {
                    calls[nth].2[2] = at.into();
                    calls[nth].2[4] = refusal.clone().into();
                }
            }
            _ => {}
        }
    }
    calls.into_iter().map(|(_, _, call)| call).collect()
}

/// `[host, at, text]`.
fn notes(recording: &Recording) -> Vec<Value> {
    let note = |moment: &crate::recording::Moment| match &moment.what {
        Happening::Said(text) => Some(json!([moment.host, moment.at.as_micros(), text])),
        _ => None,
    };
    recording.moments.iter().filter_map(note).collect()
}

fn packets(recording: &Recording) -> Value {
    let packets = recording.packets.by_time();
    let mut last = 0;
    let sent: Vec<u64> = packets
        .iter()
        .map(|packet| {
            let sent = packet.sent.as_micros();
            let since = sent - last;
            last = sent;
            since
        })
        .collect();
    let took = |packet: &crate::recording::packet::Packet| {
        let arrived = packet.arrived?;
        u64::try_from(arrived.since(packet.sent).as_micros()).ok()
    };
    json!({
        "sent": sent,
        "took": packets.iter().map(took).collect::<Vec<_>>(),
        "from": packets.iter().map(|packet| packet.from).collect::<Vec<_>>(),
        "to": packets.iter().map(|packet| packet.to).collect::<Vec<_>>(),
        "kind": packets.iter().map(|packet| packet.kind as usize).collect::<Vec<_>>(),
        "fate": packets.iter().map(|packet| packet.fate as usize).collect::<Vec<_>>(),
        "bytes": packets.iter().map(|packet| packet.bytes).collect::<Vec<_>>(),
        "detail": packets.iter().map(|packet| packet.detail).collect::<Vec<_>>(),
    })
}
