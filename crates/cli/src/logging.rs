//! The log: to standard error, as text for people or JSON for programs.

use std::fmt;

use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::{
    exit::{Code, Failure},
    output,
};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// One line per event, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Libraries whose everyday events say nothing to an operator.
const QUIET: &str =
    "quinn=warn,quinn_proto=warn,quinn_udp=error,rustls=warn,hyper=warn,h2=warn,reqwest=warn";

/// Begins to log. `level` is a word (`info`) or a filter (`info,tidings_http=debug`).
pub(crate) fn start(format: LogFormat, level: &str) -> anyhow::Result<()> {
    let filter = filter(level)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::error_coloured());
    let started = match format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let directives = if level.contains(['=', ',']) {
        level.to_owned()
    } else {
        format!("{level},{QUIET}")
    };
    let refused = |why: &dyn fmt::Display| {
        let text = format!(
            "the log level {level:?} cannot be read ({why}); give error, warn, info, debug, trace, \
             or a filter such as info,tidings_http=debug"
        );
        anyhow::Error::from(Failure::new(Code::Usage, text))
    };
    // A word that is no level would pass for the name of a module, and silence all others.
    let mut words = level.split(',').filter(|part| !part.contains('='));
    if let Some(word) = words.find(|word| word.trim().parse::<LevelFilter>().is_err()) {
        return Err(refused(&format_args!("{word:?} is no level")));
    }
    let filter = EnvFilter::builder().parse(&directives);
    filter.map_err(|error| refused(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_filters_are_levels_and_nonsense_is_not() {
        assert!(filter("info").is_ok());
        assert!(filter("warn,tidings_http=debug").is_ok());
        assert!(filter("tidings_http=loud").is_err());
        assert!(filter("shout").is_err());
        assert!(filter("info,tidings_http").is_err());
    }
}
