//! What holds for every endpoint.

use axum::{
    body::Body,
    http::{HeaderName, Request},
};

use super::ground::Ground;
use crate::Limits;

#[tokio::test]
async fn other_methods_are_refused_by_name() {
    let ground = Ground::new();
    let answer = ground.ask("POST", "/v1/agent/service/register", "{}").await;
    answer.is(405, "method POST not allowed");
    assert_eq!(answer.header("allow"), Some("OPTIONS,PUT"));
    let head = ground.ask("HEAD", "/v1/catalog/nodes", "").await;
    assert_eq!(
        (head.status.as_u16(), head.header("allow")),
        (405, Some("OPTIONS,GET"))
    );
    let options = ground.ask("OPTIONS", "/v1/catalog/nodes", "").await;
    options.is(200, "");
    assert_eq!(options.header("allow"), Some("OPTIONS,GET"));
    assert_eq!(options.header("x-consul-default-acl-policy"), Some("allow"));
}

#[tokio::test]
async fn unknown_paths_get_the_routers_words() {
    let ground = Ground::new();
    let text = "Invalid URL path: not a recognized HTTP API endpoint\n";
    ground.get("/v1/nonsense").await.is(404, text);
    ground.get("/v1/agent").await.is(404, text);
    let text =
        "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n";
    ground.get("/nonsense").await.is(404, text);
    let root = ground.get("/").await;
    assert!(root.body.starts_with("Consul Agent: UI disabled."));
    assert_eq!(ground.get("/v1/catalog/node/%00").await.status, 400);
    assert_eq!(ground.get("/v1/catalog/node/%zz").await.status, 400);
    ground.get("/v1/catalog/nodes?dc=%zz").await.is(500, "");
}

#[tokio::test]
async fn json_is_indented_on_request() {
    let ground = Ground::new();
    ground
        .get("/v1/catalog/datacenters?pretty")
        .await
        .is(200, "[\n    \"dc1\"\n]\n");
}

#[tokio::test]
async fn what_cannot_be_answered_here_is_refused() {
    let ground = Ground::new();
    assert_eq!(ground.get("/v1/catalog/nodes?dc=DC1").await.status, 200);
    for path in [
        "/v1/catalog/nodes",
        "/v1/agent/services",
        "/v1/catalog/datacenters",
    ] {
        let ask = async |query: &str| ground.get(&format!("{path}?{query}")).await;
        ask("dc=dc2").await.is(500, "No path to datacenter");
        let text = "Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature";
        ask("ns=team").await.is(400, text);
        assert_eq!(ask("ns=default&partition=&token=x").await.status, 200);
        let text =
            "Invalid query parameter: \"partition\" - Partitions are a Consul Enterprise feature";
        ask("partition=p").await.is(400, text);
    }
    let request = Request::get("/v1/catalog/nodes");
    let namespace = HeaderName::from_static("x-consul-namespace");
    let request = request
        .header(namespace, "team")
        .body(Body::empty())
        .unwrap();
    assert_eq!(ground.send(request).await.status, 400);
}

#[tokio::test]
async fn read_options_are_checked() {
    let ground = Ground::new();
    for (query, text) in [
        ("index=abc", "Invalid index"),
        ("index=-1", "Invalid index"),
        ("wait=10", "Invalid wait time"),
        ("index=1&wait=nope", "Invalid wait time"),
        ("max_stale=x", "Invalid max_stale value \"x\""),
        (
            "stale&consistent",
            "Cannot specify ?stale with ?consistent, conflicting semantics.",
        ),
        (
            "cached&consistent",
            "Cannot specify ?cached with ?consistent, conflicting semantics.",
        ),
    ] {
        let path = format!("/v1/health/service/web?{query}");
        ground.get(&path).await.is(400, text);
    }
}

