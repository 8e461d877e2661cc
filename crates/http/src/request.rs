//! The way in: path and query as Consul reads them, and the parameters that reads share.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::LengthLimitError;
use tidings_types::{NodeName, Texts};
use tidings_view::{Listed, NodeFacts, View};

use crate::{
    duration,
    failure::Failure,
    json_in::Object,
    state::{HttpState, Limits},
};

/// One request on its way through an endpoint.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) state: HttpState,
    pub(crate) params: Params,
    pub(crate) headers: HeaderMap,
    /// What follows the endpoint's path: an id or a name, decoded, perhaps with slashes.
    pub(crate) rest: String,
    /// The request's body, if the endpoint takes one.
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn view(&self) -> &View {
        self.state.view()
    }

    /// The request's body as a JSON object.
    pub(crate) fn object(&self, place: &'static str) -> Result<Object, Failure> {
        Ok(Object::parse(&self.body, place)?)
    }

    /// Refuses what no request may ask: other namespaces, partitions and datacenters.
    pub(crate) fn check_scope(&self) -> Result<(), Failure> {
        for (name, header, what) in [
            ("ns", "X-Consul-Namespace", "Namespaces"),
            ("partition", "X-Consul-Partition", "Partitions"),
        ] {
            let asks = |value: &str| !value.is_empty() && value != "default";
            if self.params.get(name).is_some_and(asks) {
                return Err(Failure::bad(format_args!(
                    "Invalid query parameter: {name:?} - {what} are a Consul Enterprise feature"
                )));
            }
            let value = self.headers.get(header);
            if value.is_some_and(|value| value.to_str().map_or(true, asks)) {
                return Err(Failure::bad(format_args!(
                    "Invalid header: {header:?} - {what} are a Consul Enterprise feature"
                )));
            }
        }
        self.check_datacenter(self.params.get("dc").unwrap_or_default())?;
        for name in ["peer", "sg"] {
            if self.params.get(name).is_some_and(|value| !value.is_empty()) {
                return Err(Failure::bad(format_args!(
                    "Invalid query parameter: {name:?} - cluster peering is not part of tidings"
                )));
            }
        }
        Ok(())
    }

    /// Refuses a datacenter that is not this agent's; empty is.
    pub(crate) fn check_datacenter(&self, name: &str) -> Result<(), Failure> {
        if name.is_empty() || name.eq_ignore_ascii_case(self.view().datacenter()) {
            Ok(())
        } else {
            Err(Failure::semantic("No path to datacenter"))
        }
    }
}

/// Reads a request's body within the limits of size and time.
pub(crate) async fn read_body(body: Body, limits: &Limits) -> Result<Bytes, Failure> {
    let bytes_max = limits.body_bytes;
    tokio::time::timeout(limits.read_timeout, to_bytes(body, bytes_max))
        .await
        .map_err(|_| {
            Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time",
            )
        })?
        .map_err(|error| {
            let cause = error.into_inner();
            if cause.is::<LengthLimitError>() {
                Failure::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format_args!("Request body too large, max size: {bytes_max} bytes"),
                )
            } else {
                Failure::bad("the body is not sent as its headers say, or broke off")
            }
        })
}

/// What every read of the catalog can ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadOptions {
    /// Block until there is something newer; 0 does not block.
    pub(crate) index: u64,
    /// How long to block, before jitter.
    pub(crate) wait: Duration,
    pub(crate) consistency: Consistency,
}

/// What a read asked for. None of it changes what is answered: there is no leader to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    Default,
    Stale,
    Consistent,
}

impl ReadOptions {
    pub(crate) fn of(call: &Call) -> Result<Self, Failure> {
        let params = &call.params;
        let (stale, consistent) = (params.has("stale"), params.has("consistent"));
        if stale && consistent {
            return Err(Failure::bad(
                "Cannot specify ?stale with ?consistent, conflicting semantics.",
            ));
        }
        if params.has("cached") && consistent {
            return Err(Failure::bad(
                "Cannot specify ?cached with ?consistent, conflicting semantics.",
            ));
        }
        check_cache_control(&call.headers)?;
        let max_stale = params.get("max_stale").filter(|text| !text.is_empty());
        let max_stale = max_stale.map_or(Ok(0), |text| {
            duration::parse(text)
                .map_err(|_| Failure::bad(format_args!("Invalid max_stale value {text:?}")))
        })?;
        let consistency = if consistent {
            Consistency::Consistent
        } else if stale || max_stale > 0 {
            Consistency::Stale
        } else {
            Consistency::Default
        };
        Ok(Self {
            index: index_of(params)?,
            wait: wait_of(params)?,
            consistency,
        })
    }
}

