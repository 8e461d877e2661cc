//! Collects what foca asks for during one call.

use std::{mem, time::Duration};

use foca::{Header, Incarnation, Message, Notification, Timer};

use crate::MemberId;

/// foca's runtime: an out parameter that is worked off after the call.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) packets: Vec<Outgoing>,
    pub(crate) timers: Vec<(Timer<MemberId>, Duration)>,
    /// A packet passed foca's address check.
    pub(crate) accepted: bool,
    /// The member list may have changed.
    pub(crate) members_touched: bool,
    /// The last active member is gone.
    pub(crate) idle: bool,
    /// This node was declared down and took a new identity.
    pub(crate) rejoined: bool,
    /// Under which identity and incarnation the last packet went out.
    pub(crate) sent_as: Option<(MemberId, Incarnation)>,
    /// The member whose probe began.
    pub(crate) probing: Option<MemberId>,
    /// The member that answered a probe, directly or through another.
    pub(crate) answered: Option<MemberId>,
    /// The member whose probe ended without an answer.
    pub(crate) probe_failed: Option<MemberId>,
}

#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: MemberId,
    pub(crate) bytes: Vec<u8>,
    /// It tells the receiver that it is down.
    pub(crate) turn_undead: bool,
}

impl Effects {
    /// Forgets one call, and keeps the room for the next.
    pub(crate) fn clear(&mut self) {
        self.packets.clear();
        self.timers.clear();
        *self = Self {
            packets: mem::take(&mut self.packets),
            timers: mem::take(&mut self.timers),
            ..Self::default()
        };
    }

    fn received(&mut self, header: &Header<MemberId>) {
        match header.message {
            Message::Ack(_) => self.answered = Some(header.src),
            Message::ForwardedAck { origin, .. } => self.answered = Some(origin),
            _ => {}
        }
    }

    fn sent(&mut self, header: &Header<MemberId>) {
        self.sent_as = Some((header.src, header.src_incarnation));
        match header.message {
            Message::Ping(_) => self.probing = Some(header.dst),
            Message::TurnUndead => {
                if let Some(last) = self.packets.last_mut() {
                    last.turn_undead = true;
                }
            }
            _ => {}
        }
    }
}

impl foca::Runtime<MemberId> for Effects {
    fn notify(&mut self, notification: Notification<'_, MemberId>) {
        match notification {
            Notification::MemberUp(_)
            | Notification::MemberDown(_)
            | Notification::Rename(_, _)
            | Notification::Active
            | Notification::Defunct => self.members_touched = true,
            Notification::Idle => {
                self.members_touched = true;
                self.idle = true;
            }
            Notification::Rejoin(_) => self.rejoined = true,
            Notification::DataReceived(header) => {
                self.accepted = true;
                self.received(header);
            }
            // foca reports a packet's header right after the packet.
            Notification::DataSent(header) => self.sent(header),
            Notification::ProbeFailed(_, id) => {
                self.probe_failed = Some(*id);
                self.members_touched = true;
            }
        }
    }

    fn send_to(&mut self, to: MemberId, data: &[u8]) {
        self.packets.push(Outgoing {
            to,
            bytes: data.to_vec(),
            turn_undead: false,
        });
    }

    fn submit_after(&mut self, event: Timer<MemberId>, after: Duration) {
        self.timers.push((event, after));
    }
}
