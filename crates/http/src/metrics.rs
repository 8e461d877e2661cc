//! Figures for monitoring, in Prometheus' text format.
//!
//! `GET /metrics`, `/v1/tidings/metrics` and `/v1/agent/metrics?format=prometheus` answer from this agent's
//! memory, whatever the network does, and ask no lock of anything that serves queries. Each figure
//! comes with its own help text; counters are counted since the agent's start and end in `_total`.
//!
//! | Figures | Tell |
//! |---|---|
//! | `tidings_build_info`, `tidings_start_time_seconds` | which version runs, since when |
//! | `tidings_members{status}`, `tidings_members_reachable`, `tidings_members_expected`, `tidings_island` | the roster; alert on the island |
//! | `tidings_fingerprint_differs_seconds` | how long some reachable peer's registry has differed: *the* health of the cluster; alert above a minute |
//! | `tidings_changes_pending` | own changes that no peer is known to hold |
//! | `tidings_conflicts`, `tidings_feeds`, `tidings_entries` | the replicated data |
//! | `tidings_ahead_deltas`, `tidings_ahead_bytes` | changes that wait for others before them |
//! | `tidings_index`, `tidings_watches` | the read view: its counter, and what is waited for |
//! | `tidings_commands_waiting`, `tidings_commands_busy_total` | writes on their way to the node |
//! | `tidings_http_*` | requests by class of status, connections, blocking queries, and what the limits refused |
//! | `tidings_https_*` | with HTTPS: handshakes, and the certificate in force; alert before it expires |
//! | `tidings_dns_*` | queries and answers, and what the limits refused |
//! | `tidings_checks`, `tidings_checks_*` | the runners of this agent's checks |
//! | `tidings_transport_*` | packets and sessions, and each reason for which one was refused |
//! | `tidings_membership_*` | the failure detector and its guards |
//! | `tidings_node_*` | gossip, reconciliation, and what was refused by limits or by the disk; alert on `tidings_node_alarms_total` and `tidings_node_batches_failed_total` |
//! | `tidings_driver_*` | the loop that owns the node; alert when `tidings_driver_turns_total` stands still |
//! | `tidings_process_*` | memory and processor time of this process |
//! | `tidings_disk_*` | batches and saves that wait, failed or were refused |
//!
//! What the node counts is taken over once a second.

mod endpoint;
mod own;
mod process;
mod text;

use std::{borrow::Cow, time::Duration};

pub(crate) use self::endpoint::{consul, date, prometheus};

/// The figures of one moment, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    families: Vec<Family>,
}

/// What a figure amounts to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A number of things.
    Whole(u64),
    /// A span of time, written in seconds.
    Span(Duration),
}

/// The figures of one name.
#[derive(Clone, Debug)]
struct Family {
    name: Cow<'static, str>,
    help: &'static str,
    kind: Kind,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

#[derive(Clone, Debug)]
struct Sample {
    labels: Vec<(&'static str, String)>,
    value: Value,
}

impl Metrics {
    /// Adds a figure that only grows. Its name begins with `tidings_` and ends in `_total`.
    pub fn counter(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        help: &'static str,
        value: impl Into<Value>,
    ) {
        self.add(name, help, Kind::Counter, vec![Sample::plain(value)]);
    }

    /// Adds figures that only grow and together are one sum, told apart by `label`.
    pub fn counters<T: Into<Value>>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'static str, T)>,
    ) {
        let samples = labelled(label, values);
        self.add(name, help, Kind::Counter, samples);
    }

    /// Adds a figure that goes up and down. Its name begins with `tidings_` and ends with its unit,
    /// if it has one.
    pub fn gauge(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        help: &'static str,
        value: impl Into<Value>,
    ) {
        self.add(name, help, Kind::Gauge, vec![Sample::plain(value)]);
    }

    /// Adds figures that go up and down and together are one sum, told apart by `label`.
    pub fn gauges<T: Into<Value>>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'static str, T)>,
    ) {
        let samples = labelled(label, values);
        self.add(name, help, Kind::Gauge, samples);
    }

    fn add(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        help: &'static str,
        kind: Kind,
        samples: Vec<Sample>,
    ) {
        let name = name.into();
        debug_assert!(
            name.starts_with("tidings_") && name.ends_with("_total") == (kind == Kind::Counter),
            "{name} does not say what it is"
        );
        debug_assert!(
            self.families.iter().all(|family| family.name != name),
            "{name} is there already"
        );
        self.families.push(Family {
            name,
            help,
            kind,
            samples,
        });
    }
}

impl Sample {
    fn plain(value: impl Into<Value>) -> Self {
        Self {
            labels: Vec::new(),
            value: value.into(),
        }
    }
}

fn labelled<T: Into<Value>>(
    label: &'static str,
    values: impl IntoIterator<Item = (&'static str, T)>,
) -> Vec<Sample> {
    let values = values.into_iter();
    let samples = values.map(|(of, value)| Sample {
        labels: vec![(label, of.to_owned())],
        value: value.into(),
    });
    samples.collect()
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Whole(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Whole(u64::from(yes))
    }
}

impl From<Duration> for Value {
    fn from(span: Duration) -> Self {
        Self::Span(span)
    }
}
