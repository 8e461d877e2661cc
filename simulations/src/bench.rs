//! How fast the simulator is, beside foca alone in the same event heap.
//!
//! The measured world is the one that every run uses: production nodes, links, disks, and every checker
//! on. What it is compared with ([`bare`]) is foca with the production settings and encoding and a
//! world around it that is as small as can be, over the same links, in the same kind of heap, on the
//! same thread. Both take turns within one program, so that a busy machine slows both down.
//!
//! Time is the core's that the thread really had ([`CoreTime`]): other programs cost it little.
//!
//! Where the time goes, by a profile of the release build: with 20 nodes two thirds of it are spent in
//! [`Node::handle`](tidings_node::Node::handle), which is what runs in an agent. Of the whole, 21 % handle
//! membership packets (12 % foca itself), 15 % serve timers, 8 % show who was heard. The world around the
//! nodes takes a third: heap, links, hash, read view and checkers. With records, a quarter tries the laws
//! of merging, 17 % apply changes, 8 % save what others wrote, 6 % decode datagrams. Packets are encoded
//! and decoded by derived code: foca alone is as much faster for that as the world is, which is why the
//! rates grew and their ratio did not.
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
