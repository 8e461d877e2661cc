//! How to read an answer that goes on.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderMap, Request},
};
use tower_service::Service as _;

use super::ground::Ground;

/// An answer that goes on, with what was read of it and not returned yet.
pub(super) struct Stream {
    pub(super) headers: HeaderMap,
    body: Body,
    read: String,
}

impl Stream {
    /// Asks for `path` with `headers`, and reads nothing yet.
    pub(super) async fn open(ground: &Ground, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = ground.router.clone().call(request).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let (parts, body) = response.into_parts();
        Self {
            headers: parts.headers,
            body,
            read: String::new(),
        }
    }

    /// Reads up to `end`, and returns what came before it; `None` if the answer ends before.
    pub(super) async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some((before, after)) = self.read.split_once(end) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.read = after;
                return Some(before);
            }
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context));
            let frame = tokio::time::timeout(Duration::from_secs(60), frame).await;
            let bytes = frame.unwrap()?.unwrap().into_data().unwrap();
            self.read.push_str(str::from_utf8(&bytes).unwrap());
        }
    }
}
