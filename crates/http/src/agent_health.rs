//! `/v1/agent/health/service/...`: the health of this agent's own instances as a status code, for
//! load balancers.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tidings_types::ServiceId;
use tidings_view::InstanceView;

use crate::{
    aggregate::Aggregate,
    failure::Failure,
    objects::{AgentService, HealthCheck},
    reply::{self, Answer, REASON},
    request::Call,
};

/// `GET /v1/agent/health/service/id/:id`
pub(crate) fn by_id(call: &Call) -> Answer {
    call.check_scope()?;
    if call.rest.is_empty() {
        return Err(Failure::bad("Missing serviceID"));
    }
    let own = call.view().own();
    let id = ServiceId::new(&call.rest).ok();
    let Some(instance) = id.and_then(|id| own.instances.get(&id)) else {
        let nothing = Health {
            aggregated_status: "critical",
            service: None,
            checks: None,
        };
        let text = format!("ServiceId {} not found", call.rest);
        return Ok(answer(
            call,
            StatusCode::NOT_FOUND,
            "critical",
            &nothing,
            &text,
        ));
    };
    let aggregate = Aggregate::of(instance);
    let health = Health::of(instance);
    let word = aggregate.word();
    Ok(answer(call, aggregate.code(), word, &health, word))
}

/// `GET /v1/agent/health/service/name/:name`
pub(crate) fn by_name(call: &Call) -> Answer {
    call.check_scope()?;
    if call.rest.is_empty() {
        return Err(Failure::bad("Missing service Name"));
    }
    let own = call.view().own();
    let is_named = |instance: &&InstanceView| instance.service().eq_ignore_ascii_case(&call.rest);
    let instances = own.instances.values().map(|instance| &**instance);
    let instances: Vec<&InstanceView> = instances.filter(is_named).collect();
    let health: Vec<_> = instances.iter().map(|i| Health::of(i)).collect();
    let Some(worst) = instances.iter().map(|i| Aggregate::of(i)).max() else {
        let text = format!("ServiceName {} Not Found", call.rest);
        return Ok(answer(
            call,
            StatusCode::NOT_FOUND,
            "critical",
            &health,
            &text,
        ));
    };
    Ok(answer(
        call,
        worst.code(),
        worst.word(),
        &health,
        worst.word(),
    ))
}

/// JSON, or one word if the client wants text.
fn answer(
    call: &Call,
    code: StatusCode,
    reason: &str,
    health: &impl Serialize,
    text: &str,
) -> Response {
    let accept = call.headers.get(header::ACCEPT);
    let accepts_text = accept
        .map(HeaderValue::as_bytes)
        .is_some_and(|accept| accept.starts_with(b"text/plain"));
    let format = call.params.get("format").unwrap_or_default();
    let mut response = if format == "text" || format.is_empty() && accepts_text {
        let plain = HeaderValue::from_static("text/plain");
        ([(header::CONTENT_TYPE, plain)], text.to_owned()).into_response()
    } else {
        reply::json(call, health)
    };
    *response.status_mut() = code;
    reply::set(&mut response, REASON, reason);
    response
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Health<'a> {
    aggregated_status: &'static str,
    service: Option<AgentService<'a>>,
    checks: Option<Vec<HealthCheck<'a>>>,
}

impl<'a> Health<'a> {
    fn of(instance: &'a InstanceView) -> Self {
        let of_whole_node = HealthCheck::of_whole_node(instance, None);
        let checks = HealthCheck::of_instance(instance).chain(of_whole_node);
        let checks = checks.map(HealthCheck::without_index);
        Self {
            aggregated_status: Aggregate::of(instance).word(),
            service: Some(AgentService::of(instance)),
            checks: Some(checks.collect()),
        }
    }
}
