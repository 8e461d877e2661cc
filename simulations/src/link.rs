//! Directed links: what becomes of a packet on its way from one host to another.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidings_types::Timestamp;

use crate::{
    random::{Stream, exponential, happens, uniform},
    scenario::is_default,
    span::Span,
};

/// Time until a lost session frame is sent again; doubles with each loss.
const RETRANSMIT: Duration = Duration::from_millis(200);
/// Losses of one session frame in a row that are played out; the session's own timeout ends more.
const RETRANSMITS: u64 = 6;
/// How long a packet to oneself takes.
const LOOPBACK: Duration = Duration::from_micros(50);

/// How the hosts are connected.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Paths {
    /// Every link that is not named below.
    #[serde(skip_serializing_if = "is_default")]
    pub default: Link,
    /// Links that differ, from the first hosts to the second.
    #[serde(skip_serializing_if = "is_default")]
    pub path: Vec<PathLink>,
}

/// One link that differs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PathLink {
    /// From whom.
    pub from: crate::scenario::Hosts,
    /// To whom.
    pub to: crate::scenario::Hosts,
    /// How it behaves.
    pub link: Link,
}

/// How one directed link behaves.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Link {
    /// How long a packet takes.
    #[serde(skip_serializing_if = "is_default")]
    pub latency: Latency,
    /// The probability that a packet is lost, each for itself.
    #[serde(skip_serializing_if = "is_default")]
    pub loss: f64,
    /// Loss in bursts, on top.
    #[serde(skip_serializing_if = "is_default")]
    pub bursts: Option<Bursts>,
    /// The probability that a packet comes twice.
    #[serde(skip_serializing_if = "is_default")]
    pub duplicate: f64,
    /// The probability that a packet is held back by up to ten times its latency.
    #[serde(skip_serializing_if = "is_default")]
    pub reorder: f64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: Latency::default(),
            loss: 0.0,
            bursts: None,
            duplicate: 0.0,
            reorder: 0.0,
        }
    }
}

/// Loss in bursts: a link is in a good or a bad state and changes with each packet
/// (Gilbert 1960, Elliott 1963).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bursts {
    /// The probability, per packet, that a bad time begins.
    pub begin: f64,
    /// The probability, per packet, that it ends.
    pub end: f64,
    /// The probability that a packet is lost in it.
    pub loss: f64,
}

/// How long a packet takes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "dist", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Latency {
    /// Always as long.
    Const {
        /// How long.
        value: Span,
    },
    /// Evenly between two times.
    Uniform {
        /// At least.
        min: Span,
        /// At most.
        max: Span,
    },
    /// A least time and an exponentially distributed one, with a rare tail.
    Exp {
        /// At least.
        base: Span,
        /// The mean of what is added.
        mean: Span,
        /// The rare tail.
        tail: Option<Tail>,
    },
}

impl Default for Latency {
    fn default() -> Self {
        Self::Exp {
            base: Span::from_millis(1),
            mean: Span::from_millis(1),
            tail: None,
        }
    }
}

/// A rare, long delay.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tail {
    /// How probable.
    pub p: f64,
    /// How long.
    pub add: Span,
}

/// The two lanes that a cut may tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Datagrams, each for itself.
    Datagram,
    /// Sessions: ordered frames.
    Session,
}

/// Every directed link of the world with its present state.
#[derive(Debug)]
pub struct Network {
    hosts: usize,
    wires: Vec<Wire>,
}

#[derive(Debug)]
struct Wire {
    link: Link,
    usual: Link,
    fates: Stream,
    /// Packets that have entered it.
    packets: u64,
    /// Session frames that have entered it.
    frames: u64,
    in_burst: bool,
    /// Cuts in force, datagrams and sessions.
    cuts: [u32; 2],
    /// Local send errors in force.
    refusals: u32,
    /// Jams in force.
    jams: u32,
}

/// The delays after which a packet arrives: none if it is lost, two if it is doubled.
pub type Arrivals = [Option<Duration>; 2];

impl Network {
    /// Links among `hosts` hosts, all alike.
    pub fn new(seed: u64, hosts: usize, link: Link) -> Self {
        let wire = |at: usize| Wire {
            link,
            usual: link,
            fates: Stream::new(seed, &format!("net/{}>{}", at / hosts, at % hosts)),
            packets: 0,
            frames: 0,
            in_burst: false,
            cuts: [0, 0],
            refusals: 0,
            jams: 0,
        };
        Self {
            hosts,
            wires: (0..hosts * hosts).map(wire).collect(),
        }
    }

