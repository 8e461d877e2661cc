//! A trace that ui.perfetto.dev opens: the Trace Event Format, in JSON.
//!
//! Each node is a process with tracks for its process, its calls, its packets and its membership
//! view; the network is a process of its own, with the faults and the divergence.

use serde_json::{Value, json};
use tidings_types::Timestamp;

use crate::{
    Report, Verdict,
    recording::{Happening, Process, Recording, Story, kind::Fate, packet::Packet, words},
};

/// The process of what belongs to no node.
const NETWORK: usize = 0;
/// Tracks of each node.
const PROCESS: usize = 1;
const CALLS: usize = 2;
const MEMBERS: usize = 3;
const PACKETS: usize = 4;
/// How long a packet's ends look, in microseconds: an arrow needs something to hold on to.
const END: u64 = 20;

/// The trace for a recording.
pub fn perfetto(recording: &Recording, report: &Report) -> String {
    let story = Story::new(recording, report);
    let mut events = names(recording);
    faults(recording, &mut events);
    for point in &story.timeline.divergence {
        let apart = json!({ "registries": point.states, "nodes that differ": point.nodes });
        events.push(counter(NETWORK, point.at, "divergence", &apart));
    }
    for line in &story.lines {
        events.push(instant((NETWORK, PROCESS), line.at, &line.text, "g"));
    }
    processes(recording, &mut events);
    moments(recording, &mut events);
    for (nth, packet) in recording.packets.by_time().iter().enumerate() {
        flow(recording, nth, packet, &mut events);
    }
    if let Verdict::Broken(violation) = &report.verdict
        && let Some(host) = violation.host
    {
        let text = violation.to_string();
        events.push(instant((host + 1, PROCESS), violation.at, &text, "p"));
    }
    let about =
        json!({ "scenario": recording.name, "seed": report.seed, "about": recording.about });
    json!({ "traceEvents": events, "displayTimeUnit": "ms", "otherData": about }).to_string()
}

