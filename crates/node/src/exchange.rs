//! Requests in both directions.
//!
//! A request of ours is open until the driver says [`Input::Finished`](crate::Input::Finished);
//! their number is bounded. A peer's request is answered at once, up to a budget of bytes: whoever
//! lacks more asks again.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    net::SocketAddr,
    time::Duration,
};

use tidings_membership::{MemberId, State};
use tidings_types::{
    Lineage, NodeId, Timestamp, Transfer,
    limits::{FEED_BYTES, TRANSFER_BYTES},
};
use tidings_wire::{
    Assembly, EncodeError, FeedPart, Head, MemberInfo, MemberState, Request, Response, Want,
    session::WANTS,
};

use crate::{Event, Exchange, Node, Output, reconcile::Taken};

/// Requests of ours that may be open at once.
pub const REQUESTS_OPEN: usize = 32;
/// After this time without a frame a pull does not keep others of the same feed from being made: its
/// session will break, and only a long time-out tells so.
const PULL_SILENCE: Duration = Duration::from_secs(2);
/// Bytes of feeds given in answer to one pull, after which no further feed is begun.
const PULL_BYTES: usize = 8 << 20;

/// The requests of ours that are open.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    next: u64,
    open: BTreeMap<Exchange, Open>,
    /// Feeds that differed from their owner's, who is to give all of them.
    pub(crate) alarmed: BTreeSet<NodeId>,
}

/// One request of ours.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) peer: NodeId,
    pub(crate) addr: SocketAddr,
    pub(crate) purpose: Purpose,
    /// Whether the one frame of an answer that has one has come.
    answered: bool,
    /// When it was asked, or the last frame came.
    heard: Timestamp,
}

/// Why it was asked.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// To learn the member list.
    Members,
    /// To find the feeds that differ.
    Heads,
    /// To get what is lacking of these feeds.
    Pull(Box<Pulling>),
    /// To learn how much of this node's feed the peer holds.
    Positions,
    /// To learn whether another agent holds this node's key.
    Run,
}

/// A pull on its way.
#[derive(Debug)]
pub(crate) struct Pulling {
    /// Whose feeds are awaited: each comes once.
    pub(crate) owners: Vec<NodeId>,
    pub(crate) assembly: Assembly,
    /// Feeds that advanced so far.
    pub(crate) advanced: usize,
    /// Bytes that came so far and were of no use.
    pub(crate) useless: usize,
    /// Whether a feed was refused because no honest peer could have given it.
    pub(crate) is_refused: bool,
}

/// How a request of ours ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// As the peer meant it to.
    Whole,
    /// Before its time: the peer gave up, or cannot be reached any more.
    BrokenOff,
    /// With what the peer had no business to send.
    Unsound,
}

impl Exchanges {
    /// Whether a pull of `owner`'s feed is on its way, from whom it may be.
    pub(crate) fn is_pulling(&self, now: Timestamp, owner: NodeId) -> bool {
        self.pulls(now, owner).next().is_some()
    }

    /// Whether `peer` is being asked for `owner`'s feed.
    pub(crate) fn is_pulling_from(&self, now: Timestamp, peer: NodeId, owner: NodeId) -> bool {
        self.pulls(now, owner).any(|open| open.peer == peer)
    }

    /// The pulls of `owner`'s feed that have not fallen silent.
    fn pulls(&self, now: Timestamp, owner: NodeId) -> impl Iterator<Item = &Open> {
        let heard = self
            .open
            .values()
            .filter(move |open| now.since(open.heard) < PULL_SILENCE);
        heard.filter(move |open| match &open.purpose {
            Purpose::Pull(pulling) => pulling.owners.contains(&owner),
            _ => false,
        })
    }

    /// Bytes of feeds that came from `peer` and are not whole.
    fn held_of(&self, peer: NodeId) -> usize {
        let from_peer = self.open.values().filter(|open| open.peer == peer);
        let bytes = from_peer.map(|open| match &open.purpose {
            Purpose::Pull(pulling) => pulling.assembly.bytes(),
            _ => 0,
        });
        bytes.sum()
    }

    /// Whether `peer` is being asked how much of this node's feed it holds.
    pub(crate) fn is_asking_position(&self, peer: NodeId) -> bool {
        let mut open = self.open.values();
        open.any(|open| open.peer == peer && matches!(open.purpose, Purpose::Positions))
    }

    /// How many lists of heads are awaited.
    pub(crate) fn reconciling(&self) -> usize {
        self.open
            .values()
            .filter(|open| matches!(open.purpose, Purpose::Heads))
            .count()
    }
}

