//! One run of a UDP check.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tidings_types::CheckStatus;
use tokio::{
    net::{UdpSocket, lookup_host},
    time,
};

use crate::probe::Found;

/// How long "port unreachable" is waited for. A service need not answer an empty datagram, so
/// silence passes.
const SILENCE: Duration = Duration::from_secs(1);

/// Sends an empty datagram to `address` (`host:port`).
pub(crate) async fn run(address: &str, timeout: Duration) -> Found {
    match time::timeout(timeout, ask(address, timeout.min(SILENCE))).await {
        Ok(Err(error)) => Found::critical(format!("dial udp {address}: {error}")),
        Ok(Ok(())) | Err(_) => Found {
            status: CheckStatus::Passing,
            output: format!("UDP connect {address}: Success"),
        },
    }
}

async fn ask(address: &str, silence: Duration) -> io::Result<()> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for to in lookup_host(address).await? {
        match ask_one(to, silence).await {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ask_one(to: SocketAddr, silence: Duration) -> io::Result<()> {
    let from: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(from).await?;
    socket.connect(to).await?;
    socket.send(&[]).await?;
    match time::timeout(silence, socket.recv(&mut [0; 1])).await {
        Ok(answer) => answer.map(drop),
        Err(_silence) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_port_passes_though_it_is_silent_and_a_closed_one_is_critical() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let found = run(&address, Duration::from_secs(10)).await;
        assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
        drop(socket);
        let found = run(&address, Duration::from_secs(10)).await;
        assert_eq!(found.status, CheckStatus::Critical);
        assert!(found.output.contains("refused"), "{}", found.output);
        let found = run("nowhere", Duration::from_secs(10)).await;
        assert_eq!(found.status, CheckStatus::Critical);
    }
}
