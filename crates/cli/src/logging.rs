//! The log: to standard error, as text for people or JSON for programs.

use std::{fmt, time::SystemTime};

use clap::ValueEnum;
use serde::Deserialize;
use tidings_agent::{LogLine, LogTap};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    subscriber::Interest,
};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::LevelFilter,
    fmt::layer,
    layer::{Context, Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

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

/// Begins to log. `level` is a word (`info`) or a filter (`info,tidings_http=debug`). What is logged
/// can be listened to as well.
pub(crate) fn start(format: LogFormat, level: &str) -> anyhow::Result<LogTap> {
    let tap = LogTap::default();
    let log = layer()
        .with_writer(std::io::stderr)
        .with_ansi(output::error_coloured());
    let log = match format {
        LogFormat::Text => log.with_target(false).boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(log.with_filter(filter(level)?))
        .with(Listening(tap.clone()).with_filter(Wanted(tap.clone())))
        .try_init()
        .map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))?;
    Ok(tap)
}

/// What somebody listens to, whatever the agent logs itself.
struct Wanted(LogTap);

impl<S> Filter<S> for Wanted {
    fn enabled(&self, about: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(about)
    }

    // Asked again whenever the tap hears more or less.
    fn callsite_enabled(&self, about: &'static Metadata<'static>) -> Interest {
        if self.wants(about) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.hears())
    }
}

impl Wanted {
    /// Libraries' everyday events say nothing to an operator here either.
    fn wants(&self, about: &Metadata<'_>) -> bool {
        let is_ours = about.target().starts_with("tidings");
        let is_grave = *about.level() <= Level::WARN && !about.target().starts_with("quinn_udp");
        (is_ours || is_grave) && *about.level() <= self.0.hears()
    }
}

/// Passes lines on to those who listen.
struct Listening(LogTap);

impl<S: Subscriber> Layer<S> for Listening {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Fields(LogLine {
            at: SystemTime::now(),
            level: *event.metadata().level(),
            message: String::new(),
            fields: Vec::new(),
        });
        event.record(&mut line);
        self.0.tell(line.0);
    }
}

struct Fields(LogLine);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.0.message = text;
        } else {
            self.0.fields.push((field.name(), text));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
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
