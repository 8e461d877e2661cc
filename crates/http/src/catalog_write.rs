//! `catalog/register` and `catalog/deregister`: records of nodes that run no agent, and removals by
//! node name, whoever wrote the record.

use std::collections::BTreeMap;

use axum::response::Response;
use tidings_types::{
    Check, CheckId, CheckKind, CheckStatus, Command, ExternalNode, NodeName, Refusal, ServiceId,
    limits::{ADDRESS_BYTES, CHECKS_PER_INSTANCE, META_PAIRS, NAME_BYTES},
};
use tidings_view::{NodeKey, View};

use crate::{
    ack,
    definition::{
        self, WrittenKind, WrittenService, blank_check, check_address, check_meta, cut_output,
        refuse_unsupported,
    },
    failure::Failure,
    json_in::{DecodeError, Object},
    reply::{self, Answer},
    request::Call,
};

/// `PUT /v1/catalog/register`
pub(crate) async fn register(call: Call) -> Answer {
    call.check_scope()?;
    let object = call.object("RegisterRequest")?;
    let written = Written::decode(object)?;
    call.check_datacenter(&written.datacenter)?;
    let command = written.into_command(call.state.view())?;
    ack::write_all(&call, [command], done(&call)).await
}

/// `PUT /v1/catalog/deregister`: true also if there is nothing to remove.
pub(crate) async fn deregister(call: Call) -> Answer {
    call.check_scope()?;
    let mut object = call.object("DeregisterRequest")?;
    let datacenter = object.string(&["Datacenter"])?;
    let node = object.string(&["Node"])?;
    let service = object.string(&["ServiceID"])?;
    let check = object.string(&["CheckID"])?;
    object.ignore(&["Address", "WriteRequest"]);
    object.unsupported("Namespace", "there are no namespaces")?;
    object.unsupported("Partition", "there are no partitions")?;
    object.unsupported("PeerName", "there is no cluster peering")?;
    object.finish()?;
    call.check_datacenter(&datacenter)?;
    if node.is_empty() {
        return Err(Failure::semantic("Must provide node"));
    }
    let node = NodeName::new(node).map_err(Failure::semantic)?;
    let service = optional(service, ServiceId::new)?;
    let check = optional(check, CheckId::new)?;
    let mut nodes = call.state.view().externals_named(&node);
    if nodes.is_empty() {
        nodes.push(node);
    }
    let writes = nodes.into_iter().map(|node| Command::DeregisterCatalog {
        node,
        service: service.clone(),
        check: check.clone(),
    });
    ack::write_unless(&call, writes.collect(), done(&call), |refusal| {
        matches!(
            refusal,
            Refusal::UnknownNode { .. }
                | Refusal::UnknownService { .. }
                | Refusal::UnknownCheck { .. }
                | Refusal::MissingNode
                | Refusal::MissingService
        )
    })
    .await
}

fn done(call: &Call) -> Response {
    reply::json(call, &true)
}

fn optional<T, E: std::fmt::Display>(
    text: String,
    parse: impl Fn(String) -> Result<T, E>,
) -> Result<Option<T>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    parse(text).map(Some).map_err(Failure::semantic)
}

/// The body of `catalog/register`; nothing but its JSON types has been looked at.
#[derive(Debug)]
struct Written {
    datacenter: String,
    id: String,
    node: String,
    address: String,
    tagged_addresses: BTreeMap<String, String>,
    meta: BTreeMap<String, String>,
    skip_node_update: bool,
    service: Option<WrittenService>,
    checks: Vec<WrittenCheck>,
}

