//! `/v1/tidings/services`: many registrations in one call.

use std::time::Duration;

use serde::Serialize;
use tidings_types::{Command, Refusal};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    Defined,
    agent_check::{allow_program, check_source},
    definition,
    failure::Failure,
    reply::{self, Answer},
    request::Call,
    state::HttpState,
};

/// Registrations that one call may hold.
const REGISTRATIONS_MAX: usize = 1_000;
/// Registrations of one call that are on their way at the same time: enough to share a write to the
/// disk, and few beside the commands of others.
const AT_ONCE: usize = 64;
/// How often a registration is tried again that finds the queue to the node full, and how long it
/// waits before that.
const BUSY_TRIES: usize = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What became of the call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Registered {
    registered: usize,
}

/// `PUT /v1/tidings/services`: `{"Services": [...]}`, each as `agent/service/register` takes it.
///
/// Nothing is registered if one of them is malformed. If the node refuses one, those before it may
/// stand; the call can be made again as it is.
pub(crate) async fn register(call: Call) -> Answer {
    call.check_scope()?;
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
        check_source(&call, Defined::Service(&definition.id))?;
        for (id, check) in &definition.checks {
            check_source(&call, Defined::Check(id))?;
            allow_program(&call, id, &check.kind)?;
        }
        definitions.push(definition);
    }
    let registered = definitions.len();
    let mut definitions = definitions.into_iter();
    let mut sent = JoinSet::new();
    loop {
        while sent.len() < AT_ONCE
            && let Some(definition) = definitions.next()
        {
            let state = call.state.clone();
            sent.spawn(async move {
                let command = Command::RegisterService {
                    id: definition.id,
                    instance: Box::new(definition.instance),
                    checks: definition.checks,
                    replace_checks: false,
                };
                send(&state, command).await
            });
        }
        match sent.join_next().await {
            None => break,
            Some(answer) => answer.unwrap_or(Err(Refusal::ShuttingDown))?,
        }
    }
    Ok(reply::json(&call, &Registered { registered }))
}

/// Sends one registration; the queue may be full of this very call's others.
async fn send(state: &HttpState, command: Command) -> Result<(), Refusal> {
    for _ in 0..BUSY_TRIES {
        match state.commands().send(command.clone()).await {
            Err(Refusal::Busy) => sleep(BUSY_PAUSE).await,
            answer => return answer.map(drop),
        }
    }
    Err(Refusal::Busy)
}
