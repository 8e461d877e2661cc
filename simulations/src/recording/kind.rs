//! What a packet is for, and what became of it.

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A probe.
    Ping,
    /// Its answer.
    Ack,
    /// A probe through a third node, or its answer.
    Indirect,
    /// News of members.
    Gossip,
    /// "Let me in."
    Announce,
    /// The active members, for one who was let in.
    Welcome,
    /// "I take you for down."
    TurnUndead,
    /// "I know a later run of you."
    Superseded,
    /// New dots.
    Rumors,
    /// "I hold this much of that feed."
    Have,
    /// A question on a session.
    Request,
    /// A list that answers one.
    Answer,
    /// A part of a feed.
    FeedPart,
    /// The end of an answer.
    Finish,
    /// Nothing that can be read.
    Unreadable,
}

/// Kinds that are drawn alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Probes and their answers.
    Probe,
    /// Probes through a third node.
    Indirect,
    /// News and lists of members, announces.
    Members,
    /// "You are down", "you are old".
    Rejection,
    /// New dots.
    Rumor,
    /// Acknowledgements and offers.
    Have,
    /// Questions, lists and ends on sessions.
    Session,
    /// Parts of feeds on sessions.
    Feed,
}

impl Group {
    /// Every group, in the order in which a legend names them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Probe,
        Self::Indirect,
        Self::Members,
        Self::Rejection,
        Self::Rumor,
        Self::Have,
        Self::Session,
        Self::Feed,
    ];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Indirect => "indirect probe",
            Self::Members => "members",
            Self::Rejection => "rejection",
            Self::Rumor => "rumor",
            Self::Have => "have",
            Self::Session => "session",
            Self::Feed => "feed",
        }
    }

    /// What it is, in a few words.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Probe => "ping and ack",
            Self::Indirect => "a ping or its answer through a third node",
            Self::Members => "news and lists of members, announces",
            Self::Rejection => {
                "\u{201c}I take you for down\u{201d}, \u{201c}I know a later run of you\u{201d}"
            }
            Self::Rumor => "new records, pushed at once",
            Self::Have => "how much of a feed is held: an acknowledgement or an offer",
            Self::Session => {
                "a question on a session, a list that answers it, the end of an answer"
            }
            Self::Feed => "a part of a feed on a session",
        }
    }
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 15] = [
        Self::Ping,
        Self::Ack,
        Self::Indirect,
        Self::Gossip,
        Self::Announce,
        Self::Welcome,
        Self::TurnUndead,
        Self::Superseded,
        Self::Rumors,
        Self::Have,
        Self::Request,
        Self::Answer,
        Self::FeedPart,
        Self::Finish,
        Self::Unreadable,
    ];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Ack => "ack",
            Self::Indirect => "indirect probe",
            Self::Gossip => "gossip",
            Self::Announce => "announce",
            Self::Welcome => "member list",
            Self::TurnUndead => "you are down",
            Self::Superseded => "superseded",
            Self::Rumors => "rumor",
            Self::Have => "have",
            Self::Request => "request",
            Self::Answer => "answer",
            Self::FeedPart => "feed part",
            Self::Finish => "end of answer",
            Self::Unreadable => "unreadable",
        }
    }

    /// The kinds that it is drawn like.
    pub(crate) const fn group(self) -> Group {
        match self {
            Self::Ping | Self::Ack => Group::Probe,
            Self::Indirect => Group::Indirect,
            Self::Gossip | Self::Announce | Self::Welcome | Self::Unreadable => Group::Members,
            Self::TurnUndead | Self::Superseded => Group::Rejection,
            Self::Rumors => Group::Rumor,
            Self::Have => Group::Have,
            Self::Request | Self::Answer | Self::Finish => Group::Session,
            Self::FeedPart => Group::Feed,
        }
    }

    /// Whether nodes send it all the time: of these the fewest are needed to see what happened.
    pub(super) const fn is_routine(self) -> bool {
        matches!(
            self,
            Self::Ping | Self::Ack | Self::Indirect | Self::Gossip | Self::Announce | Self::Have
        )
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// The receiver took it.
    Delivered,
    /// It was on its way when the run ended, or its session broke.
    Underway,
    /// The link lost it.
    Lost,
    /// A cut stopped it.
    Cut,
    /// The sender's own host refused to send it.
    SendError,
    /// A jammed link holds it.
    Jammed,
    /// It came to a process that stood still, and has not been read.
    Unread,
    /// There was no process.
    NobodyThere,
    /// A full queue, buffer or inbox dropped it.
    Dropped,
    /// It was for another node, of an old run or of another cluster.
    Stranger,
}

impl Fate {
    /// Every fate.
    pub(crate) const ALL: [Self; 10] = [
        Self::Delivered,
        Self::Underway,
        Self::Lost,
        Self::Cut,
        Self::SendError,
        Self::Jammed,
        Self::Unread,
        Self::NobodyThere,
        Self::Dropped,
        Self::Stranger,
    ];

    /// The words for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Underway => "never arrived",
            Self::Lost => "lost by the link",
            Self::Cut => "cut",
            Self::SendError => "refused by its own host",
            Self::Jammed => "held by a jammed link",
            Self::Unread => "unread: the process stood still",
            Self::NobodyThere => "no process there",
            Self::Dropped => "dropped: a queue or an inbox was full",
            Self::Stranger => "not taken: another node, run or cluster",
        }
    }

    /// Whether it is known at once that nobody will get it.
    pub(super) const fn is_stopped(self) -> bool {
        matches!(
            self,
            Self::Lost | Self::Cut | Self::SendError | Self::Jammed | Self::Dropped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_kinds_and_fates_are_in_their_own_order() {
        assert!(
            Kind::ALL
                .iter()
                .enumerate()
                .all(|(at, &kind)| kind as usize == at)
        );
        assert!(
            Fate::ALL
                .iter()
                .enumerate()
                .all(|(at, &fate)| fate as usize == at)
        );
        assert!(
            Group::ALL
                .iter()
                .enumerate()
                .all(|(at, &group)| group as usize == at)
        );
    }
}
