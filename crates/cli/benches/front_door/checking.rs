//! Nearly as many health checks as one agent may have, each every ten seconds: what they cost, and whether
//! they are run evenly and in time.

use std::{
    collections::HashMap,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    agent::Server,
    client::{Client, request},
    cost::{core_time, memory_mib, threads},
    table::Table,
    target::{Asked, Target},
};

/// With their checks nearly as many records as a node may have.
const SERVICES: usize = 150;
/// Of each service: as many as it may have.
const CHECKS: usize = 64;
const INTERVAL: Duration = Duration::from_secs(10);
/// After this all have run, and the threads that made them have ended.
const WARM: Duration = Duration::from_secs(25);
/// How long they are looked at.
const LOOKED_AT: Duration = Duration::from_secs(30);
/// The spread of starts is told by how many fall into such a span.
const SPAN: Duration = Duration::from_millis(100);

pub(crate) fn measure(rounds: usize, table: &mut Table) {
    of_kind("HTTP", rounds, table);
    of_kind("TCP", rounds, table);
}

/// What is found of each round.
#[derive(Debug, Default)]
struct Found {
    first: Vec<f64>,
    cores: Vec<f64>,
    memory: Vec<f64>,
    threads: Vec<f64>,
    crowd: Vec<f64>,
    late: Vec<f64>,
}

fn of_kind(kind: &str, rounds: usize, table: &mut Table) {
    let mut found = Found::default();
    for _ in 0..rounds {
        round(kind, &mut found);
    }
    let what = |what: &str| format!("{} {kind} checks: {what}", SERVICES * CHECKS);
    let (all, most) = (what("cost"), what("most starts in 0.1 s"));
    table.cost(&all, "% of a core", found.cores, (50.0, 25.0));
    table.cost(&what("memory"), "MiB", found.memory, (300.0, 150.0));
    table.cost(
        &what("at their start"),
        "threads",
        found.threads,
        (100.0, 50.0),
    );
    table.cost(&most, "of even", found.crowd, (2.0, 1.5));
    // Who connects and says nothing does not say which check it is.
    if !found.late.is_empty() {
        let first = what("first run of the last");
        table.cost(&first, "s", found.first, (12.0, 11.0));
        table.cost(&what("runs late by"), "ms", found.late, (100.0, 10.0));
    }
}

fn round(kind: &str, found: &mut Found) {
    let target = Target::listening(SERVICES);
    let agent = Server::agent();
    let mut client = Client::connect(agent.http);
    let mut most_threads: f64 = 0.0;
    for (number, port) in target.ports.iter().enumerate() {
        client.call(&register(kind, number, *port));
        most_threads = most_threads.max(threads(agent.pid()));
    }
    let registered = Instant::now();
    found.threads.push(most_threads);
    sleep(WARM);
    let before = target.take();
    let first = first_of_last(&before);
    found
        .first
        .extend(first.map(|at| at.saturating_duration_since(registered).as_secs_f64()));
    let used = core_time(agent.pid());
    let from = Instant::now();
    sleep(LOOKED_AT);
    let used = core_time(agent.pid()).saturating_sub(used);
    found
        .cores
        .push(used.as_secs_f64() / from.elapsed().as_secs_f64() * 100.0);
    found.memory.push(memory_mib(agent.pid()));
    let told = Client::connect(agent.http).call(&request("GET", "/v1/tidings/metrics", ""));
    let told = String::from_utf8_lossy(&told.body);
    assert!(
        told.contains("\ntidings_checks_reports_refused_total 0\n"),
        "the node took all results"
    );
    let asked = target.take();
    found.crowd.push(crowd(&asked, from));
    found.late.extend(latest_ms(&asked));
}

/// When the last check ran for the first time; if runs say which check they are of.
fn first_of_last(asked: &[Asked]) -> Option<Instant> {
    let mut first = HashMap::new();
    for (at, check) in asked {
        first.entry((*check)?).or_insert(*at);
    }
    assert_eq!(first.len(), SERVICES * CHECKS, "every check was run");
    first.into_values().max()
}

/// How many runs began in the span with the most, as a multiple of what each would have if all had the
/// same.
fn crowd(asked: &[Asked], from: Instant) -> f64 {
    let mut spans = vec![0_u32; (LOOKED_AT.as_millis() / SPAN.as_millis()) as usize];
    for (at, _) in asked {
        let span = at.saturating_duration_since(from).as_millis() / SPAN.as_millis();
        if let Some(runs) = spans.get_mut(span as usize) {
            *runs += 1;
        }
    }
    let even = asked.len() as f64 / spans.len() as f64;
    f64::from(spans.into_iter().max().unwrap_or_default()) / even
}

/// By how much the gap between two runs of one check was longer than the interval: of 99 in 100 runs it
/// was less than this.
fn latest_ms(asked: &[Asked]) -> Option<f64> {
    let mut last = HashMap::new();
    let mut late = Vec::new();
    for (at, check) in asked {
        if let Some(before) = last.insert((*check)?, *at) {
            let gap = at.duration_since(before);
            late.push(gap.saturating_sub(INTERVAL).as_secs_f64() * 1e3);
        }
    }
    late.sort_by(f64::total_cmp);
    late.get(late.len() * 99 / 100).copied()
}

fn register(kind: &str, service: usize, port: u16) -> Vec<u8> {
    let checks = (0..CHECKS).map(|number| {
        let number = service * CHECKS + number;
        let asks = match kind {
            "HTTP" => format!("http://127.0.0.1:{port}/{number}"),
            _ => format!("127.0.0.1:{port}"),
        };
        let seconds = INTERVAL.as_secs();
        format!(r#"{{"CheckID": "c-{number}", "{kind}": "{asks}", "Interval": "{seconds}s"}}"#)
    });
    let checks: Vec<_> = checks.collect();
    let body = format!(
        r#"{{"ID": "s-{service}", "Name": "s-{service}", "Port": {port}, "Checks": [{}]}}"#,
        checks.join(",")
    );
    request("PUT", "/v1/agent/service/register", &body)
}
