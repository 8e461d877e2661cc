//! `/v1/tidings/watch`

use serde_json::Value;

use super::{ground::Ground, stream::Stream};

/// One event of a service: its name, and the ports of what is served of it.
async fn next(stream: &mut Stream) -> (String, Vec<u64>) {
    let event = stream.until("\n\n").await.unwrap();
    let data = event.strip_prefix("event: service\ndata: ");
    let data: Value = serde_json::from_str(data.expect(&event)).unwrap();
    let instances = data["Instances"].as_array().unwrap().iter();
    let ports = instances.map(|i| i["Service"]["Port"].as_u64().unwrap());
    (
        data["Service"].as_str().unwrap().to_owned(),
        ports.collect(),
    )
}

/// The id of the end of a batch.
async fn end(stream: &mut Stream) -> String {
    let event = stream.until("\n\n").await.unwrap();
    let rest = event.strip_prefix("event: end\nid: ").expect(&event);
    rest.strip_suffix("\ndata: {}").unwrap().to_owned()
}

const PATH: &str = "/v1/tidings/watch?service=web&service=db";

#[tokio::test]
async fn each_service_is_told_whole_at_first_and_when_it_changes() {
    let ground = Ground::new();
    ground.two_more();
    let mut stream = Stream::open(&ground, PATH, &[]).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(
        next(&mut stream).await,
        ("web".to_owned(), vec![8003, 8002])
    );
    assert_eq!(next(&mut stream).await, ("db".to_owned(), vec![]));
    end(&mut stream).await;
    let db = r#"{"Name":"db","Port":5432}"#;
    ground
        .done("/v1/agent/service/register", r#"{"Name":"other"}"#)
        .await;
    ground.done("/v1/agent/service/register", db).await;
    assert_eq!(next(&mut stream).await, ("db".to_owned(), vec![5432]));
    end(&mut stream).await;
    ground.done("/v1/agent/service/deregister/db", "").await;
    assert_eq!(next(&mut stream).await, ("db".to_owned(), vec![]));
}

#[tokio::test]
async fn who_comes_back_hears_of_what_went_meanwhile() {
    let ground = Ground::new();
    ground.two_more();
    let db = r#"{"Name":"db","Port":5432}"#;
    ground.done("/v1/agent/service/register", db).await;
    ground
        .done("/v1/agent/service/register", r#"{"Name":"other"}"#)
        .await;
    let mut stream = Stream::open(&ground, PATH, &[]).await;
    next(&mut stream).await;
    next(&mut stream).await;
    let id = end(&mut stream).await;
    drop(stream);
    ground.done("/v1/agent/service/deregister/db", "").await;
    let mut stream = Stream::open(&ground, PATH, &[("last-event-id", &id)]).await;
    assert_eq!(next(&mut stream).await, ("db".to_owned(), vec![]));
    let id = end(&mut stream).await;

    // Of what has not changed nothing is told again, but for the last change.
    let path = format!("{PATH}&since={id}");
    let mut stream = Stream::open(&ground, &path, &[]).await;
    assert_eq!(next(&mut stream).await, ("db".to_owned(), vec![]));
    end(&mut stream).await;

    // What another agent told, or an earlier run, counts for nothing.
    let index = id.split_once('-').unwrap().1;
    for other in [
        format!("{}-{index}", "02".repeat(16)),
        format!("{}-1", "01".repeat(16)),
    ] {
        let mut stream = Stream::open(&ground, PATH, &[("last-event-id", &other)]).await;
        assert_eq!(next(&mut stream).await.0, "web");
        assert_eq!(next(&mut stream).await.0, "db");
    }
}

#[tokio::test]
async fn a_watch_can_be_narrowed_and_is_bounded() {
    let ground = Ground::new();
    ground.two_more();
    let path = "/v1/tidings/watch?service=web&tag=n2&passing";
    let mut stream = Stream::open(&ground, path, &[]).await;
    assert_eq!(next(&mut stream).await, ("web".to_owned(), vec![8002]));
    let text = "Missing services: give ?service=NAME, up to 256 times, or none for all";
    ground.get("/v1/tidings/watch?service=").await.is(400, text);
    let many = "service=x&".repeat(257);
    ground
        .get(&format!("/v1/tidings/watch?{many}"))
        .await
        .is(400, text);
}

/// The list of names with which a connection begins that follows everything.
async fn names(stream: &mut Stream) -> Vec<String> {
    let event = stream.until("\n\n").await.unwrap();
    let data = event.strip_prefix("event: services\ndata: ");
    let data: Value = serde_json::from_str(data.expect(&event)).unwrap();
    let names = data["Services"].as_array().unwrap().iter();
    names.map(|n| n.as_str().unwrap().to_owned()).collect()
}

const ALL: &str = "/v1/tidings/watch";

#[tokio::test]
async fn who_follows_everything_hears_of_what_comes_and_goes() {
    let ground = Ground::new();
    ground.two_more();
    let mut stream = Stream::open(&ground, ALL, &[]).await;
    assert_eq!(names(&mut stream).await, ["consul", "web"]);
    assert_eq!(next(&mut stream).await.0, "consul");
    let web = ("web".to_owned(), vec![8003, 8002]);
    assert_eq!(next(&mut stream).await, web);
    end(&mut stream).await;
    let db = r#"{"Name":"DB","Port":5432}"#;
    ground.done("/v1/agent/service/register", db).await;
    assert_eq!(next(&mut stream).await, ("DB".to_owned(), vec![5432]));
    end(&mut stream).await;
    ground.done("/v1/agent/service/deregister/DB", "").await;
    assert_eq!(next(&mut stream).await, ("DB".to_owned(), vec![]));
    end(&mut stream).await;
    // What comes back under another spelling is the same service.
    let db = r#"{"Name":"db","Port":1}"#;
    ground.done("/v1/agent/service/register", db).await;
    assert_eq!(next(&mut stream).await, ("db".to_owned(), vec![1]));
    end(&mut stream).await;
}

#[tokio::test]
async fn who_comes_back_to_everything_finds_what_went_missing_in_the_list() {
    let ground = Ground::new();
    ground.two_more();
    for name in ["a", "b"] {
        let body = format!(r#"{{"Name":"{name}","Port":1}}"#);
        ground.done("/v1/agent/service/register", &body).await;
    }
    let mut stream = Stream::open(&ground, ALL, &[]).await;
    assert_eq!(names(&mut stream).await, ["a", "b", "consul", "web"]);
    for _ in 0..4 {
        next(&mut stream).await;
    }
    let id = end(&mut stream).await;
    drop(stream);
    ground.done("/v1/agent/service/deregister/a", "").await;
    let c = r#"{"Name":"c","Port":3}"#;
    ground.done("/v1/agent/service/register", c).await;
    let mut stream = Stream::open(&ground, ALL, &[("last-event-id", &id)]).await;
    assert_eq!(names(&mut stream).await, ["b", "c", "consul", "web"]);
    // The last change before the id may be told again; nothing older is.
    let mut told = next(&mut stream).await;
    if told.0 == "b" {
        told = next(&mut stream).await;
    }
    assert_eq!(told, ("c".to_owned(), vec![3]));
    end(&mut stream).await;
}

#[tokio::test]
async fn those_who_follow_everything_are_bounded() {
    let limits = crate::Limits {
        followers: 1,
        ..crate::Limits::default()
    };
    let ground = Ground::with(limits);
    let first = Stream::open(&ground, ALL, &[]).await;
    let second = ground.get(ALL).await;
    assert_eq!(second.status, 429);
    assert_eq!(second.header("retry-after"), Some("1"));
    drop(Stream::open(&ground, PATH, &[]).await);
    drop(first);
    while ground.state.follower().is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_beats() {
    let ground = Ground::new();
    let mut stream = Stream::open(&ground, PATH, &[]).await;
    next(&mut stream).await;
    next(&mut stream).await;
    end(&mut stream).await;
    let begin = tokio::time::Instant::now();
    assert_eq!(stream.until(":\n\n").await.as_deref(), Some(""));
    assert_eq!(stream.until(":\n\n").await.as_deref(), Some(""));
    assert!(begin.elapsed().as_secs() >= 30);
}

#[tokio::test]
async fn a_filter_takes_some_instances_and_one_that_cannot_be_read_is_refused() {
    let ground = Ground::new();
    ground.two_more();
    let path = "/v1/tidings/watch?service=web&filter=Service.Port==8003";
    let mut stream = Stream::open(&ground, path, &[]).await;
    assert_eq!(next(&mut stream).await, ("web".to_owned(), vec![8003]));
    let unread = ground.get("/v1/tidings/watch?filter=Bad==1").await;
    assert_eq!(unread.status, 500, "{}", unread.body);
}
