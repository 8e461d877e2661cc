//! Hosts, times, faults, calls and events, for people.

use std::{collections::BTreeMap, time::Duration};

use tidings_node::Event;
use tidings_types::{Command, Departure, NodeId, Registration, Timestamp};

use crate::{
    link::Lane,
    plan::{Comeback, Trouble, What},
    scenario::{Cluster, DiskFate, Goodbye, Lie},
};

/// From here on times are told in hours and minutes.
const LONG_MS: u64 = 600_000;
/// Hosts that a text names one by one, at most.
const NAMED: usize = 8;

/// Which host embodies, or has embodied, which node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    hosts: BTreeMap<NodeId, usize>,
    /// Each host's nodes, the last one last.
    nodes: BTreeMap<usize, Vec<NodeId>>,
}

impl Names {
    /// Each host with its first node.
    pub(crate) fn new(nodes: impl Iterator<Item = NodeId>) -> Self {
        let mut names = Self::default();
        for (host, node) in nodes.enumerate() {
            names.add(node, host);
        }
        names
    }

    /// A host embodies a node. Of a copied key, the first host keeps the name.
    pub(crate) fn add(&mut self, node: NodeId, host: usize) {
        self.hosts.entry(node).or_insert(host);
        self.nodes.entry(host).or_default().push(node);
    }

    /// The host of a node.
    pub(crate) fn of(&self, node: NodeId) -> String {
        match self.hosts.get(&node) {
            Some(host) => format!("n{host}"),
            None => format!("{node:?}"),
        }
    }

    /// Every node that a host has embodied.
    pub(crate) fn of_host(&self, host: usize) -> impl DoubleEndedIterator<Item = &NodeId> {
        self.nodes.get(&host).into_iter().flatten()
    }
}

/// Some hosts: `n0, n1, n4`, ranges drawn together where there are many.
pub(crate) fn hosts(hosts: &[usize]) -> String {
    if hosts.len() <= NAMED {
        let each: Vec<String> = hosts.iter().map(|host| format!("n{host}")).collect();
        return each.join(", ");
    }
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &host in hosts {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == host => *last = host,
            _ => ranges.push((host, host)),
        }
    }
    let range = |&(first, last): &(usize, usize)| match last - first {
        0 => format!("n{first}"),
        _ => format!("n{first}\u{2013}n{last}"),
    };
    let named: Vec<String> = ranges.iter().take(NAMED).map(range).collect();
    let more = if ranges.len() > NAMED {
        " \u{2026}"
    } else {
        ""
    };
    format!("{}{more}", named.join(", "))
}

/// The beginning of a text that is too long.
pub(crate) fn cut(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((at, _)) => format!("{} \u{2026}", &text[..at]),
        None => text.to_owned(),
    }
}

/// A moment of the run: `19.243 s`, or `27:00:00.159` in a long one.
pub(crate) fn moment(at: Timestamp) -> String {
    let ms = at.as_micros() / 1_000;
    if ms < LONG_MS {
        return seconds(ms);
    }
    let text = format!(
        "{}:{:02}:{:02}.{:03}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1_000 % 60,
        ms % 1_000
    );
    without_zeros(&text).to_owned()
}

/// A length of time, to the millisecond: `0.119 s`, `26 h`, `10 min 1 s`.
pub(crate) fn span(length: Duration) -> String {
    let ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    if ms < LONG_MS {
        return seconds(ms);
    }
    let parts = [
        (ms / 3_600_000, format!("{} h", ms / 3_600_000)),
        (ms / 60_000 % 60, format!("{} min", ms / 60_000 % 60)),
        (ms % 60_000, seconds(ms % 60_000)),
    ];
    let parts = parts.into_iter().filter(|(amount, _)| *amount > 0);
    let parts: Vec<String> = parts.map(|(_, text)| text).collect();
    parts.join(" ")
}

fn seconds(ms: u64) -> String {
    format!(
        "{} s",
        without_zeros(&format!("{}.{:03}", ms / 1_000, ms % 1_000))
    )
}

/// A number with three digits behind its point, without those that say nothing.
fn without_zeros(number: &str) -> &str {
    number.trim_end_matches('0').trim_end_matches('.')
}

/// What kind of fault it is, in one word for labels.
pub(crate) const fn kind(what: &What) -> &'static str {
    match what {
        What::Cut(..) => "cut",
        What::Weather(..) => "weather",
        What::Pause(..) => "pause",
        What::Crash(..) => "crash",
        What::Depart(..) => "depart",
        What::Clock(..) => "clock",
        What::SendErrors(..) => "send errors",
        What::DiskFull(..) => "disk full",
        What::Jam(..) => "jam",
        What::SlowNode(..) => "slow",
        What::Flood(..) => "flood",
        What::Replay(..) => "replay",
        What::Drift(..) => "drift",
        What::Lie(..) => "lie",
    }
}

