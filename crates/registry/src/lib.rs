//! The replicated data: feeds, value in force, deltas, sums.
//!
//! Every node publishes one *feed*, and every agent holds a replica of every feed. This crate is
//! what one agent does with them: it applies what peers send ([`Registry`]), makes changes of its
//! own ([`Writer`]), and computes from all feeds together which value of a key is in force.
//! It has no clock, no disk and no socket; who asks whom for what is decided in `tidings-node`.
//!
//! # The one invariant
//!
//! *A feed's content is a function of a position in it.* Each change has a dot `(epoch, seq)`, is
//! never altered, and only the feed's owner makes changes. At a position, each key holds its
//! greatest change that the position covers; removal marks that the watermark covers, and all slots
//! of epochs below the floor, are left out. Watermark and floor belong to the position too, because
//! moving them takes a dot. So replicas at one position hold the same, and every join below is
//! derived from the question "what would I hold at the joined position?".
//!
//! # What follows from it
//!
//! - A delta made from the giver's present state for `(from, upto]` is right for every receiver
//!   that covers `from`, however far ahead the receiver is, if `from` covers the giver's watermark:
//!   a change that the delta leaves out was replaced by a later one that it holds, or had been
//!   dropped below a watermark that the receiver has passed. Any other receiver needs a snapshot.
//! - A change comes in only if the receiver's position does not cover its dot. A covered change
//!   that is not there was replaced or removed: this is why an old packet resurrects nothing.
//! - Values of one key in different feeds are never merged into a stored value. The greatest
//!   version is found anew on each question, so equal feeds give equal answers in whatever order
//!   things came.
//!
//! # What it does not do yet
//!
//! Shared entries, tombstones and overrides stay in their feeds: nothing is yielded, collected or
//! retired. A transfer whose `needs` are not empty is refused, since applying it without them could
//! bring back what a tombstone holds down.
//!
//! | Module | Holds |
//! |---|---|
//! | `registry` | [`Registry`]: all feeds, transfers in and out, questions |
//! | `writer` | [`Writer`]: the author of the own feed, staged changes until they are durable |
//! | `feed` | one feed's content and its joins |
//! | `order` | what stands in a feed, by key and by dot |
//! | `value` | [`InForce`]: the greatest version of a key, and its conflicts |
//! | `ahead` | deltas that came before what they build on |
//! | `form` | what a transfer must look like before anything is changed |
//! | `index` | which feeds hold an entry for a key |
//! | `stamp` | the hybrid logical clock of the own writes to shared keys |
//! | `hash` | content sums, feed items, fingerprint |
//! | `error` | [`Rejected`] and [`WriteError`] |

mod ahead;
mod cost;
mod error;
mod feed;
#[cfg(test)]
mod fixture;
mod form;
mod hash;
mod index;
mod mutants;
mod order;
mod registry;
mod stamp;
mod value;
mod writer;

pub use ahead::{AHEAD_BYTES, AHEAD_BYTES_PER_FEED, AHEAD_DELTAS_PER_FEED};
pub use error::{ChangeFault, PositionFault, Rejected, WriteError};
pub use form::{CHECKS_ACCEPTED, FEED_SLOTS_ACCEPTED};
#[cfg(feature = "mutants")]
pub use mutants::Mutants;
pub use registry::{Applied, Giver, Registry, SumMismatch};
pub use stamp::ADOPTION_MS;
pub use value::InForce;
pub use writer::{
    FEED_BYTES_WRITTEN, FEED_SLOTS, Keeps, MARKS_KEPT, RESTAMP_ENTRIES, SEQ_FOLLOWED, Writer,
};

/// Mechanisms of the design that this crate has, by the names under which the simulator waits for
/// those that are to come.
pub const MECHANISMS: &[&str] = &[];
