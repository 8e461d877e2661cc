//! The only place that speaks to a terminal.
#![expect(clippy::print_stdout, reason = "the command line prints its results")]
#![expect(clippy::print_stderr, reason = "the command line prints its errors")]

use tidings_sim::trace::Sink;

/// Prints one line of results.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints why the command could not be carried out.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("tidings-sim: {error:#}");
}

/// Prints the log of a run as it goes.
pub(crate) fn log() -> Sink {
    Box::new(line)
}
