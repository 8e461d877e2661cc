//! A small deterministic world: members on one event heap, over links that can be cut.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidings_types::{NodeId, Timestamp};

use crate::{Config, MemberId, Membership, Output, PacketError, State};

pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) nodes: Vec<Option<Membership>>,
    /// Packets pass between nodes of equal sides only.
    pub(super) sides: Vec<usize>,
    /// In percent.
    pub(super) loss: u32,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    /// A hash over everything that was delivered, and when.
    pub(super) trace: u64,
    pub(super) contacts: Vec<(usize, NodeId)>,
    /// Whether a first contact pulls the peer's member list, as a node does.
    pub(super) pulls: bool,
    /// The node whose host refuses to send.
    pub(super) unsendable: Option<usize>,
    /// The first nodes that hear nothing.
    pub(super) deaf: usize,
    /// Sender, receiver and bytes of all that was sent, if asked for.
    pub(super) recorded: Option<Vec<(usize, usize, Vec<u8>)>>,
    ids: Vec<NodeId>,
    /// Until when each node stands still.
    paused: Vec<Timestamp>,
    config: Config,
    mail: BTreeMap<(Timestamp, u64), Letter>,
    posted: u64,
    rng: ChaCha8Rng,
    views_changed: bool,
}

struct Letter {
    from: usize,
    to: usize,
    receiver: Option<NodeId>,
    bytes: Vec<u8>,
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn node_id(node: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(node + 1).unwrap(); 16])
}

pub(super) fn addr(node: usize) -> SocketAddr {
    ([10, 0, 0, 1], 8_000 + u16::try_from(node).unwrap()).into()
}

pub(super) fn identity(node: usize, generation: u64) -> MemberId {
    MemberId {
        node: node_id(node),
        addr: addr(node),
        generation: 1_700_000_000_000 << 20 | generation,
    }
}

impl World {
    /// `size` nodes that have just started with the same full seed list.
    pub(super) fn boot(size: usize, seed: u64, config: Config) -> Self {
        let mut world = Self {
            now: Timestamp::from_micros(1_000_000),
            nodes: Vec::new(),
            sides: vec![0; size],
            loss: 0,
            packets: 0,
            bytes: 0,
            trace: 0,
            contacts: Vec::new(),
            pulls: false,
            unsendable: None,
            deaf: 0,
            recorded: None,
            paused: vec![Timestamp::ZERO; size],
            ids: (0..size).map(node_id).collect(),
            config,
            mail: BTreeMap::new(),
            posted: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            views_changed: true,
        };
        world.nodes.resize_with(size, || None);
        for node in 0..size {
            world.start(node, 1);
        }
        world
    }

    /// A cluster in which everybody knows everybody.
    pub(super) fn joined(size: usize, seed: u64, config: Config) -> Self {
        let mut world = Self::boot(size, seed, config);
        world.run_until_full(seconds(30)).expect("a cluster forms");
        // Some nodes start their periods at another phase than others.
        let settle = Duration::from_millis(world.rng.random_range(3_000..6_000));
        world.run(settle);
        world
    }

    pub(super) fn start(&mut self, node: usize, generation: u64) {
        self.start_as(node, identity(node, generation));
    }

    fn start_as(&mut self, node: usize, me: MemberId) {
        let seed = self.rng.random_range(0..u64::MAX);
        let mut membership = Membership::new(self.config.clone(), me, seed, self.now);
        let seeds = (0..self.nodes.len()).map(addr).collect();
        membership.set_seeds(self.now, seeds);
        self.nodes[node] = Some(membership);
        self.drain(node);
    }

    /// A node with another identity starts where `node` was.
    pub(super) fn take_over(&mut self, node: usize, me: MemberId) {
        self.ids[node] = me.node;
        self.start_as(node, me);
    }

    pub(super) fn kill(&mut self, node: usize) {
        self.nodes[node] = None;
        self.views_changed = true;
    }

    pub(super) fn node(&mut self, node: usize) -> &mut Membership {
        self.nodes[node].as_mut().expect("the node runs")
    }

