//! The bodies of `agent/service/register` and `agent/check/register`.

use tidings_types::{
    Check, CheckId, CheckStatus, Instance, ServiceId, limits::CHECKS_PER_INSTANCE,
};

use super::{
    check::{WrittenCheck, invalid_check},
    instance::WrittenService,
};
use crate::{
    failure::Failure,
    json_in::{DecodeError, Object},
};

/// An instance with its checks.
#[derive(Clone, Debug)]
pub struct ServiceDefinition {
    /// The instance's id.
    pub id: ServiceId,
    /// What it is.
    pub instance: Instance,
    /// Its checks, in order.
    pub checks: Vec<(CheckId, Check)>,
}

/// The body of `agent/service/register`.
pub(crate) fn service(mut object: Object) -> Result<ServiceDefinition, Failure> {
    let written = WrittenService::decode(&mut object)?;
    let mut checks = Vec::new();
    if let Some(check) = object.object(&["Check"], "CheckType")? {
        checks.push(check);
    }
    checks.extend(object.objects(&["Checks"], "CheckType")?);
    // An all-zero check is what clients send that have none.
    checks.retain(|check| !check.is_zero());
    object.ignore(&[
        "Token",
        "CreateIndex",
        "ModifyIndex",
        "ContentHash",
        "Datacenter",
    ]);
    refuse_unsupported(&mut object)?;
    let checks: Vec<_> = checks
        .into_iter()
        .map(WrittenCheck::decode)
        .collect::<Result<_, _>>()?;
    object.finish()?;

    if written.name.is_empty() {
        return Err(Failure::bad("Missing service name"));
    }
    let (id, instance) = written.into_instance()?;
    let checks = service_checks(&id, instance.service.as_str(), checks)?;
    Ok(ServiceDefinition {
        id,
        instance,
        checks,
    })
}

fn service_checks(
    service: &ServiceId,
    name: &str,
    checks: Vec<WrittenCheck>,
) -> Result<Vec<(CheckId, Check)>, Failure> {
    if checks.len() > CHECKS_PER_INSTANCE {
        return Err(Failure::bad(format_args!(
            "Invalid check: {} checks are given, an instance has at most {CHECKS_PER_INSTANCE}",
            checks.len()
        )));
    }
    let only = checks.len() == 1;
    let numbered = checks.into_iter().zip(1..);
    numbered
        .map(|(written, n)| {
            let id = match written.id.as_str() {
                "" if only => format!("service:{service}"),
                "" => format!("service:{service}:{n}"),
                id => id.to_owned(),
            };
            let status = initial_status(&written.status).ok_or_else(|| {
                Failure::bad("Status for checks must 'passing', 'warning', 'critical'")
            })?;
            let mut check = written.into_check(status)?;
            check.service = Some(service.clone());
            if check.name.is_empty() {
                check.name = format!("Service '{name}' check").into();
            }
            Ok((CheckId::new(id).map_err(invalid_check)?, check))
        })
        .collect()
}

/// The body of `agent/check/register`.
pub(crate) fn check(mut object: Object) -> Result<(CheckId, Check), Failure> {
    object.ignore(&["Token"]);
    let written = WrittenCheck::decode(object)?;
    if written.name.is_empty() {
        return Err(Failure::bad("Missing check name"));
    }
    let id = match written.id.as_str() {
        "" => CheckId::new(&written.name),
        id => CheckId::new(id),
    };
    let id = id.map_err(invalid_check)?;
    let status = initial_status(&written.status).ok_or_else(|| Failure::bad("Bad check status"))?;
    let service = match written.service_id.as_str() {
        "" => None,
        service => Some(ServiceId::new(service).map_err(|_| {
            Failure::not_found(format_args!("ServiceID {service:?} does not exist"))
        })?),
    };
    let mut check = written.into_check(status)?;
    check.service = service;
    Ok((id, check))
}

/// Critical unless the client says otherwise: nothing is passing before it was looked at.
fn initial_status(word: &str) -> Option<CheckStatus> {
    match word {
        "" => Some(CheckStatus::Critical),
        word => CheckStatus::parse(word),
    }
}

/// Refuses a definition that asks for what tidings does not do.
pub(crate) fn refuse_unsupported(object: &mut Object) -> Result<(), DecodeError> {
    // Elsewhere an empty object asks for nothing; here it asks for a proxy with all defaults.
    if object.holds("Connect", &["SidecarService", "sidecar_service"]) {
        let (field, why) = UNSUPPORTED[0];
        return Err(DecodeError::Unsupported { field, why });
    }
    for (field, why) in UNSUPPORTED {
        object.unsupported(field, why)?;
    }
    Ok(())
}

const UNSUPPORTED: &[(&str, &str)] = &[
    ("Connect", "tidings has no service mesh"),
    ("Proxy", "tidings has no service mesh"),
    ("Locality", "localities are not kept yet, use Meta"),
    ("Ports", "an instance has one port"),
    ("Namespace", "there are no namespaces"),
    ("Partition", "there are no partitions"),
    ("PeerName", "there is no cluster peering"),
];
