//! The endpoints.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::IntoResponse,
};
use serde::{Serialize, Serializer};

use super::{Metrics, Value, own, process};
use crate::{
    reply::{self, Answer},
    request::Call,
    state::HttpState,
};

/// `GET /v1/tidings/metrics`
pub(crate) fn prometheus(call: &Call) -> Answer {
    let metrics = gather(&call.state);
    Ok(([(header::CONTENT_TYPE, TEXT)], metrics.to_string()).into_response())
}

/// `GET /v1/agent/metrics`: Consul's JSON, or the text format for whoever asks for it.
///
/// Consul's counters are those of the last ten seconds. Ours are counted since the start, so they
/// stand among the gauges: there a value means just what it says.
pub(crate) fn consul(call: &Call) -> Answer {
    call.check_scope()?;
    if call.params.get("format") == Some("prometheus") || accepts_text(&call.headers) {
        return prometheus(call);
    }
    let metrics = gather(&call.state);
    let families = metrics.families.iter();
    let gauges = families.flat_map(|family| {
        family.samples.iter().map(|sample| Gauge {
            name: &family.name,
            value: sample.value,
            labels: sample.labels.iter().map(|(k, v)| (*k, &**v)).collect(),
        })
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let answer = Summary {
        timestamp: date(now.unwrap_or_default()),
        gauges: gauges.collect(),
        points: [],
        counters: [],
        samples: [],
    };
    Ok(reply::json(call, &answer))
}

fn gather(state: &HttpState) -> Metrics {
    let mut metrics = Metrics::default();
    own::add(&mut metrics, state);
    state.hooks().metrics(&mut metrics);
    process::add(&mut metrics);
    metrics
}

/// Whether the client is Prometheus or one that speaks as it does.
fn accepts_text(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| {
            let mut parts = kind.split(';').map(str::trim);
            match parts.next() {
                Some("application/openmetrics-text") => true,
                // 0.4.0 is what Consul's own clients ask for.
                Some("text/plain") => parts.any(|p| p == "version=0.0.4" || p == "version=0.4.0"),
                _ => false,
            }
        })
}

/// A moment since 1970 as Consul writes it.
pub(crate) fn date(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (mut day, time) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    while day >= days_of(year) {
        day -= days_of(year);
        year += 1;
    }
    let mut month = 0;
    let february = days_of(year) - 337;
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!(
        "{year:04}-{:02}-{:02} {hour:02}:{minute:02}:{second:02} +0000 UTC",
        month + 1,
        day + 1
    )
}

const fn days_of(year: u64) -> u64 {
    let leaps = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leaps { 366 } else { 365 }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Summary<'a> {
    timestamp: String,
    gauges: Vec<Gauge<'a>>,
    points: [(); 0],
    counters: [(); 0],
    samples: [(); 0],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Gauge<'a> {
    name: &'a str,
    #[serde(serialize_with = "number")]
    value: Value,
    labels: BTreeMap<&'static str, &'a str>,
}

fn number<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Value::Whole(number) => serializer.serialize_u64(*number),
        Value::Span(span) => serializer.serialize_f64(span.as_secs_f64()),
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_go_does() {
        let at = |seconds| date(Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59 +0000 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00 +0000 UTC");
        assert_eq!(at(1_763_669_045), "2025-11-20 20:04:05 +0000 UTC");
        assert_eq!(at(1_735_689_599), "2024-12-31 23:59:59 +0000 UTC");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00 +0000 UTC");
    }
}
