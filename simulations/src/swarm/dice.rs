//! The draws of one part of a made-up scenario.

use crate::{
    random::{Stream, below, happens},
    span::Span,
};

/// Draws of one label, one after another.
#[derive(Clone, Debug)]
pub(super) struct Dice {
    stream: Stream,
    next: u64,
}

impl Dice {
    /// What `seed` gives to this part of the scenario.
    pub(super) fn new(seed: u64, part: &str) -> Self {
        Self {
            stream: Stream::new(seed, &format!("swarm/{part}")),
            next: 0,
        }
    }

    fn draw(&mut self) -> u64 {
        self.next += 1;
        self.stream.draw(self.next)
    }

    /// Whether something of that probability happens.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        happens(self.draw(), p)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(below(self.draw(), bound as u64)).expect("it is below a usize")
    }

    /// A number from `min` to `max`, evenly.
    pub(super) fn between(&mut self, min: u64, max: u64) -> u64 {
        min + below(self.draw(), max.saturating_sub(min) + 1)
    }

    /// A number from `min`, which is not 0, to `max`, as often small as big: first the number of its
    /// bits is drawn, then those.
    pub(super) fn spread(&mut self, min: u64, max: u64) -> u64 {
        let bits = self.between(u64::from(min.ilog2()), u64::from(max.max(min).ilog2()));
        let low = 1 << bits;
        self.between(low, 2 * low - 1).clamp(min, max.max(min))
    }

    /// A probability from `min` to `max`, spread like [`Dice::spread`], in thousandths.
    pub(super) fn odds(&mut self, min: u64, max: u64) -> f64 {
        self.spread(min, max) as f64 / 1_000.0
    }

    /// Milliseconds from `min` to `max`, evenly.
    pub(super) fn span(&mut self, min: u64, max: u64) -> Span {
        Span::from_millis(self.between(min, max))
    }

    /// One of these.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    /// One of these, each as often as its weight says.
    pub(super) fn weighted<T: Copy>(&mut self, from: &[(T, u32)]) -> T {
        let total: u32 = from.iter().map(|(_, weight)| weight).sum();
        let mut left = below(self.draw(), u64::from(total));
        for &(one, weight) in from {
            match left.checked_sub(u64::from(weight)) {
                None => return one,
                Some(rest) => left = rest,
            }
        }
        unreachable!("the draw is below the sum of the weights")
    }

    /// `count` of the numbers below `of`, in order; all of them if there are not so many.
    pub(super) fn some(&mut self, count: usize, of: usize) -> Vec<usize> {
        let mut all = self.shuffled(of);
        all.truncate(count);
        all.sort_unstable();
        all
    }

    /// The numbers below `of` in any order.
    pub(super) fn shuffled(&mut self, of: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..of).collect();
        for last in (1..of).rev() {
            all.swap(last, self.index(last + 1));
        }
        all
    }
}
