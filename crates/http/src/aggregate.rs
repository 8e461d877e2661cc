//! The health of one instance in one word.

use axum::http::StatusCode;
use tidings_types::{CheckId, CheckStatus};
use tidings_view::InstanceView;

/// An instance's health in one word, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aggregate {
    Passing,
    Warning,
    Critical,
    Maintenance,
}

impl Aggregate {
    pub(crate) fn of(instance: &InstanceView) -> Self {
        let mut checks = instance.checks().iter().chain(instance.node_checks());
        let in_maintenance = checks.any(|check| is_maintenance(&check.id));
        match instance.status() {
            _ if in_maintenance => Self::Maintenance,
            CheckStatus::Critical => Self::Critical,
            CheckStatus::Warning => Self::Warning,
            CheckStatus::Passing => Self::Passing,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Maintenance => "maintenance",
        }
    }

    pub(crate) const fn code(self) -> StatusCode {
        match self {
            Self::Passing => StatusCode::OK,
            Self::Warning => StatusCode::TOO_MANY_REQUESTS,
            Self::Critical | Self::Maintenance => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Whether the check stands for maintenance mode, of its node or of one service.
pub(crate) fn is_maintenance(check: &CheckId) -> bool {
    let id = check.as_str();
    id == NODE_MAINTENANCE || id.starts_with(SERVICE_MAINTENANCE)
}

/// The check that stands for a node in maintenance mode.
pub(crate) const NODE_MAINTENANCE: &str = "_node_maintenance";
/// What the check that stands for a service in maintenance mode is called, before the service's id.
pub(crate) const SERVICE_MAINTENANCE: &str = "_service_maintenance:";
