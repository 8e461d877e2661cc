//! The terminal: colours only where somebody sees them, JSON for programs.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// Whether standard output takes colours.
pub(crate) fn coloured() -> bool {
    io::stdout().is_terminal() && wants_colour()
}

/// Whether standard error takes colours.
pub(crate) fn error_coloured() -> bool {
    io::stderr().is_terminal() && wants_colour()
}

/// The convention of <https://no-color.org>.
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes `text` to standard output. A reader that has gone (`tidings members | head -1`) is no
/// error.
pub(crate) fn print(text: &str) {
    let _ = try_print(text);
}

/// As [`print()`], for what would go on for ever though nobody reads it.
///
/// # Errors
/// If the reader has gone.
pub(crate) fn try_print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a line to standard error that is no error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says on a terminal what is being waited for, in a line that [`progress_ends`] takes away.
pub(crate) fn progress(text: &str) {
    if io::stderr().is_terminal() {
        let mut err = io::stderr();
        let _ = write!(err, "\r{text}").and_then(|()| err.flush());
    }
}

/// Nothing is waited for any more.
pub(crate) fn progress_ends() {
    if io::stderr().is_terminal() {
        let mut err = io::stderr();
        let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
    }
}

/// Writes `value` as indented JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?));
    Ok(())
}

/// Writes an error with its causes to standard error.
pub(crate) fn error(error: &anyhow::Error) {
    let text = with_causes(error);
    let label = if error_coloured() {
        "\x1b[1;31merror:\x1b[0m"
    } else {
        "error:"
    };
    let _ = writeln!(io::stderr(), "{label} {text}");
}

/// An error's text and those of its causes, unless they are already in it.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// A span as people say it: the two largest units.
pub(crate) fn age(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m{:02}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h{:02}m", s / 3_600, s % 3_600 / 60),
        _ => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_is_already_told_is_not_told_again() {
        let cause = || anyhow::anyhow!("no such file");
        assert_eq!(
            with_causes(&cause().context("a cannot be read")),
            "a cannot be read: no such file"
        );
        let told = cause().context("a cannot be read: no such file; make it");
        assert_eq!(
            with_causes(&told),
            "a cannot be read: no such file; make it"
        );
    }

    #[test]
    fn ages_are_told_in_their_two_largest_units() {
        let told: Vec<_> = [900, 59_000, 61_000, 3_660_000, 90_000_000]
            .into_iter()
            .map(age)
            .collect();
        assert_eq!(told, ["0s", "59s", "1m01s", "1h01m", "1d01h"]);
    }
}
