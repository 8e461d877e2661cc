//! Chaos on real processes, judged as the simulator judges its own.
//!
//! Five agents, each a host of its own, are killed, stopped, cut off, deafened and given wrong
//! clocks, by a plan that a seed tells. Meanwhile clients on each host register, deregister, report
//! and ask, and everything that they asked for and were told is written down. Then the faults end,
//! the clients stop writing, and the [`oracle`] reads the whole history.
//!
//! The ids of the invariants, their sentences, and the exit code are the simulator's. Its checkers are
//! not used: they judge what a node does inside, by the dots of its writes, and a client sees no dots.
//! So that a client's eye is enough, each call here has a number that its effect shows to everybody,
//! over HTTP and DNS: the port.
//!
//! | Id | Says here | Where |
//! |---|---|---|
//! | A1 | no panic, and no error in an agent's log | [`oracle::ending`] |
//! | A3 | what one agent shows of a record never goes back while its process lives | [`oracle::order`], [`oracle::shared`] |
//! | A4 | an agent shows what it has acknowledged, from the answer on, restarts included | [`oracle::own`], [`oracle::shared`] |
//! | A5 | what was deregistered is not shown again, restarts included | [`oracle::order`], [`oracle::own`], [`oracle::shared`] |
//! | A6 | each instance shown was asked for by a client, as it stands and where it stands | [`oracle::origin`] |
//! | A9 | an agent that is up answers, whatever the network does | [`oracle::availability`] |
//! | E1 | all agents come to hold the same | [`oracle::ending`] |
//! | E2 | nothing acknowledged is lost, unless its owner lost its disk before a peer had it | [`oracle::survival`] |
//! | E3 | each agent sees exactly the agents that run | [`oracle::ending`] |
//! | E4 | the instances of an agent that is gone are gone | [`oracle::ending`] |
//!
//! | Module | Holds |
//! |---|---|
//! | [`plan`] | the faults, told by a seed |
//! | [`world`], [`links`], [`clock`] | the agents, and how the faults are done to them |
//! | [`clients`], [`answer`] | who writes and asks; what an answer says |
//! | [`book`], [`history`], [`lives`] | what clients asked for and were told; when agents ran |
//! | [`oracle`] | the judgement |
//! | [`quiet`] | the end: heal, agree, and one agent that stays away |
//! | [`report`], [`sabotage`] | what came of it; how the drill is shown to be able to fail |

pub mod answer;
pub mod book;
pub mod clients;
pub mod clock;
pub mod history;
pub mod links;
pub mod lives;
pub mod oracle;
pub mod plan;
pub mod quiet;
pub mod report;
pub mod sabotage;
pub mod world;

/// Agents in a drill.
pub const AGENTS: usize = 5;
