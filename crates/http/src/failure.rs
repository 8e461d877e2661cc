//! Refused and failed requests: a status and a plain text, as Consul's clients expect.

use std::fmt::Display;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tidings_types::Refusal;

/// What a request gets instead of its answer.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    text: String,
    retry_after: bool,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, text: impl Display) -> Self {
        Self {
            status,
            text: text.to_string(),
            retry_after: false,
        }
    }

    /// What it says.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The request is malformed.
    pub(crate) fn bad(text: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// What Consul answers with 500: most semantic errors.
    pub(crate) fn semantic(text: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    pub(crate) fn not_found(text: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// Something is full; it is worth to try again.
    pub(crate) fn busy(text: impl Display) -> Self {
        Self {
            retry_after: true,
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, text)
        }
    }

    /// Not now, but soon; it is worth to try again.
    pub(crate) fn unavailable(text: impl Display) -> Self {
        Self {
            retry_after: true,
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }

    /// Too many queries wait.
    pub(crate) fn no_place_to_wait() -> Self {
        Self::busy("too many blocking queries are waiting at this agent; try again in a moment")
    }

    /// No instance of this node has the id.
    pub(crate) fn unknown_service(id: &str) -> Self {
        Self::not_found(format_args!(
            "Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name."
        ))
    }

    /// No check of this node has the id.
    pub(crate) fn unknown_check(id: &str) -> Self {
        Self::not_found(format_args!(
            "Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name."
        ))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::UnknownService { .. }
            | Refusal::UnknownCheck { .. }
            | Refusal::NoSuchServiceForCheck { .. } => Self::not_found(refusal),
            Refusal::UnknownNode { .. } => Self::semantic(format_args!("agent: {refusal}")),
            Refusal::NodeAlive { .. } => Self::new(StatusCode::CONFLICT, refusal),
            Refusal::RecordTooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, refusal),
            Refusal::Busy => Self::busy(refusal),
            Refusal::ShuttingDown => Self::unavailable(refusal),
            _ => Self::semantic(refusal),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.text).into_response();
        if self.retry_after {
            let seconds = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
