//! Guard: a suspect that speaks is told that it is suspected.
//!
//! In foca only the member whose probe failed has a timer, and that timer dies when this member has to
//! rejoin. If the news of the suspicion has run out of transmissions by then, or was lost on the way,
//! the suspect answers every probe and never learns what to refute: it stays a suspect for ever. So
//! whoever gets a packet from a suspect answers with the suspicion (Dadgar, Phillips, Currey,
//! "Lifeguard: Local Health Awareness for More Accurate Failure Detection", 2018, calls it the buddy
//! system).

use bytes::BufMut as _;
use foca::{Codec as _, Header, Message};

use crate::{MemberId, Membership, State, codec::CodecError, effects::Outgoing};

impl Membership {
    /// After a packet from `sender` was taken: tells it if it is still a suspect here.
    pub(crate) fn tell_suspect(&mut self, sender: MemberId) {
        let Some(row) = self
            .members
            .get(sender.node)
            .filter(|row| row.id == sender && row.state == State::Suspect)
        else {
            return;
        };
        let suspicion = foca::Member::new(row.id, row.incarnation, State::Suspect.into());
        match self.gossip_packet(sender, &suspicion) {
            Ok(packet) => {
                self.counters.suspects_told += 1;
                self.emit(packet);
            }
            Err(_) => self.counters.internal_errors += 1,
        }
    }

    fn gossip_packet(
        &mut self,
        to: MemberId,
        news: &foca::Member<MemberId>,
    ) -> Result<Outgoing, CodecError> {
        let me = self.me();
        let header = Header {
            src: me,
            // foca keeps its own incarnation to itself; one that is too small changes nothing.
            src_incarnation: match self.last_sent_as {
                Some((id, incarnation)) if id == me => incarnation,
                _ => 0,
            },
            dst: to,
            message: Message::Gossip,
        };
        let mut bytes = Vec::new();
        self.codec.encode_header(&header, &mut bytes)?;
        bytes.put_u16(1);
        self.codec.encode_member(news, &mut bytes)?;
        Ok(Outgoing {
            to,
            bytes,
            turn_undead: false,
        })
    }
}
