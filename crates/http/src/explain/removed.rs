//! Instances that were taken away.

use serde::Serialize;
use tidings_view::{NodeKey, Removed, View};

use crate::duration::millis;

/// One that stood in the service in this run of the agent.
#[derive(Debug, Serialize)]
pub(super) struct Withdrawn {
    id: String,
    node: String,
    ago_ms: u64,
    /// One word that stays the same: `deregistered` at its own agent, `overridden` by an operator
    /// at another one, or `moved` to another service.
    code: &'static str,
    text: String,
}

impl Withdrawn {
    pub(super) fn of(view: &View, removed: &Removed) -> Self {
        let id = &removed.id;
        let ago = view.now().since(removed.at);
        let node = view.node_by_key(&removed.node.key);
        let now = node.as_ref().and_then(|node| node.instances.get(id));
        let (code, text) = match (removed.by, now) {
            (_, Some(now)) => {
                let text = format!("its id stands for an instance of {:?} now", now.service());
                ("moved", text)
            }
            (Some(dot), None) => {
                let at = view.name_of_agent(dot.node);
                let text = format!("deregistered through the catalog at the agent {at}");
                match removed.node.key {
                    NodeKey::Agent(_) => ("overridden", text),
                    NodeKey::External(_) => ("deregistered", text),
                }
            }
            (None, None) => {
                let text = "deregistered at its own agent: by a client, by a definition file that \
                            does not name it any more, or after it was critical for too long";
                ("deregistered", text.to_owned())
            }
        };
        Self {
            id: id.to_string(),
            node: match removed.node.key {
                NodeKey::Agent(agent) => view.name_of_agent(agent).to_string(),
                NodeKey::External(_) => removed.node.name.to_string(),
            },
            ago_ms: millis(ago),
            code,
            text,
        }
    }
}