    /// Calls a node and delivers what comes of it.
    pub(super) fn call<T>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Membership, Timestamp) -> T,
    ) -> T {
        let now = self.now;
        let result = act(self.node(node), now);
        self.drain(node);
        result
    }

    /// A node does nothing for `span`; then its timers come before the packets that waited.
    pub(super) fn pause(&mut self, node: usize, span: Duration) {
        self.paused[node] = self.now + span;
    }

    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `done` holds; how long that took, `None` if it did not within `limit`.
    pub(super) fn run_until(
        &mut self,
        limit: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let (start, end) = (self.now, self.now + limit);
        loop {
            if std::mem::take(&mut self.views_changed) && done(self) {
                return Some(self.now.since(start));
            }
            if !self.step(end) {
                self.now = end;
                return None;
            }
        }
    }

    /// Runs until every running node sees every other one alive.
    pub(super) fn run_until_full(&mut self, limit: Duration) -> Option<Duration> {
        self.run_until(limit, |world| {
            let up: Vec<_> = (0..world.nodes.len())
                .filter(|&n| world.nodes[n].is_some())
                .collect();
            up.iter().all(|&n| {
                up.iter()
                    .all(|&m| n == m || world.sees(n, m) == Some(State::Alive))
            })
        })
    }

    /// How `node` sees `other`.
    pub(super) fn sees(&self, node: usize, other: usize) -> Option<State> {
        let members = self.nodes[node].as_ref()?;
        members
            .members()
            .find(|member| member.node == node_id(other))
            .map(|member| member.state)
    }

    /// Cuts the links between groups of these sizes, in order; zero sizes mean everybody alone.
    pub(super) fn split(&mut self, groups: &[usize]) {
        let mut sides = groups
            .iter()
            .enumerate()
            .flat_map(|(side, &size)| std::iter::repeat_n(side, size));
        for (node, side) in self.sides.iter_mut().enumerate() {
            *side = sides.next().unwrap_or(1_000 + node);
        }
        self.views_changed = true;
    }

    pub(super) fn heal(&mut self) {
        self.sides.fill(0);
        self.views_changed = true;
    }

    fn step(&mut self, end: Timestamp) -> bool {
        let mail = self.mail.keys().next().map(|&(due, _)| due);
        let timer = (0..self.nodes.len())
            .filter_map(|n| {
                let due = self.nodes[n].as_ref()?.poll_timeout()?;
                Some((due.max(self.paused[n]), n))
            })
            .min();
        match (mail, timer) {
            (Some(due), timer) if due <= end && timer.is_none_or(|(at, _)| due <= at) => {
                let (_, letter) = self.mail.pop_first().expect("it was just seen");
                self.now = due;
                self.deliver(letter);
            }
            (_, Some((due, node))) if due <= end => {
                self.now = self.now.max(due);
                self.call(node, |membership, now| membership.handle_timeout(now));
            }
            _ => return false,
        }
        true
    }

    fn deliver(&mut self, letter: Letter) {
        if self.now <= self.paused[letter.to] {
            self.posted += 1;
            let due = self.paused[letter.to] + Duration::from_micros(1);
            self.mail.insert((due, self.posted), letter);
            return;
        }
        let Letter {
            from, to, bytes, ..
        } = letter;
        let sealed_for_another = letter.receiver.is_some_and(|node| node != self.ids[to]);
        let is_cut = self.sides[from] != self.sides[to] || to < self.deaf;
        if self.nodes[to].is_none() || is_cut || sealed_for_another {
            return;
        }
        self.note(&bytes);
        let sender = self.ids[from];
        let outcome = self.call(to, |membership, now| {
            membership.handle_packet(now, addr(from), sender, &bytes)
        });
        assert!(
            matches!(outcome, Ok(()) | Err(PacketError::FromMyself)),
            "members send valid packets: {outcome:?}"
        );
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.node(node).poll_output() {
            match output {
                Output::Packet {
                    to,
                    receiver,
                    bytes,
                } => self.post(node, to, receiver, bytes),
                Output::MembersChanged => self.views_changed = true,
                Output::FirstContact { node: peer, .. } => {
                    self.contacts.push((node, peer));
                    if self.pulls {
                        self.pull(node, peer);
                    }
                }
            }
        }
    }

    fn pull(&mut self, node: usize, peer: NodeId) {
        let peer = self.ids.iter().position(|id| *id == peer);
        let giver = peer.and_then(|peer| self.nodes[peer].as_ref());
        if let Some(list) = giver.map(Membership::snapshot) {
            let now = self.now;
            self.node(node).apply_snapshot(now, list);
        }
    }

    fn post(&mut self, from: usize, to: SocketAddr, receiver: Option<NodeId>, bytes: Vec<u8>) {
        assert!(bytes.len() <= crate::config::PACKET_BYTES);
        if self.unsendable == Some(from) {
            let now = self.now;
            self.node(from).send_failed(now, to);
            return;
        }
        self.packets += 1;
        self.bytes += u64::try_from(bytes.len()).unwrap();
        let to = usize::from(to.port() - 8_000);
        let delay = if self.config.jitter_percent == 0 {
            1_000
        } else {
            self.rng.random_range(200..2_000)
        };
        if let Some(recorded) = &mut self.recorded {
            recorded.push((from, to, bytes.clone()));
        }
        if to >= self.nodes.len() || self.rng.random_range(0..100) < self.loss {
            return;
        }
        self.posted += 1;
        let due = self.now + Duration::from_micros(delay);
        let letter = Letter {
            from,
            to,
            receiver,
            bytes,
        };
        self.mail.insert((due, self.posted), letter);
    }

    fn note(&mut self, bytes: &[u8]) {
        let at = self.now.as_micros().to_le_bytes();
        for byte in at.iter().chain(bytes) {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Median and slowest of some durations, for printing.
pub(super) fn spread(mut spans: Vec<Duration>) -> (Duration, Duration) {
    spans.sort_unstable();
    (spans[spans.len() / 2], spans[spans.len() - 1])
}

/// Prints a measured figure; seen with `--nocapture`.
#[expect(
    clippy::print_stdout,
    reason = "figures are for the one who runs the test"
)]
pub(super) fn report(figure: &str) {
    println!("{figure}");
}
