//! Sessions: ordered frames between two hosts that arrive late, or break.

use std::{collections::BTreeMap, collections::VecDeque, time::Duration};

use tidings_node::Exchange;
use tidings_types::{NodeId, Timestamp};

use crate::recording::Track;

/// A session breaks when nothing of it arrived for this long.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a frame that cannot pass is tried again.
pub(crate) const RETRY: Duration = Duration::from_millis(250);

/// Every session that is open.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: BTreeMap<u64, Session>,
    next: u64,
}

/// One session: one request and its answers.
#[derive(Debug)]
pub(crate) struct Session {
    /// The asking host, and the run of its process.
    pub(crate) client: (usize, u64),
    /// The request's name there.
    pub(crate) exchange: Exchange,
    /// The asked host; the run of its process once it has been reached.
    pub(crate) server: (usize, Option<u64>),
    /// Whom the client wants to talk to.
    pub(crate) to: NodeId,
    /// Frames on their way: to the server, to the client.
    queues: [VecDeque<(Carried, Option<Track>)>; 2],
    /// When the last frame of each direction arrives: the next one may not overtake it.
    pub(crate) last: [Timestamp; 2],
    /// When something arrived last.
    pub(crate) progress: Timestamp,
}

/// What a session carries.
#[derive(Clone, Debug)]
pub(crate) enum Carried {
    /// The question.
    Request(NodeId, Vec<u8>),
    /// One answer.
    Response(Vec<u8>),
    /// The end of the answers.
    Finish(bool),
}

/// The direction of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    Server,
    Client,
}

impl Towards {
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Server => 0,
            Self::Client => 1,
        }
    }
}

impl Session {
    pub(crate) const fn new(
        client: (usize, u64),
        exchange: Exchange,
        server: usize,
        to: NodeId,
        now: Timestamp,
    ) -> Self {
        Self {
            client,
            exchange,
            server: (server, None),
            to,
            queues: [VecDeque::new(), VecDeque::new()],
            last: [now, now],
            progress: now,
        }
    }

    /// From which host to which a frame of that direction goes.
    pub(crate) const fn ends(&self, towards: Towards) -> (usize, usize) {
        match towards {
            Towards::Server => (self.client.0, self.server.0),
            Towards::Client => (self.server.0, self.client.0),
        }
    }

    /// Puts a frame on its way.
    pub(crate) fn send(&mut self, towards: Towards, carried: Carried, track: Option<Track>) {
        self.queues[towards.index()].push_back((carried, track));
    }

    /// Takes the next frame that arrives: in order, whichever event brought it.
    pub(crate) fn receive(&mut self, towards: Towards) -> Option<(Carried, Option<Track>)> {
        self.queues[towards.index()].pop_front()
    }
}

impl Sessions {
    /// Opens a session and returns its number.
    pub(crate) fn open(&mut self, session: Session) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, session);
        number
    }

    /// The session of that number, if it is still open.
    pub(crate) fn get(&mut self, number: u64) -> Option<&mut Session> {
        self.open.get_mut(&number)
    }

    /// The session of that number, to look at.
    pub(crate) fn look(&self, number: u64) -> Option<&Session> {
        self.open.get(&number)
    }

    /// Ends a session.
    pub(crate) fn close(&mut self, number: u64) -> Option<Session> {
        self.open.remove(&number)
    }

    /// Sessions that a host has opened.
    pub(crate) fn opened_by(&self, host: usize) -> usize {
        let clients = self.open.values().map(|session| session.client.0);
        clients.filter(|&client| client == host).count()
    }

    /// Ends a session whose client has broken it off.
    pub(crate) fn abandon(&mut self, client: usize, exchange: Exchange) {
        self.open
            .retain(|_, session| (session.client.0, session.exchange) != (client, exchange));
    }

    /// Ends what a host's processes have asked.
    pub(crate) fn forget_client(&mut self, host: usize) {
        self.open.retain(|_, session| session.client.0 != host);
    }
}
