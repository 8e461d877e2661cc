//! Processes that stop, and how they come back.

use super::{Dice, EARLIEST, Maker};
use crate::{
    scenario::{Cluster, DiskFate, Fault, Goodbye, Hosts, Restart},
    span::Span,
};

impl Maker {
    /// Who may stop for good: never the first host, so that somebody is left and a seed is there.
    pub(super) fn crash(&self, dice: &mut Dice, at: u64) -> Fault {
        let node = self.few(dice);
        let may_go = match &node {
            Hosts::One(host) => *host != 0,
            _ => false,
        };
        let restart = self.restart(dice, at);
        let is_gone = may_go && dice.chance(self.gone);
        Fault::Crash {
            at: Span::from_millis(at),
            node,
            restart: (!is_gone).then_some(restart),
        }
    }

    /// One process that is killed again and again, soon after each start.
    pub(super) fn crash_loop(&self, dice: &mut Dice) -> Vec<Fault> {
        let node = Hosts::One(dice.index(self.nodes));
        let times = dice.spread(3, 14);
        let pace = dice.spread(300, 3_000).min((self.chaos - 2_000) / times);
        let begin = dice.between(EARLIEST, self.chaos - 500 - pace * times);
        let crash = |nth| {
            let at = begin + nth * pace;
            let mut restart = self.restart(dice, at);
            restart.after = dice.span(1, pace / 2);
            Fault::Crash {
                at: Span::from_millis(at),
                node: node.clone(),
                restart: Some(restart),
            }
        };
        (0..times).map(crash).collect()
    }

    /// Many processes at one time, each with its own fate.
    pub(super) fn outage(&self, dice: &mut Dice, at: u64) -> Vec<Fault> {
        let count = self.nodes.div_ceil(2) + dice.index(self.nodes.div_ceil(2));
        let hosts = dice.some(count, self.nodes);
        let crash = |host| Fault::Crash {
            at: Span::from_millis(at),
            node: Hosts::One(host),
            restart: Some(self.restart(dice, at)),
        };
        hosts.into_iter().map(crash).collect()
    }

    pub(super) fn depart(&self, dice: &mut Dice, at: u64) -> Fault {
        let host = dice.index(self.nodes);
        let restart = self.restart(dice, at);
        let is_gone = host != 0 && dice.chance(self.gone);
        Fault::Depart {
            at: Span::from_millis(at),
            node: Hosts::One(host),
            how: dice.pick(&[Goodbye::Left, Goodbye::Restarting]),
            restart: (!is_gone).then_some(restart),
        }
    }

    pub(super) fn copy(&self, dice: &mut Dice, at: u64) -> Vec<Fault> {
        let pair = dice.shuffled(self.nodes);
        let Some(&of) = pair.get(1) else {
            return Vec::new();
        };
        let restart = Restart {
            disk: DiskFate::Copied,
            image: None,
            of: Some(of),
            ..self.restart(dice, at)
        };
        vec![Fault::Crash {
            at: Span::from_millis(at),
            node: Hosts::One(pair[0]),
            restart: Some(restart),
        }]
    }

    fn restart(&self, dice: &mut Dice, at: u64) -> Restart {
        let disk = dice.weighted(&self.fates);
        let image = dice.span(0, at);
        let after = dice.spread(10, self.away.min(self.chaos - at));
        Restart {
            after: Span::from_millis(after),
            disk,
            image: disk.is_of_an_image().then_some(image),
            of: None,
            cluster: Cluster::First,
        }
    }
}
