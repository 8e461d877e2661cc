//! `/v1/catalog/...`: what is registered, whatever its health.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;
use tidings_view::{NodeView, Standing, View, Watch};

use crate::{
    blocking::{read, read_of_one},
    failure::Failure,
    filtering::Filtering,
    health::listed_service,
    objects::{NodeObject, NodeService, ServiceNode, fields},
    reply::{self, Answer, Marks},
    request::{Call, Near, Selection},
};

/// `GET /v1/catalog/datacenters`
pub(crate) fn datacenters(call: &Call) -> Answer {
    call.check_scope()?;
    Ok(reply::json(call, &[call.view().datacenter()]))
}

/// `GET /v1/catalog/nodes`
pub(crate) async fn nodes(call: &Call) -> Answer {
    let selection = Selection::of(&call.params);
    let filter = Filtering::of(&call.params, fields::NODE)?;
    let watch = |_: &View| Watch::Nodes;
    read(call, watch, |view| {
        let mut nodes = view.nodes();
        Near::of(call).sort(&mut nodes, |(facts, _)| facts.name.as_str());
        let nodes: Vec<_> = nodes
            .iter()
            .filter(|(facts, _)| selection.takes_node(facts))
            .map(|(facts, _)| NodeObject::of(facts))
            .filter(|node| filter.takes_it(node))
            .collect();
        (reply::json(call, &nodes), Marks::default())
    })
    .await
}

/// `GET /v1/catalog/services`: the tags of each service.
pub(crate) async fn services(call: &Call) -> Answer {
    let selection = Selection::nodes_of(&call.params);
    let filter = Filtering::of(&call.params, fields::SERVICE_NODE)?;
    let watch = |_: &View| Watch::Services;
    read(call, watch, |view| {
        let services = view.services();
        let overlay = view.overlay();
        let mut names: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut marks = Marks::default();
        for service in &services {
            let mut listed = overlay.list(service, view.now());
            listed.retain(|listed| {
                selection.takes(listed) && filter.takes(|| ServiceNode::of(listed))
            });
            if !listed.is_empty() {
                let tags: &mut BTreeSet<String> = names.entry(service.name.as_str()).or_default();
                for listed in &listed {
                    tags.extend(listed.instance.tags().iter().map(str::to_owned));
                }
                let of_this = Marks::of(&listed);
                marks.stale += of_this.stale;
                marks.conflicts += of_this.conflicts;
            }
        }
        (reply::json(call, &names), marks)
    })
    .await
}

/// `GET /v1/catalog/service/:name`
pub(crate) async fn service(call: &Call) -> Answer {
    if call.rest.is_empty() {
        return Err(Failure::bad("Missing service name"));
    }
    let selection = Selection::of(&call.params);
    let filter = Filtering::of(&call.params, fields::SERVICE_NODE)?;
    let watch = |_: &View| Watch::service(&call.rest);
    read(call, watch, |view| {
        let mut listed = listed_service(view, &call.rest, &selection, false);
        Near::of(call).sort(&mut listed, |listed| listed.instance.node().name.as_str());
        listed.retain(|listed| filter.takes(|| ServiceNode::of(listed)));
        let nodes: Vec<_> = listed.iter().map(ServiceNode::of).collect();
        (reply::json(call, &nodes), Marks::of(&listed))
    })
    .await
}

/// `GET /v1/catalog/node/:node`
pub(crate) async fn node(call: &Call) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Found<'a> {
        node: NodeObject<'a>,
        services: BTreeMap<&'a str, NodeService<'a>>,
    }
    named_node(call, |call, found| {
        let found = found.map(|found| {
            let services = found.instances.iter();
            let services = services.map(|(id, view)| (id.as_str(), NodeService::of(view)));
            Found {
                node: NodeObject::of(&found.facts),
                services: services.collect(),
            }
        });
        reply::json(call, &found)
    })
    .await
}

/// `GET /v1/catalog/node-services/:node`
pub(crate) async fn node_services(call: &Call) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Found<'a> {
        node: Option<NodeObject<'a>>,
        services: Option<Vec<NodeService<'a>>>,
    }
    named_node(call, |call, found| {
        let services =
            |found: &NodeView| -> Vec<Arc<_>> { found.instances.values().cloned().collect() };
        let instances = found.map(services);
        let services = instances.as_ref().map(|instances| {
            let services = instances.iter().map(|view| NodeService::of(view));
            services.collect()
        });
        let node = found.map(|found| NodeObject::of(&found.facts));
        reply::json(call, &Found { node, services })
    })
    .await
}

/// Answers about the node that `call` names, with what is served of it; `None` if it is not known.
async fn named_node(
    call: &Call,
    answer: impl FnOnce(&Call, Option<&NodeView>) -> axum::response::Response,
) -> Answer {
    if call.rest.is_empty() {
        return Err(Failure::bad("Missing node name"));
    }
    let filter = Filtering::of(&call.params, fields::NODE_SERVICE)?;
    let watch = |view: &View| watch_node(view, &call.rest);
    let is_there = |view: &View| view.node(&call.rest).is_some();
    read_of_one(call, watch, is_there, |view| {
        let found = view.node(&call.rest).map(|found| {
            let mut served = served_of(view, &found);
            let instances = &mut served.instances;
            instances.retain(|_, instance| filter.takes(|| NodeService::of(instance)));
            served
        });
        let stale = found.as_ref().map_or(0, |found| {
            let standing = view.overlay().standing(&found.facts.key);
            let is_stale = matches!(standing, Standing::Stale | Standing::LastResort);
            if is_stale { found.instances.len() } else { 0 }
        });
        let marks = Marks {
            stale,
            conflicts: 0,
        };
        (answer(call, found.as_ref()), marks)
    })
    .await
}

/// The node that is called `name`; while there is none, the list of nodes.
pub(crate) fn watch_node(view: &View, name: &str) -> Watch {
    view.node(name)
        .map_or(Watch::Nodes, |found| Watch::Node(found.facts.key.clone()))
}

/// The node without what is not served of it, and with the address under which it is known.
pub(crate) fn served_of(view: &View, found: &NodeView) -> NodeView {
    let mut served = found.clone();
    served.instances.retain(|_, instance| view.serves(instance));
    let instances = &served.instances;
    served.checks.retain(|_, check| {
        let service = check.service.as_ref();
        service.is_none_or(|id| instances.contains_key(id))
    });
    served
}

/// Endpoints of the service mesh that list instances: there are none.
pub(crate) async fn no_mesh(call: &Call) -> Answer {
    let watch = |_: &View| Watch::Services;
    read(call, watch, |_| {
        let nothing: [(); 0] = [];
        (reply::json(call, &nothing), Marks::default())
    })
    .await
}
