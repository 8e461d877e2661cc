//! All feeds as one agent holds them: transfers in and out, and the questions asked of them.

use std::collections::{BTreeMap, BTreeSet};

use tidings_types::{
    Change, ClusterId, Delta, Entry, Epoch, FeedState, Key, Lineage, NodeId, Probe, Probes,
    Snapshot, Transfer,
    limits::{FEED_BYTES, FEEDS, LINEAGE_EPOCHS},
};

use crate::{
    FEED_SLOTS_ACCEPTED, InForce, Rejected,
    ahead::Ahead,
    feed::Feed,
    form::{self, Checked},
    hash::ContentHasher,
    index::Index,
    value::{self, Candidate},
};

/// One agent's replicas of all feeds, its own included.
///
/// A pure value: what it answers depends on the transfers applied and on nothing else. It grows by
/// [`Registry::apply`] and by [`Writer::commit`](crate::Writer::commit); positions never go back.
#[derive(Clone, Debug)]
pub struct Registry {
    me: NodeId,
    own_epoch: Option<Epoch>,
    hasher: ContentHasher,
    feeds: BTreeMap<NodeId, Feed>,
    index: Index,
    conflicted: BTreeSet<Key>,
    fingerprint: u128,
    ahead: Ahead,
    probes: Probes,
    #[cfg(feature = "mutants")]
    pub(crate) mutants: crate::mutants::Mutants,
}

/// What applying a transfer did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Keys whose slots in this feed changed: what the view and the disk have to look at.
    pub touched: BTreeSet<Key>,
    /// Whether the feed's position moved.
    pub advanced: bool,
    /// Something of this feed waits for what lies between: ask the giver, from
    /// [`Registry::held`].
    pub gap: bool,
    /// The delta did not fit into the ahead buffer and was dropped; to be counted. Asking closes
    /// this gap too.
    pub dropped: bool,
    /// The feed has had more runs than a position may have, so the oldest were forgotten. No honest
    /// owner lets it come to that.
    pub overrun: bool,
    /// Here and at the giver the position is the same and the content is not.
    pub alarm: Option<SumMismatch>,
}

/// Two copies of a feed at one position differ: something was damaged or forged.
///
/// Ask the owner, or any peer if the owner cannot be reached, for its [`Registry::snapshot`] and
/// give it to [`Registry::repair`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumMismatch {
    /// Whose feed.
    pub owner: NodeId,
    /// The content sum here.
    pub ours: u128,
    /// The content sum at the giver.
    pub theirs: u128,
}

/// Whose copy a repair is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Giver {
    /// The feed's owner: its copy is right.
    Owner,
    /// Somebody else: neither copy is right, the union is kept.
    Peer,
}

impl Registry {
    /// A registry without feeds, of the node `me`.
    pub fn new(me: NodeId, cluster: ClusterId) -> Self {
        Self {
            me,
            own_epoch: None,
            hasher: ContentHasher::new(cluster),
            feeds: BTreeMap::new(),
            index: Index::default(),
            conflicted: BTreeSet::new(),
            fingerprint: 0,
            ahead: Ahead::default(),
            probes: Probes::default(),
            #[cfg(feature = "mutants")]
            mutants: crate::mutants::Mutants::default(),
        }
    }

    /// The rare states met since the last time.
    pub fn take_probes(&mut self) -> Probes {
        self.probes.take()
    }

    /// Whose registry this is.
    pub const fn me(&self) -> NodeId {
        self.me
    }

    /// Takes a feed from the own disk, before anything is applied to it.
    ///
    /// `damaged` says that slots were lost on the disk; a sum that does not match the content says
    /// so as well. See [`Registry::is_damaged`] for what that means.
    ///
    /// # Errors
    /// [`Rejected`] if what was stored is malformed; nothing was changed, and the feed is best
    /// fetched from peers.
    pub fn restore(&mut self, mut snapshot: Snapshot, damaged: bool) -> Result<(), Rejected> {
        self.forget(&mut snapshot);
        let checked = form::check_stored(&self.hasher, snapshot)?;
        self.check_limits(&checked, tried(Feed::join_snapshot))?;
        let (owner, sum) = (checked.state.owner, checked.state.sum);
        self.change(owner, |feed, touched| {
            feed.join_snapshot(checked, touched);
            if damaged || feed.sum() != sum {
                feed.mark_damaged();
            }
        });
        Ok(())
    }

