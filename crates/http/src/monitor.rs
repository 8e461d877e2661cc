//! `/v1/agent/monitor`: the agent's log as it is written.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use tokio::sync::{broadcast, mpsc};
use tracing::Level;

use crate::{failure::Failure, metrics::date, reply::Answer, request::Call, stream};

/// Where the log can be listened to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogTap(broadcast::Sender<Arc<LogLine>>);

/// One line of the log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// When it was written.
    pub at: SystemTime,
    /// How grave it is.
    pub level: Level,
    /// What it is about.
    pub message: String,
    /// What is known of it, by name.
    pub fields: Vec<(&'static str, String)>,
}

impl Default for LogTap {
    fn default() -> Self {
        Self(broadcast::Sender::new(LINES))
    }
}

impl LogTap {
    /// Whether somebody listens, so that a line is worth to be made.
    pub fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Passes `line` on to whoever listens. Never waits.
    pub fn tell(&self, line: LogLine) {
        // Without a listener it is told to nobody.
        let _ = self.0.send(Arc::new(line));
    }
}

/// `GET /v1/agent/monitor`
pub(crate) fn log(call: &Call) -> Answer {
    call.check_scope()?;
    let wanted = call.params.get("loglevel").filter(|word| !word.is_empty());
    let wanted = wanted.unwrap_or("info");
    let level = level_of(wanted)
        .ok_or_else(|| Failure::bad(format_args!("Unknown log level: {wanted}")))?;
    let as_json = call.params.has("logjson");
    let Some(tap) = call.state.hooks().log() else {
        let text = "the log of this agent cannot be listened to";
        return Err(Failure::new(StatusCode::NOT_IMPLEMENTED, text));
    };
    let lines = tap.0.subscribe();
    let body = stream::begin(&call.state, |chunks| pass_on(lines, chunks, level, as_json))?;
    let kind = if as_json { JSON } else { TEXT };
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

async fn pass_on(
    mut lines: broadcast::Receiver<Arc<LogLine>>,
    chunks: mpsc::Sender<Bytes>,
    level: Level,
    as_json: bool,
) {
    loop {
        let chunk = match lines.recv().await {
            // A greater level is a lesser matter.
            Ok(line) if line.level > level => continue,
            Ok(line) if as_json => line.json(),
            Ok(line) => line.text(),
            Err(broadcast::error::RecvError::Lagged(lost)) => {
                let told = LogLine {
                    at: SystemTime::now(),
                    level: Level::WARN,
                    message: "the client is too slow for the log".to_owned(),
                    fields: vec![("lines_lost", lost.to_string())],
                };
                if as_json { told.json() } else { told.text() }
            }
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if chunks.send(chunk.into()).await.is_err() {
            return;
        }
    }
}

impl LogLine {
    /// As Consul's agents write it.
    fn text(&self) -> String {
        let level = format!("[{}]", word_of(self.level));
        let mut text = format!("{} {level:<7} agent: {}", self.date(), self.message);
        for (number, (name, value)) in self.fields.iter().enumerate() {
            let separator = if number == 0 { ":" } else { "" };
            // Writing to a text does not fail.
            let _ = match value.contains([' ', '"', '\n']) {
                true => write!(text, "{separator} {name}={value:?}"),
                false => write!(text, "{separator} {name}={value}"),
            };
        }
        // One line is one line, whatever a peer wrote into it.
        text.replace('\n', "\\n") + "\n"
    }

    fn json(&self) -> String {
        let mut object = serde_json::Map::new();
        let mut put = |name: &str, value: &str| object.insert(name.to_owned(), value.into());
        put("@level", &word_of(self.level).to_ascii_lowercase());
        put("@message", &self.message);
        put("@module", "agent");
        put("@timestamp", &self.date());
        for (name, value) in &self.fields {
            put(name, value);
        }
        serde_json::Value::Object(object).to_string() + "\n"
    }

    fn date(&self) -> String {
        let since: Duration = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let date = date(since);
        let (day, time) = (&date[..10], &date[11..19]);
        format!("{day}T{time}.{:03}Z", since.subsec_millis())
    }
}

fn level_of(word: &str) -> Option<Level> {
    Some(match word.to_ascii_lowercase().as_str() {
        "trace" => Level::TRACE,
        "debug" => Level::DEBUG,
        "info" => Level::INFO,
        "warn" => Level::WARN,
        "err" | "error" => Level::ERROR,
        _ => return None,
    })
}

fn word_of(level: Level) -> &'static str {
    match level {
        Level::TRACE => "TRACE",
        Level::DEBUG => "DEBUG",
        Level::INFO => "INFO",
        Level::WARN => "WARN",
        Level::ERROR => "ERROR",
    }
}

/// Lines that wait for a slow listener; then the oldest are lost to it.
const LINES: usize = 512;
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
