//! `/v1/tidings/services`: many registrations in one call.

use serde::Serialize;
use tidings_types::{Command, Registration};

use crate::{
    Defined, ServiceDefinition, ack,
    agent_check::{allow_program, check_source},
    definition,
    failure::Failure,
    reply::{self, Answer},
    request::Call,
};

/// Registrations that one call may hold.
const REGISTRATIONS_MAX: usize = 1_000;
/// Records that are written at once: few enough for the node to do something else soon, many enough that
/// the write to the disk costs little beside them.
const RECORDS_AT_ONCE: usize = 512;

/// What became of the call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Registered {
    registered: usize,
}

/// `PUT /v1/tidings/services`: `{"Services": [...]}`, each as `agent/service/register` takes it.
///
/// Nothing is registered if one of them is malformed. They are written in their order, and so many
/// together as make [`RECORDS_AT_ONCE`] records with their checks: if the node refuses one, none of those
/// that it would have been written with stands, nor any after it. The call can be made again as it is.
pub(crate) async fn register(call: Call) -> Answer {
    call.check_scope()?;
    let definitions = definitions(&call)?;
    let registered = definitions.len();
    let writes = portions(definitions).into_iter();
    let writes = writes.map(Command::RegisterServices);
    let answer = reply::json(&call, &Registered { registered });
    ack::write_all(&call, writes, answer).await
}

fn definitions(call: &Call) -> Result<Vec<ServiceDefinition>, Failure> {
    let mut object = call.object("Services")?;
    let services = object.objects(&["Services"], "ServiceDefinition")?;
    object.finish()?;
    if services.len() > REGISTRATIONS_MAX {
        return Err(Failure::bad(format_args!(
            "{} services are given, one call takes {REGISTRATIONS_MAX}; make several calls",
            services.len()
        )));
    }
    let mut definitions = Vec::with_capacity(services.len());
    for (number, service) in services.into_iter().enumerate() {
        let definition = definition::service(service);
        let definition = definition.map_err(|failure| {
            Failure::bad(format_args!("Services[{number}]: {}", failure.text()))
        })?;
        check_source(call, Defined::Service(&definition.id))?;
        for (id, check) in &definition.checks {
            check_source(call, Defined::Check(id))?;
            allow_program(call, id, &check.kind)?;
        }
        definitions.push(definition);
    }
    Ok(definitions)
}

/// The registrations, in their order, as they are written together.
fn portions(definitions: Vec<ServiceDefinition>) -> Vec<Vec<Registration>> {
    let mut portions: Vec<Vec<Registration>> = Vec::new();
    let mut room = 0;
    for definition in definitions {
        let records = 1 + definition.checks.len();
        if records > room {
            portions.push(Vec::new());
            room = RECORDS_AT_ONCE;
        }
        room -= records;
        let registration = Registration {
            id: definition.id,
            instance: Box::new(definition.instance),
            checks: definition.checks,
            replace_checks: false,
        };
        if let Some(portion) = portions.last_mut() {
            portion.push(registration);
        }
    }
    portions
}