impl Node {
    /// Asks a peer. Returns whether the request went out: not if too many are open.
    pub(crate) fn ask(
        &mut self,
        peer: NodeId,
        addr: SocketAddr,
        request: &Request,
        purpose: Purpose,
    ) -> bool {
        let asks_itself = peer == self.me && !matches!(purpose, Purpose::Run);
        if self.exchanges.open.len() >= REQUESTS_OPEN || asks_itself {
            return false;
        }
        let Ok(frame) = request.encode() else {
            return false;
        };
        let exchange = Exchange(self.exchanges.next);
        self.exchanges.next += 1;
        self.exchanges.open.insert(
            exchange,
            Open {
                peer,
                addr,
                purpose,
                answered: false,
                heard: self.now,
            },
        );
        self.out.push_back(Output::Request {
            exchange,
            to: peer,
            addr,
            frame,
        });
        true
    }

    /// Asks a peer for what this node lacks of these feeds, less those that are on their way; whether
    /// it asked for any.
    pub(crate) fn pull(&mut self, peer: NodeId, addr: SocketAddr, owners: Vec<NodeId>) -> bool {
        let mut named = BTreeSet::new();
        let missing = owners
            .into_iter()
            .filter(|&owner| !self.exchanges.is_pulling(self.now, owner) && named.insert(owner))
            .filter(|&owner| self.patience.takes(self.now, owner));
        let owners: Vec<NodeId> = missing.take(WANTS).collect();
        if owners.is_empty() || !self.patience.asks(self.now, peer) {
            return false;
        }
        let wants = owners.iter().map(|&owner| self.want(peer, owner)).collect();
        let pulling = Pulling {
            owners,
            assembly: Assembly::default(),
            advanced: 0,
            useless: 0,
            is_refused: false,
        };
        let purpose = Purpose::Pull(Box::new(pulling));
        let asked = self.ask(peer, addr, &Request::Pull(wants), purpose);
        self.counters.pulls += u64::from(asked);
        asked
    }

    fn want(&self, peer: NodeId, owner: NodeId) -> Want {
        let sum = self.registry.state(owner).map_or(0, |state| state.sum);
        // An owner that goes on writing would only give what is new, and what differs would stay.
        let held = if owner == peer && self.exchanges.alarmed.contains(&owner) {
            Lineage::empty()
        } else {
            self.registry.held(owner)
        };
        Want { owner, held, sum }
    }

    /// A peer's next answer.
    pub(crate) fn on_response(&mut self, exchange: Exchange, frame: &[u8]) {
        let Some(mut open) = self.exchanges.open.remove(&exchange) else {
            return;
        };
        open.heard = self.now;
        let sound = match Response::decode(frame) {
            Ok(response) => self.on_answer(&mut open, response, frame),
            Err(_) => false,
        };
        if sound {
            self.exchanges.open.insert(exchange, open);
        } else {
            self.counters.frames_malformed += 1;
            self.out.push_back(Output::Abandon { exchange });
            self.on_request_over(open, Ending::Unsound);
        }
    }

    /// Takes an answer; `false` if it does not belong to the question.
    fn on_answer(&mut self, open: &mut Open, response: Response, frame: &[u8]) -> bool {
        let (peer, addr) = (open.peer, open.addr);
        if !matches!(open.purpose, Purpose::Pull(_)) && mem::replace(&mut open.answered, true) {
            return false;
        }
        match (&mut open.purpose, response) {
            (Purpose::Members, Response::Members(list)) => {
                let list = list.into_iter().map(member_state).collect();
                self.membership.apply_snapshot(self.now, list);
                self.on_joined();
                true
            }
            (Purpose::Heads, Response::Heads(heads)) => {
                self.on_heads(peer, addr, heads);
                true
            }
            (Purpose::Pull(pulling), Response::Feed(part)) => {
                self.on_part(peer, pulling, *part, frame)
            }
            (Purpose::Positions, Response::Positions(positions)) => {
                self.on_positions(peer, addr, &positions);
                true
            }
            (Purpose::Run, Response::Run { start }) => {
                self.on_twin(start);
                true
            }
            _ => false,
        }
    }

