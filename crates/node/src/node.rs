//! The node itself.

use tidings_types::Timestamp;

use crate::{Boot, Config, Counters, Input, Output};

/// One agent's decisions.
#[derive(Debug)]
pub struct Node {}

impl Node {
    /// A node that starts at `now`. Its first outputs publish what its disk had.
    pub fn new(config: Config, boot: Boot, now: Timestamp) -> Self {
        unimplemented!("{config:?} {boot:?} {now}")
    }

    /// Takes one input. All outputs of the last one must have been polled.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        unimplemented!("{now} {input:?}")
    }

    /// The next thing to do; `None` when there is nothing left.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When to hand in [`Input::Timeout`], at the latest.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// The replicated data, for drivers that check or show it.
    pub fn registry(&self) -> &tidings_registry::Registry {
        unimplemented!()
    }

    /// The node's figures.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}
