//! The server that an agent is compared with: the same HTTP library, which returns bytes that it has.

use std::{env, fs, net::SocketAddr, path::Path, process::Command};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderName, HeaderValue, Request},
    response::Response,
};

use crate::{
    agent::{Server, free},
    client::Reply,
};

/// Set for the process that is this server: where it listens, and where its answer is.
const AT: &str = "TIDINGS_BENCH_CONSTANT_AT";
const ANSWER: &str = "TIDINGS_BENCH_CONSTANT_ANSWER";

/// Whether this process is to be the server.
pub(crate) fn is_wanted() -> bool {
    env::var_os(AT).is_some()
}

/// Starts a server that gives this answer to every request, head and all.
pub(crate) fn start(reply: &Reply, dir: &Path) -> Server {
    let answer = dir.join("answer");
    let whole = [reply.head.as_bytes(), &reply.body].concat();
    fs::write(&answer, whole).expect("the temporary directory can be written");
    let http = free();
    let mut command = Command::new(env::current_exe().expect("this program is a file"));
    command.env(AT, http.to_string()).env(ANSWER, &answer);
    Server::start(command, http)
}

/// Is the server until it is killed.
pub(crate) fn serve() {
    let at: SocketAddr = env::var(AT).ok().and_then(|at| at.parse().ok()).expect(AT);
    let answer = fs::read(env::var_os(ANSWER).expect(ANSWER)).expect("the answer is there");
    let (headers, body) = parse(&answer);
    // As an agent's binary makes it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime starts").block_on(async {
        let listener = tokio::net::TcpListener::bind(at)
            .await
            .expect("the port is free");
        let router = Router::new().fallback(move |_: Request<axum::body::Body>| {
            let mut response = Response::new(axum::body::Body::from(body.clone()));
            for (name, value) in &headers {
                response.headers_mut().insert(name, value.clone());
            }
            std::future::ready(response)
        });
        axum::serve(listener, router)
            .await
            .expect("it serves until it is killed");
    });
}

/// The headers that a handler sets, and the body.
fn parse(answer: &[u8]) -> (Vec<(HeaderName, HeaderValue)>, Bytes) {
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head")
        + 4;
    let head = String::from_utf8_lossy(&answer[..end]);
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let headers = headers
        .filter(|(name, _)| !["content-length", "date"].contains(&&*name.to_lowercase()))
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("an agent's header");
            (
                name,
                HeaderValue::from_str(value.trim()).expect("an agent's header"),
            )
        })
        .collect();
    (headers, Bytes::copy_from_slice(&answer[end..]))
}
