//! One agent under test, and how to ask it.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use tidings_types::{
    Body as Record, CheckId, CheckStatus, Key, Liveness, MemberStatus, Node, NodeId, NodeName,
    Roster, RosterEntry, Timestamp, Update,
};
use tidings_view::{View, ViewSettings, channel, commands};
use tower_service::Service;

use super::fake_node::{self, FakeNode, Shared};
use crate::{
    AgentInfo, Defined, Hooks, HttpState, KeyringCall, KeyringFuture, KeyringRefusal,
    KeyringReport, KnockFuture, Limits, LogTap, Metrics, ReloadFuture, SeedAnswer, SeedAnswerKind,
    Setup, SetupFuture, router,
};

/// The index before anything is there.
pub(super) const FIRST: u64 = 100;

pub(super) fn node_id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 16])
}

/// An agent called `one` with a roster of itself.
pub(super) struct Ground {
    pub(super) router: Router,
    pub(super) state: HttpState,
    pub(super) view: View,
    node: Shared,
    pub(super) calls: Arc<Mutex<Vec<String>>>,
    pub(super) log: LogTap,
}

/// What came back.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn index(&self) -> u64 {
        self.header("x-consul-index").unwrap().parse().unwrap()
    }

    #[track_caller]
    pub(super) fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status.as_u16(), self.body.as_str()), (status, body));
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Ground {
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        let name = NodeName::new("one").unwrap();
        let (writer, view) = channel(ViewSettings::new(node_id(1), name, "dc1", FIRST));
        let (sender, receiver) = commands(16);
        let node = Arc::new(Mutex::new(FakeNode::new(node_id(1), writer)));
        tokio::spawn(fake_node::run(Arc::clone(&node), receiver));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let info = AgentInfo {
            version: "0.1.0".to_owned(),
            revision: "abc".to_owned(),
            gossip: "10.0.0.1:8301".parse().unwrap(),
            http: "127.0.0.1:8500".parse().unwrap(),
            https: None,
            dns: "127.0.0.1:8600".parse().unwrap(),
            allowed_hosts: vec!["registry.example".to_owned()],
            cluster: "test".to_owned(),
            dev: false,
            started: SystemTime::now(),
        };
        let log = LogTap::default();
        let hooks = Recorder(Arc::clone(&calls), log.clone());
        let state = HttpState::new(view.clone(), sender, info, hooks, limits);
        let ground = Self {
            router: router(state.clone()),
            state,
            view,
            node,
            calls,
            log,
        };
        ground.members(&[(1, MemberStatus::Alive, Liveness::Live)]);
        ground.node().write([node_record(1, "one")]);
        ground
    }

    pub(super) fn node(&self) -> MutexGuard<'_, FakeNode> {
        self.node.lock().unwrap()
    }

    /// The cluster as the failure detector sees it, one second after each was heard.
    pub(super) fn members(&self, members: &[(u8, MemberStatus, Liveness)]) {
        let island = members.iter().any(|(_, _, l)| *l == Liveness::Stale);
        let reachable = members.iter().filter(|(_, s, _)| s.is_reachable()).count();
        let entries = members.iter().map(|&(n, status, liveness)| {
            let entry = RosterEntry {
                addr: format!("10.0.0.{n}:8301").parse().unwrap(),
                status,
                liveness,
                since: Timestamp::ZERO,
                heard: Timestamp::ZERO,
                ahead_ms: None,
            };
            (node_id(n), entry)
        });
        let roster = Roster {
            members: entries.collect(),
            unknown: if island {
                Liveness::Stale
            } else {
                Liveness::Hidden
            },
            former: BTreeSet::new(),
            reachable,
            expected: members.len(),
            island,
        };
        let now = Timestamp::ZERO + Duration::from_secs(1);
        self.node()
            .writer
            .apply(now, Update::Roster(Arc::new(roster)));
    }

    /// Nodes `two` and `three`, with an instance of `web` each.
    pub(super) fn two_more(&self) {
        let alive = |n| (n, MemberStatus::Alive, Liveness::Live);
        self.members(&[alive(1), alive(2), alive(3)]);
        let mut changes = vec![node_record(2, "two"), node_record(3, "three")];
        for n in [2, 3] {
            let id = tidings_types::ServiceId::new("web").unwrap();
            changes.push((
                Key::Instance(node_id(n), id),
                Some(Record::Instance(web(n))),
            ));
        }
        self.node().write(changes);
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "").await
    }

    pub(super) async fn put(&self, path: &str, body: &str) -> Reply {
        self.ask("PUT", path, body).await
    }

    /// A write that must succeed with an empty body.
    #[track_caller]
    pub(super) fn done(&self, path: &str, body: &str) -> impl Future<Output = ()> {
        let (path, body) = (path.to_owned(), body.to_owned());
        async move { self.put(&path, &body).await.is(200, "") }
    }
}

