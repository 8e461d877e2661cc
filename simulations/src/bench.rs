//! How fast the simulator is, beside foca alone in the same event heap.
//!
//! The measured world is the one that every run uses: production nodes, links, disks, and every checker
//! on. What it is compared with ([`bare`]) is foca with the production settings and encoding and a
//! world around it that is as small as can be, over the same links, in the same kind of heap, on the
//! same thread. Both take turns within one program, so that a busy machine slows both down.
//!
//! Time is the core's that the thread really had ([`CoreTime`]): other programs cost it little.
//!
//! Where the time goes, counted in instructions of the release build (callgrind): of a world of 20 nodes
//! two thirds are [`Node::handle`](tidings_node::Node::handle), which is what runs in an agent. Of the whole,
//! 25 % handle membership packets (14 % foca itself), 14 % serve timers, 8 % show who was heard. The world
//! around the nodes takes a third: outputs, heap, links, hash, read view and checkers. With records, 12 %
//! apply changes, 10 % decode datagrams, 5 % save what others wrote, and 4 % try the laws of merging.
//!
//! Packets are encoded and decoded by derived code, for foca alone as well: so the rates grew, and their
//! ratio did not. It cannot reach the 40 % that are asked for. With 5 nodes `Node::handle` alone costs 2.4
//! times what foca alone costs with its heap and links: a world that cost nothing would come to 42 %, and
//! one as thin as foca's to about 35 %. What is between is the node's guards around foca: its own look at each
//! packet, timers with jitter, the roster, and the envelope of a datagram.
//!
//! | Module | Holds |
//! |---|---|
//! | [`bare`] | a cluster of foca alone |
//! | [`loads`] | what the measured worlds do |
//! | [`speed`] | the rounds, and what comes of them beside what is asked for |
//! | `core_time` | time on a core |

pub mod bare;
mod core_time;
pub mod loads;
pub mod speed;

use std::ops::AddAssign;

pub use self::core_time::CoreTime;

/// What was simulated in some time on one core.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Whole runs.
    pub runs: f64,
    /// Messages that a node was handed.
    pub messages: f64,
    /// Events taken from the heap.
    pub events: f64,
    /// Simulated seconds.
    pub seconds: f64,
    /// Simulated seconds, times nodes.
    pub node_seconds: f64,
    /// Seconds on the core.
    pub core: f64,
}

impl AddAssign for Sample {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.messages += other.messages;
        self.events += other.events;
        self.seconds += other.seconds;
        self.node_seconds += other.node_seconds;
        self.core += other.core;
    }
}

/// Runs `one` with seed after seed until the core has spent `least` seconds on it.
fn sample<E>(
    least: f64,
    seeds: &mut u64,
    mut one: impl FnMut(u64) -> Result<Sample, E>,
) -> Result<Sample, E> {
    let begun = CoreTime::now();
    let mut sum = Sample::default();
    while sum.core < least {
        *seeds += 1;
        sum += one(*seeds)?;
        sum.core = begun.elapsed();
    }
    Ok(sum)
}
