//! Exit codes: what a script may branch on.

use std::{fmt, process::ExitCode};

use crate::output;

/// The part of `--help` that documents the codes.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  failed: the error says why and what to do
  2  wrong usage or settings; nothing was started
  3  no agent answers at the address asked
  4  nothing found: no such service, or none of its instances is healthy";

/// A failure with its code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    text: String,
}

/// The codes other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// Whatever has no code of its own.
    Failed = 1,
    /// Flags, files or settings that cannot be run with. clap uses the same.
    Usage = 2,
    /// Nobody listens, or what listens is no agent.
    NoAgent = 3,
    /// The question has an empty answer.
    NotFound = 4,
}

impl Failure {
    pub(crate) fn new(code: Code, text: impl fmt::Display) -> Self {
        Self {
            code,
            text: text.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// Tells the error, if any, and turns the result into the process's exit code.
pub(crate) fn code_of(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    output::error(&error);
    let code = error
        .downcast_ref::<Failure>()
        .map_or(Code::Failed, |failure| failure.code);
    ExitCode::from(code as u8)
}
