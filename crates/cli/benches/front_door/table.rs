//! What was measured, beside what is asked for.

use crate::cost;

/// One figure of all rounds.
#[derive(Debug)]
struct Row {
    what: String,
    unit: &'static str,
    /// Of each round.
    values: Vec<f64>,
    /// More is better.
    is_rate: bool,
    must: f64,
    aim: f64,
    load: String,
}

/// All figures.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// A cost or a time: less is better.
    pub(crate) fn cost(
        &mut self,
        what: &str,
        unit: &'static str,
        values: Vec<f64>,
        (must, aim): (f64, f64),
    ) {
        self.add(what, unit, values, false, (must, aim));
    }

    /// A rate: more is better.
    pub(crate) fn rate(
        &mut self,
        what: &str,
        unit: &'static str,
        values: Vec<f64>,
        (must, aim): (f64, f64),
    ) {
        self.add(what, unit, values, true, (must, aim));
    }

    fn add(
        &mut self,
        what: &str,
        unit: &'static str,
        mut values: Vec<f64>,
        is_rate: bool,
        (must, aim): (f64, f64),
    ) {
        // Best first, so that the last is the slowest.
        values.sort_by(f64::total_cmp);
        if is_rate {
            values.reverse();
        }
        eprintln!("{what}: {values:.3?} {unit}");
        self.0.push(Row {
            what: what.to_owned(),
            unit,
            values,
            is_rate,
            must,
            aim,
            load: cost::load(),
        });
    }

    pub(crate) fn print(&self) {
        println!(
            "{:<58} {:>3} {:>12} {:>12} {:>10} {:>10}  {:<8} load",
            "what", "n", "median", "slowest", "must", "aim", ""
        );
        for row in &self.0 {
            let median = row.values[row.values.len() / 2];
            let slowest = row.values.last().copied().unwrap_or_default();
            let meets = |wanted: f64| {
                if row.is_rate {
                    median >= wanted
                } else {
                    median <= wanted
                }
            };
            let verdict = match (meets(row.must), meets(row.aim)) {
                (_, true) => "aim",
                (true, _) => "must",
                _ => "MISSED",
            };
            println!(
                "{:<58} {:>3} {:>12} {:>12} {:>10} {:>10}  {verdict:<8} {}",
                format!("{} ({})", row.what, row.unit),
                row.values.len(),
                short(median),
                short(slowest),
                short(row.must),
                short(row.aim),
                row.load
            );
        }
    }
}

fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
