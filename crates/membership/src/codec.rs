//! Packets to bytes and back: bincode 2 under hard limits.
//!
//! A packet is a header, then (except in announces and such) a big-endian `u16` count of members and
//! the members. foca writes and reads the count itself.

use bincode::{
    Decode, Encode,
    config::{Configuration, Limit, LittleEndian, Varint},
    enc::write::Writer,
    error::{DecodeError, EncodeError},
};
use bytes::{Buf, BufMut};
use foca::{Header, Member, Message};
use tidings_types::NodeId;

use crate::{MemberId, State};

/// Bytes that one header or member may claim while it is decoded.
const ITEM_BYTES: usize = 256;

const BINCODE: Configuration<LittleEndian, Varint, Limit<ITEM_BYTES>> =
    bincode::config::standard().with_limit::<ITEM_BYTES>();

/// Encodes for foca and decodes for one node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codec {
    /// Announces to whoever answers at an address are for this node.
    me: NodeId,
}

/// A whole packet.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) header: Header<MemberId>,
    /// How many of the packet's bytes the header takes.
    pub(crate) header_bytes: usize,
    pub(crate) updates: Vec<Member<MemberId>>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("cannot encode: {0}")]
    Encode(#[from] EncodeError),
    #[error("cannot decode: {0}")]
    Decode(#[from] DecodeError),
    #[error("names a member that cannot exist: {0:?}")]
    Identity(MemberId),
    #[error("has {0} bytes after its end")]
    Trailing(usize),
    #[error("has more updates than its kind carries")]
    Updates,
}

impl Codec {
    pub(crate) const fn new(me: NodeId) -> Self {
        Self { me }
    }

    /// Decodes a whole packet; nothing may be left over.
    pub(crate) fn decode_packet(mut self, bytes: &[u8]) -> Result<Packet, CodecError> {
        use foca::Codec as _;
        let mut rest = bytes;
        let header = self.decode_header(&mut rest)?;
        let header_bytes = bytes.len() - rest.len();
        let mut updates = Vec::new();
        if !rest.is_empty() {
            if matches!(header.message, Message::Announce | Message::Broadcast) {
                return Err(CodecError::Updates);
            }
            let count = rest.try_get_u16().map_err(|_| CodecError::Trailing(1))?;
            for _ in 0..count {
                updates.push(self.decode_member(&mut rest)?);
            }
        }
        if !rest.is_empty() {
            return Err(CodecError::Trailing(rest.len()));
        }
        Ok(Packet {
            header,
            header_bytes,
            updates,
        })
    }
}

impl foca::Codec<MemberId> for Codec {
    type Error = CodecError;

    fn encode_header(
        &mut self,
        header: &Header<MemberId>,
        buf: impl BufMut,
    ) -> Result<(), CodecError> {
        encode(&WireHeader::from(header), buf)
    }

    fn decode_header(&mut self, buf: impl Buf) -> Result<Header<MemberId>, CodecError> {
        let mut header: Header<MemberId> = decode::<WireHeader>(buf)?.try_into()?;
        // foca takes an announce only if it names this node, and the sender could not know whom it
        // would reach.
        if header.message == Message::Announce && header.dst.is_anyone() {
            header.dst.node = self.me;
        }
        Ok(header)
    }

    fn encode_member(
        &mut self,
        member: &Member<MemberId>,
        buf: impl BufMut,
    ) -> Result<(), CodecError> {
        encode(&WireMember::from(member), buf)
    }

    fn decode_member(&mut self, buf: impl Buf) -> Result<Member<MemberId>, CodecError> {
        decode::<WireMember>(buf)?.try_into()
    }
}

fn encode(value: &impl Encode, buf: impl BufMut) -> Result<(), CodecError> {
    bincode::encode_into_writer(value, BufWriter(buf), BINCODE)?;
    Ok(())
}

// foca hands over contiguous buffers, so the first chunk is all there is.
fn decode<T: Decode<()>>(mut buf: impl Buf) -> Result<T, CodecError> {
    let (value, taken) = bincode::decode_from_slice(buf.chunk(), BINCODE)?;
    buf.advance(taken);
    Ok(value)
}

/// foca takes an error for "the packet is full"; `put_slice` alone would panic.
struct BufWriter<B>(B);

impl<B: BufMut> Writer for BufWriter<B> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if self.0.remaining_mut() < bytes.len() {
            return Err(EncodeError::UnexpectedEnd);
        }
        self.0.put_slice(bytes);
        Ok(())
    }
}