    /// Tells the registry the node's present run, so that dots of it which this node never wrote
    /// are refused. [`Writer::commit`](crate::Writer::commit) does it too.
    pub const fn set_own_epoch(&mut self, epoch: Epoch) {
        self.own_epoch = Some(epoch);
    }

    /// Applies what a peer sent: joins it, keeps it for later, or finds nothing new in it.
    ///
    /// Commutative, associative and idempotent: replicas that were given the same transfers hold
    /// the same, in whatever order and however often they came.
    ///
    /// # Errors
    /// [`Rejected`] says who is to blame; nothing was changed.
    pub fn apply(&mut self, transfer: Transfer) -> Result<Applied, Rejected> {
        let owner = transfer.state().owner;
        self.check_own(transfer.state())?;
        if self.is_known(&transfer) {
            return Ok(Applied {
                gap: self.ahead.waits(owner),
                alarm: self.compare(transfer.state()),
                ..Applied::default()
            });
        }
        match transfer {
            Transfer::Delta(delta) => {
                let (from, checked) = form::check_delta(&self.hasher, delta)?;
                // What waits for a gap to be closed cannot be judged before.
                let after = |feed: &Feed, delta: &Checked| match feed.lineage().covers(&from) {
                    true => feed.cost_after(delta),
                    false => delta.cost,
                };
                self.check_limits(&checked, after)?;
                Ok(self.join_delta(from, checked))
            }
            Transfer::Snapshot(snapshot) => {
                let checked = form::check_snapshot(&self.hasher, snapshot)?;
                self.check_limits(&checked, tried(Feed::join_snapshot))?;
                self.delete_by_absence(&checked);
                Ok(self.join(checked, Feed::join_snapshot))
            }
        }
    }

    /// Ends an alarm ([`SumMismatch`]) with another copy of the feed: the owner's copy is taken as
    /// it is if it is no older, with any other peer's the union is kept, so that two peers that
    /// exchange their copies agree. If the positions differ by now, it is an ordinary
    /// [`Registry::apply`]; the own feed is right as it is unless it is damaged.
    ///
    /// # Errors
    /// As for [`Registry::apply`]; nothing was changed.
    pub fn repair(&mut self, snapshot: Snapshot, giver: Giver) -> Result<Applied, Rejected> {
        let owner = snapshot.state.owner;
        let held = self.intact(owner).map(Feed::lineage);
        let copy = &snapshot.state.lineage;
        let ends_alarm = held.is_some_and(|held| match giver {
            Giver::Owner => copy.covers(held),
            Giver::Peer => copy == held,
        });
        if !ends_alarm {
            return self.apply(Transfer::Snapshot(snapshot));
        }
        if owner == self.me {
            return Ok(Applied::default());
        }
        let checked = form::check_snapshot(&self.hasher, snapshot)?;
        if giver == Giver::Owner {
            // Nothing of what is here is left, so what it takes does not count.
            return Ok(self.join(checked, Feed::replace));
        }
        self.check_limits(&checked, tried(Feed::unite))?;
        Ok(self.join(checked, Feed::unite))
    }

    /// What a replica that is at `held` lacks of a feed, or `None` if it lacks nothing that this
    /// one could give (a damaged feed is not given at all).
    pub fn transfer(&self, owner: NodeId, held: &Lineage) -> Option<Transfer> {
        let feed = self.intact(owner)?;
        if held.covers(feed.lineage()) {
            return None;
        }
        // A replica without a position gets a snapshot even where a delta would be right: it may
        // be a damaged one, which only a snapshot mends.
        if held.is_empty() || !held.covers(feed.watermark()) {
            return Some(Transfer::Snapshot(feed.snapshot()));
        }
        Some(Transfer::Delta(Delta {
            from: held.clone(),
            state: feed.state(),
            changes: feed.changes_after(held),
        }))
    }

    /// A whole feed, or `None` if it is unknown or damaged.
    pub fn snapshot(&self, owner: NodeId) -> Option<Snapshot> {
        self.intact(owner).map(Feed::snapshot)
    }

    /// How far a feed is held here; empty if it is unknown.
    pub fn lineage(&self, owner: NodeId) -> Lineage {
        self.position(owner).clone()
    }

    /// The same, for those who only look.
    pub fn position(&self, owner: NodeId) -> &Lineage {
        static NOTHING: Lineage = Lineage::empty();
        self.feeds.get(&owner).map_or(&NOTHING, Feed::lineage)
    }

