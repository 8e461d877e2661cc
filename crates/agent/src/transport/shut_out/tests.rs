#![cfg(target_os = "linux")]

use std::{io, net::UdpSocket, sync::Arc};

use super::*;
use crate::transport::counters::Tally;

const OURS: &[u8] = b"\x10 ours";
const QUIC: &[u8] = b"\x40 quic";
/// Far more than loopback takes, and spent only where something is wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// A socket as the agent binds it, and a plain one that reads from it.
fn bind(addr: &str) -> (Socket, UdpSocket) {
    let tally = Arc::new(Tally::new());
    let socket = Socket::bind(addr.parse().unwrap(), 1 << 20, tally).unwrap();
    let reader = socket.reader().unwrap();
    reader.set_nonblocking(false).unwrap();
    reader.set_read_timeout(Some(PATIENCE)).unwrap();
    (socket, reader)
}

fn send(from: &UdpSocket, socket: &Socket, bytes: &[u8]) {
    from.send_to(bytes, socket.bound()).unwrap();
}

/// The next datagram; what was sent before it on loopback has come before it or was dropped.
fn next(reader: &UdpSocket) -> io::Result<Vec<u8>> {
    let mut buffer = [0; 64];
    let (len, _) = reader.recv_from(&mut buffer)?;
    Ok(buffer[..len].to_vec())
}

fn only_our_datagrams_of_that_address_are_dropped(addr: &str) {
    let (socket, reader) = bind(addr);
    let [rogue, honest] = [(); 2].map(|()| UdpSocket::bind(addr).unwrap());
    let now = Instant::now();
    let mut shut_out = ShutOut::default();
    let from = rogue.local_addr().unwrap();
    assert!(shut_out.add(&socket, from, now));
    assert!(!shut_out.add(&socket, from, now), "it is shut out already");
    send(&rogue, &socket, OURS);
    send(&rogue, &socket, QUIC);
    send(&honest, &socket, OURS);
    assert_eq!(next(&reader).unwrap(), QUIC);
    assert_eq!(next(&reader).unwrap(), OURS);

    shut_out.relent(&socket, now + SPAN / 2);
    send(&rogue, &socket, OURS);
    send(&honest, &socket, QUIC);
    assert_eq!(next(&reader).unwrap(), QUIC);

    shut_out.relent(&socket, now + SPAN);
    assert_eq!(shut_out.pause(now), None);
    send(&rogue, &socket, OURS);
    assert_eq!(next(&reader).unwrap(), OURS);
}

#[tokio::test]
async fn over_ipv4_only_our_datagrams_of_that_address_are_dropped() {
    only_our_datagrams_of_that_address_are_dropped("127.0.0.1:0");
}

#[tokio::test]
async fn over_ipv6_only_our_datagrams_of_that_address_are_dropped() {
    only_our_datagrams_of_that_address_are_dropped("[::1]:0");
}

#[tokio::test]
async fn as_many_addresses_as_may_be_fit_one_program() {
    let (socket, reader) = bind("127.0.0.1:0");
    let rogue = UdpSocket::bind("127.0.0.1:0").unwrap();
    let now = Instant::now();
    let mut shut_out = ShutOut::default();
    for port in 1..ADDRESSES {
        let other = SocketAddr::new("2001:db8::1".parse().unwrap(), u16::try_from(port).unwrap());
        assert!(shut_out.add(&socket, other, now));
    }
    assert!(shut_out.add(&socket, rogue.local_addr().unwrap(), now));
    assert!(!shut_out.add(&socket, "127.0.0.1:1".parse().unwrap(), now));
    send(&rogue, &socket, OURS);
    send(&rogue, &socket, QUIC);
    assert_eq!(next(&reader).unwrap(), QUIC);
}
