//! What must come of a run, as a scenario writes it.

use serde::{Deserialize, Serialize};

use super::{Hosts, is_default};
use crate::span::Span;

/// What must come of it. The invariants A1-A7, A9-A11 and E7 hold always and are not named.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expect {
    /// Deadlines in the quiet phase.
    #[serde(default, skip_serializing_if = "is_default")]
    pub eventually: Deadlines,
    /// What a query must be answered at a moment.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reads: Vec<ReadExpectation>,
    /// Events that must happen somewhere at least once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sometimes: Vec<EventName>,
    /// Events that must not happen anywhere.
    #[serde(default, skip_serializing_if = "is_default")]
    pub never: Vec<EventName>,
    /// Hosts that a fault of their own makes sick: what they think of others is their own matter,
    /// and what becomes of them counts as neither false nor forced. What others take from them
    /// counts.
    pub sick: Option<Hosts>,
    /// How often a healthy, connected node may be called down by another.
    pub false_downs_max: Option<u64>,
    /// How often healthy nodes that run in the end may have been made to rejoin under a new
    /// identity.
    pub rejoins_max: Option<u64>,
}

/// Deadlines after the end of the chaos phase; absent ones are not checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(non_snake_case, reason = "the invariants are called so")]
pub struct Deadlines {
    /// Convergence: equal fingerprints and equal content on all running agents.
    pub E1: Option<Span>,
    /// Nothing acknowledged is lost.
    pub E2: Option<Span>,
    /// Each running agent sees exactly the running agents.
    pub E3: Option<Span>,
}

/// What a query must be answered at a moment.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReadExpectation {
    /// When.
    pub at: Span,
    /// Asked of each of these.
    pub on: Hosts,
    /// The service asked for.
    pub service: String,
    /// The ports of the instances served, in any order.
    pub ports: Vec<u16>,
    /// How many of them are marked stale.
    pub stale: Option<usize>,
    /// How many of them are in conflict with another write.
    pub conflicts: Option<usize>,
    /// Whether the agent takes itself for an island.
    pub island: Option<bool>,
}

/// An event that a scenario may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventName {
    /// A member went down in somebody's view.
    MemberDown,
    /// An agent took itself for an island.
    Island,
    /// Feeds were repaired from a peer.
    Repaired,
    /// A registration was overridden by an operator.
    Overridden,
    /// A peer's change was refused.
    Refused,
    /// Two replicas differed at one position.
    Alarm,
    /// A stamp was too far ahead to be adopted.
    ClockAhead,
    /// A node met a greater epoch of itself.
    GreaterEpochMet,
    /// The disk refused a batch.
    NotPersisted,
    /// A peer's change was refused, or found to differ, and a dishonest host was named for it.
    LiarNamed,
    /// A reader was shown what a dishonest host made up.
    LieShown,
    /// A full inbox dropped a datagram.
    Shed,
    /// Another cluster's packet or session was refused.
    ForeignCluster,
    /// A feed was found damaged on a disk.
    Damaged,
    /// A link let out what it had held back.
    Burst,
    /// A node learned that another process holds its key.
    Cloned,
    /// A process gave its key up and went on under a new one.
    Yielded,
}

impl EventName {
    /// Every event.
    pub const ALL: &'static [Self] = &[
        Self::MemberDown,
        Self::Island,
        Self::Repaired,
        Self::Overridden,
        Self::Refused,
        Self::Alarm,
        Self::ClockAhead,
        Self::GreaterEpochMet,
        Self::NotPersisted,
        Self::LiarNamed,
        Self::LieShown,
        Self::Shed,
        Self::ForeignCluster,
        Self::Damaged,
        Self::Burst,
        Self::Cloned,
        Self::Yielded,
    ];

    /// Its name in scenario files and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MemberDown => "member-down",
            Self::Island => "island",
            Self::Repaired => "repaired",
            Self::Overridden => "overridden",
            Self::Refused => "refused",
            Self::Alarm => "alarm",
            Self::ClockAhead => "clock-ahead",
            Self::GreaterEpochMet => "greater-epoch-met",
            Self::NotPersisted => "not-persisted",
            Self::LiarNamed => "liar-named",
            Self::LieShown => "lie-shown",
            Self::Shed => "shed",
            Self::ForeignCluster => "foreign-cluster",
            Self::Damaged => "damaged",
            Self::Burst => "burst",
            Self::Cloned => "cloned",
            Self::Yielded => "yielded",
        }
    }
}
