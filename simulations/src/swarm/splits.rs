//! The shapes in which a made-up network falls apart.

use super::Dice;
use crate::{
    scenario::{CutLane, Fault, Hosts, Way},
    span::Span,
};

/// What a split of a random shape cuts, from `at` for `length`.
pub(super) fn split(dice: &mut Dice, nodes: usize, at: u64, length: u64) -> Vec<Fault> {
    let cutter = Cutter { nodes, at, length };
    match dice.index(12) {
        0..=2 => cutter.halves(dice),
        3 => cutter.one(dice),
        4 => cutter.pair(dice),
        5 => cutter.bridge(dice),
        6 => cutter.ring(dice),
        7 => cutter.thirds(dice),
        8 => cutter.blackout(dice),
        9 => cutter.flapping(dice),
        10 => cutter.one_way(dice),
        _ => cutter.lane(dice),
    }
}

/// Two sides of equal size, or nearly so.
pub(super) fn halves(dice: &mut Dice, nodes: usize, at: u64, length: u64) -> Vec<Fault> {
    let cutter = Cutter { nodes, at, length };
    vec![cutter.cut(cutter.sides(dice, nodes / 2))]
}

/// A random half of the hosts stops passing anything on, one by one, and lets it all out in another
/// order (swizzle-clogging, as FoundationDB calls it).
pub(super) fn swizzle(dice: &mut Dice, nodes: usize, at: u64, length: u64) -> Vec<Fault> {
    let jammed = dice.some(nodes.div_ceil(2), nodes);
    let mut faults = Vec::new();
    for host in jammed {
        let begin = at + dice.between(0, length / 2);
        let end = at + dice.between(length / 2 + 1, length.max(length / 2 + 1));
        faults.push(Fault::Jam {
            at: Span::from_millis(begin),
            r#for: Some(Span::from_millis(end - begin)),
            between: [Hosts::One(host), all()],
            way: Way::Both,
        });
    }
    faults
}

/// Every host.
pub(super) fn all() -> Hosts {
    Hosts::Group("all".to_owned())
}

/// A direction.
pub(super) fn way(dice: &mut Dice) -> Way {
    dice.weighted(&[(Way::Both, 3), (Way::AToB, 1), (Way::BToA, 1)])
}

struct Cutter {
    nodes: usize,
    at: u64,
    length: u64,
}

impl Cutter {
    fn cut(&self, between: [Hosts; 2]) -> Fault {
        self.during(self.at, self.length, between)
    }

    fn during(&self, at: u64, length: u64, between: [Hosts; 2]) -> Fault {
        Fault::Cut {
            at: Span::from_millis(at),
            r#for: Some(Span::from_millis(length)),
            between,
            way: Way::Both,
            lane: CutLane::All,
        }
    }

    /// Two sides, of any size.
    fn any_sides(&self, dice: &mut Dice) -> [Hosts; 2] {
        let size = if dice.chance(0.5) {
            self.nodes / 2
        } else {
            dice.index(self.nodes)
        };
        self.sides(dice, size)
    }

    /// Two sides, the first of this size.
    fn sides(&self, dice: &mut Dice, size: usize) -> [Hosts; 2] {
        let order = dice.shuffled(self.nodes);
        let (mut left, mut right) = (order[..size].to_vec(), order[size..].to_vec());
        left.sort_unstable();
        right.sort_unstable();
        [Hosts::Many(left), Hosts::Many(right)]
    }

    fn halves(&self, dice: &mut Dice) -> Vec<Fault> {
        vec![self.cut(self.any_sides(dice))]
    }

    fn one(&self, dice: &mut Dice) -> Vec<Fault> {
        vec![self.cut([Hosts::One(dice.index(self.nodes)), all()])]
    }

    fn pair(&self, dice: &mut Dice) -> Vec<Fault> {
        let pair = dice.shuffled(self.nodes);
        let other = pair.get(1).copied().unwrap_or(pair[0]);
        vec![self.cut([Hosts::One(pair[0]), Hosts::One(other)])]
    }

    /// One host sees both sides.
    fn bridge(&self, dice: &mut Dice) -> Vec<Fault> {
        let order = dice.shuffled(self.nodes);
        let (left, right) = order[1..].split_at((self.nodes - 1) / 2);
        vec![self.cut([Hosts::Many(left.to_vec()), Hosts::Many(right.to_vec())])]
    }

    /// Each host sees its two neighbours only.
    fn ring(&self, dice: &mut Dice) -> Vec<Fault> {
        let order = dice.shuffled(self.nodes);
        let apart = |a: usize, b: usize| {
            let distance = a.abs_diff(b);
            distance.min(self.nodes - distance) > 1
        };
        let mut faults = Vec::new();
        for a in 0..self.nodes {
            let far: Vec<usize> = (a + 1..self.nodes)
                .filter(|&b| apart(a, b))
                .map(|b| order[b])
                .collect();
            if !far.is_empty() {
                faults.push(self.cut([Hosts::One(order[a]), Hosts::Many(far)]));
            }
        }
        faults
    }

    /// Three sides, two of which find each other again before the third does.
    fn thirds(&self, dice: &mut Dice) -> Vec<Fault> {
        let order = dice.shuffled(self.nodes);
        let (a, rest) = order.split_at(self.nodes / 3);
        let (b, c) = rest.split_at(rest.len() / 2);
        let sooner = dice.between(1, self.length);
        let both: Vec<usize> = a.iter().chain(b).copied().collect();
        vec![
            self.cut([Hosts::Many(both), Hosts::Many(c.to_vec())]),
            self.during(
                self.at,
                sooner,
                [Hosts::Many(a.to_vec()), Hosts::Many(b.to_vec())],
            ),
        ]
    }

    /// Nothing passes; now and then the hosts come back one by one.
    fn blackout(&self, dice: &mut Dice) -> Vec<Fault> {
        if dice.chance(0.5) {
            return vec![self.cut([all(), all()])];
        }
        let one_by_one = |host| {
            let length = dice.between(self.length / 2, self.length).max(1);
            self.during(self.at, length, [Hosts::One(host), all()])
        };
        (0..self.nodes).map(one_by_one).collect()
    }

    /// One split again and again.
    fn flapping(&self, dice: &mut Dice) -> Vec<Fault> {
        let sides = self.any_sides(dice);
        let times = dice.between(2, 8);
        let period = (self.length / times).max(2);
        let length = dice.between(1, period - 1);
        (0..times)
            .map(|nth| self.during(self.at + nth * period, length, sides.clone()))
            .collect()
    }

    fn one_or_halves(&self, dice: &mut Dice) -> Vec<Fault> {
        if dice.chance(0.5) {
            self.one(dice)
        } else {
            self.halves(dice)
        }
    }

    fn one_way(&self, dice: &mut Dice) -> Vec<Fault> {
        let mut cuts = self.one_or_halves(dice);
        let direction = dice.pick(&[Way::AToB, Way::BToA]);
        for cut in &mut cuts {
            if let Fault::Cut { way, .. } = cut {
                *way = direction;
            }
        }
        cuts
    }

    /// Only datagrams, or only sessions.
    fn lane(&self, dice: &mut Dice) -> Vec<Fault> {
        let mut cuts = self.one_or_halves(dice);
        let only = dice.pick(&[CutLane::Datagram, CutLane::Session]);
        for cut in &mut cuts {
            if let Fault::Cut { lane, .. } = cut {
                *lane = only;
            }
        }
        cuts
    }
}
