//! `/v1/tidings/watch` without names: whatever services there are, and those that come.
//!
//! A connection begins with the list of all names: what a client that comes back knows and does not
//! find there is gone, however long it was away. From then on a service that loses its last instance
//! is told once more, empty.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::body::Bytes;
use serde::Serialize;
use tidings_types::{ServiceName, Text};
use tidings_view::{Service, Watch};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, sleep},
};

use super::{BEAT, BEAT_TEXT, Telling};

/// What one client was told of all services.
pub(super) struct Following {
    pub(super) telling: Telling,
    /// The index of what the client knows; 0 if it knows nothing.
    pub(super) since: u64,
    /// Its place among those that follow everything.
    pub(super) _place: OwnedSemaphorePermit,
}

/// By folded name, the spelling and the index that were told last.
type Told = BTreeMap<Text, (ServiceName, u64)>;

impl Following {
    /// Ends when the client is gone.
    pub(super) async fn tell(self, events: mpsc::Sender<Bytes>) {
        let view = &self.telling.view;
        let mut told: Option<Told> = None;
        loop {
            // Both come before the services: what changes meanwhile is met again, never missed.
            let begun = view.index_high_water();
            let seen = view.index(&Watch::AnyService);
            let services = view.services();
            if told.is_none() && events.send(names(&services)).await.is_err() {
                return;
            }
            for (name, index) in self.due(&services, told.as_ref()) {
                let event = self.telling.event(name.as_str(), index);
                if events.send(event).await.is_err() {
                    return;
                }
            }
            if events.send(self.telling.end(begun)).await.is_err() {
                return;
            }
            told = Some(as_told(&services));
            while view.index(&Watch::AnyService) <= seen {
                let beat = Instant::now() + BEAT;
                view.changed(&Watch::AnyService, seen, beat).await;
                let is_silent = view.index(&Watch::AnyService) <= seen;
                if is_silent && events.send(BEAT_TEXT).await.is_err() {
                    return;
                }
            }
            // What changes together is told together, and a registry in turmoil costs no core.
            sleep(PAUSE).await;
        }
    }

    /// The services that are to be told now: what is of a newer index, and what is no longer there.
    fn due(&self, services: &[Arc<Service>], told: Option<&Told>) -> Vec<(ServiceName, u64)> {
        let known = |service: &Service| match told {
            None => self.since,
            Some(told) => told
                .get(&service.name.folded())
                .map_or(0, |(_, index)| *index),
        };
        let changed = services.iter();
        let changed = changed.filter(|service| service.index > known(service));
        let mut due: Vec<_> = changed
            .map(|service| (service.name.clone(), service.index))
            .collect();
        let there: BTreeSet<Text> = services.iter().map(|s| s.name.folded()).collect();
        let gone = told.into_iter().flatten();
        let gone = gone.filter(|(name, _)| !there.contains(*name));
        due.extend(gone.map(|(_, (name, _))| {
            let index = self.telling.view.index(&Watch::from(name));
            (name.clone(), index)
        }));
        due
    }
}

fn as_told(services: &[Arc<Service>]) -> Told {
    let told = services.iter().map(|service| {
        let name = service.name.clone();
        (name.folded(), (name, service.index))
    });
    told.collect()
}

/// The list with which a connection begins.
fn names(services: &[Arc<Service>]) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Event<'a> {
        services: Vec<&'a str>,
    }
    let services = services.iter().map(|service| service.name.as_str());
    let event = Event {
        services: services.collect(),
    };
    let data = serde_json::to_string(&event).unwrap_or_default();
    format!("event: services\ndata: {data}\n\n").into()
}

/// Between two batches.
const PAUSE: Duration = Duration::from_millis(50);