impl Written {
    fn decode(mut object: Object) -> Result<Self, DecodeError> {
        let service = match object.object(&["Service"], "NodeService")? {
            None => None,
            Some(mut service) => {
                let written = WrittenService::decode(&mut service)?;
                service.ignore(&["ContentHash", "CreateIndex", "Datacenter", "ModifyIndex"]);
                refuse_unsupported(&mut service)?;
                service.finish()?;
                Some(written)
            }
        };
        let mut checks: Vec<_> = object
            .object(&["Check"], "HealthCheck")?
            .into_iter()
            .collect();
        checks.extend(object.objects(&["Checks"], "HealthCheck")?);
        checks.retain(|check| !check.is_zero());
        let checks = checks.into_iter().map(WrittenCheck::decode);
        let written = Self {
            datacenter: object.string(&["Datacenter"])?,
            id: object.string(&["ID"])?,
            node: object.string(&["Node"])?,
            address: object.string(&["Address"])?,
            tagged_addresses: object.string_map(&["TaggedAddresses"])?,
            meta: object.string_map(&["NodeMeta"])?,
            skip_node_update: object.bool(&["SkipNodeUpdate"])?.unwrap_or_default(),
            service,
            checks: checks.collect::<Result<_, _>>()?,
        };
        refuse_unsupported(&mut object)?;
        object.ignore(&["WriteRequest"]);
        object.finish()?;
        Ok(written)
    }

    fn into_command(self, view: &View) -> Result<Command, Failure> {
        if self.node.is_empty() {
            return Err(Failure::semantic("Must provide node"));
        }
        if self.address.is_empty() && !self.skip_node_update {
            return Err(Failure::semantic(
                "Must provide address if SkipNodeUpdate is not set",
            ));
        }
        let node = NodeName::new(&self.node).map_err(Failure::semantic)?;
        // It is written as it was first.
        let first = view.externals_named(&node).into_iter().next();
        let node = first.unwrap_or(node);
        self.check_node()?;
        self.check_checks()?;
        let renames = self.renames(view, &node)?;
        let service = match self.service {
            Some(written) if written.name.is_empty() => {
                return Err(Failure::semantic("Must provide service name with ID"));
            }
            Some(written) => {
                let (id, instance) = written.into_instance()?;
                Some((id, Box::new(instance)))
            }
            None => None,
        };
        if self.checks.len() > CHECKS_PER_INSTANCE {
            return Err(Failure::semantic("too many checks in one request"));
        }
        let checks = self.checks.into_iter().map(WrittenCheck::into_check);
        Ok(Command::RegisterExternal {
            node,
            record: ExternalNode {
                id: self.id.into(),
                address: self.address.into(),
                tagged_addresses: self.tagged_addresses.into(),
                meta: self.meta.into(),
            },
            keeps_record: self.skip_node_update,
            renames,
            service,
            checks: checks.collect::<Result<_, _>>()?,
        })
    }

    /// The node that bears this id under another name so far: an id is one node's, which is called
    /// something else from now on.
    fn renames(&self, view: &View, node: &NodeName) -> Result<Option<NodeName>, Failure> {
        if self.id.is_empty() || self.skip_node_update {
            return Ok(None);
        }
        match view.node_with_id(&self.id) {
            Some(NodeKey::External(other)) => Ok((other != *node).then_some(other)),
            // Whether the agent's own node is meant, the node decides.
            Some(NodeKey::Agent(id)) if view.agents_named(node.as_str()).contains(&id) => Ok(None),
            Some(NodeKey::Agent(id)) if view.is_known(id) => Err(Failure::semantic(format_args!(
                "Node ID {:?} is an agent's, called {:?}: only that agent registers it",
                self.id,
                view.name_of_agent(id).as_str()
            ))),
            _ => Ok(None),
        }
    }

    fn check_checks(&self) -> Result<(), Failure> {
        let is_elsewhere = |check: &&WrittenCheck| {
            !check.node.is_empty() && !check.node.eq_ignore_ascii_case(&self.node)
        };
        match self.checks.iter().find(is_elsewhere) {
            Some(WrittenCheck { node, .. }) => Err(Failure::semantic(format_args!(
                "check node {node:?} does not match node {:?}",
                self.node
            ))),
            None => Ok(()),
        }
    }

