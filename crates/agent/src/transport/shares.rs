//! What one peer may take of this agent at once, so that a member that means ill, or is out of its
//! mind, costs a known amount and leaves room for the others.
//!
//! A share belongs to a node, as its session has proved it. A node that has as much as one may have
//! waits, or is refused; nobody else notices.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tidings_types::NodeId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Duration, Instant, sleep_until, timeout},
};

/// The shares of all peers that have a connection.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<BTreeMap<NodeId, Arc<Share>>>);

/// One peer's share.
#[derive(Debug)]
pub(super) struct Share {
    connections: Mutex<usize>,
    requests: Arc<Semaphore>,
    pace: Mutex<Pace>,
}

/// One connection's place in its peer's share; gives it back when dropped.
#[derive(Debug)]
pub(super) struct SharePlace {
    shares: Arc<Shares>,
    node: NodeId,
    share: Arc<Share>,
}

impl Shares {
    /// A place for one more connection of `node`, unless it has as many as one may have.
    pub(super) fn enter(self: &Arc<Self>, node: NodeId) -> Option<SharePlace> {
        let mut shares = self.lock();
        let share = Arc::clone(shares.entry(node).or_default());
        let mut connections = share.connections();
        if *connections >= CONNECTIONS_PER_PEER {
            return None;
        }
        *connections += 1;
        drop(connections);
        drop(shares);
        Some(SharePlace {
            shares: Arc::clone(self),
            node,
            share,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Share>>> {
        self.0
            .lock()
            .expect("no code panics while it holds the list of shares")
    }
}

impl SharePlace {
    /// A place for one more request, in time for its peer's pace; `None` if it does not come in
    /// time, because the peer's other requests hold all.
    pub(super) async fn request(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.share.requests).acquire_owned();
        let place = timeout(SHARE_WAIT, place).await.ok()?.ok()?;
        let due = self.share.pace().next(Instant::now());
        sleep_until(due).await;
        Some(place)
    }
}

impl Drop for SharePlace {
    fn drop(&mut self) {
        let mut shares = self.shares.lock();
        let mut connections = self.share.connections();
        *connections -= 1;
        if *connections == 0 {
            shares.remove(&self.node);
        }
    }
}

impl Share {
    fn connections(&self) -> MutexGuard<'_, usize> {
        self.connections
            .lock()
            .expect("no code panics while it holds a number")
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace
            .lock()
            .expect("no code panics while it holds a time")
    }
}

impl Default for Share {
    fn default() -> Self {
        Self {
            connections: Mutex::new(0),
            requests: Arc::new(Semaphore::new(SERVED_PER_PEER)),
            pace: Mutex::default(),
        }
    }
}

/// When the next request may be served: so many a second, and some at once after a pause.
#[derive(Debug, Default)]
struct Pace {
    /// When all requests so far would have been served at an even pace.
    even: Option<Instant>,
}

impl Pace {
    /// When a request that comes `now` may be served.
    fn next(&mut self, now: Instant) -> Instant {
        let even = self.even.map_or(now, |even| even.max(now));
        self.even = Some(even + REQUEST_EVERY);
        let ahead = REQUEST_EVERY * REQUESTS_AT_ONCE;
        even.checked_sub(ahead).map_or(now, |due| due.max(now))
    }
}

/// Connections of one peer at once. An honest one has one, and another while it restarts or changes
/// its address.
pub(super) const CONNECTIONS_PER_PEER: usize = 4;
/// Requests of one peer that are read or answered at once: as many as an agent asks at once.
pub(super) const SERVED_PER_PEER: usize = 4;
/// At an even pace one request of a peer is served per this; a list of heads takes a few
/// milliseconds at most.
const REQUEST_EVERY: Duration = Duration::from_millis(40);
/// Requests that a peer may make at once after a pause.
const REQUESTS_AT_ONCE: u32 = 50;
/// How long a request waits for the peer's other requests.
const SHARE_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn node(byte: u8) -> NodeId {
        NodeId::from_bytes([byte; 16])
    }

    #[test]
    fn a_peer_has_its_share_of_connections_and_leaves_nothing_behind() {
        let shares = Arc::new(Shares::default());
        let places: Vec<_> = (0..CONNECTIONS_PER_PEER)
            .map(|_| shares.enter(node(1)).expect("a place"))
            .collect();
        assert!(shares.enter(node(1)).is_none());
        let other = shares.enter(node(2));
        assert!(other.is_some(), "another peer's share is its own");
        drop(places);
        assert!(shares.enter(node(1)).is_some());
        drop(other);
        assert!(shares.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_beyond_the_share_wait_and_are_refused_in_the_end() {
        let shares = Arc::new(Shares::default());
        let (one, two) = (
            shares.enter(node(1)).unwrap(),
            shares.enter(node(1)).unwrap(),
        );
        let mut held = Vec::new();
        for place in [&one, &two].iter().cycle().take(SERVED_PER_PEER) {
            held.push(place.request().await.expect("a place"));
        }
        assert!(one.request().await.is_none(), "all are held");
        drop(held.pop());
        assert!(two.request().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_of_requests_is_served_at_an_even_pace() {
        let shares = Arc::new(Shares::default());
        let place = shares.enter(node(1)).unwrap();
        let begin = Instant::now();
        for _ in 0..REQUESTS_AT_ONCE {
            drop(place.request().await.unwrap());
        }
        assert!(begin.elapsed() < REQUEST_EVERY * 2, "{:?}", begin.elapsed());
        for _ in 0..50 {
            drop(place.request().await.unwrap());
        }
        let span = begin.elapsed();
        assert!(span >= REQUEST_EVERY * 48, "{span:?}");
        assert!(span <= REQUEST_EVERY * 55, "{span:?}");
    }
}
