//! Members of the cluster, as serf would show them.

use std::{cmp::Ordering, collections::BTreeMap, net::SocketAddr};

use axum::http::StatusCode;
use serde::Serialize;
use tidings_filter::{Entries, Record, Shape, Value};
use tidings_types::{MemberStatus, NodeId, RosterEntry};
use tidings_view::{NodeKey, View};

use crate::failure::Failure;

/// One member, as serf would show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Member {
    name: String,
    addr: String,
    port: u16,
    tags: BTreeMap<&'static str, String>,
    status: u8,
    protocol_min: u8,
    protocol_max: u8,
    protocol_cur: u8,
    delegate_min: u8,
    delegate_max: u8,
    delegate_cur: u8,
}

impl Member {
    /// By name, then what else tells them apart.
    pub(crate) fn cmp_names(&self, other: &Self) -> Ordering {
        (&self.name, &self.tags).cmp(&(&other.name, &other.tags))
    }

    /// The same member under the name that it has where datacenters meet: there is one list of
    /// members, and only names tell clients which they asked for.
    pub(crate) fn named_with_datacenter(mut self) -> Self {
        let datacenter = self.tags.get("dc").map_or("", String::as_str);
        self.name = format!("{}.{datacenter}", self.name);
        self
    }

    /// `gossip` is this agent's own address, for the time before it stands in the roster.
    pub(crate) fn of(
        view: &View,
        id: NodeId,
        entry: Option<&RosterEntry>,
        gossip: SocketAddr,
    ) -> Self {
        let node = view.node_by_key(&NodeKey::Agent(id));
        let facts = node.as_ref().map(|node| &node.facts);
        let addr = entry.map_or(gossip, |entry| entry.addr);
        let datacenter = facts.map_or_else(|| view.datacenter(), |facts| &facts.datacenter);
        let build = facts.map_or("", |facts| &facts.build);
        Self {
            name: view.name_of_agent(id).to_string(),
            addr: addr.ip().to_string(),
            port: addr.port(),
            // Every agent holds the registry and answers for it, as only Consul's servers do.
            tags: BTreeMap::from([
                ("build", format!("{build}:")),
                ("dc", datacenter.to_owned()),
                ("id", id.to_uuid()),
                ("port", addr.port().to_string()),
                ("role", "consul".to_owned()),
                ("segment", String::new()),
                ("vsn", "2".to_owned()),
            ]),
            status: entry.map_or(1, |entry| serf_status(entry.status)),
            protocol_min: 1,
            protocol_max: 5,
            protocol_cur: 2,
            delegate_min: 2,
            delegate_max: 5,
            delegate_cur: 4,
        }
    }
}

/// The member that shall be made to leave: `word` is its name, its id, or how its id begins. Of several
/// it is the one that is down, a host's former self, say.
pub(crate) fn to_leave(view: &View, word: &str) -> Result<NodeId, Failure> {
    let roster = view.roster();
    let status = |id: &NodeId| roster.members.get(id).map(|member| member.status);
    let mut found = named(view, word);
    if found.is_empty()
        && let Ok(id) = word.parse()
    {
        return Ok(id);
    }
    if found.is_empty() && word.len() >= ID_DIGITS_MIN {
        let begin = word.to_ascii_lowercase();
        let members = roster.members.keys().copied();
        found = members
            .filter(|id| id.to_string().starts_with(&begin))
            .collect();
    }
    if let [id] = found[..] {
        return Ok(id);
    }
    if found.is_empty() {
        let text = format_args!("agent: No node found with name '{word}'");
        return Err(Failure::semantic(text));
    }
    let is_down = |id: &&NodeId| status(id) == Some(MemberStatus::Down) && view.is_known(**id);
    let down: Vec<&NodeId> = found.iter().filter(is_down).collect();
    match down[..] {
        [id] => Ok(*id),
        [] => Err(Failure::new(
            StatusCode::CONFLICT,
            format_args!(
                "{} members are called {word:?}, and none is down",
                found.len()
            ),
        )),
        _ => Err(Failure::new(
            StatusCode::CONFLICT,
            format_args!(
                "{} members called {word:?} are down; give the id of one",
                down.len()
            ),
        )),
    }
}

/// The agents that are called so, or members that were before they left.
fn named(view: &View, name: &str) -> Vec<NodeId> {
    let found = view.agents_named(name);
    if !found.is_empty() {
        return found;
    }
    let roster = view.roster();
    let members = roster.members.keys().copied();
    let bears = |id: &NodeId| view.name_of_agent(*id).as_str().eq_ignore_ascii_case(name);
    members.filter(bears).collect()
}

/// Digits of an id that are enough to tell a member.
const ID_DIGITS_MIN: usize = 8;

/// What a filter can select from a member.
pub(crate) const MEMBER: Shape = Shape::Record(&[
    ("Addr", Shape::Text),
    ("DelegateCur", Shape::Int),
    ("DelegateMax", Shape::Int),
    ("DelegateMin", Shape::Int),
    ("Name", Shape::Text),
    ("Port", Shape::Int),
    ("ProtocolCur", Shape::Int),
    ("ProtocolMax", Shape::Int),
    ("ProtocolMin", Shape::Int),
    ("Status", Shape::Int),
    ("Tags", Shape::Map(&Shape::Text)),
]);

impl Record for Member {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        let number = |value: u8| Value::Int(value.into());
        Some(match field {
            "Addr" => Value::Text(&self.addr),
            "DelegateCur" => number(self.delegate_cur),
            "DelegateMax" => number(self.delegate_max),
            "DelegateMin" => number(self.delegate_min),
            "Name" => Value::Text(&self.name),
            "Port" => Value::Int(self.port.into()),
            "ProtocolCur" => number(self.protocol_cur),
            "ProtocolMax" => number(self.protocol_max),
            "ProtocolMin" => number(self.protocol_min),
            "Status" => number(self.status),
            "Tags" => Value::Map(Box::new(Tags(&self.tags))),
            _ => return None,
        })
    }
}

struct Tags<'a>(&'a BTreeMap<&'static str, String>);

impl Entries for Tags<'_> {
    fn entry(&self, key: &str) -> Option<Value<'_>> {
        self.0.get(key).map(|value| Value::Text(value))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Serf's number for a member's status. A suspect is alive until it is declared down.
const fn serf_status(status: MemberStatus) -> u8 {
    match status {
        MemberStatus::Alive | MemberStatus::Suspect => 1,
        MemberStatus::Restarting => 2,
        MemberStatus::Left => 3,
        MemberStatus::Down => 4,
    }
}
