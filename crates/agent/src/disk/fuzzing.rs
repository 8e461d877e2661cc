//! What a fuzzer calls of the disk. Behind the feature `fuzzing`: never in an agent.
//!
//! Rows come as bytes of their own: a tag that names the table and says whether the checksum is put
//! right, the lengths of key and value, the key and the value without its checksum. So mutations get
//! past the checksum, to what a damaged or malicious store could hold behind a right one.

use std::path::Path;

use redb::TableHandle;
use tidings_types::{Epoch, Snapshot};

use super::{checksum, content::Content, identity, rows};

/// Reads `data` as one copy of an identity, and returns its key if it is whole.
///
/// # Panics
/// If a copy that is taken for whole has another form than the one in which it is written.
pub fn read_identity(data: &[u8]) -> Option<Vec<u8>> {
    let (pkcs8, again) = identity::read_again(Path::new("identity"), data)?;
    assert_eq!(again, data, "a copy has one form");
    Some(pkcs8)
}

/// A copy of an identity as the disk holds it.
pub fn write_identity(pkcs8: &[u8], epoch: Epoch, index: u64) -> Vec<u8> {
    identity::written(pkcs8, epoch, index)
}

/// `body` with the checksum of a copy behind it.
pub fn with_checksum(body: &[u8]) -> Vec<u8> {
    let mut copy = body.to_vec();
    copy.extend_from_slice(&crc32fast::hash(body).to_be_bytes());
    copy
}

/// The feeds that a start makes of the rows in `data`, each with whether it is damaged.
///
/// # Panics
/// If a row that was taken is not the same after it was written again.
pub fn read_store(data: &[u8]) -> Vec<(Snapshot, bool)> {
    let rows = split(data);
    let content = Content::gather(Some(1), &|table, row| {
        let of_table = rows.iter().filter(|found| found.table == table.name());
        of_table.for_each(|found| row(&found.key, &found.value));
        Ok(())
    });
    let content = content.expect("rows in memory can be read");
    for (snapshot, _) in &content.feeds {
        let owner = snapshot.state.owner;
        for change in &snapshot.changes {
            if let Ok((key, value)) = rows::slot(owner, change) {
                let again = rows::read_slot(&key, &value).expect("it was written just now");
                assert_eq!((again.0, &again.1), (owner, change));
            }
        }
        if let Ok((key, value)) = rows::position(&snapshot.state) {
            assert_eq!(
                rows::read_position(&key, &value).as_ref(),
                Ok(&snapshot.state)
            );
        }
    }
    content.feeds
}

/// The bytes that [`read_store`] takes for these feeds.
///
/// # Panics
/// If a row cannot be written.
pub fn write_store(feeds: &[Snapshot]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |tag: u8, key: &[u8], value: &[u8]| {
        let value = &value[..value.len() - CHECKSUM_BYTES];
        bytes.push(tag);
        for len in [key.len(), value.len()] {
            let len = u16::try_from(len).expect("rows of a fuzzer are short");
            bytes.extend_from_slice(&len.to_be_bytes());
        }
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
    };
    for feed in feeds {
        let (key, value) = rows::position(&feed.state).expect("it fits a row");
        add(0, &key, &value);
        for change in &feed.changes {
            let (key, value) = rows::slot(feed.state.owner, change).expect("it fits a row");
            add(1, &key, &value);
        }
    }
    bytes
}

struct Row {
    table: &'static str,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// The rows in `data`, up to where it ends.
fn split(mut data: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some((row, rest)) = take(data) {
        rows.push(row);
        data = rest;
    }
    // As in a table: in the order of the keys, each of them once.
    rows.sort_by(|a: &Row, b: &Row| (a.table, &a.key).cmp(&(b.table, &b.key)));
    rows.dedup_by(|a, b| a.table == b.table && a.key == b.key);
    rows
}

fn take(data: &[u8]) -> Option<(Row, &[u8])> {
    let (&tag, data) = data.split_first()?;
    let (key_len, data) = data.split_first_chunk()?;
    let (value_len, data) = data.split_first_chunk()?;
    let (key, data) = data.split_at_checked(usize::from(u16::from_be_bytes(*key_len)))?;
    let (value, data) = data.split_at_checked(usize::from(u16::from_be_bytes(*value_len)))?;
    let table = ["positions", "slots", "members", "damaged"][usize::from(tag % 4)];
    let is_sealed = tag < 128;
    let value = if is_sealed {
        checksum::seal(key, value.to_vec())
    } else {
        value.to_vec()
    };
    let row = Row {
        table,
        key: key.to_vec(),
        value,
    };
    Some((row, data))
}

const CHECKSUM_BYTES: usize = 4;
