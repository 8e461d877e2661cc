//! This agent's own checks: `/v1/agent/checks`, `/v1/agent/check/...`.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use tidings_types::{CheckId, CheckKind, CheckStatus, Command};

use crate::{
    Defined, ack, definition,
    failure::Failure,
    filtering::Filtering,
    objects::{HealthCheck, fields},
    reply::{self, Answer},
    request::Call,
};

/// `GET /v1/agent/checks`
pub(crate) fn list(call: &Call) -> Answer {
    call.check_scope()?;
    let filter = Filtering::of(&call.params, fields::HEALTH_CHECK)?;
    let checks = call.view().own().listed_checks();
    let checks: BTreeMap<&str, HealthCheck<'_>> = checks
        .iter()
        .map(|listed| {
            let instance = listed.instance.as_deref();
            let check = HealthCheck::of(&listed.node, &listed.check, instance);
            (listed.check.id.as_str(), check.without_index())
        })
        .filter(|(_, check)| filter.takes_it(check))
        .collect();
    Ok(reply::json(call, &checks))
}

/// `PUT /v1/agent/check/register`
pub(crate) async fn register(call: Call) -> Answer {
    call.check_scope()?;
    let object = call.object("CheckDefinition")?;
    let (id, check) = definition::check(object)?;
    check_source(&call, Defined::Check(&id))?;
    allow_program(&call, &id, &check.kind)?;
    let command = Command::RegisterCheck {
        id,
        check: Box::new(check),
    };
    ack::write(&call, command).await
}

/// Refuses to change through the API what a file defines: the next reload would undo it.
pub(crate) fn check_source(call: &Call, what: Defined<'_>) -> Result<(), Failure> {
    let Some(file) = call.state.hooks().definition_file(what) else {
        return Ok(());
    };
    let what = match what {
        Defined::Service(id) => format!("service ID {:?}", id.as_str()),
        Defined::Check(id) => format!("check ID {:?}", id.as_str()),
    };
    Err(Failure::new(
        StatusCode::CONFLICT,
        format_args!("{what} is defined in {file}; change it there, the agent follows it"),
    ))
}

/// Refuses a check that runs a program unless the agent's settings let remote callers ask for it.
pub(crate) fn allow_program(call: &Call, id: &CheckId, kind: &CheckKind) -> Result<(), Failure> {
    if kind.runs_program() && !call.state.hooks().allow_program(id, kind) {
        return Err(Failure::semantic(
            "Scripts are disabled on this agent from remote calls; to enable, configure \
             'enable_script_checks' to true",
        ));
    }
    Ok(())
}

/// `PUT /v1/agent/check/deregister/:id`
pub(crate) async fn deregister(call: Call) -> Answer {
    call.check_scope()?;
    let id = CheckId::new(&call.rest).map_err(|_| Failure::unknown_check(&call.rest))?;
    check_source(&call, Defined::Check(&id))?;
    let command = Command::DeregisterCheck { id };
    ack::write(&call, command).await
}

/// `PUT /v1/agent/check/pass|warn|fail/:id`: the client of a TTL check says how it is.
pub(crate) async fn report(call: Call, status: &'static str) -> Answer {
    call.check_scope()?;
    let output = call.params.get("note").unwrap_or_default().to_owned();
    found(call, status, output).await
}

/// `PUT /v1/agent/check/update/:id`
pub(crate) async fn update(call: Call) -> Answer {
    call.check_scope()?;
    let mut object = call.object("checkUpdate")?;
    let status = object.string(&["Status"])?;
    let output = object.string(&["Output"])?;
    object.finish()?;
    found(call, &status, output).await
}

/// Passes on what the client of a TTL check found.
async fn found(call: Call, status: &str, output: String) -> Answer {
    let Some(status) = CheckStatus::parse(status) else {
        return Err(Failure::bad(format_args!(
            "Invalid check status: '{status}'"
        )));
    };
    let id = CheckId::new(&call.rest).map_err(|_| Failure::unknown_check(&call.rest))?;
    let Some(check) = call.view().own_check(&id) else {
        return Err(Failure::unknown_check(&call.rest));
    };
    let record = check.record();
    if !matches!(record.kind, CheckKind::Ttl { .. }) {
        return Err(Failure::semantic(format_args!(
            "CheckID {:?} does not have associated TTL",
            id.as_str()
        )));
    }
    let cut = |output| definition::cut_output(output, record.output_bytes_max);
    // The client is there, whatever becomes of its word: a disk that refuses it, or is slow to take
    // it, is no sign that the service is ill.
    let hooks = call.state.hooks();
    let (status, output) = hooks.check_reported(&id, status, cut(output));
    let output = cut(output);
    let command = Command::UpdateCheck { id, status, output };
    ack::write(&call, command).await
}
