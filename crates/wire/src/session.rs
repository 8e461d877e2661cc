//! What is asked and answered over a session: a request, then responses until the giver is done.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tidings_types::{Lineage, NodeId, limits::FRAME_BYTES};

use crate::{
    codec::{DecodeError, EncodeError, claims, decode_frame, encode_frame},
    part::FeedPart,
};

/// What one agent asks of another. The variants' order is part of the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Every member that you know. Answered by one [`Response::Members`].
    Members,
    /// What you hold, one item per feed. Answered by one [`Response::Heads`].
    Heads,
    /// What I lack of these feeds. Answered by [`Response::Feed`] parts, feed after feed. Feeds of
    /// which you hold no more than I do are left out, unless you stand where I stand with another
    /// content: then you give the whole.
    Pull(Vec<Want>),
    /// How much you hold of these feeds. Answered by one [`Response::Positions`].
    Positions(Vec<NodeId>),
    /// Which start of this very node are you: asked by one holder of a key of another. Answered by one
    /// [`Response::Run`].
    Run {
        /// The asker's start number.
        start: u64,
    },
}

/// Feeds that one [`Request::Pull`] may name; more are asked for in further requests.
pub const WANTS: usize = 1_024;

/// One feed in a pull.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Whose feed.
    pub owner: NodeId,
    /// How much of it the asker holds.
    pub held: Lineage,
    /// The asker's content sum at that position.
    pub sum: u128,
}

/// One frame of an answer. The variants' order is part of the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Members`].
    Members(Vec<MemberInfo>),
    /// To [`Request::Heads`]: sorted by owner.
    Heads(Vec<Head>),
    /// To [`Request::Pull`].
    Feed(Box<FeedPart>),
    /// To [`Request::Positions`].
    Positions(Vec<(NodeId, Lineage)>),
    /// To [`Request::Run`].
    Run {
        /// The sender's start number.
        start: u64,
    },
}

/// One feed in a list of heads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Whose feed.
    pub owner: NodeId,
    /// The hash of all that the sender holds of it.
    pub item: u128,
    /// Reserved for the owner's signature; empty.
    pub signature: Vec<u8>,
}

/// One member in a member list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// The member.
    pub node: NodeId,
    /// Where it is reached.
    pub addr: SocketAddr,
    /// Its membership identity's generation.
    pub generation: u64,
    /// Its incarnation in that generation.
    pub incarnation: u16,
    /// What the giver takes it for.
    pub state: MemberState,
}

/// A member's state in a member list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberState {
    /// Answers probes.
    Alive,
    /// Did not answer one.
    Suspect,
    /// Declared down.
    Down,
}

impl Request {
    /// The request's frame.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] if it exceeds [`FRAME_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        encode_frame::<FRAME_BYTES>(self)
    }

    /// The request in a frame.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are no request of this version.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        decode_frame::<FRAME_BYTES, { claims(FRAME_BYTES) }, Self>(frame)
    }
}

impl Response {
    /// The response's frame, in no more memory than it needs: many may wait for their reader.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] if it exceeds [`FRAME_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut frame = encode_frame::<FRAME_BYTES>(self)?;
        frame.shrink_to_fit();
        Ok(frame)
    }

    /// The response in a frame.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are no response of this version.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        decode_frame::<FRAME_BYTES, { claims(FRAME_BYTES) }, Self>(frame)
    }
}
