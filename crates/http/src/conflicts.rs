//! `/v1/tidings/conflicts`: shared records of which two writes did not know of each other.
//!
//! On both sides of a split anybody may write a record that belongs to nobody. Afterwards the greater
//! stamp is in force everywhere; what it beat is told here, with both values, until somebody writes the
//! record again.

use serde::Serialize;
use serde_json::Value;
use tidings_types::{Conflict, Content, Key, Written};
use tidings_view::{InstanceView, NodeKey, View};

use crate::{
    reply::{self, Answer},
    request::Call,
};

/// Conflicts in one answer; the rest is counted.
const SHOWN: usize = 1_000;

#[derive(Debug, Serialize)]
struct Conflicts {
    total: usize,
    conflicts: Vec<Conflicted>,
}

/// One record.
#[derive(Debug, Serialize)]
pub(crate) struct Conflicted {
    /// What kind of record: node, service, check or tags.
    kind: &'static str,
    node: String,
    /// The instance's or check's id; none for a node.
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
struct Told {
    /// The node at which it was written: its name, if that is known.
    by: String,
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
    let (node, service) = (call.params.get("node"), call.params.get("service"));
    let mut found = view.conflicts();
    found.retain(|(key, conflict)| {
        let is_on = |wanted: &str| node_of(view, key).eq_ignore_ascii_case(wanted);
        let is_of = |wanted: &str| {
            let service = service_of(conflict);
            service.is_some_and(|service| service.eq_ignore_ascii_case(wanted))
        };
        node.is_none_or(is_on) && service.is_none_or(is_of)
    });
    let shown = found.iter().take(SHOWN);
    let shown = shown.filter_map(|(key, conflict)| Conflicted::of(view, key, conflict));
    let answer = Conflicts {
        total: found.len(),
        conflicts: shown.collect(),
    };
    Ok(reply::json(call, &answer))
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
        let (kind, id) = match key {
            Key::ExternalNode(_) => ("node", None),
            Key::ExternalInstance(_, id) => ("service", Some(id.to_string())),
            Key::ExternalCheck(_, id) => ("check", Some(id.to_string())),
            Key::Tags(_, id) => ("tags", Some(id.to_string())),
            Key::Node(_) | Key::Instance(..) | Key::Check(..) | Key::Event(..) => return None,
        };
        let in_force = Told::of(view, &conflict.winner);
        let beaten: Vec<_> = conflict.beaten.iter().map(|b| Told::of(view, b)).collect();
        Some(Self {
            kind,
            node: node_of(view, key),
            id,
            service: service_of(conflict).map(str::to_owned),
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
            by: view.name_of_agent(write.by).to_string(),
            by_id: write.by.to_string(),
            at_ms: write.stamp.unix_ms(),
            value: write.body.as_ref().map_or(Value::Null, value),
        }
    }
}

/// What the node is called on which the record stands.
fn node_of(view: &View, key: &Key) -> String {
    match NodeKey::of(key) {
        NodeKey::Agent(id) => view.name_of_agent(id).to_string(),
        NodeKey::External(name) => name.to_string(),
    }
}

/// The service, if one of the writes says that it is an instance.
fn service_of(conflict: &Conflict) -> Option<&str> {
    let mut writes = [&conflict.winner].into_iter().chain(&conflict.beaten);
    writes.find_map(|write| write.body.as_ref()?.service())
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
    let fields = |told: &Told| -> Vec<String> {
        let object = told.value.as_object();
        object.map_or_else(Vec::new, |object| object.keys().cloned().collect())
    };
    let mut names: Vec<String> = beaten.iter().chain([in_force]).flat_map(fields).collect();
    names.sort_unstable();
    names.dedup();
    let says = |told: &Told, name: &str| told.value.get(name) == in_force.value.get(name);
    names.retain(|name| beaten.iter().any(|other| !says(other, name)));
    names
}
