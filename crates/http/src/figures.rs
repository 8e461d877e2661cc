//! What the HTTP server counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::http::StatusCode;

/// Counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Answers by the first digit of their status, from 1.
    classes: [Count; 5],
    /// Connections that found no place.
    pub(crate) connections_refused: Count,
    /// Connections that ended with an error.
    pub(crate) connections_failed: Count,
    /// Times that the system handed over no connection.
    pub(crate) accepts_failed: Count,
    /// Blocking queries that found no place.
    pub(crate) queries_refused: Count,
}

/// One figure that grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Figures {
    /// A request was answered.
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(count) = self.classes.get(class) {
            count.add();
        }
    }

    /// Requests answered, by class of status.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        CLASSES.into_iter().zip(self.classes.iter().map(Count::get))
    }
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
