//! What must come of a run, as a scenario writes it.

use serde::{Deserialize, Serialize};

use super::{EventName, Hosts, is_default};
use crate::{figures::Budget, span::Span};

/// What must come of it. The invariants A1-A11, E6 and E7 hold always and are not named.
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
    /// What the run may cost.
    #[serde(default, skip_serializing_if = "is_default")]
    pub budget: Budget,
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
    /// Each running agent sees exactly the running agents: at a moment soon after the deadline, and at
    /// one shortly before the end, since over links that lose much one is taken for dead now and then.
    pub E3: Option<Span>,
    /// No answer has an instance of a dead owner.
    pub E4: Option<Span>,
    /// Nobody says or asks anything about records any more, and nobody is under suspicion.
    pub E5: Option<Span>,
}

impl Deadlines {
    /// Those that are judged once they have come and at the end, by the names of their invariants. E1
    /// is judged all the time from its deadline on.
    pub const fn later(&self) -> [(&'static str, Option<Span>); 4] {
        [
            ("E2", self.E2),
            ("E3", self.E3),
            ("E4", self.E4),
            ("E5", self.E5),
        ]
    }
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