#[tokio::test]
async fn coordination_is_refused_with_the_reason() {
    let ground = Ground::new();
    for (method, path) in [
        ("PUT", "/v1/kv/lock?acquire=x"),
        ("GET", "/v1/kv/a%2Fb"),
        ("PUT", "/v1/session/create"),
        ("PUT", "/v1/txn"),
        ("POST", "/v1/query"),
        ("GET", "/v1/connect/ca/roots"),
        ("GET", "/v1/operator/raft/configuration"),
        ("GET", "/v1/snapshot"),
        ("GET", "/v1/agent/connect/ca/roots"),
        ("GET", "/v1/config/service-defaults"),
        ("POST", "/v1/operator/keyring"),
    ] {
        let answer = ground.ask(method, path, "true").await;
        assert_eq!(answer.status, 501, "{path}");
        assert!(answer.body.contains("tidings"), "{path}");
        assert!(!answer.body.contains("true"), "{path}");
    }
    ground
        .get("/v1/acl/tokens")
        .await
        .is(401, "ACL support disabled");
    let token = ground.put("/v1/agent/token/default", "{}").await;
    token.is(401, "ACL support disabled");
    for path in [
        "health/connect",
        "health/ingress",
        "catalog/connect",
        "catalog/gateway-services",
    ] {
        ground.get(&format!("/v1/{path}/web")).await.is(200, "[]");
    }
    assert_eq!(ground.get("/v1/kvetch").await.status, 404);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let limits = Limits {
        body_bytes: 100,
        ..Limits::default()
    };
    let ground = Ground::with(limits);
    let body = format!(r#"{{"Name":"{}"}}"#, "x".repeat(200));
    let text = "Request body too large, max size: 100 bytes";
    ground
        .put("/v1/agent/service/register", &body)
        .await
        .is(413, text);
}

#[tokio::test]
async fn the_content_type_is_not_looked_at() {
    let ground = Ground::new();
    let request = Request::put("/v1/agent/service/register").header("content-type", "text/html");
    let body = Body::from(r#"{"Name":"web"}"#);
    ground.send(request.body(body).unwrap()).await.is(200, "");
}

#[tokio::test]
async fn an_error_is_plain_text() {
    let ground = Ground::new();
    let refused = ground.get("/v1/health/service/").await;
    refused.is(400, "Missing service name");
    let kind = refused.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
}

#[tokio::test]
async fn any_token_is_accepted() {
    let ground = Ground::new();
    for (name, value) in [("x-consul-token", "t"), ("authorization", "bearer t")] {
        let request = Request::get("/v1/catalog/nodes?token=u").header(name, value);
        let answer = ground.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn max_stale_implies_stale() {
    let ground = Ground::new();
    let effective = async |query: &str| {
        let answer = ground.get(&format!("/v1/catalog/nodes?{query}")).await;
        let effective = answer.header("x-consul-effective-consistency");
        effective.unwrap().to_owned()
    };
    assert_eq!(effective("max_stale=10s").await, "stale");
    assert_eq!(effective("max_stale=0s").await, "leader");
    assert_eq!(effective("max_stale=").await, "leader");
    // Consul's default mode is the only one there is.
    assert_eq!(effective("leader").await, "leader");
}

#[tokio::test]
async fn parameters_that_change_nothing_are_accepted() {
    let ground = Ground::new();
    ground.two_more();
    let plain = ground.get("/v1/health/service/web").await;
    let query = "merge-central-config&leader&unheard-of=1&near=nobody";
    let answer = ground.get(&format!("/v1/health/service/web?{query}")).await;
    answer.is(200, &plain.body);
}

#[tokio::test]
async fn answers_that_cannot_block_have_no_index() {
    let ground = Ground::new();
    for path in [
        "/v1/agent/self",
        "/v1/agent/members",
        "/v1/agent/services",
        "/v1/agent/checks",
        "/v1/catalog/datacenters",
        "/v1/status/leader",
        "/v1/status/peers",
    ] {
        let answer = ground.get(&format!("{path}?index=1&wait=10m")).await;
        assert_eq!(answer.status, 200, "{path}");
        for name in ["index", "knownleader", "lastcontact"] {
            let name = format!("x-consul-{name}");
            assert_eq!(answer.header(&name), None, "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_yet_says_so() {
    let ground = Ground::new();
    for path in ["/v1/query", "/v1/internal/ui/nodes"] {
        let text = "This endpoint is not supported by this version of tidings.";
        ground.get(path).await.is(501, text);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn no_request_panics(
        path in "/v1/(agent|catalog|health)/[a-z/%0-9]{0,30}",
        query in "[a-z&=%0-9+-]{0,30}",
        body in "\\PC{0,80}",
        put in proptest::prelude::any::<bool>(),
    ) {
        // Nothing may wait here.
        let query = query.replace("index", "x");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ground = Ground::new();
            let method = if put { "PUT" } else { "GET" };
            let uri = format!("{path}?{query}");
            if Request::builder().uri(&uri).body(()).is_ok() {
                let answer = ground.ask(method, &uri, &body).await;
                assert!(answer.status.as_u16() >= 200);
            }
        });
    }
}
