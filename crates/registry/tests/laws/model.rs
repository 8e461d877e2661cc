//! The reference: every change that anybody can still have, and what a position means by definition.
//!
//! It shares no code with the registry. A replica is right if it holds exactly what the definition
//! says for its position, and answers what a search through all of that says.

use std::collections::{BTreeMap, BTreeSet};

use tidings_types::{Change, Delta, Dot, Entry, Epoch, Key, Lineage, NodeId, Slot, Version};

type At = (Epoch, u64);

#[derive(Default)]
pub(crate) struct Model {
    feeds: BTreeMap<NodeId, FeedModel>,
    /// Per shared write, all writes to its key that its writer knew, directly or by hearsay.
    histories: BTreeMap<Dot, BTreeSet<Dot>>,
}

#[derive(Default)]
struct FeedModel {
    changes: BTreeMap<At, Change>,
    moves: BTreeMap<At, Move>,
}

#[derive(Clone)]
pub(crate) enum Move {
    Watermark(Lineage),
    Floor(Epoch),
}

/// What a feed holds at a position, by definition.
#[derive(Debug, PartialEq)]
pub(crate) struct Content {
    pub(crate) watermark: Lineage,
    pub(crate) changes: Vec<Change>,
}

/// What a key says, by definition.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) entry: Entry,
    pub(crate) holder: NodeId,
    pub(crate) conflicts: usize,
}

impl Model {
    pub(crate) fn record(&mut self, batch: &Delta, moves: Vec<(u64, Move)>, epoch: Epoch) {
        let feed = self.feeds.entry(batch.state.owner).or_default();
        for change in &batch.changes {
            feed.changes
                .insert((change.place.epoch, change.place.seq), change.clone());
        }
        feed.moves
            .extend(moves.into_iter().map(|(seq, m)| ((epoch, seq), m)));
    }

    /// A disk was rolled back: what no position of `known` covers is as if never written.
    pub(crate) fn forget_unknown(&mut self, owner: NodeId, known: &[Lineage]) {
        let is_known = |at: &At| {
            known
                .iter()
                .any(|l| l.head(at.0) >= at.1 || l.floor() > at.0)
        };
        let feed = self.feeds.entry(owner).or_default();
        feed.changes.retain(|at, _| is_known(at));
        feed.moves.retain(|at, _| is_known(at));
    }

    pub(crate) fn content(&self, owner: NodeId, lineage: &Lineage) -> Content {
        let mut content = Content {
            watermark: Lineage::empty(),
            changes: Vec::new(),
        };
        let Some(feed) = self.feeds.get(&owner) else {
            return content;
        };
        let mut floor = Epoch::ZERO;
        for (_, m) in feed
            .moves
            .iter()
            .filter(|(at, _)| lineage.covers_dot(at.0, at.1))
        {
            match m {
                Move::Watermark(position) => content.watermark.join(position),
                Move::Floor(epoch) => floor = floor.max(*epoch),
            }
        }
        assert_eq!(
            floor,
            lineage.floor(),
            "a position's floor is the greatest move it covers"
        );
        let mut greatest: BTreeMap<&Key, &Change> = BTreeMap::new();
        for (at, change) in &feed.changes {
            if lineage.covers_dot(at.0, at.1) && at.0 >= floor {
                greatest.insert(&change.key, change);
            }
        }
        content.changes = greatest
            .into_values()
            .filter(|c| {
                c.slot != Slot::RemovalMark
                    || !content.watermark.covers_dot(c.place.epoch, c.place.seq)
            })
            .cloned()
            .collect();
        content.changes.sort_by_key(|c| c.place);
        content
    }

    /// Notes a shared write whose writer saw the writes `seen` to its key.
    pub(crate) fn note_shared(&mut self, dot: Dot, seen: impl IntoIterator<Item = Dot>) {
        let mut history = BTreeSet::new();
        for known in seen {
            history.extend(self.histories.get(&known).into_iter().flatten());
            history.insert(known);
        }
        self.histories.insert(dot, history);
    }

    /// The greatest of the entries and how many it was written in ignorance of.
    pub(crate) fn answer(&self, key: &Key, entries: &[(NodeId, Entry)]) -> Option<Answer> {
        let mut best: Option<&(NodeId, Entry)> = None;
        for candidate in entries {
            if best.is_none_or(|b| beats(&candidate.1.version, &b.1.version, candidate.0 > b.0)) {
                best = Some(candidate);
            }
        }
        let (holder, entry) = best?.clone();
        let dot = entry.version.dot(key)?;
        let history = self.histories.get(&dot);
        let conflicts = entries
            .iter()
            .filter(|(_, loser)| loser.body != entry.body)
            .filter_map(|(_, e)| e.version.dot(key))
            .filter(|&loser| loser != dot && history.is_some_and(|h| !h.contains(&loser)))
            .count();
        Some(Answer {
            entry,
            holder,
            conflicts,
        })
    }

    /// The greatest registration of an owner key that a reader of these positions knows to be
    /// gone: removed by its owner, or overridden by anybody.
    pub(crate) fn buried(&self, key: &Key, position: impl Fn(NodeId) -> Lineage) -> Option<Dot> {
        let owner = key.owner()?;
        let mut buried = None;
        for (&node, feed) in &self.feeds {
            let held = position(node);
            let known = feed
                .changes
                .iter()
                .filter(|(at, c)| c.key == *key && held.covers_dot(at.0, at.1));
            for (_, change) in known {
                let dot = match &change.slot {
                    Slot::RemovalMark => Some(change.dot(owner)),
                    Slot::Entry(Entry {
                        version: Version::Override(seen),
                        ..
                    }) => Some(seen.of(owner)),
                    Slot::Entry(_) => None,
                };
                buried = buried.max(dot);
            }
        }
        buried
    }
}

fn beats(a: &Version, b: &Version, tie: bool) -> bool {
    match (a, b) {
        (Version::Shared(a), Version::Shared(b)) => (a.stamp, a.dot) > (b.stamp, b.dot),
        (Version::Override(a), Version::Override(b)) => a > b || a == b && tie,
        (Version::Override(a), Version::Owner(b)) => a >= b,
        (Version::Owner(a), Version::Override(b) | Version::Owner(b)) => a > b,
        _ => panic!("one key has owner versions and shared versions"),
    }
}
