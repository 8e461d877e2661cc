//! `bench`: how fast the simulator is, beside what is asked of it.

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use tidings_sim::bench::speed::{self, Figure};

use crate::output;

/// Seconds that are as good as for ever.
const SECONDS_MAX: f64 = 3_600.0;

#[derive(Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Runs worlds and foca alone in turns on one core, and compares their rates.
    ///
    /// Exit code 1 if a figure that must be met is missed.
    Speed {
        /// How long each part of a round takes on the core, at least.
        #[arg(long, default_value_t = 1.0)]
        seconds: f64,
        /// How often everything is measured.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Prints one JSON object per figure.
        #[arg(long)]
        json: bool,
    },
}

/// Measures; 1 if something is missed.
pub(crate) fn run(args: &Bench) -> Result<u8> {
    let What::Speed {
        seconds,
        rounds,
        json,
    } = args.what;
    ensure!(
        rounds > 0 && seconds > 0.0 && seconds < SECONDS_MAX,
        "--rounds must be 1 or more and --seconds above 0 and below {SECONDS_MAX}"
    );
    if cfg!(debug_assertions) {
        output::note("this is a debug build: build with --release before you believe a figure");
    }
    let figures = speed::measure(rounds, seconds, |round| {
        output::note(&format!("round {} of {rounds}", round + 1));
    })?;
    if json {
        for figure in &figures {
            output::line(&figure.json().to_string());
        }
    } else {
        output::line(&heading());
        figures.iter().for_each(|figure| output::line(&row(figure)));
    }
    Ok(u8::from(figures.iter().any(Figure::is_missed)))
}

fn heading() -> String {
    format!(
        "{:<34} {:<21} {:>2} {:>12} {:>12} {:>10} {:>10}",
        "what, per core", "unit", "n", "median", "slowest", "must", "aim"
    )
}

fn row(figure: &Figure) -> String {
    let bound = |bound: Option<f64>| bound.map_or_else(|| "-".to_owned(), thousands);
    let text = format!(
        "{:<34} {:<21} {:>2} {:>12} {:>12} {:>10} {:>10}  {}",
        figure.name,
        figure.unit,
        figure.values.len(),
        thousands(figure.median()),
        thousands(figure.slowest()),
        bound(figure.must),
        bound(figure.aim),
        figure.verdict()
    );
    text.trim_end().to_owned()
}

/// A number with commas between thousands; with one digit after the point if it is small.
fn thousands(number: f64) -> String {
    if number < 1_000.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_can_be_read() {
        let shown = [41.26, 1_000.0, 12_345.6, 1e7].map(thousands);
        assert_eq!(shown, ["41.3", "1,000", "12,346", "10,000,000"]);
    }

    #[test]
    fn a_row_tells_what_is_missed() {
        let figure = Figure {
            name: "20 nodes".to_owned(),
            unit: "% of foca alone",
            must: Some(40.0),
            aim: Some(60.0),
            values: vec![30.0, 20.0, 35.0],
        };
        let row = row(&figure);
        assert!(row.ends_with("MISSED"), "{row}");
        assert!(row.contains(" 3         30.0         20.0"), "{row}");
    }
}