    /// The position to ask others from: the lineage, or the empty one while the feed is damaged.
    pub fn held(&self, owner: NodeId) -> Lineage {
        let feed = self.intact(owner);
        feed.map_or_else(Lineage::empty, |feed| feed.lineage().clone())
    }

    /// Whether the feed lost slots on the disk. It answers with what is left, but is not passed on
    /// until it was joined with a copy of all that it had covered, or [`Registry::accept_damage`] was
    /// called.
    pub fn is_damaged(&self, owner: NodeId) -> bool {
        self.feeds.get(&owner).is_some_and(Feed::is_damaged)
    }

    /// Whether a copy at `position` makes the damaged feed whole.
    pub fn is_mended_by(&self, owner: NodeId, position: &Lineage) -> bool {
        let feed = self.feeds.get(&owner);
        feed.is_some_and(|feed| feed.is_mended_by(position))
    }

    /// Whether a copy at `position` has something of what a damaged feed lost, for all one can tell.
    pub fn is_filled_by(&self, owner: NodeId, position: &Lineage) -> bool {
        let feed = self.feeds.get(&owner);
        feed.is_some_and(|feed| feed.is_filled_by(position))
    }

    /// The damaged feeds.
    pub fn damaged(&self) -> impl Iterator<Item = NodeId> {
        let feeds = self.feeds.iter().filter(|(_, feed)| feed.is_damaged());
        feeds.map(|(&owner, _)| owner)
    }

    /// Settles for what is left of a damaged feed: no peer has a better copy.
    pub fn accept_damage(&mut self, owner: NodeId) {
        if let Some(feed) = self.feeds.get_mut(&owner) {
            feed.accept_damage();
        }
    }

    /// Each feed's item, by owner. Two registries with equal items hold equal feeds.
    pub fn items(&self) -> impl Iterator<Item = (NodeId, u128)> {
        let feeds = self
            .feeds
            .iter()
            .filter(|(_, feed)| !feed.lineage().is_empty());
        feeds.map(|(&owner, feed)| (owner, feed.item()))
    }

    /// One feed's item.
    pub fn item(&self, owner: NodeId) -> Option<u128> {
        let feed = self.feeds.get(&owner)?;
        (!feed.lineage().is_empty()).then_some(feed.item())
    }

    /// The sum of all items: equal exactly when the registries are.
    pub const fn fingerprint(&self) -> u128 {
        self.fingerprint
    }

