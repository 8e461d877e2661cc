//! The tables of a database.

use redb::TableDefinition;

pub(super) type Bytes = &'static [u8];
pub(super) type FeedTable = TableDefinition<'static, Bytes, Bytes>;

/// Per feed and key, the slot.
pub(super) const SLOTS: FeedTable = TableDefinition::new("slots");
/// Per feed, how far it goes.
pub(super) const POSITIONS: FeedTable = TableDefinition::new("positions");
/// The feeds that lost something to damage and have not been whole since.
pub(super) const DAMAGED: FeedTable = TableDefinition::new("damaged");
/// Where members were met.
pub(super) const MEMBERS: FeedTable = TableDefinition::new("members");
/// How many commits there have been.
pub(super) const COMMITS: TableDefinition<'static, &str, u64> = TableDefinition::new("commits");
/// The version of all this.
pub(super) const FORMAT: TableDefinition<'static, &str, u32> = TableDefinition::new("format");

pub(super) const COMMITS_KEY: &str = "commits";
pub(super) const FORMAT_KEY: &str = "format";
pub(super) const FORMAT_VERSION: u32 = 1;
