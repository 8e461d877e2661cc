//! Why something was not taken. None of these changed anything.

use tidings_types::{
    Epoch, Key, NodeId,
    limits::{FEED_BYTES, FEED_RECORDS, FEEDS, LINEAGE_EPOCHS, RECORD_BYTES},
};

use crate::{CHECKS_ACCEPTED, FEED_BYTES_WRITTEN, FEED_SLOTS, FEED_SLOTS_ACCEPTED};

/// A transfer was not applied; the registry is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The giver sent a change that no owner can have made.
    #[error("the feed of {owner:?} was sent with a malformed change of {key:?}: {fault}")]
    Change {
        /// Whose feed.
        owner: NodeId,
        /// The change's key.
        key: Box<Key>,
        /// What is wrong with it.
        fault: ChangeFault,
    },
    /// The giver sent positions that do not fit together.
    #[error("the feed of {owner:?} was sent with a malformed position: {fault}")]
    Position {
        /// Whose feed.
        owner: NodeId,
        /// What is wrong with it.
        fault: PositionFault,
    },
    /// The giver's snapshot does not add up to the sum that came with it: damaged on its way, or
    /// in the giver's memory. Another peer's copy should be asked for.
    #[error("a snapshot of the feed of {owner:?} does not add up to its own content sum")]
    Sum {
        /// Whose feed.
        owner: NodeId,
    },
    /// The giver attributes dots of this node's present run to it that it never wrote. It may have
    /// taken them from a liar in good faith; [`Writer::outbid`](crate::Writer::outbid) ends it.
    #[error("a peer holds change {seq} of this node's present run {epoch}, which never wrote it")]
    ForgedDot {
        /// The present run.
        epoch: Epoch,
        /// The greatest seq claimed.
        seq: u64,
    },
    /// This node's feed has a run greater than the present one: the clock went back past a lost
    /// disk, or the disk was cloned. Nobody is to blame; take an epoch above it
    /// ([`Writer::take_over`](crate::Writer::take_over)), then ask again.
    #[error("this node's feed has a greater run {epoch}; a new epoch must be taken above it first")]
    EpochExceeded {
        /// The greater run.
        epoch: Epoch,
    },
    /// The transfer names positions of other feeds that it needs; this version cannot wait for
    /// them, and applying it without would be wrong.
    #[error("the feed of {owner:?} needs other feeds' positions, which this version cannot check")]
    NeedsUnsupported {
        /// Whose feed.
        owner: NodeId,
    },
    /// The feed would hold more slots than any owner may fill.
    #[error("the feed of {owner:?} would hold {slots} slots, above {FEED_SLOTS_ACCEPTED}")]
    FeedTooLarge {
        /// Whose feed.
        owner: NodeId,
        /// How many it would hold.
        slots: usize,
    },
    /// The feed's records would take more bytes than one peer may make another hold.
    #[error("the feed of {owner:?} would be charged {bytes} bytes, above {FEED_BYTES}")]
    FeedTooHeavy {
        /// Whose feed.
        owner: NodeId,
        /// How many it would take.
        bytes: usize,
    },
    /// This registry holds as many feeds as it may.
    #[error("{FEEDS} feeds are held already; the feed of {owner:?} is not taken")]
    TooManyFeeds {
        /// Whose feed.
        owner: NodeId,
    },
}

impl Rejected {
    /// Whether an honest giver could not have sent this: to be counted against it.
    pub const fn blames_giver(&self) -> bool {
        match self {
            Self::Change { .. }
            | Self::Position { .. }
            | Self::Sum { .. }
            | Self::ForgedDot { .. }
            | Self::FeedTooLarge { .. }
            | Self::FeedTooHeavy { .. } => true,
            Self::EpochExceeded { .. }
            | Self::NeedsUnsupported { .. }
            | Self::TooManyFeeds { .. } => false,
        }
    }

    /// Whether no replica anywhere could hold this, whatever it was told: then the giver made it up.
    pub const fn is_malformed(&self) -> bool {
        matches!(
            self,
            Self::Change { .. } | Self::Sum { .. } | Self::Position { .. }
        )
    }
}