/// What a fault does.
pub(crate) fn fault(trouble: &Trouble) -> String {
    match &trouble.what {
        What::Cut(cut, lanes) => {
            let lanes = match lanes.as_slice() {
                [Lane::Datagram] => ", datagrams only",
                [Lane::Session] => ", sessions only",
                _ => "",
            };
            format!("cut: {}{lanes}", links(cut))
        }
        What::Weather(bad, link) => {
            let loss = link.loss * 100.0;
            let bursts = if link.bursts.is_some() {
                ", bursts"
            } else {
                ""
            };
            format!("bad weather: {}, loss {loss:.0} %{bursts}", links(bad))
        }
        What::Pause(who) => format!("pause: {}", hosts(who)),
        What::Crash(who, comeback) => format!("crash: {}{}", hosts(who), back(*comeback)),
        What::Depart(who, how, comeback) => {
            let how = match how {
                Goodbye::Left => "leaves for good",
                Goodbye::Restarting => "restarts",
            };
            format!("goodbye: {} {how}{}", hosts(who), back(*comeback))
        }
        What::Clock(who, offset_ms, rate_ppm, frozen) => {
            let mut wrong = Vec::new();
            if *offset_ms != 0 {
                let sign = if *offset_ms < 0 { "-" } else { "+" };
                let by = span(Duration::from_millis(offset_ms.unsigned_abs()));
                wrong.push(format!("{sign}{by}"));
            }
            if *rate_ppm != 0 {
                wrong.push(format!("{rate_ppm} ppm fast"));
            }
            if *frozen {
                wrong.push("frozen".to_owned());
            }
            format!("wall clock: {} {}", hosts(who), wrong.join(", "))
        }
        What::SendErrors(refused) => format!("send errors: {}", links(refused)),
        What::DiskFull(who) => format!("disk full: {}", hosts(who)),
        What::Jam(jammed) => format!("jam: {}", links(jammed)),
        What::SlowNode(who, late) => {
            format!("slow: {}, all is handled {} late", hosts(who), span(*late))
        }
        What::Flood(from, to, per_second) => {
            format!(
                "flood: n{from} \u{2192} {}, {per_second} a second each",
                hosts(to)
            )
        }
        What::Replay(again, after) => {
            format!("replay after {}: {}", span(*after), links(again))
        }
        What::Drift(who, ppm) => format!("monotonic clock: {} {ppm} ppm fast", hosts(who)),
        What::Lie(host, about, of) => {
            let about = match about {
                Lie::FalseHeads => "positions",
                Lie::ForeignRecords => "who wrote what",
                Lie::EqualPosition => "content",
                Lie::EndlessEpochs => "its runs",
            };
            let of = of.map_or_else(String::new, |of| format!(" of n{of}"));
            format!("lie: n{host} about {about}{of}")
        }
    }
}