    /// The value in force for a key, which may be a tombstone; `None` if no feed has an entry.
    pub fn in_force(&self, key: &Key) -> Option<InForce<'_>> {
        value::in_force(self.candidates(key))
    }

    /// The greatest of the beaten entries that the winner's writer had not seen, with their
    /// feeds; at most [`CONFLICTS_SHOWN`](tidings_types::limits::CONFLICTS_SHOWN).
    pub fn conflicts(&self, key: &Key) -> Vec<(NodeId, &Entry)> {
        value::conflicts(self.candidates(key))
    }

    /// Every feed's entry for a key, beaten ones too, in no order that means anything.
    pub fn entries_for(&self, key: &Key) -> impl Iterator<Item = &Entry> {
        self.candidates(key).map(|candidate| candidate.entry)
    }

    /// All keys that any feed has an entry for: each owner's own together, the shared ones last.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        let owners: BTreeSet<NodeId> = self
            .owners()
            .chain(self.index.overridden_owners())
            .collect();
        let owned = owners.into_iter().flat_map(|owner| self.owned_by(owner));
        owned.chain(self.shared_keys())
    }

    /// The shared keys that any feed has an entry for.
    pub fn shared_keys(&self) -> impl Iterator<Item = &Key> {
        self.index.shared()
    }

    /// The keys that a node owns, whoever has an entry for them.
    pub fn owned_by(&self, node: NodeId) -> impl Iterator<Item = &Key> {
        let feed = self.feeds.get(&node);
        let registered = feed.into_iter().flat_map(Feed::own_entries);
        let overridden = self.index.overridden(node);
        registered
            .chain(overridden.filter(move |key| feed.is_none_or(|feed| feed.entry(key).is_none())))
    }

    /// Whose feeds are held.
    pub fn owners(&self) -> impl Iterator<Item = NodeId> {
        self.feeds.keys().copied()
    }

    /// How many feeds are held.
    pub fn feeds(&self) -> usize {
        self.feeds.len()
    }

    /// How many entries all feeds have together.
    pub fn entries(&self) -> usize {
        self.feeds.values().map(Feed::entries).sum()
    }

    /// How many keys have conflicts.
    pub fn conflicted(&self) -> usize {
        self.conflicted.len()
    }

    /// Deltas in the ahead buffer, and their bytes.
    pub fn ahead(&self) -> (usize, usize) {
        (self.ahead.deltas(), self.ahead.bytes())
    }

    /// A feed's position, for the disk. Damaged feeds are told too.
    pub fn state(&self, owner: NodeId) -> Option<FeedState> {
        self.feeds.get(&owner).map(Feed::state)
    }

    /// What a feed holds for a key, for the disk. Damaged feeds are told too.
    pub fn slot(&self, owner: NodeId, key: &Key) -> Option<&Change> {
        let standing = self.feeds.get(&owner)?.standing(key)?;
        Some(&standing.change)
    }

    /// Every slot of a feed in dot order, for the disk. Damaged feeds are told too.
    pub fn changes(&self, owner: NodeId) -> impl Iterator<Item = &Change> {
        let feed = self.feeds.get(&owner).into_iter();
        feed.flat_map(Feed::changes)
            .map(|standing| &standing.change)
    }

    pub(crate) fn feed(&self, owner: NodeId) -> Option<&Feed> {
        self.feeds.get(&owner)
    }

    pub(crate) const fn hasher(&self) -> &ContentHasher {
        &self.hasher
    }

    pub(crate) fn candidates(&self, key: &Key) -> impl Iterator<Item = Candidate<'_>> + Clone {
        let others = self.index.holders(key).iter().copied();
        let key = key.clone();
        key.owner()
            .into_iter()
            .chain(others)
            .filter_map(move |holder| {
                let (dot, entry) = self.feeds.get(&holder)?.entry(&key)?;
                self.counts(entry)
                    .then_some(Candidate { holder, dot, entry })
            })
    }

    /// Joins a delta that begins at `from`; one that nothing here leads to waits.
    pub(crate) fn join_delta(&mut self, from: Lineage, delta: Checked) -> Applied {
        let owner = delta.state.owner;
        let held = self.feeds.get(&owner).map(Feed::lineage);
        if held.map_or(from.is_empty(), |held| held.covers(&from)) {
            return self.join(delta, Feed::join_delta);
        }
        Applied {
            gap: true,
            dropped: !self.ahead.keep(from, delta),
            ..Applied::default()
        }
    }

    /// Joins `checked` in the given way, then every delta of the feed that waited for it.
    fn join(
        &mut self,
        checked: Checked,
        how: impl FnOnce(&mut Feed, Checked, &mut BTreeSet<Key>),
    ) -> Applied {
        let state = checked.state.clone();
        let owner = state.owner;
        let before = self.lineage(owner);
        let mut touched = self.change(owner, |feed, touched| how(feed, checked, touched));
        let floors = before.floor().max(state.lineage.floor());
        let alarm = self.compare(&state);
        while let Some(ready) = self.take_ready(owner) {
            self.probes.met(Probe::GapClosed);
            touched.extend(self.change(owner, |feed, touched| feed.join_delta(ready, touched)));
        }
        let lineage = self.lineage(owner);
        Applied {
            touched,
            advanced: lineage != before,
            gap: self.ahead.waits(owner),
            dropped: false,
            overrun: lineage.epochs() == LINEAGE_EPOCHS && lineage.floor() > floors,
            alarm,
        }
    }

    fn take_ready(&mut self, owner: NodeId) -> Option<Checked> {
        let feed = self.feeds.get(&owner)?;
        let mut ready = self.ahead.take_ready(owner, feed.lineage())?;
        // The limits held when the delta was kept; what came since may have filled the feed.
        while !within_limits(feed, &ready) {
            ready = self.ahead.take_ready(owner, feed.lineage())?;
        }
        Some(ready)
    }

    /// Changes one feed and everything that is derived from it.
    pub(crate) fn change(
        &mut self,
        owner: NodeId,
        how: impl FnOnce(&mut Feed, &mut BTreeSet<Key>),
    ) -> BTreeSet<Key> {
        let mut touched = BTreeSet::new();
        let feed = self.feeds.entry(owner).or_insert_with(|| Feed::new(owner));
        let item = feed.item();
        how(feed, &mut touched);
        feed.seal(&self.hasher);
        self.fingerprint = self
            .fingerprint
            .wrapping_sub(item)
            .wrapping_add(feed.item());
        for key in &touched {
            self.index.note(key, owner, feed.entry(key).is_some());
        }
        if feed.lineage().is_empty() {
            self.feeds.remove(&owner);
        }
        for key in touched.iter().filter(|key| key.is_shared()) {
            let conflicts = self.in_force(key).map_or(0, |value| value.conflicts);
            if conflicts > 0 {
                self.conflicted.insert(key.clone());
            } else {
                self.conflicted.remove(key);
            }
        }
        if Probes::ARE_ON {
            touched.iter().for_each(|key| self.probe_removal(key));
        }
        touched
    }

    /// Says whether a tombstone and a live entry of this key have met.
    fn probe_removal(&mut self, key: &Key) {
        let Some(winner) = self.in_force(key) else {
            return;
        };
        let (wins, is_live) = (winner.holder, winner.entry.body.is_some());
        let met = self
            .candidates(key)
            .any(|loser| loser.holder != wins && loser.entry.body.is_some() != is_live);
        if met {
            self.probes.met(if is_live {
                Probe::LiveBeatTombstone
            } else {
                Probe::TombstoneBeatLive
            });
        }
    }

    /// Whether the transfer can change nothing here: the common fate of a rumor.
    fn is_known(&self, transfer: &Transfer) -> bool {
        let state = transfer.state();
        let mends = matches!(transfer, Transfer::Snapshot(_));
        self.feeds.get(&state.owner).is_some_and(|feed| {
            feed.lineage().covers(&state.lineage) && !(mends && feed.is_damaged())
        })
    }

    fn compare(&self, state: &FeedState) -> Option<SumMismatch> {
        let feed = self.intact(state.owner)?;
        let differs = *feed.lineage() == state.lineage && !feed.agrees_with(state);
        differs.then(|| SumMismatch {
            owner: state.owner,
            ours: feed.sum(),
            theirs: state.sum,
        })
    }

    fn intact(&self, owner: NodeId) -> Option<&Feed> {
        self.feeds.get(&owner).filter(|feed| !feed.is_damaged())
    }

    /// The own feed's present run is written here alone, so nobody can know more of it.
    fn check_own(&self, state: &FeedState) -> Result<(), Rejected> {
        let Some(epoch) = self.own_epoch.filter(|_| state.owner == self.me) else {
            return Ok(());
        };
        form::check_epochs(state, form::FOLLOWED_END)?;
        let greatest = state.lineage.last_epoch().max(Some(state.lineage.floor()));
        if let Some(greater) = greatest.filter(|&greatest| greatest > epoch) {
            return Err(Rejected::EpochExceeded { epoch: greater });
        }
        let seq = state.lineage.head(epoch);
        if seq > self.position(self.me).head(epoch) {
            return Err(Rejected::ForgedDot { epoch, seq });
        }
        Ok(())
    }

    /// Whether `checked` may be joined; `after` tells what the feed is charged then.
    fn check_limits(
        &self,
        checked: &Checked,
        after: impl FnOnce(&Feed, &Checked) -> usize,
    ) -> Result<(), Rejected> {
        let owner = checked.state.owner;
        let Some(feed) = self.feeds.get(&owner) else {
            return if self.feeds.len() < FEEDS {
                Ok(())
            } else {
                Err(Rejected::TooManyFeeds { owner })
            };
        };
        let slots = feed.slots_with(&checked.changes);
        if slots > FEED_SLOTS_ACCEPTED {
            return Err(Rejected::FeedTooLarge { owner, slots });
        }
        // What stands here is mostly replaced by what comes; that is looked into only where it matters.
        if feed.cost_with(&checked.changes) > FEED_BYTES {
            let bytes = after(feed, checked);
            if bytes > FEED_BYTES {
                return Err(Rejected::FeedTooHeavy { owner, bytes });
            }
        }
        Ok(())
    }
}

fn within_limits(feed: &Feed, delta: &Checked) -> bool {
    feed.slots_with(&delta.changes) <= FEED_SLOTS_ACCEPTED
        && (feed.cost_with(&delta.changes) <= FEED_BYTES || feed.cost_after(delta) <= FEED_BYTES)
}

/// What the feed is charged after another copy of it was joined in the given way: tried out, since a
/// copy is pulled and rare.
fn tried(
    how: impl FnOnce(&mut Feed, Checked, &mut BTreeSet<Key>),
) -> impl FnOnce(&Feed, &Checked) -> usize {
    |feed, copy| {
        let mut trial = feed.clone();
        how(&mut trial, copy.clone(), &mut BTreeSet::new());
        trial.cost()
    }
}

#[cfg(test)]
mod tests;