    fn check_node(&self) -> Result<(), Failure> {
        let is_uuid = self.id.len() == 36
            && self.id.char_indices().all(|(at, c)| match at {
                8 | 13 | 18 | 23 => c == '-',
                _ => c.is_ascii_hexdigit(),
            });
        if !self.id.is_empty() && !is_uuid {
            return Err(Failure::semantic(format_args!(
                "Bad node ID: {:?} is not a UUID",
                self.id
            )));
        }
        check_address(&self.address)?;
        check_meta("Node Meta", &self.meta)?;
        let is_long = |(tag, address): (&String, &String)| {
            tag.len() > NAME_BYTES || address.len() > ADDRESS_BYTES
        };
        if self.tagged_addresses.len() > META_PAIRS || self.tagged_addresses.iter().any(is_long) {
            return Err(Failure::bad(
                "Invalid tagged addresses: too many or too long",
            ));
        }
        Ok(())
    }
}

/// A `HealthCheck` as written.
#[derive(Debug)]
struct WrittenCheck {
    node: String,
    id: String,
    name: String,
    status: String,
    notes: String,
    output: String,
    service: String,
    label: String,
    definition: Definition,
}

/// How the check could be run, by a program outside of the cluster: no agent runs it.
#[derive(Debug)]
struct Definition {
    kind: Option<WrittenKind>,
    interval_ms: u64,
    timeout_ms: u64,
    deregister_after_ms: u64,
}

impl WrittenCheck {
    fn decode(mut object: Object) -> Result<Self, DecodeError> {
        let definition = object.object(&["Definition"], "HealthCheckDefinition")?;
        let written = Self {
            node: object.string(&["Node"])?,
            id: object.string(&["CheckID", "ID"])?,
            name: object.string(&["Name"])?,
            status: object.string(&["Status"])?,
            notes: object.string(&["Notes"])?,
            output: object.string(&["Output"])?,
            service: object.string(&["ServiceID", "service_id"])?,
            label: object.string(&["Type"])?,
            definition: match definition {
                Some(definition) => Definition::decode(definition)?,
                None => Definition::none(),
            },
        };
        // The service is named by the request; indexes are this agent's own.
        object.ignore(&[
            "ServiceName",
            "ServiceTags",
            "Interval",
            "Timeout",
            "ExposedPort",
            "CreateIndex",
            "ModifyIndex",
        ]);
        refuse_unsupported(&mut object)?;
        object.finish()?;
        Ok(written)
    }

    fn into_check(self) -> Result<(CheckId, Check), Failure> {
        let id = if self.id.is_empty() {
            &self.name
        } else {
            &self.id
        };
        let id = CheckId::new(id).map_err(Failure::semantic)?;
        let status = match self.status.as_str() {
            "" => CheckStatus::Critical,
            word => CheckStatus::parse(word)
                .ok_or_else(|| Failure::bad(format_args!("Invalid check status: '{word}'")))?,
        };
        let kind = self.definition.kind.as_ref().map(WrittenKind::kind);
        let kind = kind
            .transpose()?
            .flatten()
            .unwrap_or_else(|| CheckKind::Manual {
                label: self.label.into(),
            });
        let check = Check {
            name: self.name.into(),
            notes: self.notes.into(),
            service: optional(self.service, ServiceId::new)?,
            kind,
            interval_ms: self.definition.interval_ms,
            timeout_ms: self.definition.timeout_ms,
            deregister_after_ms: self.definition.deregister_after_ms,
            status,
            output: cut_output(self.output, 0).into(),
            ..blank_check()
        };
        Ok((id, check))
    }
}

impl Definition {
    const fn none() -> Self {
        Self {
            kind: None,
            interval_ms: 0,
            timeout_ms: 0,
            deregister_after_ms: 0,
        }
    }

    fn decode(mut object: Object) -> Result<Self, DecodeError> {
        let kind = WrittenKind::decode(&mut object)?;
        let definition = Self {
            kind: Some(kind),
            interval_ms: object.duration_ms(&["Interval", "IntervalDuration"])?,
            timeout_ms: object.duration_ms(&["Timeout", "TimeoutDuration"])?,
            deregister_after_ms: object.duration_ms(definition::DEREGISTER)?,
        };
        object.ignore(&["OutputMaxSize", "DeregisterCriticalServiceAfterDuration"]);
        object.finish()?;
        Ok(definition)
    }
}
