//! Events: what a scenario may ask to happen, and the rare states that a set of runs must meet.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::mechanism::Mechanism;

/// Something that happens in a run and is counted. A scenario may ask for it under `sometimes` or
/// forbid it under `never`; [`Report::probes`](crate::Report::probes) tells how often it happened.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Deserialize,
    Serialize,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
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
    /// A narrow link had no room for a datagram.
    Squeezed,
    /// A datagram came once more, long after it was sent.
    Replayed,
    /// A suspect turned out to be alive.
    SuspicionRefuted,
    /// A member went down in somebody's view while its process ran.
    DeclaredDownWhileAlive,
    /// A node that was declared down took a new membership identity.
    IdentityRenewed,
    /// Every running node of a cluster did so within one second.
    EveryNodeRenewed,
    /// A node that was alone or heard nothing announced itself.
    WatchdogFired,
    /// A tombstone or an override met a live entry of its key and beat it.
    TombstoneBeatLive,
    /// A live entry met a tombstone or an override of its key and beat it.
    LiveBeatTombstone,
    /// A record older than a tombstone came where that had been collected.
    CollectedThenOlder,
    /// News was too large for a datagram, so that peers had to pull it.
    NewsTooLarge,
    /// What had waited for a gap in its feed was joined.
    GapClosed,
    /// A node repaired feeds after a session of its had broken.
    ResumedAfterBreak,
    /// A shared key was written on one side of a cut link while another write to it stood on the other.
    WrittenOnBothSides,
    /// A member was declared down and was back within a second: its refutation was on its way.
    ExpiryRacedRenewal,
    /// A start found on its disk what it could not take, or could not take whole.
    SnapshotRejected,
    /// A node's wall clock turned out to be an hour or more behind a peer's.
    ClockBehindHour,
}

impl EventName {
    /// Every event.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The rare states that a set of runs must meet: a simulator that never meets them proves nothing
    /// about them.
    pub const REQUIRED: &'static [Self] = &[
        Self::SuspicionRefuted,
        Self::DeclaredDownWhileAlive,
        Self::IdentityRenewed,
        Self::EveryNodeRenewed,
        Self::WatchdogFired,
        Self::TombstoneBeatLive,
        Self::LiveBeatTombstone,
        Self::CollectedThenOlder,
        Self::NewsTooLarge,
        Self::ResumedAfterBreak,
        Self::WrittenOnBothSides,
        Self::ExpiryRacedRenewal,
        Self::SnapshotRejected,
        Self::ClockBehindHour,
    ];

    /// Its name in scenario files and reports.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The mechanism without which it cannot happen, if the core is yet to have it.
    pub fn waits_for(self) -> Option<Mechanism> {
        let needed = match self {
            Self::CollectedThenOlder => Mechanism::Collection,
            _ => return None,
        };
        (!needed.exists()).then_some(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_files_and_reports() {
        for &event in EventName::ALL {
            let text = format!("name = \"{}\"", event.as_str());
            let table: toml::Table = text.parse().unwrap();
            let read: EventName = table["name"].clone().try_into().unwrap();
            assert_eq!(read, event);
        }
    }
}
