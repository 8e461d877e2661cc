//! The figures that stand in the view and in the HTTP server itself.

use std::time::UNIX_EPOCH;

use tidings_types::MemberStatus;

use super::{Kind, Metrics, Sample, Value};
use crate::{reply, state::HttpState};

/// Adds all of them.
pub(super) fn add(metrics: &mut Metrics, state: &HttpState) {
    about_the_agent(metrics, state);
    about_the_cluster(metrics, state);
    about_the_data(metrics, state);
    about_requests(metrics, state);
}

fn about_the_agent(metrics: &mut Metrics, state: &HttpState) {
    let info = state.info();
    let labels = vec![
        ("version", info.version.clone()),
        ("revision", info.revision.clone()),
    ];
    let value = Value::Whole(1);
    metrics.add(
        "tidings_build_info",
        "The version of tidings that runs.",
        Kind::Gauge,
        vec![Sample { labels, value }],
    );
    metrics.gauge(
        "tidings_start_time_seconds",
        "When the agent started, since 1970.",
        info.started.duration_since(UNIX_EPOCH).unwrap_or_default(),
    );
}

fn about_the_cluster(metrics: &mut Metrics, state: &HttpState) {
    let (view, roster) = (state.view(), state.view().roster());
    let count = |status| {
        let members = roster.members.values();
        members.filter(|member| member.status == status).count()
    };
    metrics.gauges(
        "tidings_members",
        "Members that this agent knows, itself included.",
        "status",
        STATUSES.map(|status| (status.as_str(), count(status))),
    );
    metrics.gauge(
        "tidings_members_reachable",
        "Members that are reachable, this agent included.",
        roster.reachable,
    );
    let off = roster.members.values().filter_map(|member| member.ahead_ms);
    metrics.gauge(
        "tidings_clock_off_ms_max",
        "How far the members' clocks are from this agent's, the greatest difference in milliseconds.",
        off.map(i64::unsigned_abs).max().unwrap_or(0),
    );
    metrics.gauge(
        "tidings_members_expected",
        "Members that ought to be reachable, this agent included.",
        roster.expected,
    );
    metrics.gauge(
        "tidings_island",
        "Whether this agent takes itself to be cut off and serves what it last knew.",
        roster.island,
    );
    metrics.gauge(
        "tidings_fingerprint_differs_seconds",
        "How long the registry of some reachable member has differed from this one; 0 if none does.",
        reply::differs_for(view, &view.status()).unwrap_or_default(),
    );
}

fn about_the_data(metrics: &mut Metrics, state: &HttpState) {
    let (view, status) = (state.view(), state.view().status());
    metrics.gauge(
        "tidings_changes_pending",
        "Own changes that no peer is known to hold.",
        status.pending,
    );
    metrics.gauge(
        "tidings_conflicts",
        "Keys of which concurrent writes were beaten.",
        status.conflicts,
    );
    metrics.gauge(
        "tidings_feeds",
        "Feeds held, one per node that has written.",
        status.feeds,
    );
    metrics.gauge(
        "tidings_entries",
        "Entries held, over all feeds.",
        status.entries,
    );
    metrics.gauge(
        "tidings_index",
        "The greatest blocking index handed out.",
        view.index_high_water(),
    );
    metrics.gauge(
        "tidings_watches",
        "Different things that blocking queries wait for.",
        view.watched(),
    );
    metrics.gauge(
        "tidings_commands_waiting",
        "Writes that wait for the node.",
        state.commands().waiting(),
    );
    metrics.counter(
        "tidings_commands_busy_total",
        "Writes that were refused because too many waited for the node.",
        state.commands().refused(),
    );
}

fn about_requests(metrics: &mut Metrics, state: &HttpState) {
    let figures = state.figures();
    metrics.counters(
        "tidings_http_requests_total",
        "HTTP requests answered, by class of status.",
        "code",
        figures.requests(),
    );
    metrics.counter(
        "tidings_http_answers_reused_total",
        "Answers about a service that were those of the last client who asked, since nothing had changed.",
        state.wholes().reused(),
    );
    metrics.gauge(
        "tidings_http_connections",
        "HTTP connections that are open.",
        state.connections(),
    );
    metrics.counter(
        "tidings_http_connections_refused_total",
        "HTTP connections turned away because too many were open.",
        figures.connections_refused.get(),
    );
    metrics.counter(
        "tidings_http_connections_failed_total",
        "HTTP connections that broke off, timed out, or were closed for malformed requests.",
        figures.connections_failed.get(),
    );
    metrics.counter(
        "tidings_http_accepts_failed_total",
        "HTTP connections that the operating system would not hand over.",
        figures.accepts_failed.get(),
    );
    metrics.gauge(
        "tidings_http_queries_waiting",
        "Blocking queries that wait.",
        state.queries_waiting(),
    );
    metrics.counter(
        "tidings_http_queries_refused_total",
        "Blocking queries refused because too many waited.",
        figures.queries_refused.get(),
    );
}

const STATUSES: [MemberStatus; 5] = [
    MemberStatus::Alive,
    MemberStatus::Suspect,
    MemberStatus::Down,
    MemberStatus::Left,
    MemberStatus::Restarting,
];
