//! How long a packet takes on its way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    random::{exponential, happens, lognormal, uniform},
    span::Span,
};

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
    /// A time whose logarithm is normally distributed, as over long distances, with a rare tail.
    Lognormal {
        /// Half of the packets take less.
        median: Span,
        /// The standard deviation of the logarithm: 0.1 is narrow, 1 is wide.
        sigma: f64,
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

/// How long one packet takes, by two draws of its own.
pub(super) fn delay(latency: Latency, draw: u64, rare: u64) -> Duration {
    match latency {
        Latency::Const { value } => value.get(),
        Latency::Uniform { min, max } => uniform(draw, min.get(), max.get()),
        Latency::Exp { base, mean, tail } => {
            base.get() + exponential(draw, mean.get()) + tail_of(tail, rare)
        }
        Latency::Lognormal {
            median,
            sigma,
            tail,
        } => lognormal(draw, median.get(), sigma) + tail_of(tail, rare),
    }
}

fn tail_of(tail: Option<Tail>, rare: u64) -> Duration {
    let tail = tail.filter(|tail| happens(rare, tail.p));
    tail.map_or(Duration::ZERO, |tail| tail.add.get())
}