#[derive(Encode, Decode)]
struct WireHeader {
    src: MemberId,
    src_incarnation: u16,
    dst: MemberId,
    message: WireMessage,
}

#[derive(Encode, Decode)]
enum WireMessage {
    Ping(u8),
    Ack(u8),
    PingReq(MemberId, u8),
    IndirectPing(MemberId, u8),
    IndirectAck(MemberId, u8),
    ForwardedAck(MemberId, u8),
    Announce,
    Feed,
    Gossip,
    TurnUndead,
}

#[derive(Encode, Decode)]
struct WireMember {
    id: MemberId,
    incarnation: u16,
    state: State,
}

fn checked(id: MemberId) -> Result<MemberId, CodecError> {
    let id = id.canonical();
    if id.is_well_formed() {
        Ok(id)
    } else {
        Err(CodecError::Identity(id))
    }
}

impl From<&Header<MemberId>> for WireHeader {
    fn from(header: &Header<MemberId>) -> Self {
        Self {
            src: header.src,
            src_incarnation: header.src_incarnation,
            dst: header.dst,
            message: WireMessage::from(&header.message),
        }
    }
}

impl TryFrom<WireHeader> for Header<MemberId> {
    type Error = CodecError;

    fn try_from(header: WireHeader) -> Result<Self, CodecError> {
        Ok(Self {
            src: checked(header.src)?,
            src_incarnation: header.src_incarnation,
            dst: header.dst.canonical(), // Compared with this node's own identity, never stored.
            message: header.message.try_into()?,
        })
    }
}

impl From<&Message<MemberId>> for WireMessage {
    fn from(message: &Message<MemberId>) -> Self {
        match *message {
            Message::Ping(number) => Self::Ping(number),
            Message::Ack(number) => Self::Ack(number),
            Message::PingReq {
                target,
                probe_number,
            } => Self::PingReq(target, probe_number),
            Message::IndirectPing {
                origin,
                probe_number,
            } => Self::IndirectPing(origin, probe_number),
            Message::IndirectAck {
                target,
                probe_number,
            } => Self::IndirectAck(target, probe_number),
            Message::ForwardedAck {
                origin,
                probe_number,
            } => Self::ForwardedAck(origin, probe_number),
            Message::Announce => Self::Announce,
            Message::Feed => Self::Feed,
            // A broadcast would be gossip without news; nothing here ever makes one.
            Message::Gossip | Message::Broadcast => Self::Gossip,
            Message::TurnUndead => Self::TurnUndead,
        }
    }
}

impl TryFrom<WireMessage> for Message<MemberId> {
    type Error = CodecError;

    fn try_from(message: WireMessage) -> Result<Self, CodecError> {
        Ok(match message {
            WireMessage::Ping(number) => Self::Ping(number),
            WireMessage::Ack(number) => Self::Ack(number),
            WireMessage::PingReq(target, probe_number) => Self::PingReq {
                target: checked(target)?,
                probe_number,
            },
            WireMessage::IndirectPing(origin, probe_number) => Self::IndirectPing {
                origin: checked(origin)?,
                probe_number,
            },
            WireMessage::IndirectAck(target, probe_number) => Self::IndirectAck {
                target: checked(target)?,
                probe_number,
            },
            WireMessage::ForwardedAck(origin, probe_number) => Self::ForwardedAck {
                origin: checked(origin)?,
                probe_number,
            },
            WireMessage::Announce => Self::Announce,
            WireMessage::Feed => Self::Feed,
            WireMessage::Gossip => Self::Gossip,
            WireMessage::TurnUndead => Self::TurnUndead,
        })
    }
}

impl From<&Member<MemberId>> for WireMember {
    fn from(member: &Member<MemberId>) -> Self {
        Self {
            id: *member.id(),
            incarnation: member.incarnation(),
            state: member.state().into(),
        }
    }
}

impl TryFrom<WireMember> for Member<MemberId> {
    type Error = CodecError;

    fn try_from(member: WireMember) -> Result<Self, CodecError> {
        Ok(Self::new(
            checked(member.id)?,
            member.incarnation,
            member.state.into(),
        ))
    }
}