pub(super) fn node_record(n: u8, name: &str) -> (Key, Option<Record>) {
    let record = Node {
        name: NodeName::new(name).unwrap(),
        gossip: format!("10.0.0.{n}:8301").parse().unwrap(),
        address: format!("10.0.0.{n}").into(),
        datacenter: "dc1".into(),
        meta: [("rack", format!("r{n}"))].into_iter().collect(),
        build: "0.1.0".into(),
        departure: None,
    };
    (Key::Node(node_id(n)), Some(Record::Node(record)))
}

fn web(n: u8) -> tidings_types::Instance {
    tidings_types::Instance {
        tags: vec!["v1".to_owned(), format!("n{n}")].into(),
        ..tidings_types::Instance::new(
            tidings_types::ServiceName::new("web").unwrap(),
            8000 + u16::from(n),
        )
    }
}

/// Writes down what the agent is asked for.
#[derive(Debug)]
struct Recorder(Arc<Mutex<Vec<String>>>, LogTap);

impl Hooks for Recorder {
    fn check_reported(
        &self,
        check: &CheckId,
        status: CheckStatus,
        output: String,
    ) -> (CheckStatus, String) {
        let call = format!("reported {check}: {output}");
        self.0.lock().unwrap().push(call);
        if output == "observed" {
            return (CheckStatus::Critical, "not yet: observed".to_owned());
        }
        (status, output)
    }

    fn definition_file(&self, what: Defined<'_>) -> Option<String> {
        let id = match what {
            Defined::Service(id) => id.as_str(),
            Defined::Check(id) => id.as_str(),
        };
        (id == "filed").then(|| "/etc/tidings/filed.json".to_owned())
    }

    fn reload(&self) -> ReloadFuture {
        let mut calls = self.0.lock().unwrap();
        calls.push("reload".to_owned());
        let failed = calls.len() > 1;
        Box::pin(async move {
            match failed {
                true => Err("filed.json:3: EOF".to_owned()),
                false => Ok(()),
            }
        })
    }

    fn leave(&self) {
        self.0.lock().unwrap().push("leave".to_owned());
    }

    fn keyring(&self, call: KeyringCall, everywhere: bool) -> KeyringFuture {
        let told = match &call {
            KeyringCall::Add { text } => format!("add {text}"),
            other => format!("{other:?}"),
        };
        let told = format!("keyring {told}, everywhere: {everywhere}");
        self.0.lock().unwrap().push(told);
        Box::pin(async move {
            match call {
                KeyringCall::Use { id } => Err(KeyringRefusal::Conflict(format!("n2 lacks {id}"))),
                KeyringCall::Remove { .. } => Err(KeyringRefusal::Misuse("no id".to_owned())),
                _ => Ok(KeyringReport {
                    reachable: 1,
                    keys: Vec::new(),
                    members: Vec::new(),
                }),
            }
        })
    }

    fn setup(&self) -> SetupFuture {
        let at = SocketAddr::from(([127, 0, 0, 1], 1));
        let setup = Setup {
            http: at,
            dns: at,
            advertised: at,
            seeds: Vec::new(),
            warnings: Vec::new(),
            data: None,
            open_files: None,
            definitions_refused: None,
        };
        Box::pin(std::future::ready(setup))
    }

    fn knock(&self, addresses: Vec<SocketAddr>) -> KnockFuture {
        // Nobody is at port 1.
        let answers = addresses.into_iter().map(|address| SeedAnswer {
            address,
            answer: match address.port() {
                1 => SeedAnswerKind::Silent,
                _ => SeedAnswerKind::Member,
            },
            detail: "no answer within 3 s".to_owned(),
        });
        Box::pin(std::future::ready(answers.collect()))
    }

    fn log(&self) -> Option<LogTap> {
        Some(self.1.clone())
    }

    fn metrics(&self, metrics: &mut Metrics) {
        let calls = self.0.lock().unwrap().len();
        metrics.counter("tidings_calls_total", "Calls of hooks.", calls);
    }
}
