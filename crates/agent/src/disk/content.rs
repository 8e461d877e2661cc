//! What a database holds, every row checked when it is opened.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
};

use redb::{ReadTransaction, ReadableTable, TableError, WriteTransaction};
use tidings_types::{Change, FeedState, Lineage, Needs, NodeId, Snapshot, limits::LINEAGE_EPOCHS};

use super::{
    DiskError, Finding,
    database::{Commit, Database},
    finding::Findings,
    rows::{self, RowError},
    tables::{DAMAGED, FORMAT, FORMAT_KEY, FORMAT_VERSION, FeedTable, MEMBERS, POSITIONS, SLOTS},
};

/// Everything in a database, each row checked.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// The feeds, and whether each has lost something to damage since it was last whole.
    pub(super) feeds: Vec<(Snapshot, bool)>,
    /// Marked as damaged, whether or not anything of them is left.
    pub(super) damaged: BTreeSet<NodeId>,
    pub(super) members: Vec<(NodeId, SocketAddr)>,
    /// The format of a database that has one.
    format: Option<u32>,
    broken: Vec<Broken>,
    rebuilt: Vec<FeedState>,
}

/// A row that is not what was written.
#[derive(Debug)]
struct Broken {
    kind: Kind,
    key: Vec<u8>,
    reason: RowError,
}

impl Broken {
    /// Whose feed the row belongs to, if its key can be read.
    fn owner(&self) -> Option<NodeId> {
        match self.kind {
            Kind::Slot => rows::read_key(&self.key).ok().map(|(owner, _)| owner),
            Kind::Position => rows::owner(&self.key),
            Kind::Member => None,
        }
    }
}

/// The tables whose rows carry checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Slot,
    Position,
    Member,
}

impl Kind {
    const fn table(self) -> FeedTable {
        match self {
            Self::Slot => SLOTS,
            Self::Position => POSITIONS,
            Self::Member => MEMBERS,
        }
    }
}

impl Content {
    /// Reads all tables. Wrong rows are taken note of and left out.
    pub(super) fn read(transaction: &ReadTransaction) -> Result<Self, redb::Error> {
        let format = read_format(transaction)?;
        Self::gather(format, &|table, row| walk(transaction, table, row))
    }

    /// Reads what `rows` gives of each table.
    pub(super) fn gather(format: Option<u32>, rows: &Rows<'_>) -> Result<Self, redb::Error> {
        let mut content = Self {
            format,
            ..Self::default()
        };
        if content.is_newer() {
            return Ok(content);
        }
        let mut states = BTreeMap::new();
        content.each(rows, Kind::Position, |key, value| {
            let state = rows::read_position(key, value)?;
            states.insert(state.owner, state);
            Ok(())
        })?;
        let mut changes: BTreeMap<NodeId, Vec<Change>> = BTreeMap::new();
        content.each(rows, Kind::Slot, |key, value| {
            let (owner, change) = rows::read_slot(key, value)?;
            let state = states.get(&owner);
            if state.is_some_and(|s| !s.lineage.covers_its(change.dot(owner))) {
                return Err(RowError::Malformed("beyond the feed's position".into()));
            }
            changes.entry(owner).or_default().push(change);
            Ok(())
        })?;
        let mut members = Vec::new();
        content.each(rows, Kind::Member, |key, value| {
            members.push(rows::read_member(key, value)?);
            Ok(())
        })?;
        content.members = members;
        content.read_damaged(rows)?;
        content.assemble(states, changes);
        Ok(content)
    }

    /// Refuses what a later version wrote.
    pub(super) fn check_format(&self, path: &Path) -> Result<(), DiskError> {
        match self.format {
            Some(found) if self.is_newer() => Err(DiskError::NewerFormat {
                path: path.to_owned(),
                found,
                known: FORMAT_VERSION,
            }),
            _ => Ok(()),
        }
    }

    /// Whether part of some feed was damaged when the tables were read.
    pub(super) fn has_lost(&self) -> bool {
        self.broken.iter().any(|row| row.kind != Kind::Member)
    }

    /// Names everything that is wrong.
    pub(super) fn report(&self, path: &Path, findings: &mut Findings) {
        let file = || path.to_owned();
        for broken in &self.broken {
            let owner = broken.owner();
            let reason = broken.reason.to_string();
            findings.push(match broken.kind {
                Kind::Position => Finding::PositionRebuilt {
                    file: file(),
                    owner,
                    reason,
                },
                Kind::Member => Finding::MemberDropped {
                    file: file(),
                    reason,
                },
                Kind::Slot => Finding::RecordDropped {
                    file: file(),
                    owner,
                    key: rows::read_key(&broken.key).ok().map(|(_, key)| key),
                    reason,
                },
            });
        }
    }

