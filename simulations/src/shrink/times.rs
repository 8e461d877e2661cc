//! Shorter times and smaller counts, in numbers that a person can take in.

use std::time::Duration;

use toml::{Table, Value};

use super::{
    Shrinker,
    fields::{Step, paths, table_at},
};
use crate::span::Span;

/// Gaps between two moments that are made smaller, at least.
const GAP: Duration = Duration::from_secs(1);
/// Numbers of which less is simpler.
const COUNTS: [&str; 4] = ["times", "keys", "per-second", "rate-ppm"];

impl Shrinker {
    /// Nothing happens after the failure.
    pub(super) fn cut_the_tail(&mut self) {
        let at = Duration::from_micros(self.violation.at.as_micros());
        let Some(chaos) = self.chaos().filter(|&chaos| at < chaos) else {
            return;
        };
        // Whole seconds, since some invariants are looked at once a second.
        let end = Duration::from_secs(at.as_secs() + 1).min(chaos);
        self.attempt(|table| end_chaos(table, end));
    }

    /// Makes times and counts smaller.
    pub(super) fn times(&mut self) {
        self.gaps();
        for path in paths(&self.best) {
            let Some((Step::Key(key), parent)) = path.split_last() else {
                continue;
            };
            if matches!(path.first(), Some(Step::Key(first)) if first == "expect" || first == "phases")
            {
                continue;
            }
            let halves = if key == "at" { 0 } else { 12 };
            self.round(parent, key);
            for _ in 0..halves {
                if !self.attempt(|table| halve(table, parent, key)) {
                    break;
                }
            }
        }
        self.late_chaos();
    }

    fn round(&mut self, parent: &[Step], key: &str) {
        for digits in [1_000, 100, 10] {
            let taken = self.attempt(|table| {
                let value = table_at(table, parent).and_then(|inner| inner.get_mut(key));
                if let Some((value, span)) = value
                    .and_then(|value| Some((span(value)?, value)))
                    .map(|(s, v)| (v, s))
                {
                    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
                    if millis > digits {
                        let rounded = millis / digits * digits;
                        *value = text(Duration::from_millis(rounded));
                    }
                }
            });
            if taken {
                break;
            }
        }
    }

    /// Moves everything after a gap to an earlier moment: the gap is a second long, or half as long.
    fn gaps(&mut self) {
        let mut moments = moments(&self.best);
        let mut nth = 0;
        while nth < moments.len() {
            let before = if nth == 0 {
                Duration::ZERO
            } else {
                moments[nth - 1]
            };
            let gap = moments[nth].saturating_sub(before);
            let from = moments[nth];
            let taken = gap > GAP
                && [gap - GAP, gap / 2]
                    .into_iter()
                    .any(|by| self.attempt(|table| shift(table, from, by)));
            if taken {
                moments = self::moments(&self.best);
            } else {
                nth += 1;
            }
        }
    }

    /// Ends the chaos phase soon after the last thing that happens in it.
    fn late_chaos(&mut self) {
        let last = moments(&self.best).last().copied().unwrap_or_default();
        for spare in [0, 1, 5, 15] {
            let end = last + Duration::from_secs(spare);
            if self.chaos().is_some_and(|chaos| end < chaos)
                && self.attempt(|table| end_chaos(table, end))
            {
                break;
            }
        }
    }

    fn chaos(&self) -> Option<Duration> {
        span(self.best.get("phases")?.get("chaos")?)
    }
}

fn halve(table: &mut Table, parent: &[Step], key: &str) {
    let Some(value) = table_at(table, parent).and_then(|inner| inner.get_mut(key)) else {
        return;
    };
    if COUNTS.contains(&key)
        && let Value::Integer(number) = value
    {
        *number /= 2;
    } else if let Some(span) = span(value) {
        let millis = u64::try_from(span.as_millis() / 2).unwrap_or(u64::MAX);
        *value = text(Duration::from_millis(millis));
    }
}

/// The moments at which something begins, ends or is asked for.
fn moments(table: &Table) -> Vec<Duration> {
    let mut moments = Vec::new();
    for item in items(table) {
        let Some(at) = item.get("at").and_then(span) else {
            continue;
        };
        moments.push(at);
        let after = |value: Option<&Value>| Some(at + span(value?)?);
        moments.extend(after(item.get("for")));
        moments.extend(after(item.get("restart").and_then(|r| r.get("after"))));
        if let Some(repeat) = item.get("repeat") {
            let times = repeat.get("times").and_then(Value::as_integer);
            let times = u32::try_from(times.unwrap_or_default()).unwrap_or(u32::MAX);
            moments.extend(
                repeat
                    .get("every")
                    .and_then(span)
                    .map(|every| at + every * times),
            );
        }
    }
    moments.sort_unstable();
    moments.dedup();
    moments
}

fn items(table: &Table) -> impl Iterator<Item = &Table> {
    ["workload", "fault"]
        .into_iter()
        .filter_map(|list| table.get(list)?.as_array())
        .flatten()
        .filter_map(Value::as_table)
}

/// Moves all that begins at `from` or later to an earlier moment.
fn shift(table: &mut Table, from: Duration, by: Duration) {
    for list in ["workload", "fault"] {
        let items = table.get_mut(list).and_then(Value::as_array_mut);
        for item in items.into_iter().flatten() {
            earlier(item, "at", from, by);
            if let Some(restart) = item.get_mut("restart") {
                earlier(restart, "image", from, by);
            }
        }
    }
    if let Some(phases) = table.get_mut("phases") {
        earlier(phases, "chaos", from, by);
    }
}

fn earlier(item: &mut Value, key: &str, from: Duration, by: Duration) {
    if let Some(value) = item.get_mut(key)
        && let Some(at) = span(value).filter(|&at| at >= from)
    {
        *value = text(at.saturating_sub(by));
    }
}

/// Ends the chaos phase at `end`, and leaves out what would come later.
fn end_chaos(table: &mut Table, end: Duration) {
    for list in ["workload", "fault"] {
        let Some(items) = table.get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        items.retain(|item| item.get("at").and_then(span).is_some_and(|at| at <= end));
        for item in items {
            let (at, length) = (
                item.get("at").and_then(span),
                item.get("for").and_then(span),
            );
            if let (Some(at), Some(length)) = (at, length)
                && at + length > end
                && let Value::Table(item) = item
            {
                item.remove("for");
            }
        }
    }
    if let Some(Value::Table(phases)) = table.get_mut("phases") {
        phases.insert("chaos".to_owned(), text(end));
    }
}

fn span(value: &Value) -> Option<Duration> {
    value.as_str()?.parse::<Span>().ok().map(Span::get)
}

fn text(span: Duration) -> Value {
    Value::String(Span::from(span).to_string())
}
