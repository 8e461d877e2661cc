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
    read_of_one(call, watch, |_| true, produce).await
}

/// The same for what may be missing. While it is, others that come and go end no wait: what is watched
/// then is a list that they stand in.
pub(crate) async fn read_of_one(
    call: &Call,
    watch: impl Fn(&View) -> Watch,
    is_there: impl Fn(&View) -> bool,
    produce: impl FnOnce(&View) -> (Response, Marks),
) -> Answer {
    call.check_scope()?;
    let options = ReadOptions::of(call)?;
    let view = call.view();
    if options.index > 0 {
        // On the heap, since most reads do not wait and would carry the place for it along.
        Box::pin(wait(call, &watch, &is_there, options)).await?;
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

async fn wait(
    call: &Call,
    watch: &impl Fn(&View) -> Watch,
    is_there: &impl Fn(&View) -> bool,
    options: ReadOptions,
) -> Result<(), Failure> {
    let deadline = Instant::now() + jittered(options.wait);
    let view = call.view();
    let changed = async {
        let (mut watched, mut index) = (watch(view), options.index);
        // Whoever has not heard yet that it is missing is told at once, and so is a stranger's index.
        let knows = view.index(&watched) <= index && view.was_issued(index);
        let waits_for_it = knows && !is_there(view);
        loop {
            view.changed(&watched, index, deadline).await;
            if !waits_for_it || Instant::now() >= deadline {
                return;
            }
            // The index comes before the look: what comes in between is met again, never missed.
            watched = watch(view);
            index = view.index(&watched);
            if is_there(view) {
                return;
            }
        }
    };
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
