//! A node that is given what comes out of the parsers.

use std::{net::SocketAddr, time::Duration};

use tidings_node::{Boot, CommandId, Config, Exchange, Input, Node, Output};
use tidings_types::{
    ClusterId, Command, Epoch, NodeId, NodeName, Outcome, Refusal, Timestamp, Update,
};

/// The wall clock's reading at the start.
const START_MS: u64 = 1_763_000_000_000;
/// What one input may ask of the driver, at most.
const OUTPUTS: usize = 4_096;

/// A node with one peer, whose disk is memory.
pub(crate) struct Lone {
    node: Node,
    now: Timestamp,
    /// What is to be shown to readers, and not taken yet.
    updates: Vec<Update>,
    reply: Option<Result<Outcome, Refusal>>,
}

pub(crate) const ME: NodeId = NodeId::from_bytes([1; 16]);
pub(crate) const PEER: NodeId = NodeId::from_bytes([2; 16]);

pub(crate) fn peer_addr() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 2], 8301))
}

impl Lone {
    pub(crate) fn new() -> Self {
        let name = NodeName::new("n1").expect("a short name");
        let addr = SocketAddr::from(([127, 0, 0, 1], 8301));
        let boot = Boot {
            node: ME,
            cluster: ClusterId::from_bytes([0; 16]),
            epoch: Epoch::after(Epoch::ZERO, START_MS, 0),
            addr,
            seed: 1,
            wall_ms: START_MS,
            own: None,
            own_damaged: false,
            replicas: Vec::new(),
            members: vec![(PEER, peer_addr())],
        };
        let now = Timestamp::from_micros(1_000_000);
        let node = Node::new(Config::new(name, "10.0.0.1".to_owned()), boot, now);
        let mut lone = Self {
            node,
            now,
            updates: Vec::new(),
            reply: None,
        };
        lone.drain();
        lone
    }

    /// Hands in one input and carries out what follows, as a driver without a network does.
    pub(crate) fn input(&mut self, input: Input) {
        self.node.handle(self.now, input);
        self.drain();
    }

    pub(crate) fn datagram(&mut self, payload: Vec<u8>) {
        self.input(Input::Datagram {
            from: peer_addr(),
            sender: PEER,
            payload,
        });
    }

    /// The peer asks.
    pub(crate) fn request(&mut self, frame: Vec<u8>) {
        self.input(Input::Request {
            exchange: Exchange(1 << 40),
            from: PEER,
            frame,
        });
    }

    /// The peer answers whatever it was asked first.
    pub(crate) fn response(&mut self, frame: Vec<u8>) {
        let exchange = Exchange(0);
        self.input(Input::Response { exchange, frame });
        self.input(Input::Finished {
            exchange,
            complete: true,
        });
    }

    /// Carries out a command and says what became of it; `None` if it is not decided yet.
    pub(crate) fn command(&mut self, command: Command) -> Option<Result<Outcome, Refusal>> {
        let id = CommandId(0);
        let command = Box::new(command);
        self.reply = None;
        self.input(Input::Command { id, command });
        self.reply.take()
    }

    /// What readers have not been shown yet.
    pub(crate) fn take_updates(&mut self) -> Vec<Update> {
        std::mem::take(&mut self.updates)
    }

    /// Equal for equal content of the registry.
    pub(crate) fn fingerprint(&self) -> u128 {
        self.node.registry().fingerprint()
    }

    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.node.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.input(Input::Timeout);
        }
        self.now = end;
    }

    fn drain(&mut self) {
        let mut outputs = 0;
        let mut words = Vec::new();
        loop {
            while let Some(output) = self.node.poll_output() {
                outputs += 1;
                assert!(outputs < OUTPUTS, "this has no end: {output:?}");
                match output {
                    Output::Persist { batch, .. } => words.push(Input::Persisted {
                        batch,
                        result: Ok(()),
                    }),
                    Output::Save { save, .. } => words.push(Input::Saved { save, kept: true }),
                    Output::TakeEpoch { above } => {
                        words.push(Input::EpochTaken(Epoch::after(above, START_MS, 0)));
                    }
                    Output::Publish(update) => self.updates.push(update),
                    Output::Reply { result, .. } => self.reply = Some(result),
                    _ => {}
                }
            }
            if words.is_empty() {
                return;
            }
            self.node.handle(self.now, words.remove(0));
        }
    }
}
