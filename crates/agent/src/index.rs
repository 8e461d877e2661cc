//! The blocking index: a number that never falls, not even across a restart.
//!
//! A client that asks with the number of an earlier run must not take an old answer for a new one.
//! Numbers are reserved ahead on disk in blocks, so that no query waits for the disk.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidings_view::View;
use tokio::time::{MissedTickBehavior, interval};

use crate::disk::{DiskError, Identity};

/// Numbers reserved at a time. Each change of the view takes one.
const BLOCK: u64 = 1 << 20;
/// Bits below the start's milliseconds: numbers that a run may hand out per millisecond without
/// reaching the next start's.
const BITS_PER_MS: u32 = 12;
/// How often the reservation is looked at: a block lasts longer than that at any rate of changes.
const LOOK: Duration = Duration::from_secs(1);

/// The index at which a run that starts at `start_ms` begins, with its first block reserved.
///
/// # Errors
/// If the reservation cannot be saved.
pub(crate) fn begin(identity: &mut Identity, start_ms: u64) -> Result<u64, DiskError> {
    let by_clock = start_ms
        .checked_shl(BITS_PER_MS)
        .filter(|index| index >> BITS_PER_MS == start_ms)
        .unwrap_or(0);
    let first = by_clock.max(identity.reserved_index().saturating_add(1));
    identity.reserve_index(first.saturating_add(BLOCK))?;
    Ok(first)
}

/// Keeps numbers reserved for ever.
pub(crate) async fn keep_reserved(identity: Arc<Mutex<Identity>>, view: View) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        looks.tick().await;
        let used = view.index_high_water();
        let identity = Arc::clone(&identity);
        let reserving = tokio::task::spawn_blocking(move || reserve(&identity, used));
        match reserving.await {
            Ok(Ok(())) => failing = false,
            Ok(Err(error)) if !failing => {
                failing = true;
                tracing::warn!(%error, "index numbers cannot be reserved; after a restart a blocking query may be answered once too often");
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

fn reserve(identity: &Mutex<Identity>, used: u64) -> Result<(), DiskError> {
    let mut identity = identity.lock().unwrap_or_else(PoisonError::into_inner);
    if used.saturating_add(BLOCK / 2) > identity.reserved_index() {
        identity.reserve_index(used.saturating_add(BLOCK))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_went_back_does_not_take_the_index_with_it() {
        let mut identity = Identity::in_memory(vec![1]);
        let first = begin(&mut identity, 1_763_000_000_000).unwrap();
        assert_eq!(first, 1_763_000_000_000 << BITS_PER_MS);
        let second = begin(&mut identity, 5).unwrap();
        assert!(second > first + BLOCK);
    }

    #[test]
    fn a_block_is_reserved_before_the_last_one_is_used_up() {
        let identity = Mutex::new(Identity::in_memory(vec![1]));
        let first = begin(&mut identity.lock().unwrap(), 1_763_000_000_000).unwrap();
        reserve(&identity, first + 1).unwrap();
        assert_eq!(identity.lock().unwrap().reserved_index(), first + BLOCK);
        let used = first + BLOCK / 2 + 1;
        reserve(&identity, used).unwrap();
        assert_eq!(identity.lock().unwrap().reserved_index(), used + BLOCK);
    }
}
