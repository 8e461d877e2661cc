//! What a slot costs whoever holds it.
//!
//! Every agent holds every feed, so an owner must not be able to fill the memory of all others. Bytes
//! of encoding are no measure of that: a removal mark of 36 bytes takes 240 in memory, an instance of
//! 60 takes 520. So slots are charged more than they were measured to take in the registry and the read
//! view together (`cargo run --release -p tidings-agent --example record_memory`), since a feed that is
//! replaced stands here until its successor has come whole, and their bytes twice for the same reason.
//! What a feed of as many slots as it may have costs its readers at worst is what the story of the rogue
//! member measures (`tests/tests/rogue.rs`).

use tidings_types::{BodyKind, Entry, Key, Slot};

/// A removal mark: a change in the feed. Measured: 240.
const MARK: usize = 650;
/// A tombstone or an override: the same, with a version, and an entry in the index. Measured: 460.
const TOMBSTONE: usize = 850;
/// A record that its owner wrote: the same, its content, and what the read view makes of it. Measured: 520
/// for an instance, 590 for a check.
const RECORD: usize = 860;
/// A shared record. It may be the only one of its node, which the read view has to show then. Measured:
/// 1,770.
const SHARED_RECORD: usize = 2_000;
/// A check that an instance names. Measured: 24 beside its bytes; but each is looked for when the instance
/// is shown, so that a feed of such instances costs its readers more of a core than any other.
const NAMED_CHECK: usize = 64;

/// Checks that the slot's instance names, if it is one.
pub(crate) fn named_checks(slot: &Slot) -> usize {
    let Slot::Entry(Entry {
        body: Some(body), ..
    }) = slot
    else {
        return 0;
    };
    match body.kind() {
        BodyKind::Instance => body.instance().map_or(0, |instance| instance.checks.len()),
        _ => 0,
    }
}

/// Bytes that one slot is charged, given the checks that it names and the bytes of its encoding.
pub(crate) fn cost(key: &Key, slot: &Slot, named: usize, encoded_bytes: usize) -> usize {
    let bookkeeping = match slot {
        Slot::RemovalMark => MARK,
        Slot::Entry(entry) => match &entry.body {
            None => TOMBSTONE,
            Some(_) if key.is_shared() => SHARED_RECORD,
            Some(_) => RECORD,
        },
    };
    bookkeeping + named * NAMED_CHECK + 2 * encoded_bytes
}
