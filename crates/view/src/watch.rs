//! Blocking queries: what one waits for, and being woken exactly then.

use dashmap::DashMap;
use foldhash::fast::RandomState;
use tidings_types::{ServiceName, Text};
use tokio::{sync::watch, time::Instant};

use crate::{NodeKey, shared::Shared};

/// What a blocking query waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Watch {
    /// One service: its instances, their nodes, their checks and their owners' liveness.
    Service(Text),
    /// One node: its record, its instances, its checks and its liveness.
    Node(NodeKey),
    /// The list of nodes.
    Nodes,
    /// The list of services.
    Services,
    /// Whatever [`Watch::Service`] would tell of any service.
    AnyService,
    /// Every check.
    Checks,
    /// The events.
    Events,
}

impl Watch {
    /// The service that is called `name`, in whatever case.
    pub fn service(name: &str) -> Self {
        Self::Service(name.to_ascii_lowercase().into())
    }
}

impl From<&ServiceName> for Watch {
    fn from(name: &ServiceName) -> Self {
        Self::Service(name.folded())
    }
}

/// Who waits. An entry stands only while somebody waits for it, so the map is as large as the
/// number of waiting queries, which the front door limits.
#[derive(Debug, Default)]
pub(crate) struct Waiters(DashMap<Watch, watch::Sender<u64>, RandomState>);

impl Waiters {
    /// Wakes who waits for `watch`.
    pub(crate) fn wake(&self, watch: &Watch, index: u64) {
        if let Some(sender) = self.0.get(watch) {
            sender.send_replace(index);
        }
    }

    /// How many things are waited for.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn subscribe(&self, watch: &Watch) -> watch::Receiver<u64> {
        self.0
            .entry(watch.clone())
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe()
    }
}

/// Takes the entry away with its last waiter, also when the query is dropped half-way.
struct Waiting<'a> {
    waiters: &'a Waiters,
    watch: &'a Watch,
    receiver: Option<watch::Receiver<u64>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.receiver = None;
        // Subscribing and this test both happen under the entry's shard lock, so nobody can come
        // in between.
        self.waiters
            .0
            .remove_if(self.watch, |_, sender| sender.receiver_count() == 0);
    }
}

/// Returns when `watch` has an index greater than `index`, or at `deadline`.
pub(crate) async fn wait(shared: &Shared, watch: &Watch, index: u64, deadline: Instant) {
    if !shared.was_issued(index) || shared.index(watch) > index {
        return;
    }
    let mut waiting = Waiting {
        waiters: &shared.waiters,
        watch,
        receiver: Some(shared.waiters.subscribe(watch)),
    };
    // From here on a change wakes; one that came before is seen by the test.
    while shared.index(watch) <= index {
        let Some(receiver) = waiting.receiver.as_mut() else {
            return;
        };
        match tokio::time::timeout_at(deadline, receiver.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
