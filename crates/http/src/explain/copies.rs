//! How far what is told may be trusted, and how widely a record is known.

use serde::Serialize;
use tidings_types::{Liveness, Sync};
use tidings_view::{InstanceView, View};

use crate::{duration::millis, reply};

/// How this agent stands to its cluster.
#[derive(Debug, Serialize)]
pub(super) struct Trust {
    name: String,
    /// Whether it takes itself to be cut off.
    island: bool,
    /// Whether it has just started and has not met its cluster yet.
    starting: bool,
    reachable: usize,
    expected: usize,
    /// For how long some reachable peer's registry has differed from its own; `None` if none does.
    differs_for_ms: Option<u64>,
}

impl Trust {
    pub(super) fn of(view: &View) -> Self {
        let roster = view.roster();
        Self {
            name: view.my_name().to_string(),
            island: roster.island,
            starting: !roster.island && roster.unknown != Liveness::Hidden,
            reachable: roster.reachable,
            expected: roster.expected,
            differs_for_ms: reply::differs_for(view, &view.status()).map(millis),
        }
    }
}

/// Who holds a record, as far as this agent knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Copies {
    /// Of an own record: nobody else is known to hold it.
    ThisAgentOnly,
    /// Of an own record: some peer holds it.
    SomePeer,
    /// All reachable peers held what this agent holds when they were last heard.
    AllReachable,
    /// Of another node's record: it is here, and some reachable peer differs in something.
    Unknown,
}

impl Copies {
    pub(super) fn of(view: &View, instance: &InstanceView) -> Self {
        let (status, roster) = (view.status(), view.roster());
        let own = instance.node().key.agent() == Some(view.me());
        let sync = instance
            .origin()
            .dot()
            .filter(|_| own)
            .map(|dot| status.sync(dot));
        match sync {
            Some(Sync::Pending) => Self::ThisAgentOnly,
            _ if status.differs_since.is_none() && roster.reachable > 1 => Self::AllReachable,
            Some(Sync::Synced) => Self::SomePeer,
            None => Self::Unknown,
        }
    }
}
