//! Which of a key's entries is in force, and which of the others are conflicts.
//!
//! The greatest version wins ([`Version::rank`]); nothing merged is ever stored. Two overrides of
//! one registration have equal versions and say the same; the greater holder is named, so that the
//! answer stays a function of the feeds.

use tidings_types::{Dot, Entry, NodeId, Version, limits::CONFLICTS_SHOWN};

/// The entry that answers for a key. A tombstone answers that there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce<'a> {
    /// The greatest version, with its body or as a tombstone.
    pub entry: &'a Entry,
    /// Whose feed holds it.
    pub holder: NodeId,
    /// The dot under which it stands there; a restamp moves it and leaves the version.
    pub dot: Dot,
    /// How many beaten entries of other feeds say something else and were not known to its writer.
    /// Always 0 for owner keys.
    pub conflicts: usize,
}

/// One feed's entry for the key in question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) holder: NodeId,
    pub(crate) dot: Dot,
    pub(crate) entry: &'a Entry,
}

pub(crate) fn in_force<'a>(
    candidates: impl Iterator<Item = Candidate<'a>> + Clone,
) -> Option<InForce<'a>> {
    let winner = greatest(candidates.clone())?;
    Some(InForce {
        entry: winner.entry,
        holder: winner.holder,
        dot: winner.dot,
        conflicts: candidates
            .filter(|loser| conflicts_with(winner.entry, loser.entry))
            .count(),
    })
}

/// The greatest conflicts, greatest first.
pub(crate) fn conflicts<'a>(
    candidates: impl Iterator<Item = Candidate<'a>> + Clone,
) -> Vec<(NodeId, &'a Entry)> {
    let Some(winner) = greatest(candidates.clone()) else {
        return Vec::new();
    };
    let mut losers: Vec<_> = candidates
        .filter(|loser| conflicts_with(winner.entry, loser.entry))
        .collect();
    losers.sort_by_key(|loser| std::cmp::Reverse((loser.entry.version.rank(), loser.holder)));
    losers.truncate(CONFLICTS_SHOWN);
    losers
        .iter()
        .map(|loser| (loser.holder, loser.entry))
        .collect()
}

fn greatest<'a>(candidates: impl Iterator<Item = Candidate<'a>>) -> Option<Candidate<'a>> {
    candidates.max_by_key(|candidate| (candidate.entry.version.rank(), candidate.holder))
}

/// An owner key has one writer, so only shared writes can have been made in ignorance. Two that say
/// the same are no conflict: nobody's word was lost.
fn conflicts_with(winner: &Entry, loser: &Entry) -> bool {
    let (Version::Shared(winning), Version::Shared(lost)) = (&winner.version, &loser.version)
    else {
        return false;
    };
    winning.dot != lost.dot && !winning.clock.covers(lost.dot) && winner.body != loser.body
}
