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
use tokio::sync::mpsc;
use tracing::Level;

use crate::{
    LogLine, failure::Failure, log_tap::Listener, metrics::date, reply::Answer, request::Call,
    stream,
};

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
    let body = stream::begin(&call.state, |chunks| {
        pass_on(tap.listen(level), chunks, as_json)
    })?;
    let kind = if as_json { JSON } else { TEXT };
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

async fn pass_on(mut listener: Listener, chunks: mpsc::Sender<Bytes>, as_json: bool) {
    while let Some(next) = listener.next().await {
        let line = next.unwrap_or_else(|lost| Arc::new(LogLine::of_lost(lost)));
        let chunk = if as_json { line.json() } else { line.text() };
        if chunks.send(chunk.into()).await.is_err() {
            return;
        }
    }
}

impl LogLine {
    fn of_lost(lines: u64) -> Self {
        Self {
            at: SystemTime::now(),
            level: Level::WARN,
            message: "the client is too slow for the log".to_owned(),
            fields: vec![("lines_lost", lines.to_string())],
        }
    }

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

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
