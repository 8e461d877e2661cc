//! `/v1/tidings/explain/`: why an instance is in the answers about its service, or is not.
//!
//! Every instance that this agent knows of is told, with the front doors that hand it out at this
//! moment and each reason for or against that. What was taken away lately is told as well, as far as
//! it happened in this run of this agent; and for a name of which nothing is known, what else could
//! have been meant. Like every answer it is this agent's view: another one may know more, which is why
//! it says how far this one may be trusted.

mod copies;
mod nothing;
mod reason;
mod removed;

use serde::Serialize;
use tidings_types::{Address, CheckStatus, NodeId, ServiceId, Texts};
use tidings_view::{InstanceView, Listed, NodeKey, View};

use self::{
    copies::{Copies, Trust},
    nothing::Meant,
    reason::{Reason, Reasons},
    removed::Withdrawn,
};
use crate::{
    aggregate::Aggregate,
    conflicts::{self, Conflicted},
    duration::millis,
    failure::Failure,
    filtering::Filtering,
    objects::{CheckServiceNode, fields},
    reply::{self, Answer},
    request::{Call, Selection},
};

/// `GET /v1/tidings/explain/:service`, for one instance with `?id`. Takes `tag`, `node-meta` and
/// `filter` as `/v1/health/service/` does, and says of whom they leave out.
pub(crate) fn service(call: &Call) -> Answer {
    call.check_scope()?;
    if call.rest.is_empty() {
        return Err(Failure::bad("Missing service name"));
    }
    let question = Question::of(call)?;
    let view = call.view();
    let known = view.service(&call.rest);
    let known = known.iter().flat_map(|service| service.instances.iter());
    let known = known.filter(|view| question.is_about(&view.id));
    let known: Vec<_> = known.map(|instance| &**instance).collect();
    let listed = view.lookup(&call.rest);
    let instances = known.iter().map(|instance| {
        let is_it = |l: &&Listed| l.instance.id == instance.id && is_on(&l.instance, instance);
        Explained::of(view, &question, instance, listed.iter().find(is_it))
    });
    let removed = view.removed(&call.rest);
    let removed = removed.iter().filter(|gone| question.is_about(&gone.id));
    let answer = Explanation {
        service: &call.rest,
        agent: Trust::of(view),
        instances: instances.collect(),
        removed: removed.map(|gone| Withdrawn::of(view, gone)).collect(),
        meant: known.is_empty().then(|| Meant::of(view, &call.rest)),
    };
    Ok(reply::json(call, &answer))
}

fn is_on(a: &InstanceView, b: &InstanceView) -> bool {
    a.node().key == b.node().key
}

/// What is asked of a service.
#[derive(Debug)]
struct Question {
    id: Option<ServiceId>,
    selection: Selection,
    filter: Filtering,
}

impl Question {
    fn of(call: &Call) -> Result<Self, Failure> {
        let id = call.params.get("id").map(ServiceId::new).transpose();
        let id =
            id.map_err(|error| Failure::bad(format_args!("Invalid value for ?id: {error}")))?;
        Ok(Self {
            id,
            selection: Selection::of(&call.params),
            filter: Filtering::of(&call.params, fields::CHECK_SERVICE_NODE)?,
        })
    }

    fn is_about(&self, id: &ServiceId) -> bool {
        self.id.as_ref().is_none_or(|asked| asked == id)
    }
}

#[derive(Debug, Serialize)]
struct Explanation<'a> {
    service: &'a str,
    agent: Trust,
    instances: Vec<Explained<'a>>,
    removed: Vec<Withdrawn>,
    /// What else could have been meant; there if no instance is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    meant: Option<Meant>,
}

/// One instance, and who hands it out.
#[derive(Debug, Serialize)]
struct Explained<'a> {
    id: &'a str,
    node: &'a str,
    /// The node's id: two nodes may bear one name.
    node_id: &'a str,
    address: String,
    port: u16,
    tags: Texts,
    health: &'static str,
    /// Whether `/v1/health/service/` lists it.
    in_health: bool,
    /// Whether it does so with `?passing`.
    in_passing: bool,
    /// Whether DNS hands it out.
    in_dns: bool,
    reasons: Vec<Reason>,
    /// `None` for an external node, which nobody has to hear.
    owner: Option<Owner>,
    copies: Copies,
    /// What lost to the records behind it though their writers had not seen it.
    conflicts: Vec<Conflicted>,
}

/// The member that speaks for the instance.
#[derive(Debug, Serialize)]
struct Owner {
    /// The failure detector's word; `None` if this run has not met it.
    status: Option<&'static str>,
    /// Since when it has that status.
    since_ms: Option<u64>,
    /// Since its last packet came directly, or since this agent's start.
    heard_ms: u64,
}

impl<'a> Explained<'a> {
    /// `listed` is what answers say of it, if it is among them.
    fn of(
        view: &View,
        question: &Question,
        instance: &'a InstanceView,
        listed: Option<&Listed>,
    ) -> Self {
        let overlay = view.overlay();
        let key = &instance.node().key;
        let record = instance.record();
        let serf = || overlay.serf_health(key, view.now());
        let selected = listed.is_some_and(|listed| question.selection.takes(listed));
        let filtered = |l: &Listed| question.filter.takes(|| CheckServiceNode::of(l, serf()));
        let in_health = selected && listed.is_some_and(filtered);
        let status = instance.status();
        let own = &*record.address;
        let address = match listed {
            Some(listed) => listed.address(&record),
            None if own.is_empty() => &instance.node().address,
            None => own,
        };
        // DNS knows tags, and neither filters nor metadata of nodes.
        let in_dns = listed.is_some()
            && Address::of(address).is_some()
            && question.selection.takes_tags(&record.tags)
            && status <= CheckStatus::Warning;
        let mut reasons = Reasons::default();
        reasons.of_node(view, &overlay, instance, listed.is_some());
        reasons.of_checks(instance);
        if let Some(listed) = listed {
            reasons.of_place(listed);
            reasons.of_question(question, listed, in_health);
        }
        Self {
            id: instance.id.as_str(),
            node: instance.node().name.as_str(),
            node_id: &instance.node().id,
            address: address.to_owned(),
            port: record.port,
            tags: record.tags,
            health: Aggregate::of(instance).word(),
            in_health,
            in_passing: in_health && status == CheckStatus::Passing,
            in_dns,
            reasons: reasons.done(),
            owner: key.agent().map(|id| Owner::of(view, id)),
            copies: Copies::of(view, instance),
            conflicts: conflicts::of_instance(view, instance),
        }
    }
}

impl Owner {
    fn of(view: &View, id: NodeId) -> Self {
        let roster = view.roster();
        let member = roster.members.get(&id);
        let silent_for = view.overlay().silent_for(&NodeKey::Agent(id), view.now());
        Self {
            status: member.map(|member| member.status.as_str()),
            since_ms: member.map(|member| millis(view.now().since(member.since))),
            heard_ms: millis(silent_for),
        }
    }
}
