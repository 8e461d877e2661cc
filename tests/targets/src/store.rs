//! What stands on a disk.

use tidings_agent::{disk, transport::NodeKey};

use crate::frames::{empty, pass_on};

/// `data` is the rows of a database ([`disk::fuzzing`]).
///
/// # Panics
/// If a row is another one after it was written again, or a registry cannot pass on what it took.
pub fn store(data: &[u8]) {
    let mut registry = empty(1);
    for (snapshot, damaged) in disk::fuzzing::read_store(data) {
        let owner = snapshot.state.owner;
        if registry.restore(snapshot, damaged).is_ok() && !registry.is_damaged(owner) {
            pass_on(&registry, owner);
        }
    }
}

/// `data` is one copy of the identity.
///
/// # Panics
/// If it is taken and has another form than the one in which it is written.
pub fn identity(data: &[u8]) {
    if let Some(pkcs8) = disk::fuzzing::read_identity(data) {
        // The checksum covers it, and yet it need not be a key.
        let _ = NodeKey::from_pkcs8(&pkcs8);
    }
    // As it is with the checksum put right, which no mutation would hit.
    let body = data.len().saturating_sub(4);
    let sealed = disk::fuzzing::with_checksum(&data[..body]);
    if let Some(pkcs8) = disk::fuzzing::read_identity(&sealed) {
        let _ = NodeKey::from_pkcs8(&pkcs8);
    }
}
