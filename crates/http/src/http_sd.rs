//! `/v1/tidings/http_sd`: targets for the `http_sd_configs` of Prometheus.
//!
//! Each instance is a group of one target, with the labels that Prometheus' own discovery from Consul
//! makes: `__meta_consul_` becomes `__meta_tidings_`, and the rest of each name stays. So does the
//! meaning: an instance without a port is told with port 0, to be relabelled or dropped.
//!
//! Prometheus forgets every target that a list lacks, and keeps all of them when it gets an error
//! instead of a list. So an island tells what it last knew, marked with `__meta_tidings_stale`; and
//! an empty list is told only by an agent that has met its cluster and is not cut off.

use std::collections::BTreeMap;

use serde::Serialize;
use tidings_types::{Liveness, Text, TextMap};
use tidings_view::{CONSUL, Listed, View};

use crate::{
    aggregate::Aggregate,
    failure::Failure,
    filtering::Filtering,
    health::listed_service,
    objects::{CheckServiceNode, fields},
    reply::{self, Answer, Marks},
    request::{Call, Selection},
};

/// `GET /v1/tidings/http_sd?service=a&service=b`: all services but `consul` if none is named. Takes
/// `passing`, `tag`, `node-meta` and `filter` as `/v1/health/service/` does.
pub(crate) fn targets(call: &Call) -> Answer {
    call.check_scope()?;
    let Some(passing) = call.params.flag("passing") else {
        return Err(Failure::bad("Invalid value for ?passing"));
    };
    let names: Vec<_> = call.params.all("service").collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err(Failure::bad(
            "Missing service name: give ?service=NAME, or leave it out for all services",
        ));
    }
    let selection = Selection::of(&call.params);
    let filter = Filtering::of(&call.params, fields::CHECK_SERVICE_NODE)?;
    let view = call.view();
    let (overlay, now) = (view.overlay(), view.now());
    let mut listed: Vec<_> = asked_for(view, &names)
        .iter()
        .flat_map(|name| listed_service(view, name, &selection, passing))
        .filter(has_socket)
        .collect();
    listed.retain(|listed| {
        let serf = || overlay.serf_health(&listed.instance.node().key, now);
        filter.takes(|| CheckServiceNode::of(listed, serf()))
    });
    if listed.is_empty() {
        check_that_nothing_is_known(view)?;
    }
    let groups: Vec<_> = listed.iter().map(Group::of).collect();
    let mut response = reply::json(call, &groups);
    reply::mark_content(&mut response, Marks::of(&listed));
    Ok(response)
}

/// The services that `names` stands for, each once.
fn asked_for(view: &View, names: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = if names.is_empty() {
        let services = view.services();
        let names = services.iter().map(|service| service.name.as_str());
        let others = names.filter(|name| !name.eq_ignore_ascii_case(CONSUL));
        others.map(str::to_owned).collect()
    } else {
        names.iter().map(|name| name.to_ascii_lowercase()).collect()
    };
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether there is anything to connect to over the network.
fn has_socket(listed: &Listed) -> bool {
    let instance = listed.instance.record();
    instance.port != 0 || instance.socket_path.is_empty()
}

/// Refuses to tell that there is nothing while it may only be unknown here.
fn check_that_nothing_is_known(view: &View) -> Result<(), Failure> {
    let roster = view.roster();
    if roster.unknown == Liveness::Hidden {
        return Ok(());
    }
    let why = if roster.island {
        "it is cut off from its cluster"
    } else {
        "it has just started and has not met its cluster yet"
    };
    Err(Failure::unavailable(format_args!(
        "this agent knows no such instance, but {why}, so that there may be some; an empty list \
         would make Prometheus forget its targets"
    )))
}

/// What Prometheus calls a target group.
#[derive(Debug, Serialize)]
struct Group {
    targets: [String; 1],
    labels: BTreeMap<String, Text>,
}

impl Group {
    fn of(listed: &Listed) -> Self {
        let (view, node) = (&*listed.instance, &**listed.instance.node());
        let instance = view.record();
        let mut group = Self {
            targets: [host_and_port(listed.address(&instance), instance.port)],
            labels: BTreeMap::new(),
        };
        let stale = if listed.stale_for.is_some() {
            "true"
        } else {
            "false"
        };
        for (name, value) in [
            ("address", listed.node_address()),
            ("dc", &node.datacenter),
            ("health", Aggregate::of(view).word()),
            ("node", node.name.as_str()),
            ("service", instance.service.as_str()),
            ("service_address", &instance.address),
            ("service_id", view.id.as_str()),
            ("service_port", &instance.port.to_string()),
            ("stale", stale),
            ("tags", &tags(instance.tags.iter())),
        ] {
            group.labels.insert(format!("{PREFIX}{name}"), value.into());
        }
        group.label_each("metadata", &node.meta);
        group.label_each("service_metadata", &instance.meta);
        group.label_each("tagged_address", &node.tagged_addresses);
        group
    }

    /// A label for each of `texts`. Where two keys make one name, the key that needed no change wins,
    /// else the first.
    fn label_each(&mut self, name: &str, texts: &TextMap) {
        for (key, value) in texts {
            let plain = as_label(key);
            let label = format!("{PREFIX}{name}_{plain}");
            if plain == key {
                self.labels.insert(label, value.into());
            } else {
                self.labels.entry(label).or_insert_with(|| value.into());
            }
        }
    }
}

/// `key` with an underscore for each character that the name of a label cannot have.
fn as_label(key: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    key.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

/// The tags with a comma before and after each, so that an expression can look for `,tag,`.
fn tags<'a>(tags: impl Iterator<Item = &'a str>) -> String {
    let tags: Vec<_> = tags.collect();
    format!(",{},", tags.join(","))
}

fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

const PREFIX: &str = "__meta_tidings_";