/// The hosts that a fault touches.
pub(crate) fn touched(what: &What) -> Vec<usize> {
    let mut hosts = match what {
        What::Cut(links, _)
        | What::Weather(links, _)
        | What::Replay(links, _)
        | What::SendErrors(links)
        | What::Jam(links) => links.iter().flat_map(|&(from, to)| [from, to]).collect(),
        What::Pause(hosts)
        | What::Crash(hosts, _)
        | What::Depart(hosts, ..)
        | What::Clock(hosts, ..)
        | What::DiskFull(hosts)
        | What::Drift(hosts, _)
        | What::SlowNode(hosts, _) => hosts.clone(),
        What::Flood(from, to, _) => std::iter::once(*from).chain(to.iter().copied()).collect(),
        What::Lie(host, ..) => vec![*host],
    };
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

/// Directed links: `n0, n1 from n2, n3` where they are all between two sets of hosts.
fn links(links: &[(usize, usize)]) -> String {
    let ends = |way: fn(&(usize, usize)) -> usize| {
        let mut ends: Vec<usize> = links.iter().map(way).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    };
    let (from, to) = (ends(|link| link.0), ends(|link| link.1));
    let is_back = |&(a, b): &(usize, usize)| links.contains(&(b, a));
    if !links.iter().all(is_back) {
        return format!("{} \u{2192} {}", hosts(&from), hosts(&to));
    }
    // Both ways: whoever is not linked to the first one is on its side.
    let Some(&first) = from.first() else {
        return "nothing".to_owned();
    };
    let (far, near): (Vec<usize>, Vec<usize>) = from
        .iter()
        .partition(|&&host| links.contains(&(first, host)));
    if near.len() * far.len() * 2 == links.len() {
        format!("{} | {}", hosts(&near), hosts(&far))
    } else {
        format!("{} links among {}", links.len(), hosts(&from))
    }
}

fn back(comeback: Option<Comeback>) -> String {
    let Some(comeback) = comeback else {
        return ", for good".to_owned();
    };
    let disk = match comeback.disk {
        DiskFate::Intact => "",
        DiskFate::Lost => ", its disk lost",
        DiskFate::Empty => ", its disk empty but for the key",
        DiskFate::RolledBack => ", its disk rolled back",
        DiskFate::Copied => ", with a copy of another's disk",
        DiskFate::Torn => ", its disk torn",
        DiskFate::Stale => ", its disk stale",
        DiskFate::Unsynced => ", its disk short of what it had said was written",
        DiskFate::Flipped => ", its disk with flipped bits",
    };
    let cluster = match comeback.cluster {
        Cluster::First => "",
        Cluster::Second => ", in the other cluster",
    };
    format!(", back after {}{disk}{cluster}", span(comeback.after))
}

/// What a client asks for.
pub(crate) fn command(command: &Command, names: &Names) -> String {
    match command {
        Command::RegisterService(Registration { id, instance, .. }) => {
            format!(
                "register {id} ({}, port {})",
                instance.service, instance.port
            )
        }
        Command::RegisterServices(all) => format!("register {} instances", all.len()),
        Command::DeregisterService { id } => format!("deregister {id}"),
        Command::RegisterCheck { id, .. } => format!("register check {id}"),
        Command::DeregisterCheck { id } => format!("deregister check {id}"),
        Command::UpdateCheck { id, status, .. } => format!("{id} is {status:?}").to_lowercase(),
        Command::RegisterExternal { node, service, .. } => match service {
            Some((id, instance)) => format!(
                "register {id} ({}, port {}) on external node {node}",
                instance.service, instance.port
            ),
            None => format!("register external node {node}"),
        },
        Command::DeregisterCatalog { node, service, .. } => match service {
            Some(id) => format!("deregister {id} of {node} by catalog"),
            None => format!("deregister {node} by catalog"),
        },
        Command::Join { addrs } => format!("join by {} addresses", addrs.len()),
        Command::ForceLeave { node } => format!("make {} leave", names.of(*node)),
        Command::AwaitHolders { holders, .. } => format!("wait for {holders} holders"),
        Command::Depart(Departure::Left) => "leave".to_owned(),
        Command::Depart(Departure::Restarting) => "restart".to_owned(),
        Command::FireEvent { event, .. } => format!("fire {}", event.name),
    }
}

/// What a node says about itself; `None` for what the membership view shows anyway.
pub(crate) fn event(event: &Event, names: &Names) -> Option<String> {
    Some(match event {
        Event::Member { .. } | Event::Island { .. } => return None,
        Event::Repaired { peer, feeds } => {
            format!("repaired {feeds} feeds from {}", names.of(*peer))
        }
        Event::Relearned { peer, records } => {
            format!(
                "relearned {records} records of its own from {}",
                names.of(*peer)
            )
        }
        Event::DamageAccepted { owner } => format!(
            "settled for what is left of the feed of {}",
            names.of(*owner)
        ),
        Event::Refused { peer, reason } => {
            format!("refused a change that {} gave: {reason}", names.of(*peer))
        }
        Event::Alarm { owner, peer } => format!(
            "found the feed of {} to differ from {}'s copy at the same position",
            names.of(*owner),
            names.of(*peer)
        ),
        Event::ClockOff { peer, ahead_ms } => {
            format!("the clock of {} is {ahead_ms} ms ahead", names.of(*peer))
        }
        Event::NameShared { peer } => format!("{} bears its name", names.of(*peer)),
        other => format!("{other:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hosts_are_drawn_together() {
        assert_eq!(hosts(&[0, 1, 2]), "n0, n1, n2");
        assert_eq!(hosts(&(0..128).collect::<Vec<_>>()), "n0\u{2013}n127");
        let some = [0, 1, 2, 3, 4, 5, 6, 9, 11];
        assert_eq!(hosts(&some), "n0\u{2013}n6, n9, n11");
    }

    #[test]
    fn times_are_short_and_exact() {
        assert_eq!(moment(Timestamp::from_micros(15_000_000)), "15 s");
        assert_eq!(moment(Timestamp::from_micros(19_243_999)), "19.243 s");
        assert_eq!(span(Duration::from_secs(601)), "10 min 1 s");
        assert_eq!(span(Duration::from_millis(7_384_500)), "2 h 3 min 4.5 s");
        assert_eq!(span(Duration::from_secs(26 * 3_600)), "26 h");
        assert_eq!(
            moment(Timestamp::from_micros(97_200_159_000)),
            "27:00:00.159"
        );
        assert_eq!(moment(Timestamp::from_micros(3_600_000_000)), "1:00:00");
    }

    #[test]
    fn links_are_told_by_their_sides() {
        let both = |pairs: &[(usize, usize)]| -> Vec<(usize, usize)> {
            pairs.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect()
        };
        assert_eq!(links(&both(&[(0, 2), (1, 2)])), "n0, n1 | n2");
        assert_eq!(links(&[(0, 2), (1, 2)]), "n0, n1 \u{2192} n2");
        assert_eq!(
            links(&both(&[(0, 1), (1, 2), (0, 2)])),
            "6 links among n0, n1, n2"
        );
    }

    #[test]
    fn a_copied_key_stays_with_the_first_host() {
        let node = NodeId::from_bytes([1; 16]);
        let mut names = Names::new([node].into_iter());
        names.add(node, 4);
        assert_eq!(names.of(node), "n0");
        assert_eq!(names.of_host(4).count(), 1);
    }
}
