//! `/v1/tidings/watch`: many services on one connection, as server-sent events.
//!
//! Each event tells all that is served of one service now, so that a client which misses some still
//! hears of every removal by the next. The last event of a batch has an id up to which nothing is
//! lacking; a client that comes back with it in `Last-Event-ID`, as browsers and libraries do by
//! themselves, gets what changed since. One that comes back to another agent, or after a restart,
//! gets everything anew. Who names no service follows all: `all` tells how.

mod all;

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue, header},
    response::IntoResponse,
};
use serde::Serialize;
use tidings_view::{View, Watch};
use tokio::{sync::mpsc, time::Instant};

use self::all::Following;
use crate::{
    failure::Failure,
    filtering::Filtering,
    health::listed_service,
    objects::{CheckServiceNode, fields},
    reply::Answer,
    request::{Call, Selection},
    stream,
};

/// `GET /v1/tidings/watch?service=a&service=b`, or without a service for all that there are.
pub(crate) fn services(call: &Call) -> Answer {
    call.check_scope()?;
    let names: Vec<_> = call.params.all("service").map(str::to_owned).collect();
    if names.len() > SERVICES || names.iter().any(String::is_empty) {
        return Err(Failure::bad(format_args!(
            "Missing services: give ?service=NAME, up to {SERVICES} times, or none for all"
        )));
    }
    let Some(passing) = call.params.flag("passing") else {
        return Err(Failure::bad("Invalid value for ?passing"));
    };
    let telling = Telling {
        view: call.view().clone(),
        selection: Selection::of(&call.params),
        passing,
        filter: Filtering::of(&call.params, fields::CHECK_SERVICE_NODE)?,
    };
    let since = telling.since(call);
    let body = if names.is_empty() {
        let place = call.state.follower().ok_or_else(|| {
            Failure::busy("too many clients follow all services of this agent; name the services")
        })?;
        let following = Following {
            telling,
            since,
            _place: place,
        };
        stream::begin(&call.state, |events| following.tell(events))?
    } else {
        let watching = Named::new(telling, names, since);
        stream::begin(&call.state, |events| watching.tell(events))?
    };
    let headers = [
        (header::CONTENT_TYPE, EVENT_STREAM),
        (header::CACHE_CONTROL, NO_STORE),
        // For nginx, which would hold events back.
        (NO_BUFFER, HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
}

/// What is told of each service, and in which words.
struct Telling {
    view: View,
    selection: Selection,
    passing: bool,
    filter: Filtering,
}

impl Telling {
    /// The index up to which the client knows everything; 0 unless this run of this agent told it.
    fn since(&self, call: &Call) -> u64 {
        let header = call.headers.get(LAST_EVENT).and_then(|id| id.to_str().ok());
        let id = header
            .or_else(|| call.params.get("since"))
            .unwrap_or_default();
        id.split_once('-')
            .filter(|(agent, _)| *agent == self.view.me().to_string())
            .and_then(|(_, index)| index.parse().ok())
            .filter(|index| self.view.was_issued(*index))
            .unwrap_or_default()
    }

    /// All that is served of a service now.
    fn event(&self, name: &str, index: u64) -> Bytes {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Event<'a> {
            service: &'a str,
            index: u64,
            instances: Vec<CheckServiceNode<'a>>,
        }
        let view = &self.view;
        let listed = listed_service(view, name, &self.selection, self.passing);
        let overlay = view.overlay();
        let instances = listed.iter().map(|listed| {
            let serf = overlay.serf_health(&listed.instance.node().key, view.now());
            CheckServiceNode::of(listed, serf)
        });
        let instances = instances.filter(|instance| self.filter.takes_it(instance));
        let event = Event {
            service: name,
            index,
            instances: instances.collect(),
        };
        // Compact JSON has no line feeds, which would end the event.
        let data = serde_json::to_string(&event).unwrap_or_default();
        format!("event: service\ndata: {data}\n\n").into()
    }

    /// The end of a batch. `begun` is the greatest index that was handed out before it: whatever has
    /// a lower one was seen, since the writer ends a batch before it takes the next number.
    fn end(&self, begun: u64) -> Bytes {
        let id = begun - 1;
        format!("event: end\nid: {}-{id}\ndata: {{}}\n\n", self.view.me()).into()
    }
}

/// Services that are watched by their names.
struct Named {
    telling: Telling,
    services: Vec<Watched>,
}

struct Watched {
    name: String,
    watch: Watch,
    /// The index of what the client knows; 0 if it knows nothing.
    told: u64,
}

impl Named {
    fn new(telling: Telling, names: Vec<String>, since: u64) -> Self {
        let services = names.into_iter().map(|name| Watched {
            watch: Watch::service(&name),
            name,
            told: since,
        });
        Self {
            telling,
            services: services.collect(),
        }
    }

    async fn tell(mut self, events: mpsc::Sender<Bytes>) {
        loop {
            let begun = self.telling.view.index_high_water();
            for service in &mut self.services {
                let index = self.telling.view.index(&service.watch);
                if index > service.told {
                    service.told = index;
                    let event = self.telling.event(&service.name, index);
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
            }
            if events.send(self.telling.end(begun)).await.is_err() {
                return;
            }
            while !self.changed().await {
                if events.send(BEAT_TEXT).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Waits for one of the services to change, for a while; returns whether one did.
    async fn changed(&self) -> bool {
        let deadline = Instant::now() + BEAT;
        let view = &self.telling.view;
        let changes = self.services.iter();
        let changes = changes.map(|service| view.changed(&service.watch, service.told, deadline));
        let mut changes: Vec<Pin<Box<_>>> = changes.map(Box::pin).collect();
        poll_fn(|context| {
            let mut changes = changes.iter_mut();
            match changes.any(|change| change.as_mut().poll(context).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        let mut services = self.services.iter();
        services.any(|service| view.index(&service.watch) > service.told)
    }
}

/// Services that one connection can name.
const SERVICES: usize = 256;
/// How long a connection is silent at most.
const BEAT: Duration = Duration::from_secs(15);
/// Keeps proxies from closing, and finds clients that are gone.
const BEAT_TEXT: Bytes = Bytes::from_static(b":\n\n");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_BUFFER: HeaderName = HeaderName::from_static("x-accel-buffering");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
