//! A cluster of foca alone in an [`EventHeap`]: the speed that there is to lose.
//!
//! It has the same settings, encoding and randomness as the production membership, and its packets draw
//! their delays from the same [`Network`]. Everything else that a world does is missing:
//!
//! - no guard around foca: no watchdog, no jitter, no member list of its own, no second look at a packet;
//! - no records: no rumors, no fingerprints, no repairs, no roster, no frame around a packet;
//! - no disk, no clocks, no clients, no faults, no checkers;
//! - no hash of what happens, and no recording.
//!
//! So a rate of 100 % would mean that all of this costs nothing. That it is repeatable all the same comes
//! from its seeds.

use std::{error::Error, time::Duration};

use foca::{Foca, NoCustomBroadcast, Notification, Runtime, Timer};
use rand_chacha::ChaCha8Rng;
use tidings_membership::{Config, MemberId, bare};
use tidings_types::Timestamp;

use super::{CoreTime, Sample};
use crate::{
    heap::EventHeap,
    host::identity,
    link::{Link, Network},
    random::Stream,
    workload::{gossip_addr, host_at},
};

/// The generation of every node: each lives once.
const GENERATION: u64 = 1 << 32;
/// To how many nodes each announces itself, as the production seed list has it.
const SEEDS: usize = 3;

/// Runs `nodes` of them for `span`.
pub fn run(nodes: usize, span: Duration, seed: u64) -> Sample {
    let begun = CoreTime::now();
    let (messages, events) = play(nodes, span, seed, |_| ());
    Sample {
        runs: 1.0,
        messages: messages as f64,
        events: events as f64,
        seconds: span.as_secs_f64(),
        node_seconds: span.as_secs_f64() * nodes as f64,
        core: begun.elapsed(),
    }
}

/// What it takes to run a cluster; `watch` sees how many members each node has in the end.
fn play(nodes: usize, span: Duration, seed: u64, mut watch: impl FnMut(usize)) -> (u64, u64) {
    let config = Config::default();
    let mut swims: Vec<_> = (0..nodes)
        .map(|node| bare::foca(&config, member(seed, node), draw(seed, node), nodes))
        .collect();
    let mut world = World::new(seed, nodes);
    for (node, swim) in swims.iter_mut().enumerate() {
        for seed_node in (0..SEEDS.min(nodes)).filter(|&other| other != node) {
            let to = member(seed, seed_node);
            world.step(node, swim, |swim, port| swim.announce(to, port));
        }
    }
    let end = Timestamp::ZERO + span;
    let (mut messages, mut events) = (0, 0);
    while let Some((at, _, event)) = world.heap.pop() {
        if at > end {
            break;
        }
        events += 1;
        world.now = at;
        match event {
            Event::Packet { to, bytes } => {
                messages += 1;
                world.step(to, &mut swims[to], |swim, port| {
                    swim.handle_data(&bytes, port)
                });
            }
            Event::Timer { node, timer } => {
                world.step(node, &mut swims[node], |swim, port| {
                    swim.handle_timer(timer, port)
                });
            }
        }
    }
    swims.iter().for_each(|swim| watch(swim.num_members()));
    (messages, events)
}

fn member(seed: u64, node: usize) -> MemberId {
    MemberId {
        node: identity(seed, node, 0),
        addr: gossip_addr(node),
        generation: GENERATION,
    }
}

fn draw(seed: u64, node: usize) -> u64 {
    Stream::new(seed, &format!("node/{node}")).draw(1)
}

#[derive(Debug)]
struct World {
    now: Timestamp,
    heap: EventHeap<Event>,
    network: Network,
    nodes: usize,
}

#[derive(Debug)]
enum Event {
    Packet { to: usize, bytes: Vec<u8> },
    Timer { node: usize, timer: Timer<MemberId> },
}

impl World {
    fn new(seed: u64, nodes: usize) -> Self {
        Self {
            now: Timestamp::ZERO,
            heap: EventHeap::default(),
            network: Network::new(seed, nodes, Link::default()),
            nodes,
        }
    }

    /// Lets one node do something; what it asks for goes straight into the heap.
    fn step<C: foca::Codec<MemberId, Error: Error + Send + Sync + 'static>>(
        &mut self,
        node: usize,
        swim: &mut Swim<C>,
        act: impl FnOnce(&mut Swim<C>, Port<'_>) -> Result<(), foca::Error>,
    ) {
        // What foca complains of, such as a packet for a former identity, it drops.
        drop(act(swim, Port { world: self, node }));
    }
}

type Swim<C> = Foca<MemberId, C, ChaCha8Rng, NoCustomBroadcast>;

/// What one node's foca asks for.
struct Port<'a> {
    world: &'a mut World,
    node: usize,
}

impl Runtime<MemberId> for Port<'_> {
    fn notify(&mut self, _: Notification<'_, MemberId>) {}

    fn send_to(&mut self, to: MemberId, data: &[u8]) {
        let Some(target) = host_at(to.addr, self.world.nodes) else {
            return;
        };
        let arrivals = self.world.network.datagram(self.node, target);
        for delay in arrivals.into_iter().flatten() {
            let packet = Event::Packet {
                to: target,
                bytes: data.to_vec(),
            };
            self.world.heap.push(self.world.now + delay, packet);
        }
    }

    fn submit_after(&mut self, timer: Timer<MemberId>, after: Duration) {
        let node = self.node;
        let due = self.world.now + after;
        self.world.heap.push(due, Event::Timer { node, timer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_nodes_find_each_other_and_go_on_probing() {
        let span = Duration::from_secs(60);
        let mut members = Vec::new();
        let (messages, events) = play(5, span, 1, |known| members.push(known));
        assert_eq!(members, [4; 5]);
        // A ping and its answer per node and second.
        assert!(messages > 2 * 5 * 55, "{messages} messages");
        assert!(events > messages);
        assert_eq!(play(5, span, 1, |_| ()), (messages, events));
    }
}
