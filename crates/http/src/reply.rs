//! The ways out: JSON bodies and the headers that tell a client how far to trust them.

use std::{
    fmt::{Display, Write as _},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tidings_types::{Liveness, Status};
use tidings_view::{Listed, View};

use crate::{
    failure::Failure,
    request::{Call, Consistency},
};

/// What an endpoint returns.
pub(crate) type Answer = Result<Response, Failure>;

/// 200 without a body: how writes to the agent are acknowledged.
pub(crate) fn empty() -> Response {
    Response::new(Body::empty())
}

/// Sends the client to `path` of the same agent, with the same query.
pub(crate) fn moved(uri: &Uri, path: &str) -> Response {
    let mut response = empty();
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let location = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    set(&mut response, header::LOCATION, escaped(&location));
    response
}

/// A header is ASCII: what is not is escaped, as Go does it.
fn escaped(location: &str) -> String {
    let mut escaped = String::with_capacity(location.len());
    for byte in location.bytes() {
        if byte.is_ascii() {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02x}");
        }
    }
    escaped
}

/// `value` as JSON, indented if the client asks for it or the agent is a `dev` agent.
pub(crate) fn json(call: &Call, value: &impl Serialize) -> Response {
    let body = if is_pretty(call) {
        pretty(value)
    } else {
        serde_json::to_vec(value)
    };
    match body {
        Ok(body) => ([(header::CONTENT_TYPE, JSON)], body).into_response(),
        Err(error) => {
            Failure::semantic(format_args!("the answer cannot be written: {error}")).into_response()
        }
    }
}

/// A part of a JSON text, encoded apart from the rest.
pub(crate) fn encoded(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("memory takes every byte, and all keys are texts")
}

/// An answer that is JSON already.
pub(crate) fn json_bytes(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, JSON)], body).into_response()
}

/// Whether the client or the agent wants JSON that people can read.
pub(crate) fn is_pretty(call: &Call) -> bool {
    call.params.has("pretty") || call.state.info().dev
}

fn pretty(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut body = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut body, indent);
    value.serialize(&mut serializer)?;
    body.push(b'\n');
    Ok(body)
}

/// What the headers of a read must say of its content.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// Instances whose owner is not heard.
    pub(crate) stale: usize,
    /// Writes that were beaten unseen by the records answered.
    pub(crate) conflicts: usize,
}

impl Marks {
    pub(crate) fn of(listed: &[Listed]) -> Self {
        let conflicts = |listed: &Listed| listed.instance.conflicts();
        Self {
            stale: listed.iter().filter(|l| l.stale_for.is_some()).count(),
            conflicts: listed.iter().map(conflicts).sum(),
        }
    }
}

/// Puts Consul's headers of a read on `response`, and the marks that apply.
pub(crate) fn mark_read(
    response: &mut Response,
    view: &View,
    index: u64,
    consistency: Consistency,
    marks: Marks,
) {
    let status = view.status();
    let last_contact = behind_for(view, &status);
    // At once, in place of growing twice.
    response.headers_mut().reserve(READ_HEADERS);
    put(response, INDEX, index.max(1));
    // There is no leader whose loss a client would have to know of.
    put(response, KNOWN_LEADER, TRUE);
    let last_contact_ms = u64::try_from(last_contact.as_millis()).unwrap_or(u64::MAX);
    put(response, LAST_CONTACT, last_contact_ms);
    // `consistent` is never claimed: no agent can know what others accept at this moment.
    let settled = last_contact.is_zero() && !view.roster().island && marks.stale == 0;
    let effective = match consistency {
        Consistency::Default if settled => LEADER,
        _ => AS_KNOWN,
    };
    put(response, EFFECTIVE_CONSISTENCY, effective);
    mark_content(response, marks);
}

/// Says how much of the content is stale, and how much was decided against another write.
pub(crate) fn mark_content(response: &mut Response, marks: Marks) {
    if marks.stale > 0 {
        set(response, STALE, marks.stale);
    }
    if marks.conflicts > 0 {
        set(response, CONFLICTS, marks.conflicts);
    }
}

/// Says of an answer to a read with `?cached` that it comes from memory, as all answers do, and how
/// old it may be.
pub(crate) fn mark_cached(response: &mut Response, view: &View) {
    let age = behind_for(view, &view.status());
    set(response, CACHE, "HIT");
    set(response, header::AGE, age.as_secs());
}

/// Says on any answer that it comes from an island, and how much of the cluster is in reach.
pub(crate) fn mark_island(response: &mut Response, view: &View) {
    let roster = view.roster();
    if roster.island {
        set(response, ISLAND, true);
    }
    if roster.island || roster.reachable < roster.expected {
        let text = format!("{} of {}", roster.reachable, roster.expected);
        set(response, REACHABLE, text);
    }
}

/// How much this agent may have missed: for how long some reachable peer's registry has differed from
/// its own, and on an island the time since one of the lost agents was last heard.
fn behind_for(view: &View, status: &Status) -> Duration {
    let roster = view.roster();
    let silent = || {
        let members = roster.members.values();
        let lost = members.filter(|member| member.liveness == Liveness::Stale);
        lost.map(|member| view.now().since(member.heard)).min()
    };
    // Every read asks, and only an island has members to look through.
    let silent = roster.island.then(silent).flatten();
    differs_for(view, status).max(silent).unwrap_or_default()
}

/// How long some reachable peer's registry has differed from this agent's.
pub(crate) fn differs_for(view: &View, status: &Status) -> Option<Duration> {
    status.differs_since.map(|since| view.now().since(since))
}

/// Sets a header to a value that is sure to be one: a number, or a text that is known beforehand.
pub(crate) fn put(response: &mut Response, name: HeaderName, value: impl Into<HeaderValue>) {
    response.headers_mut().insert(name, value.into());
}

/// Sets a header to a value that prints as plain ASCII; one that does not is left out.
pub(crate) fn set(response: &mut Response, name: HeaderName, value: impl Display) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        response.headers_mut().insert(name, value);
    }
}

pub(crate) const ALLOW: HeaderValue = HeaderValue::from_static("allow");
/// Headers of a read, beside those of its connection.
const READ_HEADERS: usize = 12;
const TRUE: HeaderValue = HeaderValue::from_static("true");
const LEADER: HeaderValue = HeaderValue::from_static("leader");
const AS_KNOWN: HeaderValue = HeaderValue::from_static("stale");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
const EFFECTIVE_CONSISTENCY: HeaderName = HeaderName::from_static("x-consul-effective-consistency");
const CACHE: HeaderName = HeaderName::from_static("x-cache");
const ISLAND: HeaderName = HeaderName::from_static("x-tidings-island");
const REACHABLE: HeaderName = HeaderName::from_static("x-tidings-reachable");
const STALE: HeaderName = HeaderName::from_static("x-tidings-stale");
const CONFLICTS: HeaderName = HeaderName::from_static("x-tidings-conflicts");
/// Whether this agent's own record is known to be held by a peer: `pending` or `synced`.
pub(crate) const SYNC: HeaderName = HeaderName::from_static("x-tidings-sync");
/// The hash that `?hash` blocks on.
pub(crate) const CONTENT_HASH: HeaderName = HeaderName::from_static("x-consul-contenthash");
/// The status behind an agent health answer.
pub(crate) const REASON: HeaderName = HeaderName::from_static("x-consul-reason");
/// What Consul's default policy would be; there are no tokens to check.
pub(crate) const ACL_POLICY: HeaderName = HeaderName::from_static("x-consul-default-acl-policy");
