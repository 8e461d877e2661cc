//! The rounds of `bench speed`, and each figure beside what is asked of it.

use std::convert::Infallible;

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    Sample, bare,
    loads::{Load, STEADY},
    sample,
};

/// Cores of the machine that a day's seeds are counted for.
const CORES: f64 = 2.0;
const DAY: f64 = 86_400.0;

/// One figure with its value in each round.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it says.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// Below this it is missed.
    pub must: Option<f64>,
    /// What would be good.
    pub aim: Option<f64>,
    /// One value of each round. More is better.
    pub values: Vec<f64>,
}

impl Figure {
    /// The middle one; of an even number, the lower of the two.
    pub fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len().saturating_sub(1) / 2;
        sorted.get(middle).copied().unwrap_or(0.0)
    }

    /// The worst one.
    pub fn slowest(&self) -> f64 {
        self.values
            .iter()
            .copied()
            .min_by(f64::total_cmp)
            .unwrap_or(0.0)
    }

    /// Whether the median is below what it must be.
    pub fn is_missed(&self) -> bool {
        self.must.is_some_and(|must| self.median() < must)
    }

    /// What there is to say of it, in two words at most.
    pub fn verdict(&self) -> &'static str {
        let falls_short = self.aim.is_some_and(|aim| self.median() < aim);
        match (self.must, self.aim) {
            _ if self.is_missed() => "MISSED",
            (_, Some(_)) if falls_short => "aim missed",
            (None, None) => "",
            _ => "met",
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "name": self.name,
            "unit": self.unit,
            "n": self.values.len(),
            "median": self.median(),
            "slowest": self.slowest(),
            "must": self.must,
            "aim": self.aim,
            "verdict": self.verdict(),
        })
    }
}

/// A world, and foca alone of the same size.
struct Pair {
    name: &'static str,
    nodes: usize,
    load: Load,
    seeds: [u64; 2],
}

/// What one round has measured.
struct Round {
    bare: Vec<Sample>,
    world: Vec<Sample>,
    split: Sample,
}

/// Measures `rounds` times, each part for `seconds` on the core; `tell` hears of each round.
///
/// # Errors
/// A measured world breaks an invariant.
pub fn measure(rounds: usize, seconds: f64, tell: impl FnMut(usize)) -> Result<Vec<Figure>> {
    let pairs = vec![
        Pair::new("5 nodes", 5, Load::steady(5)?),
        Pair::new("20 nodes", 20, Load::steady(20)?),
        Pair::new("20 nodes with records", 20, Load::records(20)?),
        Pair::new("128 nodes", 128, Load::steady(128)?),
    ];
    measure_pairs(pairs, rounds, seconds, tell)
}

fn measure_pairs(
    mut pairs: Vec<Pair>,
    rounds: usize,
    seconds: f64,
    mut tell: impl FnMut(usize),
) -> Result<Vec<Figure>> {
    let split_brain = Load::split_brain()?;
    let mut split_seeds = 0;
    let mut figures = figures(&pairs);
    for round in 0..rounds {
        tell(round);
        let mut measured = Round {
            bare: Vec::new(),
            world: Vec::new(),
            split: sample(seconds, &mut split_seeds, |seed| split_brain.run(seed))?,
        };
        for pair in &mut pairs {
            let (bare, world) = pair.measure(seconds)?;
            measured.bare.push(bare);
            measured.world.push(world);
        }
        for (figure, value) in figures.iter_mut().zip(measured.values()) {
            figure.values.push(value);
        }
    }
    Ok(figures)
}

impl Pair {
    const fn new(name: &'static str, nodes: usize, load: Load) -> Self {
        Self {
            name,
            nodes,
            load,
            seeds: [0; 2],
        }
    }

    /// One after the other, foca alone first.
    fn measure(&mut self, seconds: f64) -> Result<(Sample, Sample)> {
        let nodes = self.nodes;
        let [bare_seeds, seeds] = &mut self.seeds;
        let Ok(bare) = sample(seconds, bare_seeds, |seed| {
            Ok::<_, Infallible>(bare::run(nodes, STEADY, seed))
        });
        let world = sample(seconds, seeds, |seed| self.load.run(seed))?;
        Ok((bare, world))
    }
}

/// The figures without values, in the order of [`Round::values`].
fn figures(pairs: &[Pair]) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |name: String, unit, must, aim| {
        figures.push(Figure {
            name,
            unit,
            must,
            aim,
            values: Vec::new(),
        });
    };
    for Pair { name, nodes, .. } in pairs {
        let is_large = *nodes == 128;
        add(format!("foca alone, {name}"), "messages/s", None, None);
        add(name.to_string(), "messages/s", None, Some(1e6));
        add(name.to_string(), "% of foca alone", Some(40.0), Some(60.0));
        let aim = is_large.then_some(125_000.0);
        add(name.to_string(), "node-seconds/s", None, aim);
        add(name.to_string(), "events/s", None, None);
        let must = name.ends_with("records").then_some(3_000.0);
        add(name.to_string(), "x real time", must, None);
    }
    let split = "split-brain of 5 nodes, 120 s".to_owned();
    add(split, "seeds/day on 2 cores", None, Some(1e7));
    figures
}

impl Round {
    fn values(&self) -> Vec<f64> {
        let mut values = Vec::new();
        for (bare, world) in self.bare.iter().zip(&self.world) {
            let rate = |sample: &Sample| sample.messages / sample.core;
            values.extend([
                rate(bare),
                rate(world),
                100.0 * rate(world) / rate(bare),
                world.node_seconds / world.core,
                world.events / world.core,
                world.seconds / world.core,
            ]);
        }
        values.push(self.split.runs / self.split.core * DAY * CORES);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_judged_by_its_median() {
        let figure = |values: &[f64]| Figure {
            name: "rate".to_owned(),
            unit: "/s",
            must: Some(40.0),
            aim: Some(60.0),
            values: values.to_vec(),
        };
        let judged = |values| figure(values).verdict();
        assert_eq!(judged(&[10.0, 39.0, 70.0]), "MISSED");
        assert_eq!(judged(&[10.0, 41.0, 70.0]), "aim missed");
        assert_eq!(judged(&[10.0, 61.0, 70.0]), "met");
        assert_eq!(figure(&[10.0, 61.0, 70.0]).slowest(), 10.0);
    }

    #[test]
    fn a_round_gives_every_figure_a_value() {
        let pair = Pair::new("5 nodes", 5, Load::steady(5).unwrap());
        let figures = measure_pairs(vec![pair], 1, 0.001, |_| ()).unwrap();
        assert_eq!(figures.len(), 7);
        assert!(figures.iter().all(|figure| figure.values.len() == 1));
        assert!(figures.iter().all(|figure| figure.median() > 0.0));
    }
}