    /// Makes one link differ from the others, for the whole run.
    pub fn lay(&mut self, from: usize, to: usize, link: Link) {
        let wire = self.wire(from, to);
        (wire.link, wire.usual) = (link, link);
    }

    /// Changes one link's behaviour until [`Network::settle`].
    pub fn disturb(&mut self, from: usize, to: usize, link: Link) {
        self.wire(from, to).link = link;
    }

    /// Gives a link its usual behaviour back.
    pub fn settle(&mut self, from: usize, to: usize) {
        let wire = self.wire(from, to);
        wire.link = wire.usual;
    }

    /// Cuts a lane of a link; cuts add up.
    pub fn cut(&mut self, from: usize, to: usize, lane: Lane) {
        self.wire(from, to).cuts[at(lane)] += 1;
    }

    /// Takes one cut of a lane away.
    pub fn mend(&mut self, from: usize, to: usize, lane: Lane) {
        let cuts = &mut self.wire(from, to).cuts[at(lane)];
        *cuts = cuts.saturating_sub(1);
    }

    /// Whether a lane of a link is cut.
    pub fn is_cut(&self, from: usize, to: usize, lane: Lane) -> bool {
        from != to && self.wires[from * self.hosts + to].cuts[at(lane)] > 0
    }

    /// Makes the local host refuse to send over a link, or allow it again.
    pub fn refuse(&mut self, from: usize, to: usize, refuse: bool) {
        let refusals = &mut self.wire(from, to).refusals;
        *refusals = if refuse {
            *refusals + 1
        } else {
            refusals.saturating_sub(1)
        };
    }

    /// Whether the local host refuses to send over a link.
    pub fn is_refused(&self, from: usize, to: usize) -> bool {
        self.wires[from * self.hosts + to].refusals > 0
    }

    /// Makes a link hold what enters it; jams add up.
    pub fn jam(&mut self, from: usize, to: usize) {
        self.wire(from, to).jams += 1;
    }

    /// Takes one jam away. Whoever keeps what was held lets it go once the link is free.
    pub fn free(&mut self, from: usize, to: usize) {
        let jams = &mut self.wire(from, to).jams;
        *jams = jams.saturating_sub(1);
    }

    /// Whether a link holds what enters it.
    pub fn is_jammed(&self, from: usize, to: usize) -> bool {
        from != to && self.wires[from * self.hosts + to].jams > 0
    }

    /// Whether datagrams pass over a link as they should, losses aside.
    pub fn passes(&self, from: usize, to: usize) -> bool {
        !self.is_cut(from, to, Lane::Datagram)
            && !self.is_refused(from, to)
            && !self.is_jammed(from, to)
    }

    /// What becomes of the next packet on a link, cuts and jams aside.
    pub fn datagram(&mut self, from: usize, to: usize) -> Arrivals {
        if from == to {
            return [Some(LOOPBACK), None];
        }
        let wire = self.wire(from, to);
        let n = wire.packets;
        wire.packets += 1;
        let draw = |part| wire.fates.part(n, part);
        let mut lost = happens(draw(0), wire.link.loss);
        if let Some(bursts) = wire.link.bursts {
            let turn = if wire.in_burst {
                bursts.end
            } else {
                bursts.begin
            };
            let turns = happens(draw(1), turn);
            lost |= wire.in_burst && happens(draw(2), bursts.loss);
            wire.in_burst ^= turns;
        }
        if lost {
            return [None, None];
        }
        let mut delay = delay(wire.link.latency, draw(3), draw(4));
        if happens(draw(5), wire.link.reorder) {
            delay += uniform(draw(6), Duration::ZERO, delay * 10);
        }
        let twice = happens(draw(7), wire.link.duplicate);
        let again = twice.then(|| delay + uniform(draw(8), Duration::ZERO, delay * 10));
        [Some(delay), again]
    }

    /// How long the next session frame on a link takes, retransmissions included.
    pub fn frame(&mut self, from: usize, to: usize) -> Duration {
        if from == to {
            return LOOPBACK;
        }
        let wire = self.wire(from, to);
        // Frames draw from the far half of the numbers, so that they do not move packets' fates.
        let n = u64::MAX - wire.frames;
        wire.frames += 1;
        let losses = (0..RETRANSMITS)
            .take_while(|&part| happens(wire.fates.part(n, part), wire.link.loss))
            .count();
        let waits: Duration = (0..losses).map(|nth| RETRANSMIT * (1 << nth)).sum();
        let draw = |part| wire.fates.part(n, RETRANSMITS + part);
        waits + delay(wire.link.latency, draw(0), draw(1))
    }

