use http::{HeaderValue, Response};
use tidings_types::Text;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};

use super::*;
use crate::{fixture::TlsServer, http2::PingProbe};

const PATIENCE: Duration = Duration::from_secs(10);

/// A health server that knows three services.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(request.headers()["te"], "trailers");
            let mut asked = Vec::new();
            let mut body = request.into_body();
            while let Some(data) = body.data().await {
                asked.extend_from_slice(&data.unwrap());
            }
            let mut trailers = HeaderMap::new();
            let (message, code): (&[u8], &str) = match asked.get(7..).unwrap_or_default() {
                b"" | b"up" => (&[0, 0, 0, 0, 2, 8, 1], "0"),
                // A later version may say more, which is skipped.
                b"more" => (&[0, 0, 0, 0, 6, 18, 2, 1, 1, 8, 1], "0"),
                b"down" => (&[0, 0, 0, 0, 2, 8, 2], "0"),
                b"garbage" => (&[1, 2, 3], "0"),
                b"endless" => (&[0; 8_192], "0"),
                _ => {
                    trailers.insert("grpc-message", HeaderValue::from_static("unknown service"));
                    (&[], "5")
                }
            };
            trailers.insert("grpc-status", HeaderValue::from_str(code).unwrap());
            let mut send = respond.send_response(Response::new(()), false).unwrap();
            send.send_data(Bytes::copy_from_slice(message), false)
                .unwrap();
            // The client may have hung up.
            let _ = send.send_trailers(trailers);
        });
    }
}

async fn plain_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

fn plain(address: String) -> Endpoint {
    Endpoint {
        address: address.into(),
        use_tls: false,
        tls_skip_verify: false,
        tls_server_name: Text::new(),
    }
}

async fn ask(endpoint: &Endpoint) -> Found {
    GrpcProbe::new(endpoint).unwrap().run(PATIENCE).await
}

#[tokio::test]
async fn a_grpc_server_is_asked_for_itself_or_for_one_service() {
    let address = plain_server().await;
    for target in [
        address.clone(),
        format!("{address}/up"),
        format!("{address}/more"),
    ] {
        let found = ask(&plain(target.clone())).await;
        assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
        assert_eq!(found.output, format!("gRPC check {target}: success"));
    }
    for (service, said) in [
        ("down", "serving status: NOT_SERVING"),
        ("nobody", "rpc error: code = 5 desc = unknown service"),
        ("garbage", "no message of grpc.health.v1"),
        ("endless", "too long"),
    ] {
        let found = ask(&plain(format!("{address}/{service}"))).await;
        assert_eq!(found.status, CheckStatus::Critical);
        assert!(found.output.contains(said), "{}", found.output);
    }
}

#[tokio::test]
async fn grpc_speaks_tls_and_verifies_it_unless_told_otherwise() {
    let server = TlsServer::start(b"h2", serve).await;
    let found = ask(&server.endpoint(true)).await;
    assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
    assert_eq!(server.asked_for(), "service.test");
    let found = ask(&server.endpoint(false)).await;
    assert_eq!(found.status, CheckStatus::Critical);
    assert!(found.output.contains("certificate"), "{}", found.output);
    let ping = PingProbe::new(&server.endpoint(true)).unwrap();
    let found = ping.run(PATIENCE).await;
    assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
}

#[tokio::test]
async fn what_does_not_speak_http2_is_critical() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.try_write(b"220 mail.example ESMTP\r\n").unwrap();
        }
    });
    let found = ask(&plain(address.clone())).await;
    assert_eq!(found.status, CheckStatus::Critical);
    let ping = PingProbe::new(&plain(address)).unwrap();
    let found = ping.run(PATIENCE).await;
    assert_eq!(found.status, CheckStatus::Critical);
    assert!(found.output.starts_with("HTTP2 ping failed"));
}

#[tokio::test]
async fn an_http2_server_answers_a_ping() {
    let ping = PingProbe::new(&plain(plain_server().await)).unwrap();
    let found = ping.run(PATIENCE).await;
    assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
    assert_eq!(found.output, "HTTP2 ping was successful");
}

#[test]
fn a_long_name_of_a_service_has_a_long_length() {
    let framed = request_for(&"s".repeat(300));
    assert_eq!(&framed[..8], [0, 0, 0, 1, 47, 10, 0xac, 2]);
    assert_eq!(framed.len(), 5 + 3 + 300);
}
