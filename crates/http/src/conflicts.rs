//! `/v1/tidings/conflicts`: shared records of which two writes did not know of each other.
//!
//! On both sides of a split anybody may write a record that belongs to nobody. Afterwards the greater
//! stamp is in force everywhere; what it beat is told here, with both values, until somebody writes the
//! record again.

use serde::Serialize;
use serde_json::Value;
use tidings_types::{Conflict, Content, Key, NodeId, Written};
use tidings_view::{InstanceView, NodeKey, View};

use crate::{
    reply::{self, Answer},
    request::Call,
};

/// Conflicts in one answer; the rest is counted.
const SHOWN: usize = 1_000;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Conflicts {
    total: usize,
    conflicts: Vec<Conflicted>,
}

/// One record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Conflicted {
    /// What kind of record: node, service, check or tags.
    kind: &'static str,
    node: String,
    /// The instance's or check's id; none for a node.
    #[serde(rename = "ID")]
    id: Option<String>,
    /// The service, if it is an instance.
    service: Option<String>,
    in_force: Told,
    /// The greatest of those that were beaten.
    beaten: Vec<Told>,
    beaten_total: usize,
    /// The fields in which the values shown differ.
    differ: Vec<String>,
    /// What ends it.
    remedy: &'static str,
}

/// One write.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    /// The node at which it was written: its name, if that is known.
    by: String,
    #[serde(rename = "ByID")]
    by_id: String,
    /// Unix milliseconds by its writer's clock.
    at_ms: u64,
    /// The record in its own words; none if it was removed.
    value: Value,
}

/// `GET /v1/tidings/conflicts`, of all records or of those on `?node=` or of `?service=`.
pub(crate) fn list(call: &Call) -> Answer {
    call.check_scope()?;
    let view = call.view();
    let conflicts = view.conflicts();
    let conflicts = conflicts.iter();
    let mut conflicts: Vec<_> = conflicts
        .filter_map(|(key, conflict)| Conflicted::of(view, key, conflict))
        .collect();
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    if let Some(node) = call.params.get("node") {
        conflicts.retain(|conflict| same(&conflict.node, node));
    }
    if let Some(service) = call.params.get("service") {
        conflicts.retain(|conflict| {
            let of_it = conflict.service.as_deref();
            of_it.is_some_and(|name| same(name, service))
        });
    }
    let total = conflicts.len();
    conflicts.truncate(SHOWN);
    Ok(reply::json(call, &Conflicts { total, conflicts }))
}

/// The conflicts that touch what is answered about an instance: its own record, its node's, its checks'
/// and that of its tags.
pub(crate) fn of_instance(view: &View, instance: &InstanceView) -> Vec<Conflicted> {
    let id = instance.id.clone();
    let keys = match &instance.node().key {
        NodeKey::Agent(node) => vec![Key::Tags(*node, id)],
        NodeKey::External(node) => {
            let checks = instance.checks().iter().chain(instance.node_checks());
            let checks = checks.map(|check| Key::ExternalCheck(node.clone(), check.id.clone()));
            let own = [
                Key::ExternalNode(node.clone()),
                Key::ExternalInstance(node.clone(), id),
            ];
            own.into_iter().chain(checks).collect()
        }
    };
    let found = keys.iter().filter_map(|key| {
        let conflict = view.conflict(key)?;
        Conflicted::of(view, key, &conflict)
    });
    found.collect()
}

impl Conflicted {
    /// `None` for a key of which there is never a conflict: its owner writes it alone.
    fn of(view: &View, key: &Key, conflict: &Conflict) -> Option<Self> {
        let (kind, node, id) = match key {
            Key::ExternalNode(node) => ("node", node.to_string(), None),
            Key::ExternalInstance(node, id) => ("service", node.to_string(), Some(id.to_string())),
            Key::ExternalCheck(node, id) => ("check", node.to_string(), Some(id.to_string())),
            Key::Tags(node, id) => ("tags", name_of(view, *node), Some(id.to_string())),
            Key::Node(_) | Key::Instance(..) | Key::Check(..) | Key::Event(..) => return None,
        };
        let writes = || [&conflict.winner].into_iter().chain(&conflict.beaten);
        let service = writes().find_map(|write| {
            let name = write.body.as_ref()?.service()?;
            Some(name.to_owned())
        });
        let in_force = Told::of(view, &conflict.winner);
        let beaten: Vec<_> = conflict.beaten.iter().map(|b| Told::of(view, b)).collect();
        Some(Self {
            kind,
            node,
            id,
            service,
            differ: differing(&in_force, &beaten),
            in_force,
            beaten,
            beaten_total: conflict.count,
            remedy: "write the record again as it should be: a later write wins, whatever the clocks",
        })
    }
}

impl Told {
    fn of(view: &View, write: &Written) -> Self {
        Self {
            by: name_of(view, write.by),
            by_id: write.by.to_string(),
            at_ms: write.stamp.unix_ms(),
            value: write.body.as_ref().map_or(Value::Null, value),
        }
    }
}

fn name_of(view: &View, node: NodeId) -> String {
    let found = view.node_by_key(&NodeKey::Agent(node));
    found.map_or_else(|| node.to_string(), |found| found.facts.name.to_string())
}

/// A record without the name of its kind, which the key tells.
fn value(body: &Content) -> Value {
    match serde_json::to_value(body) {
        Ok(Value::Object(kinds)) => kinds.into_iter().next().map_or(Value::Null, |(_, v)| v),
        // All of it is plain data, so that there is nothing that has no JSON.
        _ => Value::Null,
    }
}

/// The fields of which some value says something else than the one in force; all if one was removed.
fn differing(in_force: &Told, beaten: &[Told]) -> Vec<String> {
    let empty = serde_json::Map::new();
    let fields = |told: &Told| {
        told.value
            .as_object()
            .cloned()
            .unwrap_or_else(|| empty.clone())
    };
    let first = fields(in_force);
    let mut differ: Vec<String> = Vec::new();
    for other in beaten.iter().map(fields) {
        let names = first.keys().chain(other.keys());
        let others = names.filter(|name| first.get(*name) != other.get(*name));
        differ.extend(others.cloned());
    }
    differ.sort_unstable();
    differ.dedup();
    differ
}
