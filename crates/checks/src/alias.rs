//! The loop of a check that repeats what is known of another service or node.

use std::{sync::Arc, time::Duration};

use tidings_types::{AliasCheck, CheckId, CheckStatus, ServiceId};
use tidings_view::{CheckView, NodeKey, NodeView, Standing, View, Watch};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    Sink,
    checks::{Facts, RETRY, Shared},
    output::{cut, limit_of},
    probe::Found,
};

/// It looks again after this long, whether or not it was woken.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A check that turns as what it looks at does. Nothing is run: this agent's view knows.
pub(crate) struct Alias<S> {
    id: CheckId,
    alias: AliasCheck,
    shared: Arc<Shared<S>>,
    facts: watch::Receiver<Facts>,
    output_bytes: usize,
}

impl<S: Sink> Alias<S> {
    pub(crate) fn new(
        id: &CheckId,
        check: &tidings_types::Check,
        alias: &AliasCheck,
        shared: &Arc<Shared<S>>,
        facts: &watch::Receiver<Facts>,
    ) -> Self {
        Self {
            id: id.clone(),
            alias: alias.clone(),
            shared: Arc::clone(shared),
            facts: facts.clone(),
            output_bytes: limit_of(check),
        }
    }

    /// Watches over the check until the task is stopped.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(view) = &shared.setup.view else {
            return;
        };
        let mut said: Option<String> = None;
        loop {
            let status = self.facts.borrow_and_update().status;
            let (watch, node) = self.node(view);
            // Read before what it stands for, so that no change falls between the two.
            let index = view.index(&watch);
            let found = self.look(view, node);
            let output = cut(&found.output, self.output_bytes).to_owned();
            if found.status != status || said.as_ref() != Some(&output) {
                if !shared.report(&self.id, found.status, output.clone()).await {
                    sleep(RETRY).await;
                    continue;
                }
                said = Some(output);
            }
            tokio::select! {
                () = view.changed(&watch, index, Instant::now() + LOOK_AGAIN) => {}
                changed = self.facts.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }

    /// The node that is looked at, and what tells of its changes.
    fn node(&self, view: &View) -> (Watch, Option<Arc<NodeView>>) {
        if self.alias.node.is_empty() {
            let key = NodeKey::Agent(view.me());
            return (Watch::Node(key), Some(view.own()));
        }
        match view.node(&self.alias.node) {
            Some(node) => (Watch::Node(node.facts.key.clone()), Some(node)),
            None => (Watch::Nodes, None),
        }
    }

    fn look(&self, view: &View, node: Option<Arc<NodeView>>) -> Found {
        let AliasCheck {
            node: name,
            service,
        } = &self.alias;
        let Some(node) = node else {
            return Found::critical(format!("Node {name} is not registered"));
        };
        let standing = view.overlay().standing(&node.facts.key);
        if matches!(standing, Standing::Down | Standing::Gone) {
            return Found::critical("Agent not live or unreachable");
        }
        let of_node = node.checks.values().filter(|c| c.service.is_none());
        if service.is_empty() {
            return self.worst(of_node);
        }
        let id = ServiceId::new(&**service).ok();
        match id.and_then(|id| node.instances.get(&id)) {
            Some(instance) if instance.awaited().is_empty() => {
                self.worst(instance.checks().iter().chain(of_node))
            }
            Some(instance) => Found::critical(format!(
                "Aliased check {:?} has not reached this agent yet",
                instance.awaited()[0].as_str()
            )),
            None => Found::critical(format!(
                "Service {service} could not be found on node {}",
                node.facts.name
            )),
        }
    }

    /// The worst of these, itself not counted: it would hold itself down for ever.
    fn worst<'a>(&self, checks: impl Iterator<Item = &'a Arc<CheckView>>) -> Found {
        let worst = checks
            .filter(|check| check.id != self.id)
            .max_by_key(|check| check.status);
        match worst {
            None => passing("No checks found."),
            Some(check) if check.status == CheckStatus::Passing => passing("All checks passing."),
            Some(check) => {
                let record = check.record();
                Found {
                    status: record.status,
                    output: format!(
                        "Aliased check {:?} failing: {}",
                        &*record.name, record.output
                    ),
                }
            }
        }
    }
}

fn passing(output: &str) -> Found {
    Found {
        status: CheckStatus::Passing,
        output: output.to_owned(),
    }
}

impl<S> Clone for Alias<S> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            alias: self.alias.clone(),
            shared: Arc::clone(&self.shared),
            facts: self.facts.clone(),
            output_bytes: self.output_bytes,
        }
    }
}

#[cfg(test)]
mod tests;
