//! HTTP requests: paths, queries, bodies.

use std::{future::ready, net::SocketAddr, sync::LazyLock, time::SystemTime};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use tidings_http::{
    AgentInfo, Hooks, HttpState, KeyringCall, KeyringFuture, KeyringRefusal, Limits, Metrics,
    router,
};
use tidings_types::{CheckId, Command, NodeId, NodeName, Outcome};
use tidings_view::{CommandReceiver, ViewSettings, channel, commands};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

use crate::node::Lone;

/// The first byte names the endpoint. What follows up to the first line feed is the path's rest and
/// the query, what comes after it the body.
///
/// # Panics
/// If an answer is no answer, or a node cannot live with a command that was let through.
pub fn http(data: &[u8]) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        Builder::new_current_thread()
            .enable_time()
            // A read that waits five minutes for news is over at once.
            .start_paused(true)
            .build()
            .expect("a runtime without IO can be made")
    });
    let Some((&endpoint, rest)) = data.split_first() else {
        return;
    };
    let (method, path) = ENDPOINTS[usize::from(endpoint) % ENDPOINTS.len()];
    let end = rest.iter().position(|&byte| byte == b'\n');
    let (query, body) = rest.split_at(end.unwrap_or(rest.len()));
    let body = body.get(1..).unwrap_or_default().to_vec();
    let uri = [path.as_bytes(), query].concat();
    // What is no URI does not get past the HTTP library.
    let Ok(request) = Request::builder()
        .method(method)
        .uri(uri.as_slice())
        .body(Body::from(body))
    else {
        return;
    };
    let mut asked = Vec::new();
    RUNTIME.block_on(ask(request, &mut asked));
    if !asked.is_empty() {
        let mut node = Lone::new();
        asked.into_iter().for_each(|command| node.command(command));
    }
}

/// Sends the request, and answers the commands that come of it.
async fn ask(request: Request<Body>, asked: &mut Vec<Command>) {
    let (mut router, mut receiver) = agent();
    let mut answer = std::pin::pin!(async {
        let response = router.call(request).await;
        let response = response.unwrap_or_else(|never| match never {});
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await;
        (parts, body.expect("an answer has an end"))
    });
    let (parts, body) = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            Some(request) = receiver.recv() => {
                asked.push(request.command);
                request.reply.send(Ok(Outcome::of(true)));
            }
        }
    };
    let kind = parts.headers.get("content-type");
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")) {
        let read: Result<serde_json::Value, _> = serde_json::from_slice(&body);
        assert!(read.is_ok(), "JSON that cannot be read: {body:?}");
    }
    // The one failure that Consul's clients expect.
    let told = String::from_utf8_lossy(&body);
    assert!(parts.status != 500 || !told.contains("panic"), "{told}");
}

fn agent() -> (Router, CommandReceiver) {
    let name = NodeName::new("n1").expect("a short name");
    let (_, view) = channel(ViewSettings::new(
        NodeId::from_bytes([1; 16]),
        name,
        "dc1",
        1,
    ));
    let (sender, receiver) = commands(16);
    let addr = SocketAddr::from(([127, 0, 0, 1], 8_500));
    let info = AgentInfo {
        allowed_hosts: Vec::new(),
        version: String::new(),
        revision: String::new(),
        gossip: addr,
        http: addr,
        dns: addr,
        cluster: "test".to_owned(),
        dev: false,
        started: SystemTime::UNIX_EPOCH,
    };
    let state = HttpState::new(view, sender, info, Silent, Limits::default());
    (router(state), receiver)
}

#[derive(Debug)]
struct Silent;

impl Hooks for Silent {
    fn check_reported(&self, _: &CheckId, _: &str) {}
    fn leave(&self) {}
    fn keyring(&self, _: KeyringCall, _: bool) -> KeyringFuture {
        Box::pin(ready(Err(KeyringRefusal::Misuse(String::new()))))
    }
    fn metrics(&self, _: &mut Metrics) {}
}

/// Everything that takes a body or reads more than a path. Their order is part of the corpus.
const ENDPOINTS: [(&str, &str); 15] = [
    ("PUT", "/v1/agent/service/register"),
    ("PUT", "/v1/agent/check/register"),
    ("PUT", "/v1/catalog/register"),
    ("PUT", "/v1/catalog/deregister"),
    ("PUT", "/v1/agent/check/update/"),
    ("PUT", "/v1/agent/check/pass/"),
    ("PUT", "/v1/agent/service/deregister/"),
    ("PUT", "/v1/agent/service/maintenance/"),
    ("GET", "/v1/health/service/"),
    ("GET", "/v1/catalog/nodes"),
    ("GET", "/v1/agent/health/service/id/"),
    ("GET", "/v1/"),
    ("PUT", "/v1/tidings/keyring/"),
    ("PUT", "/v1/event/fire/"),
    ("GET", "/v1/event/list"),
];
