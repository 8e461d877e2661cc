//! What a transfer must look like before anything is changed.
//!
//! A replica passes on what it applied, so one malformed change would travel on under honest
//! names. Everything that can be judged without other feeds is judged here.

use std::{collections::BTreeSet, sync::Arc};

use tidings_types::{
    BodyKind, Change, Delta, Entry, Epoch, FeedState, Hlc, Key, Lineage, Place, Slot, Snapshot,
    Version,
    limits::{CHECKS_PER_INSTANCE, FEED_BYTES, FEED_RECORDS, RECORD_BYTES},
};

use crate::{
    ChangeFault, PositionFault, Rejected,
    hash::{ContentHasher, Weighed},
};

/// Slots of one feed that are accepted from peers: more than any owner may fill on its own, since a
/// rolled-back owner joins what it wrote before with what it wrote since.
pub const FEED_SLOTS_ACCEPTED: usize = 4 * FEED_RECORDS;

/// Checks that an instance from a peer may name: more than any owner lets it, so that a later version can.
/// Each change of one of them shows the instance anew, and all its names are looked at for that.
pub const CHECKS_ACCEPTED: usize = 4 * CHECKS_PER_INSTANCE;

/// Epochs from the year 2200 on are malformed, as stamps are.
const EPOCH_END: Epoch = Epoch::from_bits(Hlc::END.unix_ms() << 20);
/// A run of itself is followed by a node up to a year before that: whoever lies about it can push
/// the node's epochs ahead, but never to where no start could take another one.
pub(crate) const FOLLOWED_END: Epoch =
    Epoch::from_bits((Hlc::END.unix_ms() - 365 * 24 * 3_600_000) << 20);

/// A transfer's content after its checks, with the hashes that they took.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) state: FeedState,
    pub(crate) changes: Vec<Arc<Standing>>,
    /// Bytes that the changes are charged.
    pub(crate) cost: usize,
}

/// A change as a feed keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) change: Change,
    pub(crate) hash: u128,
    /// Bytes that it is charged.
    pub(crate) cost: usize,
}

impl Standing {
    pub(crate) const fn new(change: Change, weighed: Weighed) -> Self {
        let Weighed { hash, cost, .. } = weighed;
        Self { change, hash, cost }
    }

    pub(crate) const fn at(&self) -> Place {
        self.change.place
    }

    pub(crate) const fn is_mark(&self) -> bool {
        matches!(self.change.slot, Slot::RemovalMark)
    }
}

pub(crate) fn check_delta(
    hasher: &ContentHasher,
    delta: Delta,
) -> Result<(Lineage, Checked), Rejected> {
    let Delta {
        from,
        state,
        changes,
    } = delta;
    if !from.covers(&state.watermark) {
        return Err(position(&state, PositionFault::StartsBehindWatermark));
    }
    let checked = check(hasher, state, changes, &from)?;
    check_cost(&checked)?;
    Ok((from, checked))
}

pub(crate) fn check_snapshot(
    hasher: &ContentHasher,
    snapshot: Snapshot,
) -> Result<Checked, Rejected> {
    let checked = check_stored(hasher, snapshot)?;
    check_cost(&checked)?;
    if checked.sum() == checked.state.sum {
        Ok(checked)
    } else {
        let owner = checked.state.owner;
        Err(Rejected::Sum { owner })
    }
}

/// Whether a peer may be asked to hold that much.
const fn check_cost(checked: &Checked) -> Result<(), Rejected> {
    if checked.cost > FEED_BYTES {
        let owner = checked.state.owner;
        return Err(Rejected::FeedTooHeavy {
            owner,
            bytes: checked.cost,
        });
    }
    Ok(())
}

/// The checks of a snapshot from the own disk, whose sum tells of damage instead of blame. It is held
/// already, so no limit would be kept by losing it.
pub(crate) fn check_stored(
    hasher: &ContentHasher,
    snapshot: Snapshot,
) -> Result<Checked, Rejected> {
    check(hasher, snapshot.state, snapshot.changes, &Lineage::empty())
}

/// The own batch, weighed when its changes were staged.
pub(crate) fn trust(state: FeedState, changes: Vec<Standing>) -> Checked {
    Checked {
        cost: changes.iter().map(|standing| standing.cost).sum(),
        state,
        changes: changes.into_iter().map(Arc::new).collect(),
    }
}

/// Whether a record of this kind may stand under the key.
pub(crate) const fn fits(key: &Key, kind: BodyKind) -> bool {
    matches!(
        (key, kind),
        (Key::Node(_), BodyKind::Node)
            | (
                Key::Instance(..) | Key::ExternalInstance(..),
                BodyKind::Instance
            )
            | (Key::Check(..) | Key::ExternalCheck(..), BodyKind::Check)
            | (Key::ExternalNode(_), BodyKind::ExternalNode)
            | (Key::Event(..), BodyKind::Event)
            | (Key::Tags(..), BodyKind::Tags)
    )
}

impl Checked {
    fn sum(&self) -> u128 {
        self.changes
            .iter()
            .fold(0, |sum: u128, standing| sum.wrapping_add(standing.hash))
    }
}

