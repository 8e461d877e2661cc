//! Paths and queries, and the two headers that are lists.

use std::cell::RefCell;

use axum::http::{
    Method,
    header::{ACCEPT_ENCODING, CACHE_CONTROL, LOCATION},
};

use crate::door::Door;

/// The first byte names the method. Then come, a line each, the path with the query, what encodings
/// are accepted, and what a cache may answer.
///
/// # Panics
/// If an answer is not what it says it is, sends the client to another host, or a read changed
/// something.
pub fn queries(data: &[u8]) {
    let Some((&method, rest)) = data.split_first() else {
        return;
    };
    let method = &METHODS[usize::from(method) % METHODS.len()];
    let mut lines = rest.split(|&byte| byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let headers: Vec<_> = [ACCEPT_ENCODING, CACHE_CONTROL]
        .into_iter()
        .zip(lines)
        .collect();
    let ask = |door: &mut Door| {
        // What is no URI does not get past the HTTP library.
        let answer = door.ask(method, target, &headers, &[]);
        if let Some(answer) = answer {
            answer.check();
            let location = answer.header(&LOCATION);
            assert!(!location.starts_with("//"), "sent away: {location}");
        }
    };
    if method == Method::PUT {
        ask(&mut Door::new());
        return;
    }
    // Where nothing changes, one agent does for all.
    READ.with_borrow_mut(|door| {
        let before = door.node.fingerprint();
        ask(door);
        assert_eq!(door.node.fingerprint(), before, "{method} changes nothing");
    });
}

thread_local! {
    static READ: RefCell<Door> = RefCell::new(Door::new());
}

/// Their order is part of the corpus.
const METHODS: [Method; 6] = [
    Method::GET,
    Method::PUT,
    Method::POST,
    Method::DELETE,
    Method::OPTIONS,
    Method::HEAD,
];
