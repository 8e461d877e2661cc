//! Every figure that a part counts is told.

use std::fmt::Debug;

use super::*;

/// The names of a struct's fields.
fn fields(figures: &impl Debug) -> Vec<String> {
    let text = format!("{figures:?}");
    let fields = text.split(['{', ',']).filter_map(|part| {
        let (name, _) = part.split_once(':')?;
        Some(name.trim().to_owned())
    });
    fields.collect()
}

#[track_caller]
fn tells_all(metrics: &Metrics, part: &str, figures: &impl Debug) {
    let text = metrics.to_string();
    let fields = fields(figures);
    assert!(fields.len() > 5, "{fields:?}");
    for field in fields {
        let line = format!("\ntidings_{part}_{field}_total ");
        assert!(text.contains(&line), "{field} of the {part} is not told");
    }
}

#[test]
fn the_nodes_counters_are_all_told() {
    let mut metrics = Metrics::default();
    let mut counters = tidings_node::Counters::default();
    counters.pulls = 7;
    node::about_node(&mut metrics, &counters);
    tells_all(&metrics, "node", &counters);
    assert!(
        metrics
            .to_string()
            .contains("\ntidings_node_pulls_total 7\n")
    );
}

#[test]
fn the_membership_layers_counters_are_all_told() {
    let mut metrics = Metrics::default();
    let mut counters = tidings_membership::Counters::default();
    counters.downs = 7;
    node::about_membership(&mut metrics, &counters);
    tells_all(&metrics, "membership", &counters);
    let text = metrics.to_string();
    assert!(text.contains("\ntidings_membership_downs_total 7\n"));
}

#[test]
fn the_figures_of_dns_and_checks_are_all_told() {
    let mut metrics = Metrics::default();
    let mut dns = tidings_dns::Figures::default();
    (dns.udp, dns.tcp, dns.dropped, dns.no_error) = (1, 2, 3, 4);
    (dns.nx_domain, dns.refused, dns.malformed, dns.failed) = (5, 6, 7, 8);
    (dns.truncated, dns.send_errors, dns.tcp_refused) = (9, 10, 11);
    assert!(
        !format!("{dns:?}").contains(": 0"),
        "one was forgotten here"
    );
    about_dns(&mut metrics, &dns);
    let mut checks = tidings_checks::Figures::default();
    (checks.checks, checks.runs, checks.expirations) = (21, 22, 23);
    (checks.reports, checks.reports_refused) = (24, 25);
    (checks.deregistrations, checks.panics, checks.stalls) = (26, 27, 28);
    assert!(
        !format!("{checks:?}").contains(": 0"),
        "one was forgotten here"
    );
    about_checks(&mut metrics, &checks);
    let text = metrics.to_string();
    for value in (1..=11).chain(21..=28) {
        let told = text
            .lines()
            .any(|line| line.ends_with(&format!(" {value}")));
        assert!(told, "the figure {value} is not told:\n{text}");
    }
}

#[test]
fn the_drivers_figures_are_all_told() {
    let mut metrics = Metrics::default();
    let figures = Figures {
        ahead_deltas: 1,
        ahead_bytes: 2,
        feed_batches: 3,
        saves_refused: 4,
        saves_failed: 5,
        commands: 6,
        requests: 7,
        answers: 8,
        sends_untold: 9,
        events_unlogged: 10,
        answers_cut: 12,
        feed_oldest_secs: 13,
        slow_turns: 14,
        longest_turn_ms: 15,
        ..Figures::default()
    };
    about_driver(&mut metrics, &figures, 11);
    about_disk(&mut metrics, &figures);
    let text = metrics.to_string();
    for value in 1..=15 {
        let told = text
            .lines()
            .any(|line| line.ends_with(&format!(" {value}")));
        assert!(told, "the figure {value} is not told:\n{text}");
    }
}