fn check(
    hasher: &ContentHasher,
    state: FeedState,
    changes: Vec<Change>,
    from: &Lineage,
) -> Result<Checked, Rejected> {
    if !state.needs.is_empty() {
        return Err(Rejected::NeedsUnsupported { owner: state.owner });
    }
    check_epochs(&state, EPOCH_END)?;
    if !state.lineage.covers(&state.watermark) {
        return Err(position(&state, PositionFault::WatermarkAhead));
    }
    if changes.len() > FEED_SLOTS_ACCEPTED {
        return Err(Rejected::FeedTooLarge {
            owner: state.owner,
            slots: changes.len(),
        });
    }
    let blame = |change: &Change, fault| Rejected::Change {
        owner: state.owner,
        key: Box::new(change.key.clone()),
        fault,
    };
    check_order(&changes).map_err(|(change, fault)| blame(change, fault))?;
    let mut cost = 0;
    let mut standing = Vec::with_capacity(changes.len());
    for change in changes {
        check_change(&state, from, &change).map_err(|fault| blame(&change, fault))?;
        let weighed = hasher.slot(change.dot(state.owner), &change.key, &change.slot);
        if weighed.bytes > RECORD_BYTES {
            let bytes = weighed.bytes;
            return Err(blame(&change, ChangeFault::TooLarge { bytes }));
        }
        if weighed.named > CHECKS_ACCEPTED {
            let named = weighed.named;
            return Err(blame(&change, ChangeFault::TooManyChecks { named }));
        }
        let checked = Standing::new(change, weighed);
        cost += checked.cost;
        standing.push(Arc::new(checked));
    }
    Ok(Checked {
        state,
        changes: standing,
        cost,
    })
}

/// Refuses positions with an epoch at or beyond `end`.
///
/// # Errors
/// [`PositionFault::EpochBeyondEnd`].
pub(crate) fn check_epochs(state: &FeedState, end: Epoch) -> Result<(), Rejected> {
    let last = |lineage: &Lineage| lineage.last_epoch().max(Some(lineage.floor()));
    let greatest = last(&state.lineage).max(last(&state.watermark));
    if greatest.is_some_and(|greatest| greatest >= end) {
        return Err(position(state, PositionFault::EpochBeyondEnd));
    }
    Ok(())
}

fn check_order(changes: &[Change]) -> Result<(), (&Change, ChangeFault)> {
    let mut last = None;
    let mut keys = BTreeSet::new();
    for change in changes {
        let at = change.place;
        if last.is_some_and(|last| at <= last) {
            return Err((change, ChangeFault::Order));
        }
        if !keys.insert(&change.key) {
            return Err((change, ChangeFault::Duplicate));
        }
        last = Some(at);
    }
    Ok(())
}

fn check_change(state: &FeedState, from: &Lineage, change: &Change) -> Result<(), ChangeFault> {
    let covered = state
        .lineage
        .covers_dot(change.place.epoch, change.place.seq)
        && change.place.epoch >= state.lineage.floor()
        && !from.covers_dot(change.place.epoch, change.place.seq);
    if change.place.seq == 0 || !covered {
        return Err(ChangeFault::Range);
    }
    match &change.slot {
        Slot::Entry(entry) => check_entry(state, change, entry),
        Slot::RemovalMark => {
            let owned = change.key.owner() == Some(state.owner);
            let dropped = state
                .watermark
                .covers_dot(change.place.epoch, change.place.seq);
            if owned && !dropped {
                Ok(())
            } else {
                Err(ChangeFault::Mark)
            }
        }
    }
}

fn check_entry(state: &FeedState, change: &Change, entry: &Entry) -> Result<(), ChangeFault> {
    let body = entry.body.as_ref();
    if body.is_some_and(|body| !fits(&change.key, body.kind())) {
        return Err(ChangeFault::Kind);
    }
    // A restamp keeps the version, so the write may be older than the change, never newer.
    let this = change.place;
    let own_write = |place: Place| place.seq > 0 && place <= this;
    let owner = change.key.owner();
    match &entry.version {
        Version::Owner(_) if owner != Some(state.owner) => Err(ChangeFault::Version),
        Version::Owner(place) if !own_write(*place) => Err(ChangeFault::VersionDot),
        Version::Owner(_) if body.is_none() => Err(ChangeFault::Body),
        Version::Override(_) if owner.is_none() || owner == Some(state.owner) => {
            Err(ChangeFault::Version)
        }
        Version::Override(seen) if seen.seq == 0 || seen.epoch >= FOLLOWED_END => {
            Err(ChangeFault::VersionDot)
        }
        Version::Override(_) if body.is_some() => Err(ChangeFault::Body),
        Version::Shared(_) if owner.is_some() => Err(ChangeFault::Version),
        Version::Shared(write) if write.dot.node != state.owner || !own_write(write.dot.into()) => {
            Err(ChangeFault::VersionDot)
        }
        Version::Shared(write) if !write.stamp.is_well_formed() => Err(ChangeFault::Stamp),
        Version::Owner(_) | Version::Override(_) | Version::Shared(_) => Ok(()),
    }
}

const fn position(state: &FeedState, fault: PositionFault) -> Rejected {
    Rejected::Position {
        owner: state.owner,
        fault,
    }
}

#[cfg(test)]
mod tests;