/// What it asks for holds of every answer, since each comes from memory; but it must be sound.
fn check_cache_control(headers: &HeaderMap) -> Result<(), Failure> {
    let bad = || Failure::bad("Invalid Cache-Control header.");
    for value in headers.get_all(header::CACHE_CONTROL) {
        for directive in value.to_str().map_err(|_| bad())?.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let is_age = ["max-age", "stale-if-error"].contains(&name.trim());
            if is_age && value.trim().parse::<u32>().is_err() {
                return Err(bad());
            }
        }
    }
    Ok(())
}

pub(crate) fn index_of(params: &Params) -> Result<u64, Failure> {
    match params.get("index") {
        None | Some("") => Ok(0),
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().map_err(|_| Failure::bad("Invalid index"))
        }
        Some(_) => Err(Failure::bad("Invalid index")),
    }
}

/// How long a query may block: the default if it does not say, never above the maximum.
pub(crate) fn wait_of(params: &Params) -> Result<Duration, Failure> {
    wait_or(params, WAIT_DEFAULT)
}

/// How long a query may block that waits for `unless` if it does not say.
pub(crate) fn wait_or(params: &Params, unless: Duration) -> Result<Duration, Failure> {
    let asked = match params.get("wait") {
        None | Some("") => 0,
        Some(text) => duration::parse(text).map_err(|_| Failure::bad("Invalid wait time"))?,
    };
    Ok(match u64::try_from(asked) {
        Ok(nanos) if nanos > 0 => Duration::from_nanos(nanos).min(WAIT_MAX),
        _ => unless,
    })
}

/// The `tag` and `node-meta` of a query: all of them must hold.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    tags: Vec<String>,
    node_meta: Vec<(String, String)>,
}

impl Selection {
    pub(crate) fn of(params: &Params) -> Self {
        let node_meta = params.all("node-meta").map(|pair| {
            let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
            (key.to_owned(), value.to_owned())
        });
        Self {
            tags: params.all("tag").map(str::to_owned).collect(),
            node_meta: node_meta.collect(),
        }
    }

    /// As [`Selection::of`] for endpoints that have no `tag`.
    pub(crate) fn nodes_of(params: &Params) -> Self {
        Self {
            tags: Vec::new(),
            ..Self::of(params)
        }
    }

    /// Whether the query names neither.
    pub(crate) const fn takes_all(&self) -> bool {
        self.tags.is_empty() && self.node_meta.is_empty()
    }

    pub(crate) fn takes(&self, listed: &Listed) -> bool {
        let instance = &listed.instance;
        let takes_tags = || self.tags.is_empty() || self.takes_tags(&instance.tags());
        self.takes_node(instance.node()) && takes_tags()
    }

    pub(crate) fn takes_tags(&self, tags: &Texts) -> bool {
        let has = |wanted: &String| tags.iter().any(|tag| tag.eq_ignore_ascii_case(wanted));
        self.tags.iter().all(has)
    }

    pub(crate) fn takes_node(&self, node: &NodeFacts) -> bool {
        self.node_meta
            .iter()
            .all(|(key, value)| node.meta.get(key) == Some(value.as_str()))
    }
}

/// The node that `near` names: what stands on it comes first. Nobody measures how far the others
/// are, so they keep their order, and so does everything near a node that is not known.
#[derive(Debug)]
pub(crate) struct Near(Option<NodeName>);

impl Near {
    pub(crate) fn of(call: &Call) -> Self {
        let view = call.view();
        Self(match call.params.get("near") {
            None | Some("") => None,
            Some("_agent") => Some(view.my_name().clone()),
            Some(name) => view.node(name).map(|found| found.facts.name.clone()),
        })
    }

