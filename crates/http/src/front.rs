//! What is looked at before any endpoint: whether a browser was turned against the agent, and
//! whether the path is one that has to be cleaned.

use std::net::{IpAddr, SocketAddr};

use axum::http::{
    HeaderMap, HeaderName, Method, StatusCode,
    header::{HOST, ORIGIN},
};

use crate::{failure::Failure, routes::Channel, state::HttpState};

/// Refuses what only a browser sends that was turned against the agent.
///
/// Whoever owns a domain can let its name lead to 127.0.0.1 once a page of it is loaded (DNS
/// rebinding); to the browser the agent is that page's own site then, and the page may read and
/// write here. The name stays in the request's `Host`, and in the `Origin` of every write. So an
/// agent that listens on loopback answers no name that a stranger can own, and no agent answers a
/// page of another site. Programs that are no browser send no `Origin`. Over TLS a name needs no
/// look: a browser comes only with one that this agent's certificate bears.
pub(crate) fn check_browser(
    state: &HttpState,
    channel: Channel,
    headers: &HeaderMap,
) -> Result<(), Failure> {
    let host = text(headers, &HOST).map(name_of);
    let is_private = |name: &str| {
        let allowed = &state.info().allowed_hosts;
        is_private(name, state.view().my_name().as_str())
            || allowed.iter().any(|host| host.eq_ignore_ascii_case(name))
    };
    let is_local = channel == Channel::Plain && state.info().http.ip().is_loopback();
    if let (true, Some(host)) = (is_local, host)
        && !is_private(host)
    {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            format_args!(
                "Access is restricted: this agent listens on loopback and does not answer to the \
                 name {host:?}, which a web page could have led here; call it by its address or as \
                 localhost, or allow the name with allow_hosts"
            ),
        ));
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().ok().and_then(|origin| {
        let (_, authority) = origin.split_once("://")?;
        Some(name_of(authority))
    });
    match origin {
        Some(origin) if Some(origin) == host && is_private(origin) => Ok(()),
        _ => Err(Failure::new(
            StatusCode::FORBIDDEN,
            "Access is restricted: a web page of another site may not call this agent",
        )),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // What is no text is no name of this agent either, and not empty.
    headers
        .get(name)
        .map(|value| value.to_str().unwrap_or("?.?"))
}

/// A host without its port and without a final dot.
fn name_of(authority: &str) -> &str {
    let host = match authority.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        },
    };
    host.strip_suffix('.').unwrap_or(host)
}

/// Whether no stranger can own the name: addresses, names without a dot, and those that no
/// registrar gives away.
fn is_private(name: &str, own: &str) -> bool {
    let ends_with = |ending: &&str| {
        let at = name.len().checked_sub(ending.len());
        let end = at.and_then(|at| name.get(at..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(ending))
    };
    !name.contains('.')
        || name.parse::<IpAddr>().is_ok()
        || name.parse::<SocketAddr>().is_ok()
        || name.eq_ignore_ascii_case(own)
        || PRIVATE.iter().any(ends_with)
}

/// Reserved for local use, or this registry's own.
const PRIVATE: [&str; 6] = [
    ".consul",
    ".tidings",
    ".localhost",
    ".local",
    ".internal",
    ".home.arpa",
];

/// The path as Go's router cleans it, if that is another one: without empty parts, `.` and `..`.
///
/// Of a write only what is no endpoint otherwise is cleaned (`has_endpoint`): clients repeat a write
/// that they are sent elsewhere with as a read.
pub(crate) fn cleaned(path: &str, method: &Method, has_endpoint: bool) -> Option<String> {
    if has_endpoint && method != Method::GET || !path.starts_with('/') {
        return None;
    }
    // Nearly every path: no part of it is empty or begins with a dot.
    if !path.contains("//") && !path.contains("/.") {
        return None;
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut clean = format!("/{}", parts.join("/"));
    if path.ends_with('/') && !parts.is_empty() {
        clean.push('/');
    }
    (clean != path).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_private_if_nobody_can_register_it() {
        for host in [
            "127.0.0.1:8500",
            "[::1]:8500",
            "192.0.2.1",
            "localhost:8500",
            "LOCALHOST",
            "app.localhost.",
            "consul",
            "n1.node.consul",
            "box.internal:80",
            "db.example.com",
        ] {
            assert!(is_private(name_of(host), "db.example.com"), "{host}");
        }
        for host in [
            "evil.example:8500",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "consul.evil.example.",
            "::1.evil.example",
        ] {
            assert!(!is_private(name_of(host), "db.example.com"), "{host}");
        }
    }

    #[test]
    fn paths_are_cleaned_as_gos_router_does() {
        let clean = |path| cleaned(path, &Method::GET, true);
        assert_eq!(
            clean("/v1//catalog/nodes").as_deref(),
            Some("/v1/catalog/nodes")
        );
        assert_eq!(clean("//v1/./a/../b/").as_deref(), Some("/v1/b/"));
        assert_eq!(clean("/../.."), Some("/".to_owned()));
        assert_eq!(clean("/v1/catalog/service/"), None);
        assert_eq!(clean("/v1/a%2F%2Fb"), None);
        assert_eq!(cleaned("/v1/agent/join//x", &Method::PUT, true), None);
    }
}
