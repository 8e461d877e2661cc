//! What is fuzzed: one function per parser, called by the fuzzer in `tests/fuzz` and, on stable, by
//! the replay of its corpora in `tests/corpora.rs`.
//!
//! Each takes whatever bytes there are and panics if a promise is broken. Not to panic is the least
//! of them: what is accepted must be the same after it was written again, and what a registry took
//! from one peer it must be able to pass on to the next.
//!
//! | Target | Bytes |
//! |---|---|
//! | [`frames()`] | a datagram's payload, a request, an answer |
//! | [`sealed()`] | a datagram as it comes from the network, and what is inside |
//! | [`store()`] | the rows of `feed.redb` and `registry.redb` |
//! | [`identity()`] | a copy of the identity |
//! | [`dns()`] | a DNS packet |
//! | [`queries()`] | an HTTP request's path and query |
//! | [`bodies()`] | the JSON body of a call that writes |
//! | [`definitions()`] | a definition file: JSON, HCL, TOML |
//! | [`filter()`] | a filter expression |

mod bodies;
mod definitions;
mod dns;
mod door;
mod filter;
mod frames;
mod mutate;
mod node;
mod queries;
mod sealed;
mod store;

pub use bodies::bodies;
pub use definitions::definitions;
pub use dns::dns;
pub use filter::filter;
pub use frames::frames;
pub use mutate::{Mutator, corpus};
pub use queries::queries;
pub use sealed::sealed;
pub use store::{identity, store};

/// A target: its name, which is its corpus' folder too, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 9] = [
    ("frames", frames),
    ("sealed", sealed),
    ("store", store),
    ("identity", identity),
    ("dns", dns),
    ("queries", queries),
    ("bodies", bodies),
    ("definitions", definitions),
    ("filter", filter),
];
