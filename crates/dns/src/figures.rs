//! Figures for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hickory_proto::op::ResponseCode;

/// What was asked and how it was answered, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Packets that came over UDP.
    pub udp: u64,
    /// Queries that came over TCP.
    pub tcp: u64,
    /// Packets that were not answered: too short to answer, or answers themselves.
    pub dropped: u64,
    /// Answers with records, or with none of the type asked for.
    pub no_error: u64,
    /// Names that do not exist, services without a healthy instance among them.
    pub nx_domain: u64,
    /// Queries for names that are not ours.
    pub refused: u64,
    /// Malformed packets, and what is not implemented.
    pub malformed: u64,
    /// Queries that could not be answered because of a fault of ours.
    pub failed: u64,
    /// Answers from which records were left out for size.
    pub truncated: u64,
    /// Answers that could not be sent.
    pub send_errors: u64,
    /// TCP connections that were turned away because there were too many.
    pub tcp_refused: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) udp: AtomicU64,
    pub(crate) tcp: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) no_error: AtomicU64,
    pub(crate) nx_domain: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) truncated: AtomicU64,
    pub(crate) send_errors: AtomicU64,
    pub(crate) tcp_refused: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn answered(&self, code: ResponseCode) {
        Self::add(match code {
            ResponseCode::NoError => &self.no_error,
            ResponseCode::NXDomain => &self.nx_domain,
            ResponseCode::Refused => &self.refused,
            ResponseCode::ServFail => &self.failed,
            _ => &self.malformed,
        });
    }

    pub(crate) fn read(&self) -> Figures {
        Figures {
            udp: self.udp.load(Relaxed),
            tcp: self.tcp.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            no_error: self.no_error.load(Relaxed),
            nx_domain: self.nx_domain.load(Relaxed),
            refused: self.refused.load(Relaxed),
            malformed: self.malformed.load(Relaxed),
            failed: self.failed.load(Relaxed),
            truncated: self.truncated.load(Relaxed),
            send_errors: self.send_errors.load(Relaxed),
            tcp_refused: self.tcp_refused.load(Relaxed),
        }
    }
}
