//! What is looked at before and after any endpoint, and parameters that all reads share.

use std::io::Read as _;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use flate2::read::GzDecoder;
use tower_service::Service as _;

use super::ground::{Ground, Reply};

async fn with(ground: &Ground, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    ground.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_browser_cannot_be_turned_against_the_agent() {
    let ground = Ground::new();
    let leave = "/v1/agent/leave";
    for headers in [
        // The name of a page that was led to loopback.
        &[("host", "evil.example:8500")][..],
        &[
            ("host", "evil.example:8500"),
            ("origin", "http://evil.example:8500"),
        ],
        &[("host", "\u{e9}.x")],
        // A page of another site.
        &[
            ("host", "127.0.0.1:8500"),
            ("origin", "http://evil.example"),
        ],
        &[("host", "localhost:8500"), ("origin", "null")],
        &[("origin", "http://localhost:8500")],
    ] {
        let refused = with(&ground, "PUT", leave, headers).await;
        assert_eq!(refused.status, 403, "{headers:?}");
        assert!(refused.body.starts_with("Access is restricted: "));
        let refused = with(&ground, "GET", "/v1/catalog/nodes", headers).await;
        assert_eq!(refused.status, 403, "{headers:?}");
    }
    assert!(ground.calls.lock().unwrap().is_empty());
    for headers in [
        &[][..],
        &[("host", "127.0.0.1:8500")],
        &[("host", "consul")],
        &[
            ("host", "LOCALHOST:8500"),
            ("origin", "http://LOCALHOST:8500"),
        ],
        &[("host", "one")],
        &[("host", "consul.service.consul:8500")],
        // Which the settings allow.
        &[
            ("host", "Registry.example:8500"),
            ("origin", "https://Registry.example"),
        ],
    ] {
        let answer = with(&ground, "GET", "/v1/catalog/nodes", headers).await;
        assert_eq!(answer.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn a_path_is_cleaned_by_sending_the_client_on() {
    let ground = Ground::new();
    for (method, path, location) in [
        ("GET", "//v1/catalog/nodes?stale", "/v1/catalog/nodes?stale"),
        ("GET", "/v1/catalog/./x/../nodes", "/v1/catalog/nodes"),
        ("GET", "/v1/catalog/service//web", "/v1/catalog/service/web"),
        ("PUT", "/v1//agent/leave", "/v1/agent/leave"),
        (
            "GET",
            "/v1/catalog/service//w\u{e9}b?near=\u{f1}",
            "/v1/catalog/service/w%c3%a9b?near=%c3%b1",
        ),
    ] {
        let moved = ground.ask(method, path, "").await;
        moved.is(301, "");
        assert_eq!(moved.header("location"), Some(location));
    }
    // An id is what it is.
    let gone = ground.put("/v1/agent/service/deregister/a//b", "").await;
    assert!(gone.body.contains("\"a//b\""), "{}", gone.body);
    let one = ground.get("/v1/agent/service/a%2F%2Fb").await;
    one.is(404, "unknown service ID: a//b");
}

#[tokio::test]
async fn answers_are_compressed_for_whoever_accepts_it() {
    let ground = Ground::new();
    ground.two_more();
    let path = "/v1/health/service/web";
    let plain = ground.get(path).await;
    assert!(plain.body.len() > 1_400);
    for (accept, is_packed) in [
        ("gzip", true),
        ("br;q=1.0, GZIP;q=0.5", true),
        ("gzip;q=0", false),
        ("deflate", false),
    ] {
        let request = Request::get(path).header("accept-encoding", accept);
        let request = request.body(Body::empty()).unwrap();
        let response = ground.router.clone().call(request).await.unwrap();
        let encoding = response.headers().get("content-encoding").cloned();
        let index = response.headers()["x-consul-index"].clone();
        assert_eq!(index.to_str().unwrap(), plain.index().to_string());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        if is_packed {
            assert_eq!(encoding.unwrap(), "gzip", "{accept}");
            let mut unpacked = String::new();
            GzDecoder::new(&*body)
                .read_to_string(&mut unpacked)
                .unwrap();
            assert_eq!(unpacked, plain.body);
        } else {
            assert_eq!(encoding, None, "{accept}");
            assert_eq!(body, plain.body.as_bytes());
        }
    }
    // What fits in a packet is not worth it.
    let small = with(
        &ground,
        "GET",
        "/v1/status/leader",
        &[("accept-encoding", "gzip")],
    )
    .await;
    small.is(200, r#""10.0.0.1:8301""#);
}

#[tokio::test]
async fn what_is_near_comes_first() {
    let ground = Ground::new();
    ground.two_more();
    let names = async |path: &str, pointer: &str| {
        let list = ground.get(path).await.json();
        let list = list.as_array().unwrap().iter();
        list.map(|e| e.pointer(pointer).unwrap().as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for (near, order) in [
        ("two", ["two", "one", "three"]),
        ("TWO", ["two", "one", "three"]),
        ("_agent", ["one", "three", "two"]),
        ("nobody", ["one", "three", "two"]),
        ("", ["one", "three", "two"]),
    ] {
        let path = |path: &str| format!("/v1/{path}?near={near}");
        assert_eq!(names(&path("catalog/nodes"), "/Node").await, order);
        assert_eq!(names(&path("health/state/any"), "/Node").await, order);
        let consul = path("catalog/service/consul");
        assert_eq!(names(&consul, "/Node").await, order);
        let consul = path("health/service/consul");
        assert_eq!(names(&consul, "/Node/Node").await, order);
    }
    let checks = names("/v1/health/checks/web?near=three", "/Node").await;
    assert!(checks.is_empty());
}

#[tokio::test]
async fn a_cache_control_header_must_be_sound() {
    let ground = Ground::new();
    for (value, status) in [
        ("max-age=60, stale-if-error=10", 200),
        ("must-revalidate", 200),
        ("no-cache, x=y", 200),
        ("max-age=-1", 400),
        ("must-revalidate, stale-if-error=soon", 400),
    ] {
        let path = "/v1/health/service/web?cached";
        let answer = with(&ground, "GET", path, &[("cache-control", value)]).await;
        assert_eq!(answer.status, status, "{value}");
        if status == 400 {
            assert_eq!(answer.body, "Invalid Cache-Control header.");
        }
    }
}

#[tokio::test]
async fn a_cached_read_says_how_old_it_is() {
    let ground = Ground::new();
    for path in [
        "health/service/web",
        "catalog/service/web",
        "catalog/services",
    ] {
        let cached = ground.get(&format!("/v1/{path}?cached")).await;
        assert_eq!(cached.header("x-cache"), Some("HIT"), "{path}");
        assert_eq!(cached.header("age"), Some("0"), "{path}");
        let plain = ground.get(&format!("/v1/{path}")).await;
        assert_eq!(plain.header("x-cache"), None, "{path}");
    }
}

#[tokio::test]
async fn coordinates_are_those_of_a_cluster_that_measured_none_yet() {
    let ground = Ground::new();
    let nodes = ground.get("/v1/coordinate/nodes").await;
    nodes.is(200, "[]");
    assert!(nodes.index() >= 1);
    let node = ground.get("/v1/coordinate/node/one").await;
    node.is(404, "");
    assert!(node.index() >= 1);
    ground.get("/v1/coordinate/datacenters").await.is(
        200,
        r#"[{"Datacenter":"dc1","AreaID":"wan","Coordinates":[]}]"#,
    );
    let update = r#"{"Node":"one","Coord":{"Vec":[0,0,0,0,0,0,0,0]}}"#;
    ground
        .put("/v1/coordinate/update", update)
        .await
        .is(401, "Coordinate support disabled");
}

#[tokio::test]
async fn nodes_with_coordinates_can_be_waited_for() {
    let ground = std::sync::Arc::new(Ground::new());
    let index = ground.get("/v1/coordinate/nodes").await.index();
    let path = format!("/v1/coordinate/nodes?index={index}&wait=5m");
    let waiting = super::blocking::waiting(&ground, path).await;
    ground.two_more();
    assert!(waiting.await.unwrap().index() > index);
}
