//! Figures for monitoring.

use std::sync::Arc;

use axum::{body::Body, http::Request};
use tidings_types::{Liveness, MemberStatus};

use super::{blocking::waiting, ground::Ground};
use crate::Limits;

/// The value of `sample`: a name, perhaps with labels.
async fn figure(ground: &Ground, sample: &str) -> String {
    let metrics = ground.get("/v1/tidings/metrics").await;
    let mut lines = metrics.body.lines();
    let found = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found.expect(sample).to_owned()
}

#[tokio::test]
async fn the_text_format_is_as_prometheus_reads_it() {
    let ground = Ground::new();
    ground.get("/v1/nonsense").await;
    let metrics = ground.get("/v1/tidings/metrics").await;
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    // When the test ran, and what it costs, is all that differs from run to run.
    let lines = metrics
        .body
        .lines()
        .filter(|line| !line.contains("tidings_process_"));
    let lines = lines.map(|line| {
        if line.starts_with("tidings_start_time_seconds ") {
            "tidings_start_time_seconds NOW"
        } else {
            line
        }
    });
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.join("\n") + "\n", include_str!("metrics.txt"));
}

#[tokio::test]
async fn consuls_path_speaks_json_or_text_as_asked() {
    let ground = Ground::new();
    let json = ground.get("/v1/agent/metrics").await;
    assert_eq!(json.header("content-type"), Some("application/json"));
    let summary = json.json();
    let gauges = summary["Gauges"].as_array().unwrap();
    let gauge = |name: &str| gauges.iter().find(|g| g["Name"] == name).unwrap();
    assert_eq!(
        *gauge("tidings_members_reachable"),
        serde_json::json!({"Name": "tidings_members_reachable", "Value": 1, "Labels": {}})
    );
    let labels = serde_json::json!({"version": "0.1.0", "revision": "abc"});
    assert_eq!(gauge("tidings_build_info")["Labels"], labels);
    let timestamp = summary["Timestamp"].as_str().unwrap();
    assert!(timestamp.ends_with(" +0000 UTC"), "{timestamp}");
    for list in ["Points", "Counters", "Samples"] {
        assert_eq!(summary[list], serde_json::json!([]));
    }

    let is_text = |body: &str| body.starts_with("# HELP tidings_build_info ");
    let asked = ground.get("/v1/agent/metrics?format=prometheus").await;
    assert!(is_text(&asked.body), "{}", asked.body);
    for (accept, text) in [
        ("application/openmetrics-text;version=1.0.0,*/*;q=0.1", true),
        ("text/plain;version=0.0.4;q=0.3", true),
        ("text/plain; version=0.4.0", true),
        ("text/plain", false),
        ("*/*", false),
    ] {
        let request = Request::get("/v1/agent/metrics").header("accept", accept);
        let answer = ground.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(is_text(&answer.body), text, "{accept}");
    }
    assert_eq!(ground.get("/v1/agent/metrics/stream").await.status, 501);
    assert_eq!(ground.put("/v1/tidings/metrics", "").await.status, 405);
}

#[tokio::test]
async fn an_island_says_so() {
    let ground = Ground::new();
    ground.two_more();
    assert_eq!(figure(&ground, "tidings_island").await, "0");
    ground.members(&[
        (1, MemberStatus::Alive, Liveness::Live),
        (2, MemberStatus::Down, Liveness::Stale),
        (3, MemberStatus::Down, Liveness::Stale),
    ]);
    assert_eq!(figure(&ground, "tidings_island").await, "1");
    assert_eq!(figure(&ground, "tidings_members_reachable").await, "1");
    assert_eq!(figure(&ground, "tidings_members_expected").await, "3");
    assert_eq!(
        figure(&ground, r#"tidings_members{status="down"}"#).await,
        "2"
    );
}

#[tokio::test]
async fn waiting_and_refused_queries_are_counted() {
    let limits = Limits {
        waiters: 1,
        ..Limits::default()
    };
    let ground = Arc::new(Ground::with(limits));
    let index = ground.get("/v1/catalog/nodes").await.index();
    let path = format!("/v1/catalog/nodes?index={index}&wait=5m");
    let first = waiting(&ground, path.clone()).await;
    assert_eq!(ground.get(&path).await.status, 429);
    assert_eq!(figure(&ground, "tidings_http_queries_waiting").await, "1");
    assert_eq!(figure(&ground, "tidings_watches").await, "1");
    assert_eq!(
        figure(&ground, "tidings_http_queries_refused_total").await,
        "1"
    );
    let refused = r#"tidings_http_requests_total{code="4xx"}"#;
    assert_eq!(figure(&ground, refused).await, "1");
    ground.state.close();
    first.await.unwrap();
    assert_eq!(figure(&ground, "tidings_http_queries_waiting").await, "0");
}
