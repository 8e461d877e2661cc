//! One feed's content at a position, and its joins with deltas and snapshots.
//!
//! The content is a function of the position. At a joined position a key holds the greater of the
//! two greatest changes; what each side *lacks* must be read from the positions:
//!
//! | The replica | The giver | At the joined position |
//! |---|---|---|
//! | holds `a` | holds `b` | the greater dot |
//! | holds `a` | nothing, covers `a` | nothing: the giver has a later removal, dropped below its watermark |
//! | holds `a` | nothing, does not cover `a` | `a` |
//! | nothing, covers `b` | holds `b` | nothing, for the same reason |
//! | nothing, does not cover `b` | holds `b` | `b` |
//!
//! A delta gives the rows with `b` only: its receiver covers the watermark, so it has applied every
//! removal that the giver dropped. Afterwards the joined watermark and floor are enforced: marks
//! that the watermark covers go, and so does everything below the floor. The owner has restamped
//! its entries above the floor, so what is still below it are marks, and entries whose removal the
//! replica never saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidings_types::{
    Change, Dot, Entry, Epoch, FeedState, Key, Lineage, Needs, NodeId, Place, Slot, Snapshot,
};

use crate::{
    form::{Checked, Standing},
    hash::ContentHasher,
    order::{ByDot, ByKey},
};

#[derive(Clone, Debug)]
pub(crate) struct Feed {
    owner: NodeId,
    lineage: Lineage,
    watermark: Lineage,
    needs: Needs,
    slots: BTreeSet<ByKey>,
    by_dot: BTreeSet<ByDot>,
    marks: BTreeSet<Place>,
    cost: usize,
    sum: u128,
    item: u128,
    /// Up to where slots may be missing, if any were lost.
    damage: Option<Lineage>,
}

impl Feed {
    pub(crate) const fn new(owner: NodeId) -> Self {
        Self {
            owner,
            lineage: Lineage::empty(),
            watermark: Lineage::empty(),
            needs: Needs::new(),
            slots: BTreeSet::new(),
            by_dot: BTreeSet::new(),
            marks: BTreeSet::new(),
            cost: 0,
            sum: 0,
            item: 0,
            damage: None,
        }
    }

    pub(crate) const fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    pub(crate) const fn watermark(&self) -> &Lineage {
        &self.watermark
    }

    pub(crate) const fn sum(&self) -> u128 {
        self.sum
    }

    /// What the feed adds to the fingerprint.
    pub(crate) const fn item(&self) -> u128 {
        self.item
    }

    pub(crate) const fn is_damaged(&self) -> bool {
        self.damage.is_some()
    }

    /// Takes note that slots may be missing of what the position covers now.
    pub(crate) fn mark_damaged(&mut self) {
        self.damage = Some(self.lineage.clone());
    }

    /// What is there is all there is.
    pub(crate) fn accept_damage(&mut self) {
        self.damage = None;
    }

    /// Whether a copy at `position` has every slot that was lost here.
    pub(crate) fn is_mended_by(&self, position: &Lineage) -> bool {
        let damage = self.damage.as_ref();
        damage.is_some_and(|lost| position.covers(lost)) && self.is_filled_by(position)
    }

    /// Whether a copy at `position` may have slots that were lost here, and none that were removed
    /// and forgotten.
    pub(crate) fn is_filled_by(&self, position: &Lineage) -> bool {
        self.is_damaged() && !position.is_empty() && position.covers(&self.watermark)
    }

    /// Entries, tombstones and overrides counted, removal marks not.
    pub(crate) fn entries(&self) -> usize {
        self.slots.len() - self.marks.len()
    }

    pub(crate) fn marks(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// Bytes that the slots are charged.
    pub(crate) const fn cost(&self) -> usize {
        self.cost
    }

    fn at(&self, at: Place) -> Option<&Arc<Standing>> {
        self.by_dot.get(&at).map(|held| &held.0)
    }

    pub(crate) fn standing(&self, key: &Key) -> Option<&Standing> {
        self.slots.get(key).map(|slot| &*slot.0)
    }

    pub(crate) fn entry(&self, key: &Key) -> Option<(Dot, &Entry)> {
        let standing = self.standing(key)?;
        match &standing.change.slot {
            Slot::Entry(entry) => Some((standing.change.dot(self.owner), entry)),
            Slot::RemovalMark => None,
        }
    }

    /// The keys of the feed's owner that have an entry here.
    pub(crate) fn own_entries(&self) -> impl Iterator<Item = &Key> {
        let entries = self.slots.iter().filter(|slot| !slot.0.is_mark());
        entries
            .map(|slot| &slot.0.change.key)
            .filter(|key| key.owner() == Some(self.owner))
    }

    /// The removal marks that `watermark` covers.
    pub(crate) fn buried(&self, watermark: &Lineage) -> impl Iterator<Item = &Standing> {
        let marks = self
            .marks
            .iter()
            .filter(|mark| watermark.covers_dot(mark.epoch, mark.seq));
        marks.filter_map(|at| self.at(*at)).map(|held| &**held)
    }

    /// Every slot, in dot order.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &Standing> {
        self.by_dot.iter().map(|standing| &*standing.0)
    }

