//! Writing a file again after the system may have given up on some of it.
//!
//! When a sync fails, Linux keeps the pages that it could not write, as if it had: they read as
//! written, and no later sync writes them. The next commit would be acknowledged and rest on pages
//! that are not on the disk, and a power failure would take the whole feed. So before a file is used
//! again, each of its pages is written once more, with what it reads as. A crash meanwhile changes
//! nothing: every page is old or new, as after a crash in the commit that failed.
//!
//! A process that was killed may have been in that state, and its successor cannot know, so a start
//! does the same; the own feed is small. See Rebello and others, "Can Applications Recover from
//! fsync Failures?", USENIX ATC 2020.

use std::io;

use redb::StorageBackend;

/// Brings to the disk what `file` reads as; it is durable when this returns.
///
/// A page that cannot be read is left to whoever needs it. One of zeros is taken for a hole, which to
/// write would take space that may not be there; a record would have to hold a whole page of zeros to be
/// taken for one.
pub(super) fn write_again(file: &impl StorageBackend) -> io::Result<()> {
    let length = file.len()?;
    let mut page = [0; PAGE];
    let mut at = 0;
    while at < length {
        let bytes = usize::try_from(length - at).map_or(PAGE, |left| left.min(PAGE));
        let page = &mut page[..bytes];
        if file.read(at, page).is_ok() && page.iter().any(|byte| *byte != 0) {
            file.write(at, page)?;
        }
        at += PAGE as u64;
    }
    if length > 0 {
        file.sync_data()?;
    }
    Ok(())
}

/// Pages of the system are as large or larger; a larger one is written in parts.
const PAGE: usize = 4_096;
