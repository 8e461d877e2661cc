//! Changing feeds inside one transaction, and taking back what a failed commit may have left.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    ops::Bound,
};

use redb::{ReadableTable, Table, WriteTransaction};
use tidings_types::{Change, Delta, FeedState, NodeId, Place, Transfer};

use super::{
    SaveError, rows,
    tables::{Bytes, DAMAGED, MEMBERS, POSITIONS, SLOTS},
};

/// Changes feeds inside one transaction. Positions are written once, at the end.
pub(super) struct FeedWriter<'txn, 'undo> {
    slots: Table<'txn, Bytes, Bytes>,
    positions: Table<'txn, Bytes, Bytes>,
    damaged: Table<'txn, Bytes, Bytes>,
    changed: BTreeMap<NodeId, FeedState>,
    undo: Option<&'undo mut Undo>,
}

/// What rows held before transactions whose end is in doubt.
///
/// A commit that failed may still be found when the file is opened again. The node has given its
/// dots up by then and goes on without them, so they must not stand under its later positions:
/// before anything else is written, the rows are made what they were.
#[derive(Debug, Default)]
pub(super) struct Undo {
    rows: BTreeMap<(Rows, Vec<u8>), Option<Vec<u8>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rows {
    Slots,
    Positions,
    Damaged,
}

impl<'txn, 'undo> FeedWriter<'txn, 'undo> {
    /// Begins to change feeds; the rows in `undo` are what they were at once, and what is changed
    /// from here on is added to it.
    pub(super) fn new(
        transaction: &'txn WriteTransaction,
        undo: Option<&'undo mut Undo>,
    ) -> Result<Self, redb::Error> {
        let mut writer = Self {
            slots: transaction.open_table(SLOTS)?,
            positions: transaction.open_table(POSITIONS)?,
            damaged: transaction.open_table(DAMAGED)?,
            changed: BTreeMap::new(),
            undo: None,
        };
        for ((rows, key), before) in undo.iter().flat_map(|undo| &undo.rows) {
            writer.set(*rows, key, before.as_deref())?;
        }
        writer.undo = undo;
        Ok(writer)
    }

    /// Applies one transfer: all of it, or, if the inner result says why not, nothing.
    pub(super) fn apply(
        &mut self,
        transfer: &Transfer,
    ) -> Result<Result<(), SaveError>, redb::Error> {
        let owner = transfer.state().owner;
        let stored = self.position(owner)?;
        let (changes, is_whole, state) = match transfer {
            Transfer::Snapshot(snapshot) => (&snapshot.changes, true, snapshot.state.clone()),
            Transfer::Delta(delta) if starts_beyond(delta, stored.as_ref()) => {
                return Ok(Err(SaveError::Gap));
            }
            Transfer::Delta(delta) => {
                let state = joined(stored.as_ref(), &delta.state);
                (&delta.changes, is_whole(delta, stored.as_ref()), state)
            }
        };
        // Everything that can be refused is, before the first row changes. The rows are encoded a
        // second time instead of kept: all of them together may be as large as the feed.
        let refused = changes.iter().find_map(|c| rows::slot(owner, c).err());
        if let Some(refused) = refused.or_else(|| rows::position(&state).err()) {
            return Ok(Err(refused));
        }
        if is_whole {
            self.remove_slots(owner, |_, _| true)?;
            self.set(Rows::Damaged, owner.as_bytes(), None)?;
        }
        for change in changes {
            match rows::slot(owner, change) {
                Ok((key, value)) => self.put(change, &key, &value)?,
                Err(error) => return Err(redb::Error::Corrupted(error.to_string())),
            }
        }
        let (watermark, floor) = (&state.watermark, state.lineage.floor());
        let lets_go =
            |stored: &FeedState| stored.watermark != *watermark || stored.lineage.floor() != floor;
        if stored.as_ref().is_none_or(lets_go) {
            self.remove_slots(owner, |key, value| {
                rows::read_header(key, value).is_ok_and(|s| {
                    let Place { epoch, seq } = s.place;
                    epoch < floor || s.is_mark && watermark.covers_dot(epoch, seq)
                })
            })?;
        }
        self.changed.insert(owner, state);
        Ok(Ok(()))
    }