/// What is wrong with one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeFault {
    /// A seq of zero, or a dot outside of what the transfer says it covers.
    #[error("its dot is outside of the covered range")]
    Range,
    /// The changes are not in dot order.
    #[error("it is not in dot order")]
    Order,
    /// Two changes for one key.
    #[error("its key appears twice")]
    Duplicate,
    /// The body's kind does not fit the key's.
    #[error("its body does not fit its key")]
    Kind,
    /// The version's kind does not fit key and feed: an override in the owner's own feed, a
    /// registration in somebody else's, a version of a shared key on an owner key.
    #[error("its version does not belong in this feed")]
    Version,
    /// The version's dot is not its writer's, or is greater than the change's.
    #[error("its version names a write that its writer cannot have made")]
    VersionDot,
    /// A tombstone where only a live record can stand, or a body in an override.
    #[error("it is a tombstone where none can be, or an override with a body")]
    Body,
    /// A stamp from the year 2200 or later.
    #[error("its stamp lies beyond the year 2200")]
    Stamp,
    /// More than [`RECORD_BYTES`].
    #[error("it has {bytes} bytes, above {RECORD_BYTES}")]
    TooLarge {
        /// Its encoded size.
        bytes: usize,
    },
    /// More than [`CHECKS_ACCEPTED`].
    #[error("its instance names {named} checks, above {CHECKS_ACCEPTED}")]
    TooManyChecks {
        /// How many.
        named: usize,
    },
    /// A removal mark of a key that the feed's owner does not own (these need yields), or one that
    /// the watermark covers (these are dropped).
    #[error("it is a removal mark that cannot stand there")]
    Mark,
}

/// What is wrong with a transfer's positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PositionFault {
    /// The watermark covers what the giver itself does not hold.
    #[error("the watermark is ahead of the lineage")]
    WatermarkAhead,
    /// A delta from a position that does not cover the giver's watermark: removals may be missing.
    #[error("the delta starts behind the watermark")]
    StartsBehindWatermark,
    /// An epoch that no clock can have shown: no epoch could follow it before long.
    #[error("an epoch lies beyond the year 2200")]
    EpochBeyondEnd,
}

/// A write was not staged; the writer is as it was. The caller is to blame, or a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Only its owner registers under an owner key.
    #[error("{0:?} is not this node's to register")]
    NotOwned(Box<Key>),
    /// Overrides are for other nodes' keys: the own record is deregistered, the shared one
    /// tombstoned.
    #[error("{0:?} is not another node's key, so it cannot be overridden")]
    NotForeign(Box<Key>),
    /// Shared writes are for shared keys.
    #[error("{0:?} belongs to one node and is not shared")]
    NotShared(Box<Key>),
    /// The body's kind does not fit the key's.
    #[error("the record does not fit its key {0:?}")]
    Kind(Box<Key>),
    /// More than [`RECORD_BYTES`].
    #[error("a record has at most {RECORD_BYTES} bytes, this one has {bytes}")]
    TooLarge {
        /// Its encoded size.
        bytes: usize,
    },
    /// The own feed is full: [`FEED_RECORDS`] records, or [`FEED_SLOTS`] slots with tombstones,
    /// overrides and removal marks counted. Deregister something first.
    #[error("this node holds its limit of {FEED_RECORDS} records or {FEED_SLOTS} slots")]
    FeedFull,
    /// The own feed's records take [`FEED_BYTES_WRITTEN`] already: more could not be sent to a new
    /// member. Shorten or deregister something first.
    #[error(
        "this node's records may take {FEED_BYTES_WRITTEN} bytes together, in every agent, and do: deregister some, or register them on another agent"
    )]
    FeedTooLarge,
    /// The own feed has dots of [`LINEAGE_EPOCHS`] runs and none of the present one yet, so the
    /// first write of this run would make its position malformed. A
    /// [`Writer::restamp`](crate::Writer::restamp) must come first.
    #[error("this node's feed has {LINEAGE_EPOCHS} runs; they must be restamped first")]
    TooManyEpochs,
    /// The value in force, or this node's clock, stands at the last stamp before the year 2200:
    /// nothing can be written after it.
    #[error("the next stamp would lie beyond the year 2200; check the clocks")]
    StampsExhausted,
}
