//! What an attempt costs an agent, and what honest clients notice of it.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    agent::Agent,
    figures::Figures,
    stats::{self, Spans},
    wait::{self, ensure},
};

/// Memory that one member may cost another.
pub const GROWTH_BYTES: u64 = 16 << 20;
/// The share of a core that one member may cost another.
const CPU_SHARE: f64 = 0.05;
/// Registrations at the victim are answered by the other agent in this time.
const SPREAD_WITHIN: Duration = Duration::from_secs(1);
/// The pause between two of them: they cost something too.
const PACE: Duration = Duration::from_millis(250);

/// Runs an attempt while registrations go on, and tells what it cost the first agent beyond `idle`, a
/// share of a core; returns the share.
///
/// # Panics
/// If it cost more memory than `growth_bytes`, or a registration did not spread. With
/// `TIDINGS_STRICT=1` also if it cost more of a core than one member may.
pub fn cost(
    agents: &[Agent],
    what: &str,
    (growth_bytes, idle): (u64, f64),
    attempt: impl FnOnce() + Send,
) -> f64 {
    let of = |agent| Figures::of(agent).expect("it answers");
    let before = of(&agents[0]);
    let begin = Instant::now();
    let (mut spans, mut greatest) = (Spans::new(), 0);
    thread::scope(|scope| {
        let attempt = scope.spawn(attempt);
        for port in 1..60_000 {
            if attempt.is_finished() {
                break;
            }
            spans.push(spread(agents, port));
            greatest = greatest.max(of(&agents[0]).resident_bytes());
            thread::sleep(PACE);
        }
        attempt.join().expect("the attempt does not panic");
    });
    let now = of(&agents[0]);
    let share = (now.cpu_seconds() - before.cpu_seconds()) / begin.elapsed().as_secs_f64();
    let growth = greatest
        .max(now.resident_bytes())
        .saturating_sub(before.resident_bytes());
    stats::measured(&format!(
        "{what}: memory grew by {} KiB, {:.1} % of a core, {:.1} % more than idle{}",
        growth >> 10,
        share * 100.0,
        (share - idle) * 100.0,
        if share - idle <= CPU_SHARE {
            ""
        } else {
            " MISSED"
        },
    ));
    spans.report(&format!("{what}: a registration spreads"), SPREAD_WITHIN);
    assert!(
        growth < growth_bytes,
        "{what}: memory grew by {growth} bytes"
    );
    let strict = env::var_os("TIDINGS_STRICT").is_some_and(|value| value == "1");
    assert!(
        share - idle <= CPU_SHARE || !strict,
        "{what}: {share} of a core"
    );
    share
}

fn spread(agents: &[Agent], port: u16) -> Duration {
    let begin = Instant::now();
    let body = json!({"Name": "spread", "Port": port});
    let taken = agents[0].http().accept("/v1/agent/service/register", &body);
    taken.expect("the victim takes registrations");
    let (_, span) = wait::since(begin, "the other answers", SPREAD_WITHIN, || {
        let found = agents[1].http().json("/v1/catalog/service/spread")?;
        ensure(found[0]["ServicePort"] == port, || found.to_string())
    });
    span
}