    /// The slots of epochs below `floor`, in dot order.
    pub(crate) fn below(&self, floor: Epoch) -> impl Iterator<Item = &Standing> {
        let floor = Place {
            epoch: floor,
            seq: 0,
        };
        let below = self.by_dot.range(..floor);
        below.map(|held| &*held.0)
    }

    /// The slots whose dots `held` does not cover, in dot order.
    pub(crate) fn changes_after(&self, held: &Lineage) -> Vec<Change> {
        let lacking = || {
            let heads = self.lineage.heads();
            let epochs = heads.filter(|&(epoch, _)| epoch >= held.floor());
            epochs.flat_map(|(epoch, _)| {
                let place = |seq| Place { epoch, seq };
                let first = place(held.head(epoch).saturating_add(1));
                let lacking = self.by_dot.range(first..=place(u64::MAX));
                lacking.map(|slot| &*slot.0)
            })
        };
        // Counted first: a vector that grows takes up to twice its content.
        let mut changes = Vec::with_capacity(lacking().count());
        changes.extend(lacking().map(|standing| standing.change.clone()));
        changes
    }

    pub(crate) fn state(&self) -> FeedState {
        FeedState {
            owner: self.owner,
            lineage: self.lineage.clone(),
            watermark: self.watermark.clone(),
            needs: self.needs.clone(),
            sum: self.sum,
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.state(),
            changes: self.changes().map(|s| s.change.clone()).collect(),
        }
    }

    /// Whether position and content are those of `state`, as far as sums can tell.
    pub(crate) fn agrees_with(&self, state: &FeedState) -> bool {
        self.sum == state.sum && self.watermark == state.watermark && self.needs == state.needs
    }

    /// How many slots a join can leave at most.
    pub(crate) fn slots_with(&self, changes: &[Arc<Standing>]) -> usize {
        let new = changes
            .iter()
            .filter(|s| self.standing(&s.change.key).is_none());
        self.slots.len() + new.count()
    }

    /// What the slots are charged once a delta is joined: what it puts in place of others and what its
    /// position lets go are counted.
    pub(crate) fn cost_after(&self, delta: &Checked) -> usize {
        let (mut lineage, mut watermark) = (self.lineage.clone(), self.watermark.clone());
        lineage.join(&delta.state.lineage);
        watermark.join(&delta.state.watermark);
        let floor = lineage.floor();
        let goes = |s: &Standing| {
            let Place { epoch, seq } = s.at();
            epoch < floor || s.is_mark() && watermark.covers_dot(epoch, seq)
        };
        let new = delta.changes.iter().filter(|s| {
            let Place { epoch, seq } = s.at();
            let held = self.standing(&s.change.key);
            !self.lineage.covers_dot(epoch, seq) && held.is_none_or(|held| s.at() > held.at())
        });
        let new: BTreeMap<&Key, &Standing> = new.map(|s| (&s.change.key, &**s)).collect();
        let buried = self
            .buried(&watermark)
            .filter(|s| s.change.place.epoch >= floor);
        let gone = buried.chain(self.below(floor));
        let gone = gone.filter(|s| !new.contains_key(&s.change.key));
        let replaced = new.keys().filter_map(|key| self.standing(key));
        let less: usize = gone.chain(replaced).map(|s| s.cost).sum();
        let more: usize = new.values().filter(|s| !goes(s)).map(|s| s.cost).sum();
        self.cost + more - less
    }

    /// How many bytes the slots can be charged at most once these changes are joined.
    pub(crate) fn cost_with(&self, changes: &[Arc<Standing>]) -> usize {
        let held = |s: &Arc<Standing>| self.standing(&s.change.key).map_or(0, |held| held.cost);
        let more = changes.iter().map(|s| s.cost.saturating_sub(held(s)));
        self.cost + more.sum::<usize>()
    }

    /// Joins a delta whose start this replica covers. Keys whose slot changed go to `touched`.
    pub(crate) fn join_delta(&mut self, delta: Checked, touched: &mut BTreeSet<Key>) {
        for standing in delta.changes {
            let Place { epoch, seq } = standing.at();
            if !self.lineage.covers_dot(epoch, seq) {
                self.put_if_greater(standing, touched);
            }
        }
        self.settle(&delta.state, touched);
    }

    /// Joins a snapshot in one step.
    ///
    /// A damaged replica has lost slots that it covers, so it takes what it lacks as if it covered
    /// nothing; but only from a giver that covers its watermark, since an older one may still hold
    /// what was removed and forgotten here. It is mended by a copy of all that it covered when it lost
    /// them: one that is older still lacks some, and two replicas would differ at one position.
    pub(crate) fn join_snapshot(&mut self, snapshot: Checked, touched: &mut BTreeSet<Key>) {
        let fills = self.is_filled_by(&snapshot.state.lineage);
        let mends = self.is_mended_by(&snapshot.state.lineage);
        let given: BTreeSet<&Key> = snapshot.changes.iter().map(|s| &s.change.key).collect();
        let gone: Vec<Key> = self
            .changes()
            .filter(|s| {
                snapshot
                    .state
                    .lineage
                    .covers_dot(s.change.place.epoch, s.change.place.seq)
            })
            .filter(|s| !given.contains(&s.change.key))
            .map(|s| s.change.key.clone())
            .collect();
        for key in gone {
            self.remove(&key, touched);
        }
        for standing in snapshot.changes {
            let Place { epoch, seq } = standing.at();
            if fills || !self.lineage.covers_dot(epoch, seq) {
                self.put_if_greater(standing, touched);
            }
        }
        self.damage.take_if(|_| mends);
        self.settle(&snapshot.state, touched);
    }

