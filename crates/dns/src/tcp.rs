//! The TCP socket.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{Dns, Transport, figures::Counters};

/// Connections at the same time; further ones are closed at once.
pub const TCP_CONNECTIONS: usize = 256;
/// Bytes of one query over TCP; a client that states more is cut off.
pub const TCP_QUERY_BYTES: usize = 4_096;
/// Bytes of answers that are collected before they are written.
const BATCH_BYTES: usize = 64 << 10;
/// Bytes of the length before each message.
const PREFIX_BYTES: usize = 2;
/// The pause after the listener failed, for instance for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections; dropped, it closes all of them.
pub(crate) async fn serve(dns: &Dns, listener: &TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a DNS connection ended badly");
                }
                continue;
            }
        };
        match accepted {
            Ok(_) if connections.len() >= TCP_CONNECTIONS => {
                Counters::add(&dns.counters().tcp_refused);
            }
            Ok((stream, from)) => {
                let dns = dns.clone();
                connections.spawn(async move {
                    if let Err(error) = converse(&dns, stream).await {
                        tracing::debug!(%error, %from, "a DNS connection was closed");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no DNS connection could be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Answers the queries of one connection, however many are sent before the first answer is read.
async fn converse(dns: &Dns, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let patience = dns.settings().tcp_idle;
    let mut queries = vec![0; PREFIX_BYTES + TCP_QUERY_BYTES];
    let mut filled = 0;
    let mut answers = Vec::new();
    loop {
        let read = timeout(patience, stream.read(&mut queries[filled..])).await??;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let mut done = 0;
        while let Some(query) = first_message(&queries[done..filled])? {
            done += PREFIX_BYTES + query.len();
            Counters::add(&dns.counters().tcp);
            if let Some(answer) = dns.answer(query, Transport::Tcp) {
                let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
                answers.extend_from_slice(&length.to_be_bytes());
                answers.extend_from_slice(&answer);
            }
            if answers.len() >= BATCH_BYTES {
                flush(&mut stream, &mut answers, patience).await?;
            }
        }
        flush(&mut stream, &mut answers, patience).await?;
        queries.copy_within(done..filled, 0);
        filled -= done;
    }
}

/// The first message in `bytes`; `None` if more must be read.
fn first_message(bytes: &[u8]) -> io::Result<Option<&[u8]>> {
    let Some((&[high, low], rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > TCP_QUERY_BYTES {
        return Err(io::Error::other(format!(
            "a query of {length} bytes; the limit is {TCP_QUERY_BYTES}"
        )));
    }
    Ok(rest.get(..length))
}

async fn flush(
    stream: &mut TcpStream,
    answers: &mut Vec<u8>,
    patience: Duration,
) -> io::Result<()> {
    timeout(patience, stream.write_all(answers)).await??;
    answers.clear();
    Ok(())
}
