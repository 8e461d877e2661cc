//! `/v1/event/...`: short messages that reach every agent.
//!
//! An event is a record of the agent at which it was fired, so it comes through a split and a restart
//! as a registration does, and each agent shows the last of all. Consul's lists are not kept that
//! long; clients tell what is new by the ids.

use std::{
    hash::{BuildHasher, RandomState},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::response::Response;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use regex::{Regex, RegexBuilder};
use serde::Serialize;
use tidings_types::{
    Command, Event, EventId,
    limits::{EVENT_MS, EVENT_PAYLOAD_BYTES, NAME_BYTES},
};
use tidings_view::{EventView, View, Watch};
use tokio::time::Instant;

use crate::{
    ack,
    blocking::{jittered, until_closed},
    failure::Failure,
    reply::{self, Answer, INDEX},
    request::{Call, index_of, wait_of},
};

/// `PUT /v1/event/fire/:name`
pub(crate) async fn fire(call: Call) -> Answer {
    call.check_scope()?;
    let name = call.rest.as_str();
    if name.is_empty() {
        return Err(Failure::bad("Missing name"));
    }
    let filter = |name| call.params.get(name).unwrap_or_default();
    let event = Event {
        name: name.into(),
        payload: call.body.to_vec().into(),
        node_filter: filter("node").into(),
        service_filter: filter("service").into(),
        tag_filter: filter("tag").into(),
    };
    check(&event)?;
    let id = new_id();
    let answer = reply::json(&call, &Fired::of(&id, &event, 0));
    let event = Box::new(event);
    let command = Command::FireEvent { id, event };
    ack::write_all(&call, [command], answer).await
}

/// What Consul refuses, with 500 as it does.
fn check(event: &Event) -> Result<(), Failure> {
    if event.payload.len() > EVENT_PAYLOAD_BYTES {
        return Err(Failure::semantic(format_args!(
            "user event exceeds configured limit of {EVENT_PAYLOAD_BYTES} bytes before encoding"
        )));
    }
    if event.name.len() > NAME_BYTES {
        return Err(Failure::semantic(format_args!(
            "the event's name has more than {NAME_BYTES} bytes"
        )));
    }
    if !event.tag_filter.is_empty() && event.service_filter.is_empty() {
        let text = "Cannot provide tag filter without service filter";
        return Err(Failure::semantic(text));
    }
    for (what, filter) in [
        ("node", &event.node_filter),
        ("service", &event.service_filter),
        ("tag", &event.tag_filter),
    ] {
        if pattern(filter).is_none() {
            return Err(Failure::semantic(format_args!(
                "Invalid {what} filter: {filter:?} is no regular expression of at most \
                 {NAME_BYTES} bytes"
            )));
        }
    }
    Ok(())
}

fn new_id() -> EventId {
    // Each hasher has its own random keys; no other randomness is needed here.
    let random = || RandomState::new().hash_one(()).to_be_bytes();
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&random());
    bytes[8..].copy_from_slice(&random()[..2]);
    EventId::new(unix_ms(), bytes)
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or_default()
}

/// `GET /v1/event/list`, blocking while the last event is the one that the client knows.
pub(crate) async fn list(call: &Call) -> Answer {
    call.check_scope()?;
    let asked = index_of(&call.params)?;
    let deadline = Instant::now() + jittered(wait_of(&call.params)?);
    let view = call.view();
    loop {
        let moved = view.index(&Watch::Events);
        let shown = shown(call, view);
        let index = shown.last().map_or(1, |last| index_of_event(&last.id));
        if asked == 0 || asked != index || Instant::now() >= deadline {
            return Ok(answer(call, &shown, index));
        }
        let changed = view.changed(&Watch::Events, moved, deadline);
        if until_closed(call, changed).await? {
            return Ok(answer(call, &shown, index));
        }
    }
}

fn answer(call: &Call, shown: &[EventView], index: u64) -> Response {
    let events = shown.iter();
    let events = events.map(|shown| Fired::of(&shown.id, &shown.event, shown.id.unix_ms()));
    let mut response = reply::json(call, &events.collect::<Vec<_>>());
    reply::set(&mut response, INDEX, index);
    response
}

/// The events that concern this agent and have the name asked for.
fn shown(call: &Call, view: &View) -> Vec<EventView> {
    let name = call.params.get("name").filter(|name| !name.is_empty());
    let events = view.events();
    let now = unix_ms();
    let events = events.iter().filter(|shown| {
        now.saturating_sub(shown.id.unix_ms()) <= EVENT_MS
            && name.is_none_or(|name| *shown.event.name == *name)
            && concerns(&shown.event, view)
    });
    events.cloned().collect()
}

/// Whether the event is for this agent: its node's name fits, and a service that it has.
fn concerns(event: &Event, view: &View) -> bool {
    let fits = |filter: &str, text: &str| match pattern(filter) {
        Some(Some(pattern)) => pattern.is_match(text),
        Some(None) => true,
        None => false,
    };
    if !fits(&event.node_filter, view.my_name().as_str()) {
        return false;
    }
    event.service_filter.is_empty()
        || view.own().instances.values().any(|view| {
            let has_tag = || {
                let tags = view.tags();
                tags.iter().any(|tag| fits(&event.tag_filter, tag))
            };
            fits(&event.service_filter, view.service())
                && (event.tag_filter.is_empty() || has_tag())
        })
}

/// The pattern of a filter: `Some(None)` if it is empty, `None` if it is none or too long.
#[expect(
    clippy::option_option,
    reason = "an empty filter is sound and has no pattern"
)]
fn pattern(filter: &str) -> Option<Option<Regex>> {
    if filter.is_empty() {
        return Some(None);
    }
    if filter.len() > NAME_BYTES {
        return None;
    }
    let mut builder = RegexBuilder::new(filter);
    builder
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES);
    builder.build().ok().map(Some)
}

/// Both halves of the id in one number, as Consul's clients reckon it, and never 0.
fn index_of_event(id: &EventId) -> u64 {
    let id = u128::from_be_bytes(*id.as_bytes());
    let halves = (id >> 64) ^ id;
    let low = u64::try_from(halves & u128::from(u64::MAX));
    low.unwrap_or_default().max(1)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Fired<'a> {
    #[serde(rename = "ID")]
    id: String,
    name: &'a str,
    payload: Option<String>,
    node_filter: &'a str,
    service_filter: &'a str,
    tag_filter: &'a str,
    version: u8,
    #[serde(rename = "LTime")]
    l_time: u64,
}

impl<'a> Fired<'a> {
    fn of(id: &EventId, event: &'a Event, l_time: u64) -> Self {
        let payload = &event.payload;
        Self {
            id: id.to_string(),
            name: &event.name,
            payload: (!payload.is_empty()).then(|| STANDARD.encode(payload)),
            node_filter: &event.node_filter,
            service_filter: &event.service_filter,
            tag_filter: &event.tag_filter,
            version: 1,
            l_time,
        }
    }
}

/// Bytes that one filter's pattern may take when compiled.
const PATTERN_BYTES: usize = 64 << 10;
