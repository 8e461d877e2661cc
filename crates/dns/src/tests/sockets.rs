//! Around the sockets.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

struct Server {
    udp: SocketAddr,
    tcp: SocketAddr,
    dns: Dns,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(change: impl FnOnce(&mut DnsSettings)) -> Server {
    let mut world = World::new();
    world.instance(ME, "web", |_| {});
    let dns = world.dns_with(change);
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (udp_address, tcp_address) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
    let serving = dns.clone();
    let task = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        serving.serve(udp, tcp, stopped).await;
    });
    Server {
        udp: udp_address,
        tcp: tcp_address,
        dns,
        stop,
        task,
    }
}

fn framed(query: &Message) -> Vec<u8> {
    let bytes = query.to_vec().unwrap();
    let mut frame = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(bytes);
    frame
}

async fn next(stream: &mut TcpStream) -> Message {
    let length = timeout(PATIENCE, stream.read_u16()).await.unwrap().unwrap();
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await.unwrap();
    Message::from_vec(&bytes).unwrap()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap();
    matches!(read, Ok(0) | Err(_))
}

#[tokio::test]
async fn both_sockets_answer_until_the_shutdown() {
    let server = start(|_| {}).await;
    let asked = query("web.service.consul.", RecordType::A, None);

    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // A stump is dropped and does not disturb what follows.
    client.send_to(&[1, 2, 3], server.udp).await.unwrap();
    client
        .send_to(&asked.to_vec().unwrap(), server.udp)
        .await
        .unwrap();
    let mut bytes = [0; 512];
    let (length, from) = timeout(PATIENCE, client.recv_from(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(from, server.udp);
    assert_eq!(
        addresses(&Message::from_vec(&bytes[..length]).unwrap()).len(),
        1
    );

    let mut stream = TcpStream::connect(server.tcp).await.unwrap();
    stream.write_all(&framed(&asked)).await.unwrap();
    assert_eq!(addresses(&next(&mut stream).await).len(), 1);
    let figures = server.dns.figures();
    assert_eq!((figures.udp, figures.tcp, figures.dropped), (2, 1, 1));

    server.stop.send(()).unwrap();
    server.task.await.unwrap();
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn queries_over_tcp_may_be_pipelined_and_come_in_pieces() {
    let server = start(|_| {}).await;
    let mut stream = TcpStream::connect(server.tcp).await.unwrap();
    let queries: Vec<Message> = (0..200)
        .map(|_| query("web.service.consul.", RecordType::SRV, None))
        .collect();
    let bytes: Vec<u8> = queries.iter().flat_map(framed).collect();
    for piece in bytes.chunks(997) {
        stream.write_all(piece).await.unwrap();
    }
    for query in &queries {
        let answer = next(&mut stream).await;
        assert_eq!(answer.metadata.id, query.metadata.id);
        assert_eq!(answer.answers.len(), 1);
    }
    drop(stream);
    server.task.abort();
}

#[tokio::test]
async fn a_silent_or_excessive_tcp_client_is_cut_off() {
    let server = start(|settings| settings.tcp_idle = Duration::from_millis(50)).await;
    let mut silent = TcpStream::connect(server.tcp).await.unwrap();
    assert!(is_closed(&mut silent).await);
    let mut excessive = TcpStream::connect(server.tcp).await.unwrap();
    excessive.write_all(&[0xff, 0xff, 0]).await.unwrap();
    assert!(is_closed(&mut excessive).await);
    server.task.abort();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let server = start(|_| {}).await;
    let mut held = Vec::new();
    for _ in 0..crate::TCP_CONNECTIONS {
        let mut stream = TcpStream::connect(server.tcp).await.unwrap();
        let asked = query("web.service.consul.", RecordType::A, None);
        stream.write_all(&framed(&asked)).await.unwrap();
        next(&mut stream).await;
        held.push(stream);
    }
    let mut further = TcpStream::connect(server.tcp).await.unwrap();
    assert!(is_closed(&mut further).await);
    assert_eq!(server.dns.figures().tcp_refused, 1);
    server.task.abort();
}
