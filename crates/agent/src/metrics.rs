//! The figures of the agent's parts, for the HTTP API.
//!
//! The names follow the parts' own: a counter `pulls` of the node is `tidings_node_pulls_total`.
//! [`tidings_http::metrics`] has the table of all.

use std::sync::Arc;

use tidings_checks::Checks;
use tidings_dns::Dns;
use tidings_http::Metrics;

use crate::{
    certificates::Certificates,
    check_results::CheckResults,
    definitions::DefinitionFiles,
    driver::{FigureBoard, Figures},
    transport::{Counter, Counts, Transport},
    watchdog::Pulse,
};

mod node;

#[cfg(test)]
mod tests;

/// The parts that count something.
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    pub(crate) checks: Arc<Checks<CheckResults>>,
    pub(crate) dns: Dns,
    pub(crate) transport: Transport,
    pub(crate) driver: FigureBoard,
    pub(crate) pulse: Pulse,
    pub(crate) definitions: DefinitionFiles,
    pub(crate) certificates: Option<Certificates>,
}

impl Counting {
    /// Adds the figures of all parts.
    pub(crate) fn add_to(&self, metrics: &mut Metrics) {
        let figures = self.driver.read();
        if let Some(certificates) = &self.certificates {
            about_https(metrics, certificates);
        }
        about_definitions(metrics, &self.definitions);
        about_dns(metrics, &self.dns.figures());
        about_checks(metrics, &self.checks.figures());
        about_transport(metrics, &self.transport.counters());
        node::about_membership(metrics, &figures.membership);
        node::about_node(metrics, &figures.node);
        about_driver(metrics, &figures, self.pulse.turns());
        about_disk(metrics, &figures);
    }
}

/// Adds counters under the names of their fields.
macro_rules! counters {
    ($metrics:ident, $figures:ident, $part:literal, { $($field:ident: $help:literal,)* }) => {
        $($metrics.counter(
            concat!("tidings_", $part, "_", stringify!($field), "_total"),
            $help,
            $figures.$field,
        );)*
    };
}
use counters;

fn about_https(metrics: &mut Metrics, certificates: &Certificates) {
    let tls = certificates.tls();
    metrics.counters(
        "tidings_https_handshakes_total",
        "TLS handshakes of clients; failed are those that were refused, broke off or took too long.",
        "result",
        [
            ("ok", tls.handshakes()),
            ("failed", tls.handshakes_failed()),
        ],
    );
    metrics.gauge(
        "tidings_https_certificate_expires_seconds",
        "How long the certificate in force is valid yet; 0 once it has expired.",
        certificates.expires_in(),
    );
    metrics.counter(
        "tidings_https_certificates_replaced_total",
        "Times that a new certificate was taken from the files.",
        certificates.replaced(),
    );
    metrics.counter(
        "tidings_https_certificates_refused_total",
        "Looks at the files that found what cannot be used; the certificate before it goes on.",
        certificates.refused(),
    );
}

fn about_definitions(metrics: &mut Metrics, definitions: &DefinitionFiles) {
    metrics.counter(
        "tidings_definitions_taken_total",
        "Times that what the definition files say was registered, that of the start included.",
        definitions.taken(),
    );
    metrics.gauge(
        "tidings_definitions_refused",
        "Whether the definition files hold what cannot be used or registered; the log says what, and why.",
        definitions.refused().is_some(),
    );
}

fn about_dns(metrics: &mut Metrics, figures: &tidings_dns::Figures) {
    metrics.counters(
        "tidings_dns_queries_total",
        "DNS packets that came.",
        "transport",
        [("udp", figures.udp), ("tcp", figures.tcp)],
    );
    metrics.counters(
        "tidings_dns_answers_total",
        "DNS queries answered; refused are names that are not ours, failed ones are our fault.",
        "code",
        [
            ("no_error", figures.no_error),
            ("nx_domain", figures.nx_domain),
            ("refused", figures.refused),
            ("malformed", figures.malformed),
            ("failed", figures.failed),
        ],
    );
    counters!(metrics, figures, "dns", {
        dropped: "DNS packets that were not answered: too short, or answers themselves.",
        truncated: "DNS answers from which records were left out for size.",
        send_errors: "DNS answers that could not be sent.",
        tcp_refused: "DNS connections turned away because too many were open.",
    });
}

fn about_checks(metrics: &mut Metrics, figures: &tidings_checks::Figures) {
    metrics.gauge(
        "tidings_checks",
        "Checks that this agent runs.",
        figures.checks,
    );
    counters!(metrics, figures, "checks", {
        runs: "HTTP and TCP checks run.",
        expirations: "TTL checks that were not renewed in time.",
        reports: "Results passed on.",
        reports_refused: "Results and deregistrations that were refused; they are tried again.",
        deregistrations: "Instances deregistered because they were critical for too long.",
        panics: "Runners that panicked and were started again.",
        stalls: "Times that this process was found to have stood still.",
    });
}

fn about_transport(metrics: &mut Metrics, counts: &Counts) {
    for counter in Counter::ALL {
        let name = format!("tidings_transport_{}_total", counter.name());
        metrics.counter(name, counter.help(), counts.of(counter));
    }
}

fn about_driver(metrics: &mut Metrics, figures: &Figures, turns: u64) {
    metrics.counter(
        "tidings_driver_turns_total",
        "Turns of the loop that owns the node, at least one a second unless it stands still.",
        turns,
    );
    metrics.gauge(
        "tidings_driver_longest_turn_milliseconds",
        "The longest turn of that loop since the start: for so long no packet was looked at.",
        figures.longest_turn_ms,
    );
    metrics.gauge(
        "tidings_driver_commands",
        "Writes that wait for the node's answer.",
        figures.commands,
    );
    metrics.gauge(
        "tidings_driver_requests",
        "Requests to peers under way.",
        figures.requests,
    );
    metrics.gauge(
        "tidings_driver_answers",
        "Answers to peers under way.",
        figures.answers,
    );
    counters!(metrics, figures, "driver", {
        slow_turns: "Turns of that loop that took longer than 50 ms.",
        answers_cut: "Answers broken off because their peer asks for more than it reads.",
        sends_untold: "Failed sends of which the node was not told because too many failed at once.",
        events_unlogged: "Events left out of the log because there were too many.",
    });
    metrics.gauge(
        "tidings_ahead_deltas",
        "Deltas that wait for what comes before them.",
        figures.ahead_deltas,
    );
    metrics.gauge(
        "tidings_ahead_bytes",
        "Bytes of the deltas that wait for what comes before them.",
        figures.ahead_bytes,
    );
}

fn about_disk(metrics: &mut Metrics, figures: &Figures) {
    metrics.gauge(
        "tidings_disk_batches_waiting",
        "Batches of own changes that wait for the disk.",
        figures.feed_batches,
    );
    metrics.gauge(
        "tidings_disk_oldest_batch_seconds",
        "How long the oldest of them has waited.",
        figures.feed_oldest_secs,
    );
    counters!(metrics, figures, "disk", {
        saves_refused: "Saves of replicas put off because others waited for the disk.",
        saves_failed: "Saves of replicas that failed; they are made again.",
    });
}
