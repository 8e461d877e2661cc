//! What clients do, as a scenario writes it.

use serde::{Deserialize, Serialize};

use super::{is_one, one};
use crate::span::Span;

/// How often a piece of work is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Repeat {
    /// The time between two.
    pub every: Span,
    /// How many there are in all.
    pub times: usize,
    /// Each takes one of so many ids (`-0`, `-1`, .. after the id), drawn from the seed, and a port
    /// that grows by one each time.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub keys: u64,
}

/// One thing that a client does.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Work {
    /// Registers an instance at its own agent; with a check if a status is given.
    Register {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// The instance's id.
        id: String,
        /// The service's name.
        service: String,
        /// The instance's port.
        port: u16,
        /// The first status of its check.
        check: Option<Status>,
        /// How many are registered in one request, all or none: with `-0`, `-1`, .. after the id, and
        /// ports that grow by one.
        batch: Option<u16>,
        /// Repetition.
        repeat: Option<Repeat>,
    },
    /// Deregisters an instance at its own agent.
    Deregister {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// The instance's id.
        id: String,
        /// Repetition.
        repeat: Option<Repeat>,
    },
    /// Reports what the check of an instance found.
    Check {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// The instance's id.
        id: String,
        /// What it found.
        status: Status,
    },
    /// Registers an instance of a node that runs no agent.
    RegisterExternal {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// The external node's name.
        node: String,
        /// The instance's id.
        id: String,
        /// The service's name.
        service: String,
        /// The instance's port.
        port: u16,
    },
    /// Deregisters an external node, or one instance of it.
    DeregisterExternal {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// The external node's name.
        node: String,
        /// The instance's id; all if absent.
        id: Option<String>,
    },
    /// An operator deregisters what another host's agent registered.
    Override {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// Whose record.
        of: usize,
        /// The instance's id; the whole node if absent.
        id: Option<String>,
    },
    /// An operator takes a dead member for one that has left.
    ForceLeave {
        /// When.
        at: Span,
        /// At which host.
        via: usize,
        /// Which member.
        of: usize,
    },
}

impl Work {
    /// When, or when first.
    pub const fn at(&self) -> Span {
        match self {
            Self::Register { at, .. }
            | Self::Deregister { at, .. }
            | Self::Check { at, .. }
            | Self::RegisterExternal { at, .. }
            | Self::DeregisterExternal { at, .. }
            | Self::Override { at, .. }
            | Self::ForceLeave { at, .. } => *at,
        }
    }
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Good.
    Passing,
    /// Usable.
    Warning,
    /// Not to be used.
    Critical,
}
