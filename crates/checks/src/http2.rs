//! HTTP/2 connections of checks, and one run of a check that pings one.

use std::time::Duration;

use bytes::Bytes;
use h2::{Ping, client::Connection};
use tidings_types::{CheckStatus, Endpoint};
use tokio::{task::JoinHandle, time};

use crate::{
    probe::Found,
    tls::{Dial, Stream},
};

/// The task that moves a connection's frames; it ends with this.
pub(crate) struct Speaking(JoinHandle<()>);

impl Speaking {
    pub(crate) fn new(connection: Connection<Box<dyn Stream>, Bytes>) -> Self {
        Self(tokio::spawn(async move {
            // Whoever waits for an answer on it is told the error too.
            let _ = connection.await;
        }))
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A check that pings an HTTP/2 server.
#[derive(Clone)]
pub(crate) struct PingProbe(Dial);

impl PingProbe {
    /// Checks the definition. An error is a reason for people.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Self, String> {
        Dial::new(endpoint, &endpoint.address, &[b"h2"]).map(Self)
    }

    /// Pings once.
    pub(crate) async fn run(&self, timeout: Duration) -> Found {
        match time::timeout(timeout, self.ping()).await {
            Ok(Ok(())) => Found {
                status: CheckStatus::Passing,
                output: "HTTP2 ping was successful".to_owned(),
            },
            Ok(Err(reason)) => Found::critical(format!("HTTP2 ping failed: {reason}")),
            Err(_elapsed) => {
                Found::critical(format!("HTTP2 ping failed: no answer within {timeout:?}"))
            }
        }
    }

    async fn ping(&self) -> Result<(), String> {
        let stream = self.0.connect().await?;
        let handshake = h2::client::handshake(stream).await;
        let (_client, mut connection) = handshake.map_err(|error| error.to_string())?;
        let mut pings = connection
            .ping_pong()
            .ok_or("the connection takes no ping")?;
        let _speaking = Speaking::new(connection);
        let pong = pings.ping(Ping::opaque()).await;
        pong.map(drop).map_err(|error| error.to_string())
    }
}