    /// Writes the positions.
    pub(super) fn finish(mut self) -> Result<(), redb::Error> {
        for state in std::mem::take(&mut self.changed).values() {
            let (key, value) =
                rows::position(state).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
            self.set(Rows::Positions, &key, Some(&value))?;
        }
        Ok(())
    }

    fn position(&self, owner: NodeId) -> Result<Option<FeedState>, redb::Error> {
        if let Some(state) = self.changed.get(&owner) {
            return Ok(Some(state.clone()));
        }
        let key = &owner.as_bytes()[..];
        self.positions
            .get(key)?
            .map(|row| rows::read_position(key, row.value()))
            .transpose()
            .map_err(|error| redb::Error::Corrupted(format!("a feed's position is {error}")))
    }

    /// Of two writes to one key the greater dot stands, in whatever order they come: what the owner
    /// learns again from peers may be older than what it wrote since.
    fn put(&mut self, change: &Change, key: &[u8], value: &[u8]) -> Result<(), redb::Error> {
        let before = self.set(Rows::Slots, key, Some(value))?;
        let greater = before.filter(|before| {
            rows::read_header(key, before).is_ok_and(|before| before.place > change.place)
        });
        if let Some(greater) = greater {
            self.set(Rows::Slots, key, Some(&greater))?;
        }
        Ok(())
    }

    fn remove_slots(
        &mut self,
        owner: NodeId,
        is_to_go: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<(), redb::Error> {
        let mut going = Vec::new();
        let (first, end) = bounds(owner);
        let end = end
            .as_ref()
            .map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
        for row in self
            .slots
            .range::<&[u8]>((Bound::Included(&first[..]), end))?
        {
            let (key, value) = row?;
            if is_to_go(key.value(), value.value()) {
                going.push(key.value().to_vec());
            }
        }
        for key in going {
            self.set(Rows::Slots, &key, None)?;
        }
        Ok(())
    }

    /// Writes or removes one row and says what was there.
    fn set(
        &mut self,
        rows: Rows,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, redb::Error> {
        let table = match rows {
            Rows::Slots => &mut self.slots,
            Rows::Positions => &mut self.positions,
            Rows::Damaged => &mut self.damaged,
        };
        let before = match value {
            Some(value) => table.insert(key, value)?,
            None => table.remove(key)?,
        };
        let before = before.map(|before| before.value().to_vec());
        if let Some(undo) = &mut self.undo {
            undo.rows
                .entry((rows, key.to_vec()))
                .or_insert_with(|| before.clone());
        }
        Ok(before)
    }
}

impl Undo {
    /// The transaction is durable: there is nothing to take back.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }
}

/// Makes the known members those of `now`, given that the table holds those of `before`.
pub(super) fn change_members(
    transaction: &WriteTransaction,
    before: &BTreeSet<(NodeId, SocketAddr)>,
    now: &BTreeSet<(NodeId, SocketAddr)>,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(MEMBERS)?;
    for gone in before.difference(now) {
        table.remove(rows::member(gone).0.as_slice())?;
    }
    for new in now.difference(before) {
        let (key, value) = rows::member(new);
        table.insert(key.as_slice(), value.as_slice())?;
    }
    Ok(())
}

fn starts_beyond(delta: &Delta, stored: Option<&FeedState>) -> bool {
    match stored {
        Some(stored) => !stored.lineage.covers(&delta.from),
        None => !delta.from.is_empty(),
    }
}

/// Whether the delta says all that the feed holds: it starts from nothing and leads past all that
/// the disk has.
fn is_whole(delta: &Delta, stored: Option<&FeedState>) -> bool {
    delta.from.is_empty() && stored.is_none_or(|stored| delta.state.lineage.covers(&stored.lineage))
}

/// The position after a delta, which may be one that the disk covers in part.
fn joined(stored: Option<&FeedState>, given: &FeedState) -> FeedState {
    let mut state = given.clone();
    if let Some(stored) = stored {
        state.lineage.join(&stored.lineage);
        state.watermark.join(&stored.watermark);
    }
    state
}

/// The first key of a feed and, unless it is the last possible feed, the first one after it.
fn bounds(owner: NodeId) -> ([u8; 16], Option<[u8; 16]>) {
    let next = u128::from_be_bytes(*owner.as_bytes()).checked_add(1);
    (*owner.as_bytes(), next.map(u128::to_be_bytes))
}