    fn on_part(
        &mut self,
        peer: NodeId,
        pulling: &mut Pulling,
        part: FeedPart,
        frame: &[u8],
    ) -> bool {
        let owner = part.state.owner;
        if !pulling.owners.contains(&owner) {
            return false;
        }
        if owner == peer {
            let changes = part.changes.len();
            self.patience.took(self.now, owner, changes, frame.len());
        }
        pulling.useless += frame.len();
        let whole = pulling.assembly.bytes() + frame.len();
        let at_once = self.exchanges.held_of(peer) + whole;
        if whole > TRANSFER_BYTES || at_once > FEED_BYTES {
            self.counters.feeds_too_large += 1;
            self.out.push_back(Output::Event(Event::Refused {
                peer,
                reason: format!(
                    "it gives more than {TRANSFER_BYTES} bytes of a feed, or {FEED_BYTES} of several"
                ),
            }));
            return false;
        }
        match pulling.assembly.push(part, frame) {
            Ok(Some(transfer)) => {
                pulling.owners.retain(|&awaited| awaited != owner);
                match self.take(peer, transfer) {
                    Taken::News { advanced } => {
                        pulling.advanced += usize::from(advanced);
                        pulling.useless -= whole;
                    }
                    Taken::Nothing => {}
                    Taken::Refused => pulling.is_refused = true,
                }
                true
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// No more answers will come.
    pub(crate) fn on_finished(&mut self, exchange: Exchange, complete: bool) {
        if let Some(open) = self.exchanges.open.remove(&exchange) {
            let ending = if complete {
                Ending::Whole
            } else {
                Ending::BrokenOff
            };
            self.on_request_over(open, ending);
        }
    }

    fn on_request_over(&mut self, open: Open, ending: Ending) {
        if ending != Ending::Whole {
            self.counters.requests_failed += 1;
        }
        match open.purpose {
            Purpose::Heads => self.on_reconciled(open.peer),
            Purpose::Pull(pulling) => {
                let is_foul = ending == Ending::Unsound || pulling.is_refused;
                self.patience
                    .lost(self.now, open.peer, pulling.useless, is_foul);
                self.on_pulled(open.peer, pulling.advanced);
            }
            Purpose::Members => self.pull_members_again(),
            Purpose::Positions | Purpose::Run => {}
        }
    }

    /// A peer asks.
    pub(crate) fn on_request(&mut self, exchange: Exchange, from: NodeId, frame: &[u8]) {
        let answers = match Request::decode(frame) {
            Ok(Request::Members) => vec![Response::Members(self.member_list()).encode()],
            Ok(Request::Heads) => vec![Response::Heads(self.heads()).encode()],
            Ok(Request::Pull(wants)) => self.give(&wants),
            Ok(Request::Positions(owners)) => {
                vec![Response::Positions(self.positions(&owners)).encode()]
            }
            Ok(Request::Run { start }) => {
                let answer = self.on_run_asked(from, start);
                answer.iter().map(Response::encode).collect()
            }
            Err(_) => {
                self.counters.frames_malformed += 1;
                self.out.push_back(Output::Finish {
                    exchange,
                    complete: false,
                });
                return;
            }
        };
        let mut complete = true;
        for answer in answers {
            match answer {
                Ok(frame) => self.out.push_back(Output::Respond { exchange, frame }),
                Err(_) => complete = false,
            }
        }
        self.out.push_back(Output::Finish { exchange, complete });
    }

    fn member_list(&self) -> Vec<MemberInfo> {
        self.membership
            .snapshot()
            .into_iter()
            .map(member_info)
            .collect()
    }

    fn heads(&self) -> Vec<Head> {
        let head = |(owner, item)| Head {
            owner,
            item,
            signature: Vec::new(),
        };
        self.registry.items().map(head).collect()
    }

    fn positions(&self, owners: &[NodeId]) -> Vec<(NodeId, Lineage)> {
        let position = |&owner| (owner, self.registry.lineage(owner));
        owners.iter().take(WANTS).map(position).collect()
    }

    /// What the asker lacks as frames, feed after feed, until the budget is used up.
    fn give(&self, wants: &[Want]) -> Vec<Result<Vec<u8>, EncodeError>> {
        let mut answers = Vec::new();
        let mut bytes = 0;
        for want in wants.iter().take(WANTS) {
            let Some(transfer) = self.lacking(want) else {
                continue;
            };
            for part in FeedPart::split(transfer) {
                let frame = part.and_then(|part| Response::Feed(Box::new(part)).encode());
                bytes += frame.as_ref().map_or(0, Vec::len);
                answers.push(frame);
            }
            if bytes > PULL_BYTES {
                break;
            }
        }
        answers
    }

    fn lacking(&self, want: &Want) -> Option<Transfer> {
        let state = self.registry.state(want.owner)?;
        if state.lineage == want.held && state.sum != want.sum {
            return self.registry.snapshot(want.owner).map(Transfer::Snapshot);
        }
        self.registry.transfer(want.owner, &want.held)
    }
}

fn member_info(member: tidings_membership::MemberState) -> MemberInfo {
    MemberInfo {
        node: member.id.node,
        addr: member.id.addr,
        generation: member.id.generation,
        incarnation: member.incarnation,
        state: match member.state {
            State::Alive => MemberState::Alive,
            State::Suspect => MemberState::Suspect,
            State::Down => MemberState::Down,
        },
    }
}

fn member_state(member: MemberInfo) -> tidings_membership::MemberState {
    tidings_membership::MemberState {
        id: MemberId {
            node: member.node,
            addr: member.addr,
            generation: member.generation,
        },
        incarnation: member.incarnation,
        state: match member.state {
            MemberState::Alive => State::Alive,
            MemberState::Suspect => State::Suspect,
            MemberState::Down => State::Down,
        },
    }
}
