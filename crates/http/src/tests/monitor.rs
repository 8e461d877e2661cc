//! `/v1/agent/monitor`

use std::time::{Duration, SystemTime};

use tracing::{Level, level_filters::LevelFilter};

use super::{ground::Ground, stream::Stream};
use crate::{Limits, LogLine};

fn line(level: Level, message: &str) -> LogLine {
    LogLine {
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_669_045_007),
        level,
        message: message.to_owned(),
        fields: vec![("peer", "n2".to_owned()), ("why", "too\nlate".to_owned())],
    }
}

#[tokio::test]
async fn the_log_is_passed_on_from_the_level_asked_for() {
    let ground = Ground::new();
    assert_eq!(ground.log.hears(), LevelFilter::OFF);
    let mut all = Stream::open(&ground, "/v1/agent/monitor", &[]).await;
    let mut json = Stream::open(&ground, "/v1/agent/monitor?loglevel=WARN&logjson", &[]).await;
    assert_eq!(ground.log.hears(), LevelFilter::INFO);
    ground.log.tell(line(Level::DEBUG, "a detail"));
    ground.log.tell(line(Level::INFO, "member joined"));
    ground.log.tell(line(Level::ERROR, "disk full"));
    let date = "2025-11-20T20:04:05.007Z";
    let fields = r#"peer=n2 why="too\nlate""#;
    let first = all.until("\n").await.unwrap();
    assert_eq!(
        first,
        format!("{date} [INFO]  agent: member joined: {fields}")
    );
    let second = all.until("\n").await.unwrap();
    assert_eq!(second, format!("{date} [ERROR] agent: disk full: {fields}"));
    let only = json.until("\n").await.unwrap();
    let only: serde_json::Value = serde_json::from_str(&only).unwrap();
    assert_eq!(only["@level"], "error");
    assert_eq!(only["@message"], "disk full");
    assert_eq!(only["@timestamp"], date);
    assert_eq!(only["why"], "too\nlate");
    let text = "Unknown log level: loud";
    ground
        .get("/v1/agent/monitor?loglevel=loud")
        .await
        .is(400, text);
}

#[tokio::test]
async fn who_is_too_slow_for_the_log_is_told_what_is_lost() {
    let ground = Ground::new();
    let mut slow = Stream::open(&ground, "/v1/agent/monitor", &[]).await;
    for number in 0..2_000 {
        ground
            .log
            .tell(line(Level::INFO, &format!("line {number}")));
    }
    let told = slow.until("lines_lost=").await.unwrap();
    assert!(told.contains("the client is too slow for the log"));
    slow.until("line 1999").await.unwrap();
}

#[tokio::test]
async fn a_stream_holds_a_place_until_its_client_leaves() {
    let limits = Limits {
        waiters: 1,
        ..Limits::default()
    };
    let ground = Ground::with(limits);
    let first = Stream::open(&ground, "/v1/agent/monitor", &[]).await;
    let second = ground.get("/v1/agent/monitor").await;
    assert_eq!(second.status, 429);
    assert_eq!(second.header("retry-after"), Some("1"));
    drop(first);
    while ground.log.hears() != LevelFilter::OFF || ground.state.queries_waiting() > 0 {
        tokio::task::yield_now().await;
    }
    let mut third = Stream::open(&ground, "/v1/agent/monitor", &[]).await;
    // When the server closes, the answer ends.
    ground.state.close();
    assert_eq!(third.until("\n").await, None);
}
