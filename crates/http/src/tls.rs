//! HTTPS: the same API behind TLS.
//!
//! Each handshake takes the configuration that is in force then, so that certificates are replaced
//! while connections go on. A handshake holds a connection's place and has a limit of time; it runs
//! in the connection's own task, so that a slow client holds up nobody else.

use std::{io, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::figures::Count;

/// The protocol that is spoken behind TLS, by its ALPN name: a configuration offers it.
pub const ALPN: &[u8] = b"http/1.1";

/// What connections are secured with. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Tls {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ArcSwap<ServerConfig>,
    handshakes: Count,
    handshakes_failed: Count,
}

impl Tls {
    /// Begins with `config`.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self {
            inner: Arc::new(Inner {
                config: ArcSwap::new(config),
                handshakes: Count::default(),
                handshakes_failed: Count::default(),
            }),
        }
    }

    /// Takes `config` for all handshakes that begin from now on. Connections that there are go on.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.inner.config.store(config);
    }

    /// Handshakes that came to their end.
    pub fn handshakes(&self) -> u64 {
        self.inner.handshakes.get()
    }

    /// Handshakes that failed or took too long.
    pub fn handshakes_failed(&self) -> u64 {
        self.inner.handshakes_failed.get()
    }

    /// Secures `stream`, or says in the log why not. A client that goes without a word, as those do
    /// that only look whether somebody listens, is no failure.
    pub(crate) async fn secure(
        &self,
        stream: TcpStream,
        within: Duration,
    ) -> Option<TlsStream<TcpStream>> {
        let outcome = timeout(within, self.shake_hands(stream)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match outcome {
            Ok(None) => None,
            Ok(secured) => {
                self.inner.handshakes.add();
                secured
            }
            Err(error) => {
                self.inner.handshakes_failed.add();
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
        }
    }

    async fn shake_hands(&self, mut stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Ok(None);
        }
        if first != [HANDSHAKE] {
            tell_of_https(&mut stream).await?;
            return Err(io::Error::other("the client does not speak TLS"));
        }
        let acceptor = TlsAcceptor::from(self.inner.config.load_full());
        acceptor.accept(stream).await.map(Some)
    }
}

/// Answers a client that forgot the s of https, in the protocol that it speaks.
async fn tell_of_https(stream: &mut TcpStream) -> io::Result<()> {
    // A socket that is closed with something unread takes back what it was given to send.
    let _ = stream.read(&mut [0; 4_096]).await?;
    stream.write_all(WITHOUT_TLS).await
}

/// What a TLS handshake begins with: the type of its records (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
const WITHOUT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain\r\nconnection: close\r\ncontent-length: 46\r\n\r\n\
    this port speaks HTTPS: call it with https://\n";
