//! Maintenance mode: a check that is critical until an operator takes it away.

use tidings_types::{Check, CheckId, CheckKind, CheckStatus, Command, Refusal, ServiceId};

use crate::{
    ack,
    aggregate::{NODE_MAINTENANCE, SERVICE_MAINTENANCE},
    definition,
    failure::Failure,
    reply::{self, Answer},
    request::{Call, Params, truth},
};

/// `PUT /v1/agent/service/maintenance/:id`
pub(crate) async fn of_service(call: Call) -> Answer {
    call.check_scope()?;
    if call.rest.is_empty() {
        return Err(Failure::bad("Missing service ID"));
    }
    let enable = wanted(&call.params)?;
    let service = ServiceId::new(&call.rest).map_err(|_| Failure::unknown_service(&call.rest))?;
    if call.view().own_instance(&service).is_none() {
        return Err(Failure::unknown_service(&call.rest));
    }
    let id = format!("{SERVICE_MAINTENANCE}{service}");
    let id = CheckId::new(id).map_err(Failure::bad)?;
    let check = Check {
        service: Some(service),
        ..maintenance("Service Maintenance Mode", "service", &call.params)
    };
    switch(&call, id, check, enable).await
}

/// `PUT /v1/agent/maintenance`
pub(crate) async fn of_node(call: Call) -> Answer {
    call.check_scope()?;
    let enable = wanted(&call.params)?;
    let id = CheckId::new(NODE_MAINTENANCE).map_err(Failure::bad)?;
    let check = maintenance("Node Maintenance Mode", "node", &call.params);
    switch(&call, id, check, enable).await
}

fn wanted(params: &Params) -> Result<bool, Failure> {
    match params.get("enable") {
        None | Some("") => Err(Failure::bad("Missing value for enable")),
        Some(word) => truth(word)
            .ok_or_else(|| Failure::bad(format_args!("Invalid value for enable: {word:?}"))),
    }
}

fn maintenance(name: &str, what: &str, params: &Params) -> Check {
    let notes = match params.get("reason") {
        None | Some("") => format!(
            "Maintenance mode is enabled for this {what}, but no reason was provided. This is a \
             default message."
        ),
        Some(reason) => reason.to_owned(),
    };
    Check {
        name: name.into(),
        notes: notes.into(),
        kind: CheckKind::Manual {
            label: "maintenance".into(),
        },
        status: CheckStatus::Critical,
        ..definition::blank_check()
    }
}

async fn switch(call: &Call, id: CheckId, check: Check, enable: bool) -> Answer {
    let is_on = call.view().own_check(&id).is_some();
    // Switching on twice keeps the first reason.
    if enable && !is_on {
        let check = Box::new(check);
        let command = Command::RegisterCheck { id, check };
        ack::write(call, command).await
    } else if !enable && is_on {
        let writes = vec![Command::DeregisterCheck { id }];
        let is_off = |refusal: &Refusal| matches!(refusal, Refusal::UnknownCheck { .. });
        ack::write_unless(call, writes, reply::empty(), is_off).await
    } else {
        ack::write_all(call, [], reply::empty()).await
    }
}
