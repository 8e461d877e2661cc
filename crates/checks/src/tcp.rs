//! One run of a TCP check.

use std::time::Duration;

use tidings_types::CheckStatus;
use tokio::{net::TcpStream, time};

use crate::{probe::Found, tls::Dial};

/// Connects to `address` (`host:port`, an IPv6 address in brackets); each address that a host name
/// has is tried.
pub(crate) async fn run(address: &str, timeout: Duration) -> Found {
    match time::timeout(timeout, TcpStream::connect(address)).await {
        Ok(Ok(_connection)) => Found {
            status: CheckStatus::Passing,
            output: format!("TCP connect {address}: Success"),
        },
        Ok(Err(error)) => Found::critical(format!("dial tcp {address}: {error}")),
        Err(_elapsed) => Found::critical(format!("dial tcp {address}: i/o timeout")),
    }
}

/// Connects and shakes hands.
pub(crate) async fn run_tls(dial: &Dial, timeout: Duration) -> Found {
    let address = &dial.address;
    match time::timeout(timeout, dial.connect()).await {
        Ok(Ok(_connection)) => Found {
            status: CheckStatus::Passing,
            output: format!("TCP connect {address}: Success"),
        },
        Ok(Err(reason)) => Found::critical(reason),
        Err(_elapsed) => Found::critical(format!("dial tcp {address}: i/o timeout")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_listener_passes_and_a_closed_port_is_critical() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let found = run(&address, PATIENCE).await;
        assert_eq!(found.status, CheckStatus::Passing);
        assert_eq!(found.output, format!("TCP connect {address}: Success"));
        drop(listener);
        let found = run(&address, PATIENCE).await;
        assert_eq!(found.status, CheckStatus::Critical);
        assert!(found.output.contains("refused"), "{}", found.output);
    }

    #[tokio::test]
    async fn host_names_and_ipv6_literals_are_understood() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = run(&format!("localhost:{port}"), PATIENCE).await;
        assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
        // A host without IPv6 cannot show more than that the literal is refused politely.
        if let Ok(listener) = TcpListener::bind("[::1]:0").await {
            let address = listener.local_addr().unwrap().to_string();
            let found = run(&address, PATIENCE).await;
            assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
        }
    }

    #[tokio::test]
    async fn a_certificate_is_verified_unless_the_definition_says_otherwise() {
        let server = crate::fixture::TlsServer::start(b"h2", |_stream| async {}).await;
        let found = run_tls(&server.dial(true), PATIENCE).await;
        assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
        let found = run_tls(&server.dial(false), PATIENCE).await;
        assert_eq!(found.status, CheckStatus::Critical);
        assert!(found.output.contains("certificate"), "{}", found.output);
        assert_eq!(server.asked_for(), "service.test");
    }

    #[tokio::test]
    async fn an_address_without_a_port_is_critical_with_the_reason() {
        let found = run("localhost", PATIENCE).await;
        assert_eq!(found.status, CheckStatus::Critical);
        assert!(found.output.starts_with("dial tcp localhost: "));
    }
}
