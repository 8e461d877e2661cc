//! Connections: over real sockets on loopback.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use super::ground::Ground;
use crate::{Limits, serve};

struct Running {
    addr: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    ground: Ground,
}

async fn run(limits: Limits) -> Running {
    let ground = Ground::with(limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let served = tokio::spawn(serve(listener, ground.state.clone(), shutdown));
    Running {
        addr,
        stop,
        served,
        ground,
    }
}

/// Sends `text` and reads until the server closes.
async fn talk(addr: std::net::SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let _ = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = timeout(Duration::from_secs(10), read).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_request_over_a_socket_is_answered() {
    let running = run(Limits::default()).await;
    let request = "GET /v1/status/leader HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = talk(running.addr, request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\"10.0.0.1:8301\""), "{answer}");
}

#[tokio::test]
async fn hostile_heads_are_refused() {
    let running = run(Limits::default()).await;
    let garbage = talk(running.addr, "\0\u{1}garbage\r\n\r\n").await;
    assert!(garbage.starts_with("HTTP/1.1 400"), "{garbage}");
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(80_000));
    let long = talk(running.addr, &long).await;
    assert!(
        long.starts_with("HTTP/1.1 431") || long.starts_with("HTTP/1.1 414"),
        "{long}"
    );
    let headers = "a: b\r\n".repeat(200);
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let many = talk(running.addr, &many).await;
    assert!(many.starts_with("HTTP/1.1 431"), "{many}");
}

#[tokio::test]
async fn a_head_or_body_that_never_comes_is_cut_off() {
    let limits = Limits {
        read_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let running = run(limits).await;
    talk(running.addr, "GET / HTTP/1.1\r\n").await;
    let body = "PUT /v1/agent/service/register HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{";
    let answer = talk(running.addr, body).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn connections_above_the_limit_are_told_so() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let running = run(limits).await;
    let mut first = TcpStream::connect(running.addr).await.unwrap();
    let request = "GET /v1/status/leader HTTP/1.1\r\nhost: x\r\n\r\n";
    first.write_all(request.as_bytes()).await.unwrap();
    let mut byte = [0; 1];
    first.read_exact(&mut byte).await.unwrap();
    let second = talk(running.addr, "").await;
    assert!(second.starts_with("HTTP/1.1 429"), "{second}");
    assert!(second.contains("retry-after: 1"));
    assert!(second.ends_with("no place for one connection"));
    let metrics = running.ground.get("/v1/tidings/metrics").await.body;
    assert!(
        metrics.contains("\ntidings_http_connections 1\n"),
        "{metrics}"
    );
    assert!(metrics.contains("\ntidings_http_connections_refused_total 1\n"));
}

#[tokio::test]
async fn the_end_answers_who_waits_and_closes_who_idles() {
    let running = run(Limits::default()).await;
    let _idle = TcpStream::connect(running.addr).await.unwrap();
    let index = running.ground.get("/v1/catalog/nodes").await.index();
    let addr = running.addr;
    let waiting = tokio::spawn(async move {
        let path = format!("/v1/catalog/nodes?index={index}&wait=10m");
        talk(addr, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await
    });
    while running.ground.view.watched() == 0 {
        tokio::task::yield_now().await;
    }
    running.stop.send(()).unwrap();
    let answer = waiting.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    timeout(Duration::from_secs(10), running.served)
        .await
        .unwrap()
        .unwrap();
}