    fn wire(&mut self, from: usize, to: usize) -> &mut Wire {
        &mut self.wires[from * self.hosts + to]
    }
}

/// The latest moment at which something sent at `sent` counts as in order after `last`.
pub fn in_order(last: &mut Timestamp, sent: Timestamp, delay: Duration) -> Timestamp {
    *last = (sent + delay).max(*last);
    *last
}

const fn at(lane: Lane) -> usize {
    match lane {
        Lane::Datagram => 0,
        Lane::Session => 1,
    }
}

fn delay(latency: Latency, draw: u64, rare: u64) -> Duration {
    match latency {
        Latency::Const { value } => value.get(),
        Latency::Uniform { min, max } => uniform(draw, min.get(), max.get()),
        Latency::Exp { base, mean, tail } => {
            let tail = tail.filter(|tail| happens(rare, tail.p));
            base.get()
                + exponential(draw, mean.get())
                + tail.map_or(Duration::ZERO, |tail| tail.add.get())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lossy() -> Link {
        Link {
            loss: 0.3,
            duplicate: 0.1,
            ..Link::default()
        }
    }

    fn fates(network: &mut Network, from: usize, to: usize) -> Vec<Arrivals> {
        (0..1_000).map(|_| network.datagram(from, to)).collect()
    }

    #[test]
    fn a_packets_fate_does_not_hang_on_what_other_links_carry() {
        let mut alone = Network::new(5, 3, lossy());
        let expected = fates(&mut alone, 0, 1);
        let mut busy = Network::new(5, 3, lossy());
        fates(&mut busy, 1, 0);
        busy.frame(0, 1);
        assert_eq!(fates(&mut busy, 0, 1), expected);
    }

    #[test]
    fn loss_and_doubling_come_as_often_as_asked() {
        let fates = fates(&mut Network::new(5, 2, lossy()), 0, 1);
        let lost = fates.iter().filter(|f| f[0].is_none()).count();
        let twice = fates.iter().filter(|f| f[1].is_some()).count();
        assert!((250..350).contains(&lost), "{lost} of 1,000 lost at 30 %");
        assert!((40..100).contains(&twice), "{twice} of 700 doubled at 10 %");
    }

    #[test]
    fn bursts_lose_packets_in_a_row() {
        let bursts = Bursts {
            begin: 0.01,
            end: 0.1,
            loss: 1.0,
        };
        let link = Link {
            bursts: Some(bursts),
            ..Link::default()
        };
        let fates = fates(&mut Network::new(5, 2, link), 0, 1);
        let lost = fates.iter().filter(|f| f[0].is_none()).count();
        let pairs = fates
            .windows(2)
            .filter(|w| w[0][0].is_none() && w[1][0].is_none())
            .count();
        assert!(
            lost > 20 && pairs * 2 > lost,
            "{pairs} pairs among {lost} lost"
        );
    }

    #[test]
    fn cuts_are_directed_and_add_up() {
        let mut network = Network::new(1, 2, Link::default());
        network.cut(0, 1, Lane::Datagram);
        network.cut(0, 1, Lane::Datagram);
        assert!(!network.is_cut(1, 0, Lane::Datagram));
        assert!(!network.is_cut(0, 1, Lane::Session));
        network.mend(0, 1, Lane::Datagram);
        assert!(network.is_cut(0, 1, Lane::Datagram));
        network.mend(0, 1, Lane::Datagram);
        assert!(!network.is_cut(0, 1, Lane::Datagram));
    }

    #[test]
    fn a_link_is_jammed_until_its_last_jam_is_gone() {
        let mut network = Network::new(1, 2, Link::default());
        network.jam(0, 1);
        network.jam(0, 1);
        network.free(0, 1);
        assert!(network.is_jammed(0, 1) && !network.passes(0, 1));
        assert!(network.passes(1, 0));
        network.free(0, 1);
        assert!(network.passes(0, 1));
    }

    #[test]
    fn session_frames_are_late_instead_of_lost() {
        let mut network = Network::new(
            2,
            2,
            Link {
                loss: 0.5,
                ..Link::default()
            },
        );
        let late = (0..100)
            .filter(|_| network.frame(0, 1) >= RETRANSMIT)
            .count();
        assert!((35..65).contains(&late), "{late} of 100 sent again at 50 %");
    }
}