    /// Whether every list stays as it is.
    pub(crate) const fn is_nobody(&self) -> bool {
        self.0.is_none()
    }

    /// Puts those of `list` in front of which `node` tells the name of this node.
    pub(crate) fn sort<T>(&self, list: &mut [T], node: impl Fn(&T) -> &str) {
        if let Some(name) = &self.0 {
            list.sort_by_key(|element| node(element) != name.as_str());
        }
    }
}

/// The query string's parameters, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

/// A `%` is not followed by two hexadecimal digits, or the bytes of a path are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedEscape;

impl Params {
    pub(crate) fn parse(query: &str) -> Result<Self, MalformedEscape> {
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode_plus(name)?, decode_plus(value)?))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The first value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let named = self.0.iter().find(|(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Whether `name` is there, whatever its value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// A flag whose value counts: there and empty, or Go's words for true; `None` for other words.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name) {
            None => Some(false),
            Some("") => Some(true),
            Some(word) => truth(word),
        }
    }
}

/// What Go's `ParseBool` makes of `word`.
pub(crate) fn truth(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// As [`decode`], and every `+` is a blank. What is no text is read as such all the same: a note in
/// Latin-1 still says that a check passes.
fn decode_plus(text: &str) -> Result<String, MalformedEscape> {
    let bytes = unescaped(&text.replace('+', " "))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Takes the `%` escapes out of `text`.
pub(crate) fn decode(text: &str) -> Result<String, MalformedEscape> {
    String::from_utf8(unescaped(text)?).map_err(|_| MalformedEscape)
}

fn unescaped(text: &str) -> Result<Vec<u8>, MalformedEscape> {
    if !text.contains('%') {
        return Ok(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%' {
            let (digits, after) = rest.split_at_checked(2).ok_or(MalformedEscape)?;
            rest = after;
            bytes.push(hex(digits[0])? << 4 | hex(digits[1])?);
        } else {
            bytes.push(first);
        }
    }
    Ok(bytes)
}

fn hex(digit: u8) -> Result<u8, MalformedEscape> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(MalformedEscape),
    }
}

/// How long a blocking query waits unless it says.
const WAIT_DEFAULT: Duration = Duration::from_secs(300);
/// How long a blocking query waits at most, before jitter.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_string_is_taken_apart() {
        let params = Params::parse("tag=a+b&tag=c%2Fd&stale&passing=1&=x").unwrap();
        assert_eq!(params.all("tag").collect::<Vec<_>>(), ["a b", "c/d"]);
        assert!(params.has("stale"));
        assert_eq!(params.flag("passing"), Some(true));
        assert_eq!(params.flag("stale"), Some(true));
        assert_eq!(params.flag("absent"), Some(false));
        assert_eq!(Params::parse("a=%zz").unwrap_err(), MalformedEscape);
        assert_eq!(Params::parse("a=%f").unwrap_err(), MalformedEscape);
        assert_eq!(Params::parse("a=%ff").unwrap().get("a"), Some("\u{fffd}"));
    }

    #[test]
    fn waits_are_bounded() {
        let wait = |query: &str| wait_of(&Params::parse(query).unwrap());
        assert_eq!(wait("").unwrap(), WAIT_DEFAULT);
        assert_eq!(wait("wait=0").unwrap(), WAIT_DEFAULT);
        assert_eq!(wait("wait=-1s").unwrap(), WAIT_DEFAULT);
        assert_eq!(wait("wait=250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(wait("wait=9999h").unwrap(), WAIT_MAX);
        assert!(wait("wait=10").is_err());
    }

    #[test]
    fn an_index_is_a_decimal_number() {
        let index = |query: &str| index_of(&Params::parse(query).unwrap());
        assert_eq!(index("").unwrap(), 0);
        assert_eq!(index("index=18446744073709551615").unwrap(), u64::MAX);
        for bad in [
            "index=-1",
            "index=%2B1",
            "index=abc",
            "index=18446744073709551616",
        ] {
            assert!(index(bad).is_err(), "{bad}");
        }
    }
}
