//! What goes wrong, as a scenario writes it.

use serde::{Deserialize, Serialize};
use tidings_types::Departure;

use super::{Hosts, is_default};
use crate::{
    link::Link,
    span::{Shift, Span, or_ever},
};

/// One thing that goes wrong. Without `for` it lasts until the end of the chaos phase; `for = "ever"`
/// keeps it in the quiet phase, which then judges a core that it does not touch.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Fault {
    /// Nothing passes from the first hosts to the second, nor back unless told so.
    Cut {
        /// When.
        at: Span,
        /// How long.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// From whom to whom.
        between: [Hosts; 2],
        /// Which directions.
        #[serde(default, skip_serializing_if = "is_default")]
        way: Way,
        /// Which lanes.
        #[serde(default, skip_serializing_if = "is_default")]
        lane: CutLane,
    },
    /// The links between the hosts, both ways, behave differently.
    Weather {
        /// When.
        at: Span,
        /// How long.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// From whom to whom.
        between: [Hosts; 2],
        /// How they behave.
        link: Link,
    },
    /// The process stands still: timers are late, what comes in waits.
    Pause {
        /// When.
        at: Span,
        /// How long.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// Which hosts.
        node: Hosts,
    },
    /// The process is killed.
    Crash {
        /// When.
        at: Span,
        /// Which hosts.
        node: Hosts,
        /// When and with what it comes back; never if absent.
        restart: Option<Restart>,
    },
    /// The process says goodbye and stops.
    Depart {
        /// When.
        at: Span,
        /// Which hosts.
        node: Hosts,
        /// Whether it means to come back.
        #[serde(default, skip_serializing_if = "is_default")]
        how: Goodbye,
        /// When it comes back; never if absent.
        restart: Option<Restart>,
    },
    /// The wall clock is wrong.
    Clock {
        /// When.
        at: Span,
        /// How long.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// Which hosts.
        node: Hosts,
        /// By how much.
        #[serde(default, skip_serializing_if = "is_default")]
        offset: Shift,
        /// By how much it goes fast, in parts per million.
        #[serde(default, skip_serializing_if = "is_default")]
        rate_ppm: i64,
        /// Whether it stands still.
        #[serde(default, skip_serializing_if = "is_default")]
        frozen: bool,
    },
    /// The local host refuses to send from the first hosts to the second.
    SendErrors {
        /// When.
        at: Span,
        /// How long.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// Which hosts.
        node: Hosts,
        /// To whom.
        to: Hosts,
    },
    /// The disk refuses every write.
    DiskFull {
        /// When.
        at: Span,
        /// How long.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// Which hosts.
        node: Hosts,
    },
    /// Links hold everything, and let it out in one burst at the end.
    Jam {
        /// When.
        at: Span,
        /// How long.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// From whom to whom.
        between: [Hosts; 2],
        /// Which directions.
        #[serde(default, skip_serializing_if = "is_default")]
        way: Way,
    },
    /// What passes from the first hosts to the second comes once more, long after it was sent.
    Replay {
        /// When the recording begins.
        at: Span,
        /// How long it goes on.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// From whom to whom.
        between: [Hosts; 2],
        /// Which directions.
        #[serde(default, skip_serializing_if = "is_default")]
        way: Way,
        /// How long after it was sent it comes again.
        after: Span,
    },
    /// The process is killed again and again, and comes back each time with an intact disk.
    CrashLoop {
        /// When it is killed first.
        at: Span,
        /// How long it goes on.
        r#for: Span,
        /// Which hosts.
        node: Hosts,
        /// How long it runs each time.
        up: Span,
        /// How long it is gone each time.
        down: Span,
    },
    /// The process's monotonic clock goes fast or slow: its timers are early or late.
    Drift {
        /// When.
        at: Span,
        /// How long.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// Which hosts.
        node: Hosts,
        /// By how much it goes fast, in parts per million.
        rate_ppm: i64,
    },
    /// The process handles whatever reaches it late, in order. Its own timers are on time.
    SlowNode {
        /// When.
        at: Span,
        /// How long.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// Which hosts.
        node: Hosts,
        /// How late.
        late: Span,
    },
    /// One host sends others datagrams that are well-formed and tell them nothing.
    Flood {
        /// When.
        at: Span,
        /// How long.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// Who sends them.
        from: usize,
        /// To whom.
        to: Hosts,
        /// How many reach each of those in a second.
        per_second: u32,
    },
    /// One host's driver is dishonest: what it sends is not what its node wants sent.
    Lie {
        /// When.
        at: Span,
        /// How long.
        #[serde(default, deserialize_with = "or_ever")]
        r#for: Option<Span>,
        /// The liar.
        node: usize,
        /// What it lies about.
        about: Lie,
        /// Whose feed, if another's.
        of: Option<usize>,
    },
}

