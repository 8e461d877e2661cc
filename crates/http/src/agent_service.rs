//! This agent's own instances: `/v1/agent/services`, `/v1/agent/service/...`.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use axum::response::Response;
use tidings_types::{Command, Registration, ServiceId, Sync};
use tidings_view::{InstanceView, NodeKey, Watch};
use tokio::time::Instant;

use crate::{
    Defined, ack,
    agent_check::{allow_program, check_source},
    blocking, definition,
    failure::Failure,
    filtering::Filtering,
    objects::{AgentService, fields},
    reply::{self, Answer, CONTENT_HASH, SYNC},
    request::{Call, WAIT_MAX, wait_or},
};

/// `GET /v1/agent/services`
pub(crate) fn list(call: &Call) -> Answer {
    call.check_scope()?;
    let filter = Filtering::of(&call.params, fields::AGENT_SERVICE)?;
    let own = call.view().own();
    let services: BTreeMap<&str, AgentService<'_>> = own
        .instances
        .iter()
        .map(|(id, view)| (id.as_str(), AgentService::of(view)))
        .filter(|(_, service)| filter.takes_it(service))
        .collect();
    Ok(reply::json(call, &services))
}

/// `GET /v1/agent/service/:id`, blocking on `?hash`.
pub(crate) async fn one(call: &Call) -> Answer {
    call.check_scope()?;
    let asked = call.params.get("hash").unwrap_or_default();
    let deadline = Instant::now() + blocking::jittered(wait_or(&call.params, WAIT_MAX)?);
    let watch = Watch::Node(NodeKey::Agent(call.view().me()));
    loop {
        let index = call.view().index(&watch);
        let found = find(call)?;
        let hash = content_hash(&found);
        if asked != hash || Instant::now() >= deadline {
            return Ok(with_hash(call, &found, hash));
        }
        let changed = call.view().changed(&watch, index, deadline);
        if blocking::until_closed(call, changed).await? {
            return Ok(with_hash(call, &found, hash));
        }
    }
}

fn find(call: &Call) -> Result<Arc<InstanceView>, Failure> {
    let id = ServiceId::new(&call.rest).ok();
    id.and_then(|id| call.view().own_instance(&id))
        .ok_or_else(|| Failure::not_found(format_args!("unknown service ID: {}", call.rest)))
}

fn with_hash(call: &Call, found: &InstanceView, hash: String) -> Response {
    let mut service = AgentService::of(found);
    service.content_hash = Some(hash.clone());
    let mut response = reply::json(call, &service);
    reply::set(&mut response, CONTENT_HASH, hash);
    if let Some(dot) = found.origin().dot() {
        let sync = match call.view().status().sync(dot) {
            Sync::Pending => "pending",
            Sync::Synced => "synced",
        };
        reply::set(&mut response, SYNC, sync);
    }
    response
}

/// Changes whenever what is shown of the instance does; equal within one build of tidings.
fn content_hash(found: &InstanceView) -> String {
    let text = serde_json::to_vec(&AgentService::of(found)).unwrap_or_default();
    let keyless = BuildHasherDefault::<DefaultHasher>::default();
    format!("{:016x}", keyless.hash_one(text))
}

/// `PUT /v1/agent/service/register`
pub(crate) async fn register(call: Call) -> Answer {
    call.check_scope()?;
    let object = call.object("ServiceDefinition")?;
    let definition = definition::service(object)?;
    check_source(&call, Defined::Service(&definition.id))?;
    for (id, check) in &definition.checks {
        check_source(&call, Defined::Check(id))?;
        allow_program(&call, id, &check.kind)?;
    }
    let replace_checks = call.params.flag("replace-existing-checks") == Some(true);
    let command = Command::RegisterService(Registration {
        id: definition.id,
        instance: Box::new(definition.instance),
        checks: definition.checks,
        replace_checks,
    });
    ack::write(&call, command).await
}

/// `PUT /v1/agent/service/deregister/:id`
pub(crate) async fn deregister(call: Call) -> Answer {
    call.check_scope()?;
    let id = ServiceId::new(&call.rest).map_err(|_| Failure::unknown_service(&call.rest))?;
    check_source(&call, Defined::Service(&id))?;
    let command = Command::DeregisterService { id };
    ack::write(&call, command).await
}
