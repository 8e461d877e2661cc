//! One UDP port that carries everything agents say to each other.
//!
//! | Part | Carries | Proves |
//! |---|---|---|
//! | sealed datagrams | membership: small, to anybody, no handshake | the sender holds the cluster key |
//! | QUIC sessions | requests and streams of answers, to one node | the node holds the key behind its [`NodeId`](tidings_types::NodeId), and the cluster key |
//!
//! Both share the socket: a packet whose first byte starts with the bits 00 is ours, everything
//! else is QUIC's. A receive pump reads the socket, opens what is ours and queues the rest for
//! quinn, so that membership goes on whatever becomes of the QUIC endpoint.
//!
//! | Module | Holds |
//! |---|---|
//! | `port` | [`Transport`], its [`Settings`] and [`Event`]s: the public face |
//! | `key`, `keyring` | [`NodeKey`], who we are; [`KeyRing`], which cluster we belong to |
//! | `heard` | who sends under which cluster key |
//! | `envelope`, `seal`, `open`, `replay` | a datagram's header; sealing, opening, refusing repeats |
//! | `socket`, `pump` | the shared socket as quinn sees it; who reads it |
//! | `tls`, `quic`, `handshake` | raw public keys, QUIC's settings, the proof of membership |
//! | `session`, `serve`, `frame`, `peers` | requests out, requests in, frames, open connections |
//! | `knock` | who answers at an address, without a session coming of it |
//! | `shares`, `sources` | what one peer may take of us at once, in sessions and in datagrams |
//! | `shut_out` | addresses that flood, dropped by the system |
//! | `counters` | [`Counter`]: what was sent, received and refused, by name |

mod counters;
mod envelope;
mod frame;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handshake;
mod heard;
mod key;
mod keyring;
mod knock;
mod open;
mod peers;
mod port;
mod pump;
mod quic;
mod replay;
mod seal;
mod serve;
mod session;
mod shares;
mod shut_out;
mod socket;
mod sources;
#[cfg(test)]
mod tests;
mod tls;

pub use counters::{Counter, Counts};
pub use key::{KeyError, NodeKey};
pub use keyring::{KeyRing, KeyRingError};
pub(crate) use knock::{Knock, Met};
pub use port::{Event, SendError, Settings, Transport, TransportError};
pub use seal::NoRandomness;
pub use serve::Responder;
pub use session::{ResponseStream, SessionError};
