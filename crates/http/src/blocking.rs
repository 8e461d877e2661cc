//! `index` and `wait`: reads that wait until there is something newer.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use axum::response::Response;
use tidings_view::{View, Watch};
use tokio::time::Instant;

use crate::{
    failure::Failure,
    reply::{Answer, Marks, mark_cached, mark_read},
    request::{Call, ReadOptions},
};

/// Answers a read of what `watch` names: waits if the client asks for it, then lets `produce`
/// write the answer and sets its headers.
///
/// `watch` is asked again after the wait, since a name may stand for another node by then.
pub(crate) async fn read(
    call: &Call,
    watch: impl Fn(&View) -> Watch,
    produce: impl FnOnce(&View) -> (Response, Marks),
) -> Answer {
    call.check_scope()?;
    let options = ReadOptions::of(call)?;
    let view = call.view();
    if options.index > 0 {
        // On the heap, since most reads do not wait and would carry the place for it along.
        Box::pin(wait(call, &watch(view), options)).await?;
    }
    // The index comes before the data: a change in between is met again, never missed.
    let index = view.index(&watch(view));
    let (mut response, marks) = produce(view);
    mark_read(&mut response, view, index, options.consistency, marks);
    if call.params.has("cached") {
        mark_cached(&mut response, view);
    }
    Ok(response)
}

async fn wait(call: &Call, watch: &Watch, options: ReadOptions) -> Result<(), Failure> {
    let deadline = Instant::now() + jittered(options.wait);
    let changed = call.view().changed(watch, options.index, deadline);
    until_closed(call, changed).await.map(|_| ())
}

/// Waits for `change`, holding one of the places for waiting queries; ends early when the server
/// closes. Returns whether it does.
pub(crate) async fn until_closed(
    call: &Call,
    change: impl Future<Output = ()>,
) -> Result<bool, Failure> {
    let _place = call.state.waiter().ok_or_else(Failure::no_place_to_wait)?;
    Ok(tokio::select! {
        () = change => false,
        () = call.state.closed() => true,
    })
}

/// `wait` and up to a sixteenth of it, so that clients that came together do not return together.
pub(crate) fn jittered(wait: Duration) -> Duration {
    let parts: u32 = 1 << 16;
    // Each hasher has its own random keys; no other randomness is needed here.
    let random = RandomState::new().hash_one(()) % u64::from(parts);
    let random = u32::try_from(random).expect("a remainder below 2^16");
    wait + wait / 16 / parts * random
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_adds_at_most_a_sixteenth() {
        let wait = Duration::from_secs(160);
        let spread: Vec<_> = (0..100).map(|_| jittered(wait)).collect();
        assert!(spread.iter().all(|w| *w >= wait && *w <= wait * 17 / 16));
        assert!(spread.iter().any(|w| *w != spread[0]));
    }
}
