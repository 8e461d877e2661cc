//! An agent behind its HTTP router: a node, its view, and somebody who asks.

use std::{future::ready, net::SocketAddr, sync::LazyLock, time::Duration, time::SystemTime};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use flate2::read::GzDecoder;
use tidings_http::{
    AgentInfo, Hooks, HttpState, KeyringCall, KeyringFuture, KeyringRefusal, KnockFuture, Limits,
    Metrics, Setup, SetupFuture, router,
};
use tidings_types::{CheckId, CheckStatus, NodeName, Refusal};
use tidings_view::{CommandReceiver, ViewSettings, ViewWriter, channel, commands};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tower_service::Service;

use crate::node::{Lone, ME};

/// A node with its front door. Its clock stands still unless everybody waits.
pub(crate) struct Door {
    pub(crate) node: Lone,
    router: Router,
    receiver: CommandReceiver,
    writer: ViewWriter,
}

/// What came back; `None` for a body that had no end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

impl Door {
    /// An agent that has a service with a check, and an external node with another.
    pub(crate) fn new() -> Self {
        let name = NodeName::new("n1").expect("a short name");
        let (writer, view) = channel(ViewSettings::new(ME, name, "dc1", 1));
        let (sender, receiver) = commands(64);
        let addr = SocketAddr::from(([127, 0, 0, 1], 8_500));
        let info = AgentInfo {
            allowed_hosts: Vec::new(),
            version: String::new(),
            revision: String::new(),
            gossip: addr,
            http: addr,
            https: None,
            dns: addr,
            cluster: "test".to_owned(),
            dev: false,
            started: SystemTime::UNIX_EPOCH,
        };
        let mut door = Self {
            node: Lone::new(),
            router: router(HttpState::new(
                view,
                sender,
                info,
                Silent,
                Limits::default(),
            )),
            receiver,
            writer,
        };
        for (path, body) in FURNITURE {
            let answer = door.ask(&Method::PUT, path, &[], body.as_bytes());
            assert_eq!(answer.map(|answer| answer.status), Some(StatusCode::OK));
        }
        door
    }

    /// Sends a request and carries out what it commands. `None` if HTTP has no such request.
    pub(crate) fn ask(
        &mut self,
        method: &Method,
        target: impl TryInto<axum::http::Uri>,
        headers: &[(header::HeaderName, &[u8])],
        body: &[u8],
    ) -> Option<Answer> {
        static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
            Builder::new_current_thread()
                .enable_time()
                // A read that waits five minutes for news is over at once.
                .start_paused(true)
                .build()
                .expect("a runtime without IO can be made")
        });
        let mut request = Request::builder()
            .method(method)
            .uri(target.try_into().ok()?);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::from(body.to_vec())).ok()?;
        Some(RUNTIME.block_on(self.answer(request)))
    }

    async fn answer(&mut self, request: Request<Body>) -> Answer {
        let mut router = self.router.clone();
        let mut answer = std::pin::pin!(async {
            let response = router.call(request).await;
            let response = response.unwrap_or_else(|never| match never {});
            let (parts, body) = response.into_parts();
            let body = timeout(PATIENCE, to_bytes(body, usize::MAX)).await;
            let body = body.map(|body| body.expect("it is in memory").to_vec());
            (parts, body.ok())
        });
        let (parts, body) = loop {
            tokio::select! {
                answer = &mut answer => break answer,
                Some(request) = self.receiver.recv() => {
                    let decided = self.node.command(request.command);
                    self.writer.apply_all(self.node.now(), self.node.take_updates());
                    request.reply.send(decided.unwrap_or(Err(Refusal::Busy)));
                }
            }
        };
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

impl Answer {
    /// The value of the header `name`, empty if there is none.
    pub(crate) fn header(&self, name: &header::HeaderName) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("answers are ASCII"))
    }

    /// Panics unless the body is what its headers say.
    pub(crate) fn check(&self) {
        let kind = self.header(&header::CONTENT_TYPE);
        let Some(body) = &self.body else {
            assert_eq!(kind, "text/event-stream", "an answer has an end");
            return;
        };
        let unpacked = match self.header(&header::CONTENT_ENCODING) {
            "gzip" => {
                let mut plain = Vec::new();
                let read = std::io::Read::read_to_end(&mut GzDecoder::new(&body[..]), &mut plain);
                assert!(read.is_ok(), "gzip that cannot be read");
                Some(plain)
            }
            encoding => {
                assert_eq!(encoding, "");
                None
            }
        };
        let body = unpacked.as_ref().unwrap_or(body);
        if kind.starts_with("application/json") {
            let read: Result<serde_json::Value, _> = serde_json::from_slice(body);
            assert!(read.is_ok(), "JSON that cannot be read: {body:?}");
        }
    }
}

#[derive(Debug)]
struct Silent;

impl Hooks for Silent {
    fn check_reported(
        &self,
        _: &CheckId,
        status: CheckStatus,
        output: String,
    ) -> (CheckStatus, String) {
        (status, output)
    }
    fn leave(&self) {}
    fn keyring(&self, _: KeyringCall, _: bool) -> KeyringFuture {
        Box::pin(ready(Err(KeyringRefusal::Misuse(String::new()))))
    }
    fn knock(&self, _: Vec<SocketAddr>) -> KnockFuture {
        Box::pin(ready(Vec::new()))
    }
    fn setup(&self) -> SetupFuture {
        let at = ([127, 0, 0, 1], 1).into();
        Box::pin(ready(Setup {
            http: at,
            dns: at,
            advertised: at,
            seeds: Vec::new(),
            warnings: Vec::new(),
            data: None,
            open_files: None,
            definitions_refused: None,
        }))
    }
    fn metrics(&self, _: &mut Metrics) {}
}

/// What there is before anything is asked.
const FURNITURE: [(&str, &str); 2] = [
    (
        "/v1/agent/service/register",
        r#"{"Name": "web", "ID": "web-1", "Port": 80, "Tags": ["v1"], "Meta": {"k": "v"},
            "Check": {"TTL": "10m", "Status": "passing", "CheckID": "c-1"}}"#,
    ),
    (
        "/v1/catalog/register",
        r#"{"Node": "mainframe", "Address": "192.0.2.7", "NodeMeta": {"a": "b"},
            "Service": {"ID": "cics", "Service": "cics", "Port": 1},
            "Check": {"CheckID": "c", "Name": "c", "Status": "passing", "ServiceID": "cics"}}"#,
    ),
];
/// Longer than any answer waits for news, but for streams, which are left then.
const PATIENCE: Duration = Duration::from_secs(700);
