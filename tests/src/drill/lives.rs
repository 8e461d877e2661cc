//! When agents ran, stood still, and what they found on their disks.

use std::time::Duration;

use super::{
    history::{Moment, Span, seconds, who},
    plan::Disk,
};

/// The processes of all hosts, and when they stood still.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    /// By host, in order.
    pub lives: Vec<Vec<Life>>,
    /// Who stood still, and when.
    pub pauses: Vec<(usize, Span)>,
}

/// One process of an agent.
#[derive(Clone, Debug)]
pub struct Life {
    /// When it was started.
    pub started: Moment,
    /// When it first answered; `None` if it never did.
    pub ready: Option<Moment>,
    /// When it was killed, if it was.
    pub killed: Option<Span>,
    /// What it found on its disk. The first finds nothing.
    pub disk: Disk,
    /// The node that it is.
    pub node: u128,
    /// How many disks were emptied or lost before.
    pub generation: u32,
}

impl Life {
    /// From its start to its end, or to the end of everything.
    pub fn span(&self) -> Span {
        Span {
            begin: self.started,
            end: self.killed.map_or(Moment::MAX, |killed| killed.end),
        }
    }
}

impl Lives {
    /// The lives of one host.
    pub fn of(&self, host: usize) -> &[Life] {
        self.lives.get(host).map_or(&[], Vec::as_slice)
    }

    /// The number of the life that ran at `host` throughout `span`.
    pub fn during(&self, host: usize, span: &Span) -> Option<usize> {
        self.of(host).iter().position(|life| {
            let ran = life.span();
            ran.begin <= span.begin && span.end <= ran.end
        })
    }

    /// The last life of a host.
    pub fn last(&self, host: usize) -> Option<&Life> {
        self.of(host).last()
    }

    /// The node that a host was in a generation.
    pub fn node(&self, host: usize, generation: u32) -> Option<u128> {
        let mut lives = self.of(host).iter();
        let life = lives.find(|life| life.generation == generation)?;
        Some(life.node)
    }

    /// Whether `host` need not have answered throughout `span`: it was killed, or not yet ready.
    pub fn was_down(&self, host: usize, span: &Span) -> bool {
        let lives = self.of(host);
        let starts = lives.iter().map(|life| Span {
            begin: life.started,
            end: life.ready.unwrap_or(Moment::MAX),
        });
        let ends = lives.iter().enumerate().filter_map(|(at, life)| {
            let killed = life.killed?;
            let next = lives.get(at + 1).map_or(Moment::MAX, |next| next.started);
            Some(Span {
                begin: killed.begin,
                end: next,
            })
        });
        starts.chain(ends).any(|down| down.meets(span))
    }

    /// How long `host` stood still within `span`.
    pub fn paused(&self, host: usize, span: &Span) -> Duration {
        let pauses = self.pauses.iter().filter(|(at, _)| *at == host);
        pauses.map(|(_, pause)| pause.shared(span)).sum()
    }

    /// The moment before `end` at which `host` had `span` of running left until then.
    pub fn running_before(&self, host: usize, end: Moment, span: Duration) -> Moment {
        let mut begin = end.saturating_sub(span);
        loop {
            let paused = self.paused(host, &Span { begin, end });
            let earlier = end.saturating_sub(span + paused);
            if earlier >= begin {
                return begin;
            }
            begin = earlier;
        }
    }

    /// The disks of `host` that were emptied or lost: when, and the generation that ended.
    pub fn losses(&self, host: usize) -> impl Iterator<Item = (Moment, u32, Disk)> {
        let lives = self.of(host);
        lives.windows(2).filter_map(|pair| {
            let killed = pair[0].killed?;
            (pair[1].disk != Disk::Kept).then_some((killed.begin, pair[0].generation, pair[1].disk))
        })
    }

    /// What became of a host, in words.
    pub fn story(&self, host: Option<usize>) -> Vec<(Moment, String)> {
        let Some(host) = host else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for (at, life) in self.of(host).iter().enumerate() {
            if at > 0 {
                let ready = life.ready.map_or_else(|| "never".to_owned(), seconds);
                let line = format!(
                    "{} starts, its disk {:?}, and answers from {ready} on",
                    who(host),
                    life.disk
                );
                lines.push((life.started, line));
            }
            if let Some(killed) = life.killed {
                lines.push((killed.begin, format!("{} is killed", who(host))));
            }
        }
        for (at, pause) in &self.pauses {
            if *at == host {
                let line = format!("{} stands still until {}", who(host), seconds(pause.end));
                lines.push((pause.begin, line));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    const fn span(begin: u64, end: u64) -> Span {
        Span {
            begin: at(begin),
            end: at(end),
        }
    }

    fn lives() -> Lives {
        let life = |started, ready, killed, disk, generation| Life {
            started: at(started),
            ready: Some(at(ready)),
            killed,
            disk,
            node: 1,
            generation,
        };
        let first = life(0, 10, Some(span(100, 110)), Disk::Kept, 0);
        let second = life(200, 250, None, Disk::Emptied, 1);
        Lives {
            lives: vec![vec![first, second]],
            pauses: vec![(0, span(300, 400))],
        }
    }

    #[test]
    fn nobody_answers_between_a_kill_and_the_next_answer() {
        let lives = lives();
        for (begin, end, down) in [
            (5, 6, true),
            (11, 99, false),
            (90, 100, true),
            (150, 151, true),
            (240, 260, true),
            (251, 900, false),
        ] {
            assert_eq!(lives.was_down(0, &span(begin, end)), down, "{begin} {end}");
        }
    }

    #[test]
    fn a_span_belongs_to_the_life_that_ran_throughout() {
        let lives = lives();
        assert_eq!(lives.during(0, &span(20, 105)), Some(0));
        assert_eq!(lives.during(0, &span(20, 205)), None);
        assert_eq!(lives.during(0, &span(205, 900)), Some(1));
        let losses: Vec<_> = lives.losses(0).collect();
        assert_eq!(losses, [(at(100), 0, Disk::Emptied)]);
    }

    #[test]
    fn standing_still_is_no_running() {
        let lives = lives();
        assert_eq!(lives.paused(0, &span(350, 1_000)), at(50));
        assert_eq!(lives.running_before(0, at(500), at(50)), at(450));
        assert_eq!(lives.running_before(0, at(500), at(150)), at(250));
        assert_eq!(lives.running_before(0, at(350), at(10)), at(290));
    }
}
