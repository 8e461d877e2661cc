//! Figures of a run: what it cost, and the budget that a scenario may set for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::check::{Staleness, Told};
use crate::span::Span;

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// B1: how far readers were behind; `None` if no host ever showed what another had written.
    pub staleness: Option<Staleness>,
    /// B3: bytes that a node sends in a second when all is quiet, datagrams' envelopes included.
    pub steady_bytes: u64,
    /// B3: for how long at a time more than ten times as much was sent.
    pub storm: Duration,
    /// B3: bytes on sessions since the heal.
    pub repair_bytes: u64,
    /// B3: bytes that hosts lacked of each other at the heal.
    pub lacking_bytes: u64,
    /// B4: sessions since the heal.
    pub sessions: u64,
    /// B4: rumors, by whether they brought anything.
    pub told: Told,
    /// B4: events for each change that reached a host.
    pub events_per_delivery: f64,
}

/// What a run may cost; what is absent is not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Budget {
    /// B1: 99 % of reads are behind by no more.
    pub staleness_p99: Option<Span>,
    /// B1: all reads are.
    pub staleness_max: Option<Span>,
    /// B3: bytes that a node sends in a second when all is quiet.
    pub steady_bytes: Option<u64>,
    /// B3: for how long at a time more than ten times as much is sent.
    pub storm: Option<Span>,
    /// B3: bytes on sessions since the heal, for each byte that hosts lacked.
    pub repair_factor: Option<f64>,
    /// B4: sessions since the heal.
    pub sessions: Option<u64>,
    /// B4: rumors that bring nothing, to one that does.
    pub duplicates: Option<f64>,
    /// B4: events for each change that reaches a host.
    pub events_per_delivery: Option<f64>,
}

impl Budget {
    /// The first figure that is above its budget: the invariant, and what it says.
    pub fn exceeded(&self, figures: &Figures) -> Option<(&'static str, String)> {
        let staleness = figures.staleness.unwrap_or_default();
        let seconds = |span: Option<Span>| span.map(|span| span.get().as_secs_f64());
        let number = |number: Option<u64>| number.map(|number| number as f64);
        let repair = figures.repair_bytes as f64 / figures.lacking_bytes.max(1) as f64;
        [
            (
                "B1",
                "seconds behind at the 99th percentile",
                staleness.p99.as_secs_f64(),
                seconds(self.staleness_p99),
            ),
            (
                "B1",
                "seconds behind at the most",
                staleness.max.as_secs_f64(),
                seconds(self.staleness_max),
            ),
            (
                "B3",
                "bytes in a quiet second of a node",
                figures.steady_bytes as f64,
                number(self.steady_bytes),
            ),
            (
                "B3",
                "seconds of storm at a time",
                figures.storm.as_secs_f64(),
                seconds(self.storm),
            ),
            (
                "B3",
                "bytes of repair for each byte lacking",
                repair,
                self.repair_factor,
            ),
            (
                "B4",
                "sessions since the heal",
                figures.sessions as f64,
                number(self.sessions),
            ),
            (
                "B4",
                "rumors without news to one with",
                figures.told.duplicates(),
                self.duplicates,
            ),
            (
                "B4",
                "events for each change that reached a host",
                figures.events_per_delivery,
                self.events_per_delivery,
            ),
        ]
        .into_iter()
        .find_map(|(invariant, what, found, most)| {
            let most = most.filter(|&most| found > most)?;
            Some((
                invariant,
                format!("{found:.3} {what}, and {most} are the most"),
            ))
        })
    }
}

impl Figures {
    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "staleness_p50_seconds": self.staleness.map(|s| s.p50.as_secs_f64()),
            "staleness_p99_seconds": self.staleness.map(|s| s.p99.as_secs_f64()),
            "staleness_max_seconds": self.staleness.map(|s| s.max.as_secs_f64()),
            "steady_bytes": self.steady_bytes,
            "storm_seconds": self.storm.as_secs(),
            "repair_bytes": self.repair_bytes,
            "lacking_bytes": self.lacking_bytes,
            "sessions": self.sessions,
            "rumors_new": self.told.new,
            "rumors_known": self.told.known,
            "events_per_delivery": self.events_per_delivery,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_figure_above_its_budget_is_named() {
        let figures = Figures {
            steady_bytes: 300,
            repair_bytes: 900,
            lacking_bytes: 100,
            ..Figures::default()
        };
        let mut budget = Budget {
            steady_bytes: Some(300),
            repair_factor: Some(9.0),
            staleness_max: Some(Span::from_millis(1)),
            ..Budget::default()
        };
        assert_eq!(budget.exceeded(&figures), None);
        budget.repair_factor = Some(8.0);
        let (invariant, text) = budget.exceeded(&figures).unwrap();
        assert_eq!(invariant, "B3");
        assert!(text.starts_with("9.000 bytes of repair"), "{text}");
        let figures = Figures {
            staleness: Some(Staleness {
                max: Duration::from_secs(2),
                ..Staleness::default()
            }),
            sessions: 7,
            ..figures
        };
        let exceeded = |budget: &Budget| budget.exceeded(&figures).map(|(invariant, _)| invariant);
        assert_eq!(exceeded(&budget), Some("B1"));
        let budget = Budget {
            sessions: Some(6),
            ..Budget::default()
        };
        assert_eq!(exceeded(&budget), Some("B4"));
    }
}
