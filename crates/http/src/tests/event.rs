//! `/v1/event/...`

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::{
    blocking::waiting,
    ground::{Ground, Reply, node_id},
};

fn names(list: &Reply) -> Vec<String> {
    let list = list.json();
    let events = list.as_array().unwrap().iter();
    events
        .map(|event| event["Name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn an_event_that_is_fired_is_listed() {
    let ground = Ground::new();
    let empty = ground.get("/v1/event/list").await;
    empty.is(200, "[]");
    assert_eq!(empty.index(), 1);
    assert_eq!(empty.header("x-consul-knownleader"), None);
    let fired = ground.put("/v1/event/fire/deploy?node=one", "v2").await;
    assert_eq!(fired.status, 200);
    let mut event = fired.json();
    let id = event["ID"].as_str().unwrap().to_owned();
    assert_eq!(
        event,
        json!({"ID": id, "Name": "deploy", "Payload": "djI=", "NodeFilter": "one",
            "ServiceFilter": "", "TagFilter": "", "Version": 1, "LTime": 0})
    );
    let list = ground.get("/v1/event/list").await;
    let l_time = list.json()[0]["LTime"].as_u64().unwrap();
    assert!(l_time > 1_700_000_000_000);
    event["LTime"] = l_time.into();
    assert_eq!(list.json(), json!([event]));
    // As Go's client reckons it.
    let hex = id.replace('-', "");
    let half = |range| u64::from_str_radix(&hex[range], 16).unwrap();
    assert_eq!(list.index(), half(0..16) ^ half(16..32));
    let quiet = ground.put("/v1/event/fire/quiet", "").await.json();
    assert_eq!(quiet["Payload"], Value::Null);
    assert_eq!(
        names(&ground.get("/v1/event/list").await),
        ["deploy", "quiet"]
    );
    assert_eq!(
        names(&ground.get("/v1/event/list?name=quiet").await),
        ["quiet"]
    );
    assert_eq!(names(&ground.get("/v1/event/list?name=x").await), [""; 0]);
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

#[tokio::test]
async fn an_old_event_is_not_listed_though_its_record_is_still_here() {
    use tidings_types::{Body, Event, EventId, Key, Text};
    let ground = Ground::new();
    let now = unix_ms();
    let event = |name: &str, at: u64| {
        let event = Event {
            name: name.into(),
            payload: Box::default(),
            node_filter: Text::new(),
            service_filter: Text::new(),
            tag_filter: Text::new(),
        };
        let key = Key::Event(node_id(2), EventId::new(at, [0; 10]));
        (key, Some(Body::Event(event)))
    };
    let old = event("old", now - 10 * 60 * 1_000 - 1);
    let young = event("young", now);
    ground.node().write([old, young]);
    assert_eq!(names(&ground.get("/v1/event/list").await), ["young"]);
}

#[tokio::test]
async fn bad_events_are_refused() {
    let ground = Ground::new();
    let put =
        async |path: &str, body: &str| ground.put(&format!("/v1/event/fire/{path}"), body).await;
    put("", "x").await.is(400, "Missing name");
    let text = "user event exceeds configured limit of 512 bytes before encoding";
    put("a", &"x".repeat(513)).await.is(500, text);
    assert_eq!(put("a", &"x".repeat(512)).await.status, 200);
    let text = "Cannot provide tag filter without service filter";
    put("a?tag=x", "").await.is(500, text);
    for query in ["node=%28", "service=%5B", "service=a&tag=%2A"] {
        let refused = put(&format!("a?{query}"), "").await;
        assert_eq!(refused.status, 500, "{query}");
        assert!(refused.body.starts_with("Invalid "), "{}", refused.body);
    }
    assert_eq!(put(&"x".repeat(256), "").await.status, 500);
    assert_eq!(names(&ground.get("/v1/event/list").await).len(), 1);
}

#[tokio::test]
async fn an_event_is_shown_where_it_concerns_somebody() {
    let ground = Ground::new();
    let service = r#"{"Name":"web-front","Tags":["blue","v2"]}"#;
    ground.done("/v1/agent/service/register", service).await;
    for (query, is_shown) in [
        ("node=%5Eone%24", true),
        ("node=tw", false),
        ("service=web", true),
        ("service=%5Efront", false),
        ("service=web&tag=v%5Cd", true),
        ("service=web&tag=green", false),
        ("node=one&service=db", false),
    ] {
        let before = names(&ground.get("/v1/event/list").await).len();
        let fired = ground.put(&format!("/v1/event/fire/e?{query}"), "").await;
        assert_eq!(fired.status, 200);
        let after = names(&ground.get("/v1/event/list").await).len();
        assert_eq!(after - before, usize::from(is_shown), "{query}");
    }
}

#[tokio::test]
async fn a_list_blocks_while_its_last_event_is_the_one_asked_for() {
    let ground = Arc::new(Ground::new());
    let path = "/v1/event/list?index=1&wait=10m".to_owned();
    let first = waiting(&ground, path).await;
    ground.put("/v1/event/fire/a", "").await;
    let first = first.await.unwrap();
    assert_eq!(names(&first), ["a"]);
    // Any other index is answered at once, whether greater or smaller.
    let at_once = ground.get("/v1/event/list?index=7&wait=10m").await;
    assert_eq!(at_once.index(), first.index());
    let path = format!("/v1/event/list?name=a&index={}&wait=10m", first.index());
    let next = waiting(&ground, path).await;
    let wait = std::time::Duration::from_secs(60);
    ground.put("/v1/event/fire/b", "").await;
    ground.put("/v1/event/fire/a", "again").await;
    assert_eq!(
        names(&tokio::time::timeout(wait, next).await.unwrap().unwrap()),
        ["a", "a"]
    );
    let text = "Invalid index";
    ground.get("/v1/event/list?index=x").await.is(400, text);
}

#[tokio::test]
async fn events_of_others_are_listed_and_go_with_their_records() {
    use tidings_types::{Body, Event, EventId, Key};
    let ground = Ground::new();
    let now = unix_ms();
    let event = |n: u64| {
        let event = Event {
            name: format!("e{n}").into(),
            payload: Box::default(),
            node_filter: tidings_types::Text::new(),
            service_filter: tidings_types::Text::new(),
            tag_filter: tidings_types::Text::new(),
        };
        let key = Key::Event(node_id(2), EventId::new(now + n, [0; 10]));
        (key, Some(Body::Event(event)))
    };
    ground.node().write((0..300).map(event));
    let listed = names(&ground.get("/v1/event/list").await);
    assert_eq!(listed.len(), 256);
    assert_eq!((&*listed[0], &*listed[255]), ("e44", "e299"));
    let gone = (0..299).map(|n| (event(n).0, None));
    ground.node().write(gone);
    assert_eq!(names(&ground.get("/v1/event/list").await), ["e299"]);
    // They are none of a node's answers.
    ground.get("/v1/catalog/node/two").await.is(200, "null");
}
