//! Stands in front of agents' gossip ports: hands every packet on, counts it, and remembers some.
//!
//! Agents that advertise the address of a relay reach each other through it alone, both ways, so a
//! story knows to the packet what each of them was sent.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Packets of ours that are remembered for each agent, the latest ones.
const REMEMBERED: usize = 512;
/// Bytes of the largest packet.
const PACKET_BYTES: usize = 65_536;

/// What all relays of a story hand on.
#[derive(Clone, Debug, Default)]
pub struct Relays(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Held while a packet is handed on and counted; whoever holds it stops all traffic.
    gate: Mutex<Traffic>,
    /// Packets that could not be handed on.
    failed: AtomicU64,
}

/// What was handed on so far.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: BTreeMap<SocketAddr, u64>,
    seen: BTreeMap<SocketAddr, VecDeque<Vec<u8>>>,
}

impl Traffic {
    /// How many packets `agent` was sent.
    pub fn sent(&self, agent: SocketAddr) -> u64 {
        self.sent.get(&agent).copied().unwrap_or_default()
    }

    /// The latest sealed datagrams that `agent` was sent.
    pub fn captured(&self, agent: SocketAddr) -> Vec<Vec<u8>> {
        let seen = self.seen.get(&agent).into_iter().flatten();
        seen.cloned().collect()
    }
}

impl Relays {
    /// Hands on to `agent` what comes to `public`, and back what the agent answers.
    ///
    /// # Panics
    /// If `public` is taken.
    pub fn open(&self, public: SocketAddr, agent: SocketAddr) {
        let front = UdpSocket::bind(public).expect("a free address can be bound");
        let front = Arc::new(front);
        let relays = self.clone();
        thread::spawn(move || relays.forward(&front, agent));
    }

    /// Stops all traffic until what comes back is dropped; packets wait in the relays' sockets.
    ///
    /// # Panics
    /// If a relay has panicked.
    pub fn pause(&self) -> MutexGuard<'_, Traffic> {
        self.0.gate.lock().expect("no relay panics")
    }

    /// Packets that could not be handed on.
    pub fn failed(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }

    /// One socket per sender stands for it towards the agent, as a NAT does it.
    fn forward(&self, front: &Arc<UdpSocket>, agent: SocketAddr) {
        let mut backs: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
        let mut buffer = vec![0; PACKET_BYTES];
        loop {
            // An error is an earlier packet's; the story ends with the process.
            let Ok((len, from)) = front.recv_from(&mut buffer) else {
                continue;
            };
            let back = backs.entry(from).or_insert_with(|| {
                let back = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
                let back = Arc::new(back);
                let (relays, front) = (self.clone(), Arc::clone(front));
                let socket = Arc::clone(&back);
                thread::spawn(move || relays.give_back(&socket, &front, from));
                back
            });
            self.pass(back, agent, &buffer[..len]);
        }
    }

    fn give_back(&self, back: &UdpSocket, front: &UdpSocket, to: SocketAddr) {
        let mut buffer = vec![0; PACKET_BYTES];
        loop {
            if let Ok(len) = back.recv(&mut buffer) {
                self.pass(front, to, &buffer[..len]);
            }
        }
    }

    fn pass(&self, socket: &UdpSocket, to: SocketAddr, packet: &[u8]) {
        let mut traffic = self.pause();
        if socket.send_to(packet, to).is_err() {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        *traffic.sent.entry(to).or_default() += 1;
        if packet.first().is_some_and(|&first| first >> 6 == 0) {
            let seen = traffic.seen.entry(to).or_default();
            if seen.len() >= REMEMBERED {
                seen.pop_front();
            }
            seen.push_back(packet.to_vec());
        }
    }
}

/// The first `count` packets that come to a socket.
///
/// # Panics
/// If they do not come within `patience`.
pub fn receive(socket: &UdpSocket, count: usize, patience: Duration) -> Vec<Vec<u8>> {
    socket
        .set_read_timeout(Some(patience))
        .expect("a span above zero can be set");
    let mut buffer = vec![0; PACKET_BYTES];
    let mut packets = Vec::new();
    while packets.len() < count {
        let len = socket.recv(&mut buffer).expect("packets in time");
        packets.push(buffer[..len].to_vec());
    }
    packets
}
