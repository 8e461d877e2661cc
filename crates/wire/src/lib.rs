//! Frames to bytes and back, under hard limits.
//!
//! Two kinds of frame: a [`Datagram`] fits one sealed packet and may vanish; a [`Request`] and its
//! [`Response`]s, or a [`KeyringRequest`] and its answer, travel in order on a session that may
//! break anywhere. Every frame begins with the
//! wire version. What is decoded was checked for size before anything was allocated.
//!
//! This crate does not encrypt, sign or send, and it does not judge what a frame says: the
//! registry refuses malformed changes, the membership layer malformed packets.
//!
//! Bytes that came from a peer are never hashed as they are: bincode accepts more than one spelling
//! of a number, so content is hashed over its re-encoding.
//!
//! | Module | Holds |
//! |---|---|
//! | [`codec`] | bincode 2 with limits, [`EncodeError`], [`DecodeError`] |
//! | [`datagram`] | [`Datagram`] |
//! | [`session`] | [`Request`], [`Response`] |
//! | [`keyring`] | [`KeyringRequest`], [`KeyringAnswer`] |
//! | [`part`] | [`FeedPart`]: a transfer cut into frames and put together again |

pub mod codec;
pub mod datagram;
pub mod keyring;
pub mod part;
pub mod session;

pub use codec::{DecodeError, EncodeError, WIRE_VERSION};
pub use datagram::Datagram;
pub use keyring::{KeyChange, KeyringAnswer, KeyringOutcome, KeyringRequest};
pub use part::{Assembly, AssemblyError, FeedPart, Parts};
pub use session::{Head, MemberInfo, MemberState, Request, Response, Want};

/// Mechanisms of the design that this crate has, by the names under which the simulator waits for
/// those that are to come.
pub const MECHANISMS: &[&str] = &[];