impl Fault {
    /// When it begins.
    pub const fn at(&self) -> Span {
        self.span().0
    }

    /// When it begins, and how long it lasts if it says so.
    pub const fn span(&self) -> (Span, Option<Span>) {
        match self {
            Self::Cut { at, r#for, .. }
            | Self::Weather { at, r#for, .. }
            | Self::Pause { at, r#for, .. }
            | Self::Clock { at, r#for, .. }
            | Self::SendErrors { at, r#for, .. }
            | Self::DiskFull { at, r#for, .. }
            | Self::Jam { at, r#for, .. }
            | Self::SlowNode { at, r#for, .. }
            | Self::Flood { at, r#for, .. }
            | Self::Replay { at, r#for, .. }
            | Self::Drift { at, r#for, .. }
            | Self::Lie { at, r#for, .. } => (*at, *r#for),
            Self::CrashLoop { at, r#for, .. } => (*at, Some(*r#for)),
            Self::Crash { at, .. } | Self::Depart { at, .. } => (*at, None),
        }
    }
}

/// What a dishonest host lies about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// Positions: it claims to hold what it does not hold, and what nobody wrote.
    FalseHeads,
    /// Authorship: it writes another node's instance into its own feed, and changes into that
    /// node's feed which their owner never made.
    ForeignRecords,
    /// Content: it gives other nodes' feeds at their true positions, with other records in them.
    EqualPosition,
    /// Runs: its feed gets ever more epochs.
    EndlessEpochs,
}

/// The directions of a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Both.
    #[default]
    Both,
    /// From the first hosts to the second.
    AToB,
    /// From the second hosts to the first.
    BToA,
}

/// The lanes of a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutLane {
    /// Everything.
    #[default]
    All,
    /// Only datagrams.
    Datagram,
    /// Only sessions.
    Session,
}

/// How a process comes back.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Restart {
    /// How long after it stopped.
    pub after: Span,
    /// What its disk holds then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disk: DiskFate,
    /// Of a rolled-back, stale or unsynced disk: the moment of the run whose content it holds.
    pub image: Option<Span>,
    /// Of a copied disk: the host whose disk it is a copy of.
    pub of: Option<usize>,
    /// Whose member comes back at that address: with another cluster, the disk is lost.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cluster: Cluster,
}

/// One of the two clusters of a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cluster {
    /// The one that every host belongs to unless told otherwise.
    #[default]
    First,
    /// Another one, which shares the network and the seed list by mistake.
    Second,
}

/// What a disk holds at a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskFate {
    /// Everything that was made durable.
    #[default]
    Intact,
    /// Nothing, not even the key: another node comes back under the old name and address.
    Lost,
    /// The key alone.
    Empty,
    /// What it held at an earlier moment, epoch included.
    RolledBack,
    /// All of its own feed, and of others what it held at an earlier moment.
    Stale,
    /// Of its own feed what it held at an earlier moment, though it had said that all was written.
    Unsynced,
    /// What was durable, less rows of which a bit has flipped: they are found out and marked.
    Flipped,
    /// What another host's holds when this one stops: two processes have one key.
    Copied,
    /// What was durable, and part of what was not: the crash met it while it saved. What is broken
    /// is marked as damaged, or its whole file was set aside.
    Torn,
}

impl DiskFate {
    /// Whether it holds something as it was at an earlier moment.
    pub const fn is_of_an_image(self) -> bool {
        matches!(self, Self::RolledBack | Self::Stale | Self::Unsynced)
    }
}

/// Whether a node that departs means to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goodbye {
    /// No.
    #[default]
    Left,
    /// Yes.
    Restarting,
}

impl From<Goodbye> for Departure {
    fn from(how: Goodbye) -> Self {
        match how {
            Goodbye::Left => Self::Left,
            Goodbye::Restarting => Self::Restarting,
        }
    }
}