    /// Makes the tables what was made of them: wrong rows go, marks of damage and rebuilt positions
    /// come, so that the next start finds the same.
    pub(super) fn mend(&self, database: &mut Database) -> Result<(), DiskError> {
        if self.format.is_some() && self.broken.is_empty() && self.rebuilt.is_empty() {
            return Ok(());
        }
        database
            .write(
                Commit::Durable,
                |transaction| Ok(self.rewrite(transaction)?),
            )
            .map_err(|error| DiskError::Database {
                path: database.path().to_owned(),
                reason: error.to_string(),
            })
    }

    fn is_newer(&self) -> bool {
        self.format.is_some_and(|found| found > FORMAT_VERSION)
    }

    fn rewrite(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut format = transaction.open_table(FORMAT)?;
        format.insert(FORMAT_KEY, FORMAT_VERSION)?;
        for broken in &self.broken {
            transaction
                .open_table(broken.kind.table())?
                .remove(broken.key.as_slice())?;
        }
        let mut damaged = transaction.open_table(DAMAGED)?;
        for owner in &self.damaged {
            damaged.insert(&owner.as_bytes()[..], NOTHING)?;
        }
        let mut feeds = transaction.open_table(POSITIONS)?;
        for state in &self.rebuilt {
            let (key, value) =
                rows::position(state).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
            feeds.insert(&key[..], value.as_slice())?;
        }
        Ok(())
    }

    /// Walks one table and takes note of the rows that `row` refuses.
    fn each(
        &mut self,
        rows: &Rows<'_>,
        kind: Kind,
        mut row: impl FnMut(&[u8], &[u8]) -> Result<(), RowError>,
    ) -> Result<(), redb::Error> {
        rows(kind.table(), &mut |key, value| {
            if let Err(reason) = row(key, value) {
                self.broken.push(Broken {
                    kind,
                    key: key.to_vec(),
                    reason,
                });
            }
        })
    }

    /// The marks of earlier damage, and the feeds that lost a row just now.
    fn read_damaged(&mut self, rows: &Rows<'_>) -> Result<(), redb::Error> {
        rows(DAMAGED, &mut |key, _| {
            self.damaged.extend(rows::owner(key));
        })?;
        self.damaged
            .extend(self.broken.iter().filter_map(Broken::owner));
        Ok(())
    }

    fn assemble(
        &mut self,
        mut states: BTreeMap<NodeId, FeedState>,
        mut changes: BTreeMap<NodeId, Vec<Change>>,
    ) {
        let owners: BTreeSet<NodeId> = states.keys().chain(changes.keys()).copied().collect();
        for owner in owners {
            let mut changes = changes.remove(&owner).unwrap_or_default();
            changes.sort_by_key(|change| change.dot(owner));
            let state = states.remove(&owner).unwrap_or_else(|| {
                let state = rebuild(owner, &changes);
                self.damaged.insert(owner);
                self.rebuilt.push(state.clone());
                state
            });
            // Until this rule was kept when they were written, rows below a raised floor stayed.
            changes.retain(|change| change.place.epoch >= state.lineage.floor());
            let damaged = self.damaged.contains(&owner);
            self.feeds.push((Snapshot { state, changes }, damaged));
        }
    }
}

/// Hands each row of a table, key and value, to a function.
pub(super) type Rows<'a> =
    dyn Fn(FeedTable, &mut dyn FnMut(&[u8], &[u8])) -> Result<(), redb::Error> + 'a;

fn walk(
    transaction: &ReadTransaction,
    table: FeedTable,
    row: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<(), redb::Error> {
    let rows = match transaction.open_table(table) {
        Ok(rows) => rows,
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for pair in rows.iter()? {
        let (key, value) = pair?;
        row(key.value(), value.value());
    }
    Ok(())
}

fn read_format(transaction: &ReadTransaction) -> Result<Option<u32>, redb::Error> {
    match transaction.open_table(FORMAT) {
        Ok(table) => Ok(table.get(FORMAT_KEY)?.map(|row| row.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the records say of a feed whose position is lost: at least as far as the greatest dot of
/// each epoch. The feed is marked as damaged, so this counts for no more than what it holds.
fn rebuild(owner: NodeId, changes: &[Change]) -> FeedState {
    let mut lineage = Lineage::empty();
    // Newest epochs first: a lineage takes a bounded number of them.
    for change in changes.iter().rev() {
        if lineage.head(change.place.epoch) > 0 || lineage.epochs() < LINEAGE_EPOCHS {
            lineage.advance(change.place.epoch, change.place.seq);
        }
    }
    FeedState {
        owner,
        lineage,
        watermark: Lineage::empty(),
        needs: Needs::new(),
        sum: 0,
    }
}

/// The value of a mark: that it is there says all.
const NOTHING: &[u8] = &[];
