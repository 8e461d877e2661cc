//! `/v1/health/...`: what is registered, with its health.

use axum::{body::Bytes, response::Response};
use tidings_types::CheckStatus;
use tidings_view::{Listed, ListedCheck, NodeKey, SerfHealth, Standing, View, Watch};

use crate::{
    blocking::{read, read_of_one},
    catalog::{served_of, watch_node},
    failure::Failure,
    filtering::Filtering,
    objects::{CheckServiceNode, HealthCheck, fields},
    pieces,
    reply::{self, Answer, Marks},
    request::{Call, Near, Selection},
    whole::Basis,
};

/// `GET /v1/health/service/:service`
pub(crate) async fn service(call: &Call) -> Answer {
    if call.rest.is_empty() {
        return Err(Failure::bad("Missing service name"));
    }
    let Some(passing) = call.params.flag("passing") else {
        return Err(Failure::bad("Invalid value for ?passing"));
    };
    let selection = Selection::of(&call.params);
    let filter = Filtering::of(&call.params, fields::CHECK_SERVICE_NODE)?;
    let watch = |_: &View| Watch::service(&call.rest);
    read(call, watch, |view| {
        let near = Near::of(call);
        let takes_all = selection.takes_all() && filter.takes_all() && near.is_nobody();
        if takes_all && !reply::is_pretty(call) {
            return whole_service(call, view, passing);
        }
        let mut listed = listed_service(view, &call.rest, &selection, passing);
        near.sort(&mut listed, |listed| listed.instance.node().name.as_str());
        let serf = serf_health(view);
        listed.retain(|listed| {
            filter.takes(|| CheckServiceNode::of(listed, serf(&listed.instance.node().key)))
        });
        let response = if reply::is_pretty(call) {
            let nodes = listed.iter();
            let nodes =
                nodes.map(|listed| CheckServiceNode::of(listed, serf(&listed.instance.node().key)));
            reply::json(call, &nodes.collect::<Vec<_>>())
        } else {
            reply::json_bytes(pieces::array(&listed, serf).into())
        };
        (response, Marks::of(&listed))
    })
    .await
}

/// What nearly all clients ask for: all of a service, or all that is passing.
fn whole_service(call: &Call, view: &View, passing: bool) -> (Response, Marks) {
    let wholes = call.state.wholes();
    let basis = Basis::of(view, &call.rest, passing);
    if let Some(whole) = basis.as_ref().and_then(|basis| wholes.get(basis)) {
        return (reply::json_bytes(whole.body.clone()), whole.marks);
    }
    let listed = listed_service(view, &call.rest, &Selection::default(), passing);
    let (body, marks) = (
        Bytes::from(pieces::array(&listed, serf_health(view))),
        Marks::of(&listed),
    );
    if let Some(basis) = basis
        && listed.iter().all(Listed::is_plain)
    {
        wholes.keep(&basis, &body, marks);
    }
    (reply::json_bytes(body), marks)
}

/// What is said of nodes as they stand now.
fn serf_health(view: &View) -> impl Fn(&NodeKey) -> Option<SerfHealth> + use<> {
    let (overlay, now) = (view.overlay(), view.now());
    move |key| overlay.serf_health(key, now)
}

/// What is served of the service called `name`, in the order that all endpoints share.
pub(crate) fn listed_service(
    view: &View,
    name: &str,
    selection: &Selection,
    passing: bool,
) -> Vec<Listed> {
    let mut listed = view.lookup(name);
    listed.retain(|listed| {
        // The node's serfHealth passes for whatever is served, so it need not be asked.
        let passes = || listed.instance.status() == CheckStatus::Passing;
        selection.takes(listed) && (!passing || passes())
    });
    listed
}

/// `GET /v1/health/checks/:service`
pub(crate) async fn checks(call: &Call) -> Answer {
    if call.rest.is_empty() {
        return Err(Failure::bad("Missing service name"));
    }
    let selection = Selection::nodes_of(&call.params);
    let filter = Filtering::of(&call.params, fields::HEALTH_CHECK)?;
    let watch = |_: &View| Watch::service(&call.rest);
    read(call, watch, |view| {
        let mut checks = view.service_checks(&call.rest);
        checks.retain(|check| selection.takes_node(&check.node));
        Near::of(call).sort(&mut checks, |check| check.node.name.as_str());
        let checks = checks.iter().map(health_check);
        let checks: Vec<_> = checks.filter(|check| filter.takes_it(check)).collect();
        (reply::json(call, &checks), Marks::default())
    })
    .await
}

/// `GET /v1/health/node/:node`
pub(crate) async fn node(call: &Call) -> Answer {
    if call.rest.is_empty() {
        return Err(Failure::bad("Missing node name"));
    }
    let filter = Filtering::of(&call.params, fields::HEALTH_CHECK)?;
    let watch = |view: &View| watch_node(view, &call.rest);
    let is_there = |view: &View| view.node(&call.rest).is_some();
    read_of_one(call, watch, is_there, |view| {
        let found = view.node(&call.rest).map(|found| {
            let standing = view.overlay().standing(&found.facts.key);
            let mut served = served_of(view, &found);
            if standing > Standing::LastResort {
                served.checks.clear();
            }
            served
        });
        let serf = found.as_ref().and_then(|found| {
            let serf = view.overlay().serf_health(&found.facts.key, view.now())?;
            Some(HealthCheck::of_node(&found.facts, serf))
        });
        let others = found.as_ref().map(|found| found.listed_checks());
        let others = others.iter().flatten().map(health_check);
        let checks = serf.into_iter().chain(others);
        let checks: Vec<_> = checks.filter(|check| filter.takes_it(check)).collect();
        (reply::json(call, &checks), Marks::default())
    })
    .await
}

/// `GET /v1/health/state/:state`
pub(crate) async fn state(call: &Call) -> Answer {
    if call.rest.is_empty() {
        return Err(Failure::bad("Missing check state"));
    }
    let selection = Selection::nodes_of(&call.params);
    let filter = Filtering::of(&call.params, fields::HEALTH_CHECK)?;
    let wanted = CheckStatus::parse(&call.rest);
    let is_wanted = |check: &HealthCheck<'_>| {
        call.rest == "any" || wanted.is_some_and(|status| check.has_status(status))
    };
    let watch = |_: &View| Watch::Checks;
    read(call, watch, |view| {
        let (mut nodes, mut others) = (view.nodes(), view.checks());
        let near = Near::of(call);
        near.sort(&mut nodes, |(facts, _)| facts.name.as_str());
        near.sort(&mut others, |check| check.node.name.as_str());
        let overlay = view.overlay();
        let serf = nodes
            .iter()
            .filter(|(facts, _)| selection.takes_node(facts));
        let serf = serf.filter_map(|(facts, _)| {
            let serf = overlay.serf_health(&facts.key, view.now())?;
            Some(HealthCheck::of_node(facts, serf))
        });
        let others = others
            .iter()
            .filter(|check| selection.takes_node(&check.node));
        let checks: Vec<_> = serf
            .chain(others.map(health_check))
            .filter(is_wanted)
            .filter(|check| filter.takes_it(check))
            .collect();
        (reply::json(call, &checks), Marks::default())
    })
    .await
}

fn health_check(listed: &ListedCheck) -> HealthCheck<'_> {
    HealthCheck::of(&listed.node, &listed.check, listed.instance.as_deref())
}
