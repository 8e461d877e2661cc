//! What a payload or a frame is.

use tidings_membership::{Glance, Purpose, State};
use tidings_types::{Delta, Lineage};
use tidings_wire::{Datagram, Request, Response, datagram::Body};

use super::{kind::Kind, words::Names};

/// Things that a detail names, at most.
const NAMED: usize = 8;

/// What is in a packet.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) kind: Kind,
    /// What it says; empty if its kind says all.
    pub(super) text: String,
}

/// What a datagram is.
pub(super) fn datagram(payload: &[u8], names: &Names) -> Content {
    let Ok(datagram) = Datagram::decode(payload) else {
        return unreadable();
    };
    match datagram.body {
        Body::Membership(packet) => Glance::into_packet(&packet)
            .map_or_else(unreadable, |glance| membership(&glance, names)),
        Body::Rumors(deltas) => Content {
            kind: Kind::Rumors,
            text: list(deltas.iter().map(|delta| changes(delta, names))),
        },
        Body::Have { owner, lineage } => Content {
            kind: Kind::Have,
            text: format!("{} up to {}", names.of(owner), head(&lineage)),
        },
        Body::Superseded { addr, .. } => Content {
            kind: Kind::Superseded,
            text: format!("a later run is at {addr}"),
        },
    }
}

/// What a request on a session is.
pub(super) fn request(frame: &[u8], names: &Names) -> Content {
    let text = match Request::decode(frame) {
        Err(_) => return unreadable(),
        Ok(Request::Members) => "every member that you know".to_owned(),
        Ok(Request::Heads) => "what you hold, feed by feed".to_owned(),
        Ok(Request::Pull(wants)) => {
            let owners = list(wants.iter().map(|want| names.of(want.owner)));
            format!("what I lack of the feeds of {owners}")
        }
        Ok(Request::Positions(owners)) => {
            let owners = list(owners.iter().map(|&owner| names.of(owner)));
            format!("how much you hold of the feeds of {owners}")
        }
        Ok(Request::Run { .. }) => "which start of this very node are you".to_owned(),
    };
    Content {
        kind: Kind::Request,
        text,
    }
}

/// What a frame of an answer is.
pub(super) fn response(frame: &[u8], names: &Names) -> Content {
    let text = match Response::decode(frame) {
        Err(_) => return unreadable(),
        Ok(Response::Feed(part)) => {
            let form = if part.from.is_some() {
                "delta"
            } else {
                "snapshot"
            };
            let owner = names.of(part.state.owner);
            let (count, head) = (part.changes.len(), head(&part.state.lineage));
            return Content {
                kind: Kind::FeedPart,
                text: format!("{form} of {owner}, {count} changes, up to {head}"),
            };
        }
        Ok(Response::Members(members)) => format!("{} members", members.len()),
        Ok(Response::Heads(heads)) => format!("heads of {} feeds", heads.len()),
        Ok(Response::Positions(positions)) => format!("positions in {} feeds", positions.len()),
        Ok(Response::Run { start }) => format!("start {start}"),
    };
    Content {
        kind: Kind::Answer,
        text,
    }
}

/// The end of an answer.
pub(super) fn finish(complete: bool) -> Content {
    let text = if complete { "" } else { "broken off" };
    Content {
        kind: Kind::Finish,
        text: text.to_owned(),
    }
}

fn membership(glance: &Glance, names: &Names) -> Content {
    let kind = match glance.purpose {
        Purpose::Ping => Kind::Ping,
        Purpose::Ack => Kind::Ack,
        Purpose::Indirect => Kind::Indirect,
        Purpose::Announce => Kind::Announce,
        Purpose::Feed => Kind::Welcome,
        Purpose::Gossip => Kind::Gossip,
        Purpose::TurnUndead => Kind::TurnUndead,
    };
    let third = glance
        .third
        .map(|third| format!("about {}", names.of(third)));
    let news = glance.updates.iter().map(|&(node, state)| {
        let word = match state {
            State::Alive => "alive",
            State::Suspect => "suspect",
            State::Down => "down",
        };
        format!("{} {word}", names.of(node))
    });
    Content {
        kind,
        text: list(third.into_iter().chain(news)),
    }
}

fn changes(delta: &Delta, names: &Names) -> String {
    let owner = names.of(delta.state.owner);
    let (count, head) = (delta.changes.len(), head(&delta.state.lineage));
    let changes = if count == 1 { "change" } else { "changes" };
    format!("{count} {changes} of {owner} up to {head}")
}

/// The head in a feed's last run.
fn head(lineage: &Lineage) -> String {
    lineage.last_epoch().map_or_else(
        || "nothing".to_owned(),
        |epoch| format!("#{}", lineage.head(epoch)),
    )
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    let named = items[..items.len().min(NAMED)].join(", ");
    match items.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

const fn unreadable() -> Content {
    Content {
        kind: Kind::Unreadable,
        text: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use tidings_types::{Epoch, NodeId};

    use super::*;

    #[test]
    fn what_is_no_frame_is_called_so() {
        let names = Names::new(std::iter::empty());
        for content in [
            datagram(b"?", &names),
            request(b"?", &names),
            response(b"?", &names),
        ] {
            assert_eq!(content.kind, Kind::Unreadable);
        }
    }

    #[test]
    fn an_offer_names_feed_and_head() {
        let owner = NodeId::from_bytes([7; 16]);
        let datagram = Datagram {
            fingerprint: 0,
            wall_ms: 0,
            body: Body::Have {
                owner,
                lineage: Lineage::of(Epoch::from_bits(1), 12),
            },
        };
        let names = Names::new([NodeId::from_bytes([6; 16]), owner].into_iter());
        let content = super::datagram(&datagram.encode().unwrap(), &names);
        assert_eq!((content.kind, &*content.text), (Kind::Have, "n1 up to #12"));
    }

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let items = (0..10).map(|n| n.to_string());
        assert_eq!(list(items), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
    }
}
