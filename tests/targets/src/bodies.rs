//! JSON bodies of the calls that write.

use axum::http::{Method, StatusCode};

use crate::door::{Answer, Door};

/// The first byte names the endpoint, the rest is the body.
///
/// # Panics
/// If a refused call changed something, an acknowledged registration is another one when it is made
/// again, or what was taken cannot be listed.
pub fn bodies(data: &[u8]) {
    let Some((&endpoint, body)) = data.split_first() else {
        return;
    };
    let (path, law) = ENDPOINTS[usize::from(endpoint) % ENDPOINTS.len()];
    let mut door = Door::new();
    let before = door.node.fingerprint();
    let answer = put(&mut door, path, body);
    answer.check();
    let after = door.node.fingerprint();
    if answer.status != StatusCode::OK {
        // Of a batch, what the node took before it refused may stand.
        assert!(
            law == Law::Batch || before == after,
            "{path}: refused and done"
        );
        return;
    }
    for list in LISTS {
        let listed = door.ask(&Method::GET, list, &[], &[]).expect("a sound URI");
        assert_eq!(listed.status, StatusCode::OK, "{list}");
        listed.check();
    }
    let again = put(&mut door, path, body);
    assert_eq!(again.status, StatusCode::OK, "{path}: taken once only");
    if matches!(law, Law::Same | Law::Batch) {
        assert_eq!(
            door.node.fingerprint(),
            after,
            "{path}: the same is no change"
        );
    }
}

fn put(door: &mut Door, path: &str, body: &[u8]) -> Answer {
    let answer = door.ask(&Method::PUT, path, &[], body);
    answer.expect("a sound URI")
}

/// What holds of a call beside what holds of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Law {
    /// Made again, it changes nothing.
    Same,
    /// As [`Law::Same`], and it is several calls.
    Batch,
    /// It is a write of its own each time.
    Anew,
}

/// Everything that reads a body. Their order is part of the corpus.
const ENDPOINTS: [(&str, Law); 8] = [
    ("/v1/agent/service/register", Law::Same),
    (
        "/v1/agent/service/register?replace-existing-checks",
        Law::Same,
    ),
    ("/v1/agent/check/register", Law::Same),
    ("/v1/agent/check/update/c-1", Law::Same),
    ("/v1/catalog/register", Law::Anew),
    ("/v1/catalog/deregister", Law::Anew),
    ("/v1/tidings/services", Law::Batch),
    ("/v1/event/fire/deploy", Law::Anew),
];
/// Where what was written comes out again.
const LISTS: [&str; 6] = [
    "/v1/agent/services",
    "/v1/agent/checks",
    "/v1/catalog/nodes",
    "/v1/catalog/services",
    "/v1/health/state/any",
    "/v1/health/service/web",
];