    /// Deletes what is not among `given`: no feed does so but a broken one.
    #[cfg(feature = "mutants")]
    pub(crate) fn keep_only(&mut self, given: &BTreeSet<&Key>, touched: &mut BTreeSet<Key>) {
        let held: Vec<Key> = self.changes().map(|s| s.change.key.clone()).collect();
        for key in held.iter().filter(|key| !given.contains(key)) {
            self.remove(key, touched);
        }
    }

    /// Takes the owner's copy as it is, which covers all that is held here.
    pub(crate) fn replace(&mut self, copy: Checked, touched: &mut BTreeSet<Key>) {
        let given: BTreeMap<&Key, u128> = copy
            .changes
            .iter()
            .map(|s| (&s.change.key, s.hash))
            .collect();
        let gone: Vec<Key> = self
            .changes()
            .filter(|s| given.get(&s.change.key) != Some(&s.hash))
            .map(|s| s.change.key.clone())
            .collect();
        for key in gone {
            self.remove(&key, touched);
        }
        for standing in copy.changes {
            if self.standing(&standing.change.key).is_none() {
                self.put(standing, touched);
            }
        }
        self.lineage = copy.state.lineage;
        self.watermark = copy.state.watermark;
        self.needs = copy.state.needs;
        self.damage = None;
    }

    /// Takes what either copy holds: greater dot, then greater hash. For equal positions with
    /// unequal content only, when the owner's copy cannot be had; both sides end up alike.
    pub(crate) fn unite(&mut self, copy: Checked, touched: &mut BTreeSet<Key>) {
        for standing in copy.changes {
            let greater = self
                .standing(&standing.change.key)
                .is_none_or(|held| (standing.at(), standing.hash) > (held.at(), held.hash));
            if greater {
                self.put(standing, touched);
            }
        }
        self.settle(&copy.state, touched);
    }

    /// Computes anew what the feed adds to the fingerprint; a feed without a position adds nothing.
    pub(crate) fn seal(&mut self, hasher: &ContentHasher) {
        self.item = if self.lineage.is_empty() {
            0
        } else {
            hasher.item(&self.state())
        };
    }

    /// Joins positions, then drops what the joined watermark and floor leave out.
    fn settle(&mut self, state: &FeedState, touched: &mut BTreeSet<Key>) {
        self.lineage.join(&state.lineage);
        self.watermark.join(&state.watermark);
        for (&node, position) in &state.needs {
            self.needs.entry(node).or_default().join(position);
        }
        let below = self.below(self.lineage.floor());
        let gone: Vec<Key> = below
            .chain(self.buried(&self.watermark))
            .map(|standing| standing.change.key.clone())
            .collect();
        for key in gone {
            self.remove(&key, touched);
        }
    }

    fn put_if_greater(&mut self, standing: Arc<Standing>, touched: &mut BTreeSet<Key>) {
        let greater = self
            .standing(&standing.change.key)
            .is_none_or(|held| standing.at() > held.at());
        if greater {
            self.put(standing, touched);
        }
    }

    fn put(&mut self, standing: Arc<Standing>, touched: &mut BTreeSet<Key>) {
        let key = standing.change.key.clone();
        // An owner gives out a dot once. Of a forgery under another key the greater one stands, or
        // what is held could not be passed on.
        if let Some(other) = self.at(standing.at()).cloned()
            && other.change.key != key
        {
            if other.hash > standing.hash {
                return;
            }
            self.remove(&other.change.key, touched);
        }
        if let Some(ByKey(replaced)) = self.slots.replace(ByKey(Arc::clone(&standing))) {
            self.discount(&replaced);
        }
        self.sum = self.sum.wrapping_add(standing.hash);
        self.cost += standing.cost;
        if standing.is_mark() {
            self.marks.insert(standing.at());
        }
        self.by_dot.insert(ByDot(standing));
        touched.insert(key);
    }

    fn remove(&mut self, key: &Key, touched: &mut BTreeSet<Key>) {
        if let Some(ByKey(standing)) = self.slots.take(key) {
            self.discount(&standing);
            touched.insert(key.clone());
        }
    }

    /// Takes out of all counts what does not stand under its key any more.
    fn discount(&mut self, gone: &Standing) {
        self.sum = self.sum.wrapping_sub(gone.hash);
        self.cost -= gone.cost;
        self.marks.remove(&gone.at());
        self.by_dot.remove(&gone.at());
    }
}
