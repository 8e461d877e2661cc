//! A recording as JSON lines, for programs.

use serde_json::{Value, json};
use tidings_types::Timestamp;

use super::{Happening, Moment, Process, Recording, packet::Packet, words};
use crate::Report;

/// One line about the run, one line per event by time, and the report.
pub fn lines(recording: &Recording, report: &Report) -> Vec<String> {
    let mut events: Vec<(Timestamp, Value)> = Vec::new();
    for trouble in &recording.troubles {
        let text = words::fault(trouble);
        for (at, event) in [(trouble.at, "fault-begins"), (trouble.until, "fault-ends")] {
            if at <= recording.end {
                events.push((at, json!({ "event": event, "text": text })));
            }
        }
    }
    events.extend(recording.moments.iter().map(|m| (m.at, moment(m))));
    let packets = recording.packets.by_time();
    events.extend(packets.iter().map(|p| (p.sent, packet(recording, p))));
    // Stable: what happened in one instant stays in the order in which it happened.
    events.sort_by_key(|(at, _)| *at);

    let head = json!({
        "event": "run",
        "name": recording.name,
        "seed": report.seed,
        "nodes": recording.hosts,
        "packets": recording.packets.seen(),
        "packets_kept": recording.packets.kept(),
        "full_at_us": recording.full.map(Timestamp::as_micros),
    });
    let mut last = report.json(false);
    last["event"] = "report".into();
    let events = events.into_iter().map(|(at, mut event)| {
        event["at_us"] = at.as_micros().into();
        event
    });
    std::iter::once(head)
        .chain(events)
        .chain(std::iter::once(last))
        .map(|line| line.to_string())
        .collect()
}

fn moment(moment: &Moment) -> Value {
    let node = moment.host;
    match &moment.what {
        Happening::Process(process) => {
            let (state, run) = match process {
                Process::Gone => ("gone", None),
                Process::Runs(run) => ("runs", Some(run)),
                Process::Paused => ("stands-still", None),
            };
            json!({ "event": "process", "node": node, "state": state, "run": run })
        }
        Happening::Moved(cluster) => {
            json!({ "event": "cluster", "node": node, "cluster": format!("{cluster:?}").to_lowercase() })
        }
        Happening::Sees { of, view } => {
            let overlay = format!("{:?}", view.overlay).to_lowercase();
            json!({ "event": "sees", "node": node, "of": of, "status": view.as_str(), "overlay": overlay })
        }
        Happening::Island(island) => json!({ "event": "island", "node": node, "island": island }),
        Happening::Holds(state) => json!({ "event": "holds", "node": node, "state": state }),
        Happening::Asked { call, text } => {
            json!({ "event": "asked", "node": node, "call": call, "text": text })
        }
        Happening::Answered { call, refusal } => {
            json!({ "event": "answered", "node": node, "call": call, "refusal": refusal })
        }
        Happening::Said(text) => json!({ "event": "said", "node": node, "text": text }),
    }
}

fn packet(recording: &Recording, packet: &Packet) -> Value {
    json!({
        "event": "packet",
        "from": packet.from,
        "to": packet.to,
        "kind": packet.kind.as_str(),
        "fate": packet.fate.as_str(),
        "arrived_us": packet.arrived.map(Timestamp::as_micros),
        "bytes": packet.bytes,
        "says": recording.details[packet.detail],
    })
}