fn names(recording: &Recording) -> Vec<Value> {
    let name = |what: &str, pid: usize, tid: usize, name: String| json!({ "ph": "M", "name": what, "pid": pid, "tid": tid, "args": { "name": name } });
    let mut events = vec![
        name("process_name", NETWORK, 0, "network".to_owned()),
        name("thread_name", NETWORK, PROCESS, "what happened".to_owned()),
    ];
    for host in 0..recording.hosts {
        let pid = host + 1;
        events.push(name("process_name", pid, 0, format!("n{host}")));
        for (tid, track) in [
            (PROCESS, "process"),
            (CALLS, "calls"),
            (MEMBERS, "members"),
            (PACKETS, "packets"),
        ] {
            events.push(name("thread_name", pid, tid, track.to_owned()));
        }
        let order = json!({ "sort_index": pid });
        events.push(
            json!({ "ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0, "args": order }),
        );
    }
    events
}

/// Faults overlap, so each is a slice of its own row.
fn faults(recording: &Recording, events: &mut Vec<Value>) {
    for (nth, trouble) in recording.troubles.iter().enumerate() {
        if trouble.at <= recording.end {
            let until = trouble.until.min(recording.end);
            let text = words::fault(trouble);
            for (ph, at) in [("b", trouble.at), ("e", until)] {
                events.push(json!({
                    "ph": ph, "cat": "fault", "id": format!("fault{nth}"), "name": text,
                    "pid": NETWORK, "tid": PROCESS, "ts": at.as_micros(),
                }));
            }
        }
    }
}

fn processes(recording: &Recording, events: &mut Vec<Value>) {
    for host in 0..recording.hosts {
        let mut open: Option<(Timestamp, String)> = None;
        let changes = recording
            .moments
            .iter()
            .filter(|moment| moment.host == host);
        let changes = changes.filter_map(|moment| match &moment.what {
            Happening::Process(process) => Some((moment.at, *process)),
            _ => None,
        });
        for (at, process) in changes.chain(std::iter::once((recording.end, Process::Gone))) {
            if let Some((from, name)) = open.take() {
                events.push(slice((host + 1, PROCESS), from, at, &name, &Value::Null));
            }
            open = match process {
                Process::Gone => None,
                Process::Runs(run) => Some((at, format!("runs, run {run}"))),
                Process::Paused => Some((at, "stands still".to_owned())),
            };
        }
    }
}

fn moments(recording: &Recording, events: &mut Vec<Value>) {
    let mut reachable = vec![vec![false; recording.hosts]; recording.hosts];
    for moment in &recording.moments {
        let (at, host, pid) = (moment.at, moment.host, moment.host + 1);
        match &moment.what {
            Happening::Process(_) | Happening::Moved(_) | Happening::Holds(_) => {}
            Happening::Sees { of, view } => {
                let text = format!("n{of} {}", view.as_str());
                events.push(instant((pid, MEMBERS), at, &text, "t"));
                reachable[host][*of] = view.is_reachable();
                let count = reachable[host]
                    .iter()
                    .filter(|&&reachable| reachable)
                    .count();
                events.push(counter(pid, at, "reachable", &json!({ "others": count })));
            }
            Happening::Island(island) => {
                let text = if *island {
                    "is an island"
                } else {
                    "is no island"
                };
                events.push(instant((pid, MEMBERS), at, text, "t"));
            }
            Happening::Said(text) => events.push(instant((pid, PROCESS), at, text, "t")),
            Happening::Asked { call, text } => {
                events.push(call_end("b", pid, at, *call, text, &Value::Null));
            }
            Happening::Answered { call, refusal } => {
                let answer = json!({ "refusal": refusal });
                events.push(call_end("e", pid, at, *call, "", &answer));
            }
        }
    }
}

fn call_end(ph: &str, pid: usize, at: Timestamp, call: u64, name: &str, args: &Value) -> Value {
    json!({
        "ph": ph, "cat": "call", "id": format!("{pid}-{call}"), "name": name,
        "pid": pid, "tid": CALLS, "ts": at.as_micros(), "args": args,
    })
}

/// A slice where a packet goes out, one where it arrives, and an arrow between them.
fn flow(recording: &Recording, nth: usize, packet: &Packet, events: &mut Vec<Value>) {
    let (from, to) = ((packet.from + 1, PACKETS), (packet.to + 1, PACKETS));
    let says = &recording.details[packet.detail];
    let args = json!({
        "to": format!("n{}", packet.to), "bytes": packet.bytes,
        "fate": packet.fate.as_str(), "says": says,
    });
    let after = |at: Timestamp| Timestamp::from_micros(at.as_micros() + END);
    let name = packet.kind.as_str();
    events.push(slice(from, packet.sent, after(packet.sent), name, &args));
    let Some(arrived) = packet.arrived.filter(|_| packet.fate == Fate::Delivered) else {
        return;
    };
    let args = json!({ "from": format!("n{}", packet.from), "says": says });
    events.push(slice(to, arrived, after(arrived), name, &args));
    for (ph, (pid, tid), at) in [("s", from, packet.sent), ("f", to, arrived)] {
        let mut arrow = json!({
            "ph": ph, "cat": "packet", "id": nth, "name": name,
            "pid": pid, "tid": tid, "ts": at.as_micros(),
        });
        if ph == "f" {
            arrow["bp"] = "e".into();
        }
        events.push(arrow);
    }
}

fn slice(
    (pid, tid): (usize, usize),
    from: Timestamp,
    until: Timestamp,
    name: &str,
    args: &Value,
) -> Value {
    json!({
        "ph": "X", "name": name, "pid": pid, "tid": tid, "ts": from.as_micros(),
        "dur": until.as_micros() - from.as_micros(), "args": args,
    })
}

fn instant((pid, tid): (usize, usize), at: Timestamp, name: &str, scope: &str) -> Value {
    json!({ "ph": "i", "s": scope, "name": name, "pid": pid, "tid": tid, "ts": at.as_micros() })
}

fn counter(pid: usize, at: Timestamp, name: &str, values: &Value) -> Value {
    json!({ "ph": "C", "name": name, "pid": pid, "ts": at.as_micros(), "args": values })
}
