//! Connections and their limits.

use std::{convert::Infallible, io, io::Write as _, time::Duration};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    routes::{self, Channel},
    state::HttpState,
    tls::Tls,
};

/// Answers HTTP on `listener` until `shutdown` completes.
///
/// Then blocking queries are answered with what there is, requests under way get a second to end,
/// and every connection is closed. A connection that fails concerns nobody but its client.
pub async fn serve(listener: TcpListener, state: HttpState, shutdown: impl Future<Output = ()>) {
    let server = Server { state, tls: None };
    server.run(listener, shutdown).await;
}

/// As [`serve`], over TLS: connections count towards the same limits.
pub async fn serve_tls(
    listener: TcpListener,
    tls: Tls,
    state: HttpState,
    shutdown: impl Future<Output = ()>,
) {
    let tls = Some(tls);
    let server = Server { state, tls };
    server.run(listener, shutdown).await;
}

#[derive(Clone)]
struct Server {
    state: HttpState,
    tls: Option<Tls>,
}

impl Server {
    async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => {
                    let stream = match accepted {
                        Ok((stream, _)) => stream,
                        Err(error) => {
                            self.state.figures().accepts_failed.add();
                            pause_after(&error).await;
                            continue;
                        }
                    };
                    match self.state.place() {
                        Some(place) => {
                            connections.spawn(self.clone().connection(stream, place));
                        }
                        None if self.tls.is_none() => turn_away(stream),
                        // Over TLS a word would cost a handshake.
                        None => {}
                    }
                }
                // Ended connections are taken off, so that the set is as large as the open ones.
                Some(_) = connections.join_next() => {}
            }
        }
        self.state.close();
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(GRACE, ended).await.is_err() {
            tracing::debug!("some HTTP connections did not end in time and are cut");
        }
        connections.shutdown().await;
    }

    async fn connection(self, stream: TcpStream, _place: OwnedSemaphorePermit) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let Some(tls) = &self.tls else {
            return self.answer(stream, Channel::Plain).await;
        };
        let within = self.state.limits().handshake_timeout;
        tokio::select! {
            secured = tls.secure(stream, within) => if let Some(stream) = secured {
                self.answer(stream, Channel::Tls).await;
            },
            // Who has not finished a handshake by now has asked for nothing.
            () = self.state.closed() => {}
        }
    }

    /// Answers the requests that come on `stream`.
    async fn answer(&self, stream: impl AsyncRead + AsyncWrite + Unpin, channel: Channel) {
        let limits = self.state.limits();
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            // As Go writes them, for clients that compare the bytes.
            .title_case_headers(true)
            .header_read_timeout(limits.read_timeout)
            // It takes a hundred headers; to say so would cost each request a list on the heap.
            .max_buf_size(limits.head_bytes.max(HEAD_BYTES_MIN));
        // Not by way of the router, which clones itself and puts its answers into boxes for each request.
        let service = service_fn(async |request: hyper::Request<Incoming>| {
            Ok::<_, Infallible>(routes::answer(&self.state, channel, request).await)
        });
        let served = builder.serve_connection(TokioIo::new(stream), service);
        let mut served = std::pin::pin!(served);
        let ended = tokio::select! {
            ended = served.as_mut() => ended,
            () = self.state.closed() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = ended {
            self.state.figures().connections_failed.add();
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Tells a client that there is no place for it, if its socket takes that without waiting.
fn turn_away(stream: TcpStream) {
    // Not by way of the runtime, which may not know yet that the new socket takes something.
    let told = stream
        .into_std()
        .and_then(|mut stream| stream.write_all(NO_PLACE));
    if told.is_err() {
        tracing::debug!("a connection above the limit was closed without a word");
    }
}

/// Waits a little where the error concerns this agent rather than one connection: without it, being
/// out of file descriptors would turn into a busy loop.
async fn pause_after(error: &io::Error) {
    let of_the_peer = [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionRefused,
    ];
    if !of_the_peer.contains(&error.kind()) {
        tracing::warn!(%error, "cannot accept HTTP connections; trying again");
        sleep(ACCEPT_PAUSE).await;
    }
}

const NO_PLACE: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\n\
    content-type: text/plain\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 42\r\n\r\n\
    this agent has no place for one connection";

/// How long requests may go on after the shutdown.
const GRACE: Duration = Duration::from_secs(1);
/// How long nothing is accepted after accepting failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The HTTP library takes no smaller buffer.
const HEAD_BYTES_MIN: usize = 8_192;
