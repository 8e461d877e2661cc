//! Figures, and how they are told.

use std::{
    env,
    io::{self, Write},
    time::Duration,
};

/// What was measured, one entry per repetition.
#[derive(Clone, Debug, Default)]
pub struct Spans(Vec<Duration>);

impl Spans {
    /// No figures yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a figure.
    pub fn push(&mut self, span: Duration) {
        self.0.push(span);
    }

    /// The greatest figure; zero if there is none.
    pub fn slowest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }

    /// The figure in the middle, the lower one of two; zero if there is none.
    pub fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let middle = sorted.len().saturating_sub(1) / 2;
        sorted.get(middle).copied().unwrap_or_default()
    }

    /// Prints `measured: WHAT n=.. median=.. slowest=.. target=..`.
    ///
    /// # Panics
    /// If nothing was measured; and if the slowest misses `target` while `TIDINGS_STRICT=1` asks for
    /// quiet figures. Without it the deadlines of [`crate::wait`] are the limit, ten times as long,
    /// since the machine may be busy.
    pub fn report(&self, what: &str, target: Duration) {
        assert!(!self.0.is_empty(), "nothing was measured: {what}");
        let met = self.slowest() <= target;
        measured(&format!(
            "{what} n={} median={} slowest={} target={}{}",
            self.0.len(),
            ms(self.median()),
            ms(self.slowest()),
            ms(target),
            if met { "" } else { " MISSED" },
        ));
        let strict = env::var_os("TIDINGS_STRICT").is_some_and(|value| value == "1");
        assert!(met || !strict, "{what}: slower than {target:?}");
    }
}

/// The mark of a line that is shown although its test passes.
pub const MEASURED: &str = "measured: ";

/// Prints a line of figures, shown even if the test passes.
pub fn measured(text: &str) {
    say(&format!("{MEASURED}{text}"));
}

/// The mark of a line that says what was not tried.
pub const SKIPPED: &str = "SKIPPED: ";

/// Prints that something was not tried, shown even if the test passes.
pub fn skipped(text: &str) {
    say(&format!("{SKIPPED}{text}"));
}

/// Writes a line past the test harness, which hides what a passing test prints.
pub fn say(line: &str) {
    // A terminal that has gone is no reason to fail.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether the long form of each story is asked for: the numbers of repetitions that figures need.
pub fn is_long() -> bool {
    env::var_os("TIDINGS_LONG").is_some_and(|value| value == "1")
}

/// `long` if the long form is asked for, else `short`.
pub fn times<T>(long: T, short: T) -> T {
    if is_long() { long } else { short }
}

fn ms(span: Duration) -> String {
    format!("{:.1}ms", span.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_slowest_are_told() {
        let mut spans = Spans::new();
        for ms in [30, 10, 20, 40] {
            spans.push(Duration::from_millis(ms));
        }
        assert_eq!(spans.median(), Duration::from_millis(20));
        assert_eq!(spans.slowest(), Duration::from_millis(40));
    }

    #[test]
    #[should_panic(expected = "nothing was measured")]
    fn no_figure_is_no_pass() {
        Spans::new().report("nothing", Duration::from_secs(1));
    }
}
