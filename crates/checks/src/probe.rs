//! One run of a check.

use std::{sync::Arc, time::Duration};

use tidings_types::{Check, CheckKind, CheckStatus};

use crate::{
    http::{HttpClients, HttpProbe},
    output::limit_of,
    tcp,
};

/// A run may take this long if the check states nothing.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What one run found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) status: CheckStatus,
    pub(crate) output: String,
}

impl Found {
    pub(crate) fn critical(output: impl Into<String>) -> Self {
        Self {
            status: CheckStatus::Critical,
            output: output.into(),
        }
    }
}

/// How to run a check.
#[derive(Clone, Debug)]
pub(crate) enum Probe {
    /// An HTTP request.
    Http(Arc<HttpProbe>),
    /// A TCP connection to this address.
    Tcp(String),
    /// The definition cannot be run, for this reason; each run says so.
    Impossible(String),
}

impl Probe {
    pub(crate) fn new(check: &Check, clients: &HttpClients) -> Self {
        match &check.kind {
            CheckKind::Http(http) => match HttpProbe::new(http, limit_of(check), clients) {
                Ok(probe) => Self::Http(Arc::new(probe)),
                Err(reason) => Self::Impossible(reason),
            },
            CheckKind::Tcp { address } => Self::Tcp(address.to_string()),
            CheckKind::Manual { .. } | CheckKind::Ttl { .. } => {
                Self::Impossible("this kind of check is not run by the agent".to_owned())
            }
        }
    }

    /// Runs the check once; never longer than `timeout`.
    pub(crate) async fn run(&self, timeout: Duration) -> Found {
        match self {
            Self::Http(probe) => probe.run(timeout).await,
            Self::Tcp(address) => tcp::run(address, timeout).await,
            Self::Impossible(reason) => Found::critical(reason.clone()),
        }
    }
}

/// How long one run of `check` may take.
pub(crate) fn timeout_of(check: &Check) -> Duration {
    match check.timeout_ms {
        0 => TIMEOUT,
        stated => Duration::from_millis(stated),
    }
}
