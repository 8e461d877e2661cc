//! Keyed randomness: every draw is a function of the seed, a label and a number.
//!
//! There is no generator whose state one draw would change for the next. Taking one fault out of a
//! scenario leaves every other draw as it was, so a failure can be made smaller step by step.

use std::time::Duration;

/// The draws of one label.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    key: u64,
}

impl Stream {
    /// The draws that `seed` gives to `label`.
    pub fn new(seed: u64, label: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(label.as_bytes());
        let mut key = [0; 8];
        hasher.finalize_xof().fill(&mut key);
        Self {
            key: u64::from_le_bytes(key),
        }
    }

    /// The `n`-th draw, uniform over all 64-bit numbers.
    pub const fn draw(self, n: u64) -> u64 {
        mix(self.key ^ mix(n.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    }

    /// The `part`-th of several draws that belong to the `n`-th event.
    pub const fn part(self, n: u64, part: u64) -> u64 {
        mix(self.draw(n) ^ mix(part.wrapping_mul(0xd6e8_feb8_6659_fd93)))
    }
}

/// Whether an event of probability `p` happens under this draw.
pub fn happens(draw: u64, p: f64) -> bool {
    unit(draw) < p
}

/// A number below `bound`, which is not 0.
pub const fn below(draw: u64, bound: u64) -> u64 {
    draw % bound
}

/// A time between `min` and `max`, evenly.
pub fn uniform(draw: u64, min: Duration, max: Duration) -> Duration {
    min + max.saturating_sub(min).mul_f64(unit(draw))
}

/// An exponentially distributed time of that mean, at most 20 times as long.
pub fn exponential(draw: u64, mean: Duration) -> Duration {
    mean.mul_f64((-(1.0 - unit(draw)).ln()).min(20.0))
}

/// A time whose logarithm is normally distributed, with that median and deviation of the logarithm
/// (Box and Muller, 1958); at most 20 times the median.
pub fn lognormal(draw: u64, median: Duration, sigma: f64) -> Duration {
    let radius = (-2.0 * (1.0 - unit(draw)).ln()).sqrt();
    let angle = std::f64::consts::TAU * unit(mix(draw));
    median.mul_f64((sigma * radius * angle.cos()).exp().min(20.0))
}

/// The draw as a number from 0 to below 1.
fn unit(draw: u64) -> f64 {
    const STEPS: f64 = (1_u64 << 53) as f64;
    (draw >> 11) as f64 / STEPS
}

/// Spreads a number over 64 bits (the finaliser of SplitMix64).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_seed_label_and_number_alone() {
        let stream = Stream::new(7, "net/0>1");
        assert_eq!(stream.draw(3), Stream::new(7, "net/0>1").draw(3));
        assert_ne!(stream.draw(3), stream.draw(4));
        assert_ne!(stream.draw(3), Stream::new(8, "net/0>1").draw(3));
        assert_ne!(stream.draw(3), Stream::new(7, "net/1>0").draw(3));
        assert_ne!(stream.part(3, 0), stream.part(3, 1));
    }

    #[test]
    fn probabilities_and_means_come_out() {
        let stream = Stream::new(1, "coins");
        let heads = (0..10_000)
            .filter(|&n| happens(stream.draw(n), 0.2))
            .count();
        assert!((1_800..2_200).contains(&heads), "{heads} of 10,000 at 20 %");
        let mean = Duration::from_millis(2);
        let sum: Duration = (0..10_000).map(|n| exponential(stream.draw(n), mean)).sum();
        assert!(
            (18..22).contains(&sum.as_secs()),
            "{sum:?} for 10,000 of 2 ms"
        );
        let middle = Duration::from_millis(80);
        let below_median = (0..10_000)
            .filter(|&n| lognormal(stream.draw(n), middle, 0.3) < middle)
            .count();
        let within = (0..10_000)
            .filter(|&n| lognormal(stream.draw(n), middle, 0.3) < middle.mul_f64(0.3_f64.exp()))
            .count();
        assert!((4_800..5_200).contains(&below_median), "{below_median}");
        assert!(
            (8_200..8_600).contains(&within),
            "{within} within a deviation"
        );
        let (low, high) = (Duration::from_millis(1), Duration::from_millis(3));
        assert!((0..1_000).all(|n| {
            let drawn = uniform(stream.draw(n), low, high);
            drawn >= low && drawn <= high
        }));
    }
}
