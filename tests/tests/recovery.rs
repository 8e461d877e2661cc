//! A service that comes up again gets traffic only once it has been well for a while.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_tests::{
    agent::Agent,
    cluster,
    stage::{Needs, story},
    stats::Spans,
    wait::{self, ensure},
};

/// How long the check is observed.
const OBSERVED: Duration = Duration::from_secs(2);
/// A change is seen by the other agent in this time.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

fn report(agent: &Agent, word: &str) {
    let path = format!("/v1/agent/check/{word}/service:web");
    let taken = agent.http().accept(&path, &Value::Null);
    taken.expect("the report is taken");
}

/// Whether `agent` answers with an instance that passes.
fn serves(agent: &Agent) -> Result<(), String> {
    let passing = agent.http().json("/v1/health/service/web?passing")?;
    let passing = passing.as_array().map_or(0, Vec::len);
    ensure(passing == 1, || format!("{passing} instances pass"))
}

fn serves_none(agent: &Agent) -> Result<(), String> {
    ensure(serves(agent).is_err(), || "it is served".to_owned())?;
    let told = agent.dns().ports("web")?;
    ensure(told.is_empty(), || format!("DNS tells {told:?}"))
}

#[test]
fn an_instance_that_recovers_is_observed_before_it_is_answered_with() {
    let name = "an_instance_that_recovers_is_observed_before_it_is_answered_with";
    story(name, Needs::Nothing, |stage| {
        let agents = cluster::start(cluster::specs(stage, 2));
        let (owner, other) = (&agents[0], &agents[1]);
        let observed = format!("{}s", OBSERVED.as_secs());
        let body = json!({"Name": "web", "Port": 8080, "Check": {
            "TTL": "60s", "Status": "passing", "ObserveBeforePassing": observed,
        }});
        let path = "/v1/agent/service/register";
        owner.http().accept(path, &body).expect("it is registered");
        wait::until(
            "what says that it passes is taken at its word",
            SEEN_WITHIN,
            || serves(other),
        );
        let mut spans = Spans::default();
        for round in 0..3 {
            report(owner, "fail");
            wait::until("it is gone", SEEN_WITHIN, || serves_none(other));
            let index = other.http().get("/v1/health/service/web?passing");
            let index = index.expect("an answer comes").index();
            let begin = Instant::now();
            report(owner, "pass");
            let checks = owner
                .http()
                .json("/v1/agent/checks")
                .expect("checks are told");
            let output = checks["service:web"]["Output"].as_str().unwrap_or_default();
            // On a machine that stood still meanwhile, its time is over.
            let is_told = output.contains("observed for 2 s") || begin.elapsed() >= OBSERVED;
            assert!(is_told, "{checks}");
            if round == 0 {
                // A failure begins the time afresh, and nobody else's answer changes meanwhile.
                report(owner, "fail");
                report(owner, "pass");
            }
            // Whoever follows the service is told, too.
            let waiting = format!("/v1/health/service/web?passing&index={index}&wait=60s");
            wait::until("it passes", OBSERVED, || {
                other.http().get(&waiting).and_then(|_| serves(other))
            });
            assert!(begin.elapsed() >= OBSERVED, "{:?}", begin.elapsed());
            spans.push(begin.elapsed());
            let told = other.dns().ports("web").expect("DNS answers");
            assert_eq!(told.len(), 1, "{told:?}");
        }
        spans.report(
            "from recovery to traffic, 2 s of them observed",
            OBSERVED + SEEN_WITHIN,
        );
    });
}
