//! Does a name server answer there? Over UDP and TCP, since clients need both.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// How long it may take: an agent answers from memory.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Asks for the start of authority of `consul.` over UDP.
///
/// # Errors
/// What is wrong, in words.
pub(super) async fn over_udp(at: SocketAddr) -> Result<(), String> {
    within(async {
        let any = if at.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(at).await?;
        socket.send(QUERY).await?;
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).await?;
        Ok(answers(&answer[..length]))
    })
    .await
}

/// The same over TCP.
///
/// # Errors
/// What is wrong, in words.
pub(super) async fn over_tcp(at: SocketAddr) -> Result<(), String> {
    within(async {
        let mut stream = TcpStream::connect(at).await?;
        let length = u16::try_from(QUERY.len()).unwrap_or_default();
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(QUERY).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok(answers(&answer))
    })
    .await
}

async fn within(asking: impl Future<Output = std::io::Result<bool>>) -> Result<(), String> {
    match timeout(ANSWER_WITHIN, asking).await {
        Err(_) => Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err("what answers is no name server".to_owned()),
    }
}

/// Whether it is an answer to [`QUERY`]: its number, marked as an answer.
fn answers(answer: &[u8]) -> bool {
    answer.len() >= 12 && answer[..2] == QUERY[..2] && answer[2] & 0x80 != 0
}

/// Number 0x7464, one question: `consul.`, SOA, IN.
const QUERY: &[u8] = b"\x74\x64\0\0\0\x01\0\0\0\0\0\0\x06consul\0\0\x06\0\x01";
