//! The only place that speaks to a terminal.
#![expect(clippy::print_stderr, reason = "the command line prints its errors")]

use std::{
    io::{self, ErrorKind, Write},
    panic, process,
};

use tidings_sim::trace::Sink;

/// What shells show of a program that wrote to a closed pipe: 128 and the number of the signal.
const PIPE_CLOSED: i32 = 141;

/// Prints one line of results. When nobody reads them any more, as in `list | head`, the program
/// ends.
pub(crate) fn line(text: &str) {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(PIPE_CLOSED),
        Err(error) => eprintln!("tidings-sim: cannot print: {error}"),
        Ok(()) => {}
    }
}

/// Prints why the command could not be carried out.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("tidings-sim: {error:#}");
}

/// Says something beside the results, which it leaves alone.
pub(crate) fn note(text: &str) {
    eprintln!("tidings-sim: {text}");
}

/// Does something in which nodes may panic: that is a broken invariant, and told as such.
pub(crate) fn without_panics<T>(act: impl FnOnce() -> T) -> T {
    panic::set_hook(Box::new(|_| {}));
    let result = act();
    drop(panic::take_hook());
    result
}

/// Prints the log of a run as it goes.
pub(crate) fn log() -> Sink {
    Box::new(line)
}
