//! HTTPS: over real sockets on loopback.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::ground::Ground;
use crate::{Limits, Tls, serve_tls, tls::ALPN};

struct Running {
    addr: SocketAddr,
    tls: Tls,
    certificate: CertificateDer<'static>,
    ground: Ground,
}

fn config() -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let CertifiedKey { cert, signing_key } = made;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![ALPN.to_vec()];
    (Arc::new(config), cert.der().clone())
}

async fn run(limits: Limits) -> Running {
    let ground = Ground::with(limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (config, certificate) = config();
    let tls = Tls::new(config);
    let state = ground.state.clone();
    tokio::spawn(serve_tls(
        listener,
        tls.clone(),
        state,
        std::future::pending(),
    ));
    Running {
        addr,
        tls,
        certificate,
        ground,
    }
}

impl Running {
    async fn connect(
        &self,
        trusts: &CertificateDer<'static>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(trusts.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), ALPN.to_vec()];
        let stream = TcpStream::connect(self.addr).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await
    }
}

async fn ask(stream: &mut TlsStream<TcpStream>, host: &str) -> String {
    let request = format!("GET /v1/status/leader HTTP/1.1\r\nhost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 4_096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// Everything that comes until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    let _ = timeout(Duration::from_secs(10), read).await.unwrap();
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn connections_go_on_while_the_certificate_is_replaced() {
    let running = run(Limits::default()).await;
    let mut old = running.connect(&running.certificate).await.unwrap();
    let alpn = old.get_ref().1.alpn_protocol();
    assert_eq!(alpn, Some(ALPN), "HTTP/2 is not spoken here");
    assert!(ask(&mut old, "x").await.starts_with("HTTP/1.1 200 OK\r\n"));
    let (config, certificate) = config();
    running.tls.replace(config);
    let mut new = running.connect(&certificate).await.unwrap();
    // A name needs no look where a browser has seen a certificate that bears it.
    for stream in [&mut old, &mut new] {
        let answer = ask(stream, "registry.elsewhere.example").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    running.connect(&running.certificate).await.unwrap_err();
    assert_eq!(running.tls.handshakes(), 2);
}

#[tokio::test]
async fn who_is_slow_to_shake_hands_holds_up_nobody_and_is_cut_off() {
    let limits = Limits {
        handshake_timeout: Duration::from_millis(500),
        ..Limits::default()
    };
    let running = run(limits).await;
    let mut silent = TcpStream::connect(running.addr).await.unwrap();
    let mut slow = TcpStream::connect(running.addr).await.unwrap();
    slow.write_all(&[22, 3, 1]).await.unwrap();
    let mut quick = running.connect(&running.certificate).await.unwrap();
    assert!(ask(&mut quick, "x").await.starts_with("HTTP/1.1 200"));
    for stream in [&mut silent, &mut slow] {
        assert_eq!(rest(stream).await, "");
    }
    let mut plain = TcpStream::connect(running.addr).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let told = rest(&mut plain).await;
    assert!(told.ends_with("call it with https://\n"), "{told}");
    assert_eq!(running.tls.handshakes_failed(), 3);
    // Who only looks whether somebody listens has not failed at anything.
    drop(TcpStream::connect(running.addr).await.unwrap());
    let mut again = running.connect(&running.certificate).await.unwrap();
    assert!(ask(&mut again, "x").await.starts_with("HTTP/1.1 200"));
    assert_eq!(running.tls.handshakes_failed(), 3);
}

#[tokio::test]
async fn handshakes_hold_places_of_connections() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let running = run(limits).await;
    let held = TcpStream::connect(running.addr).await.unwrap();
    while running.ground.state.connections() == 0 {
        tokio::task::yield_now().await;
    }
    let mut other = TcpStream::connect(running.addr).await.unwrap();
    assert_eq!(rest(&mut other).await, "");
    drop(held);
    while running.ground.state.connections() == 1 {
        tokio::task::yield_now().await;
    }
    let mut next = running.connect(&running.certificate).await.unwrap();
    assert!(ask(&mut next, "x").await.starts_with("HTTP/1.1 200"));
}
