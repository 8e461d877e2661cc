//! What a packet says, for those who only watch: the simulator's recordings.
//!
//! Nothing is judged here. A packet that [`Membership`](crate::Membership) would refuse for what it
//! says can still be looked at.

use foca::Message;
use tidings_types::NodeId;

use crate::{State, codec::Codec};

/// What a packet is for (Das, Gupta, Motivala, 2002, in foca's terms).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// "Are you there?"
    Ping,
    /// "I am."
    Ack,
    /// A ping, or its answer, that goes through a third node.
    Indirect,
    /// "Let me in": to a seed, or to any address ever seen.
    Announce,
    /// The active members, for one who was let in.
    Feed,
    /// What is new of members.
    Gossip,
    /// "I take you for down."
    TurnUndead,
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// What it is for.
    pub purpose: Purpose,
    /// The third node of an indirect probe.
    pub third: Option<NodeId>,
    /// What it passes on of members.
    pub updates: Vec<(NodeId, State)>,
}

impl Glance {
    /// Looks into a packet; `None` if it is none.
    pub fn into_packet(bytes: &[u8]) -> Option<Self> {
        // Whose packet it is matters to announces alone, and only to whoever answers them.
        let nobody = Codec::new(NodeId::from_bytes([0; 16]));
        let packet = nobody.decode_packet(bytes).ok()?;
        let (purpose, third) = match packet.header.message {
            Message::Ping(_) => (Purpose::Ping, None),
            Message::Ack(_) => (Purpose::Ack, None),
            Message::PingReq { target: third, .. }
            | Message::IndirectPing { origin: third, .. }
            | Message::IndirectAck { target: third, .. }
            | Message::ForwardedAck { origin: third, .. } => (Purpose::Indirect, Some(third.node)),
            Message::Announce => (Purpose::Announce, None),
            Message::Feed => (Purpose::Feed, None),
            Message::Gossip | Message::Broadcast => (Purpose::Gossip, None),
            Message::TurnUndead => (Purpose::TurnUndead, None),
        };
        let update = |member: &foca::Member<crate::MemberId>| {
            (member.id().node, State::from(member.state()))
        };
        Some(Self {
            purpose,
            third,
            updates: packet.updates.iter().map(update).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use foca::{Codec as _, Header, Member};

    use super::*;
    use crate::MemberId;

    fn id(byte: u8) -> MemberId {
        MemberId {
            node: NodeId::from_bytes([byte; 16]),
            addr: ([10, 0, 0, byte], 8_301).into(),
            generation: 1,
        }
    }

    fn packet(message: Message<MemberId>, updates: &[Member<MemberId>]) -> Vec<u8> {
        let mut codec = Codec::new(id(9).node);
        let mut bytes = Vec::new();
        let header = Header {
            src: id(1),
            src_incarnation: 0,
            dst: id(2),
            message,
        };
        codec.encode_header(&header, &mut bytes).unwrap();
        if !updates.is_empty() {
            bytes.put_u16(u16::try_from(updates.len()).unwrap());
            for update in updates {
                codec.encode_member(update, &mut bytes).unwrap();
            }
        }
        bytes
    }

    #[test]
    fn purpose_and_updates_are_seen() {
        let down = Member::new(id(3), 0, foca::State::Down);
        let gossip = Glance::into_packet(&packet(Message::Gossip, &[down])).unwrap();
        assert_eq!(gossip.purpose, Purpose::Gossip);
        assert_eq!(gossip.updates, [(id(3).node, State::Down)]);
        let asked = Message::PingReq {
            target: id(4),
            probe_number: 1,
        };
        let asked = Glance::into_packet(&packet(asked, &[])).unwrap();
        assert_eq!(asked.third, Some(id(4).node));
    }

    #[test]
    fn what_is_no_packet_says_nothing() {
        let mut bytes = packet(Message::Announce, &[]);
        bytes.pop();
        assert_eq!(Glance::into_packet(&bytes), None);
        assert_eq!(Glance::into_packet(b""), None);
    }
}
