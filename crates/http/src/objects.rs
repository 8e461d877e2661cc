//! The JSON objects that several endpoints share, spelled as Consul spells them.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr, sync::Arc};

use serde::Serialize;
use tidings_types::{CheckKind, CheckStatus, Instance, ServiceName, Text, TextMap, Texts, Weights};
use tidings_view::{AWAITED, CheckView, InstanceView, Listed, NodeFacts, NodeKey, SerfHealth};

use crate::duration::format_ms;

mod definition;
pub(crate) mod fields;

use definition::Definition;

/// `Node`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeObject<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: Option<&'a TextMap>,
    meta: Option<&'a TextMap>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeObject<'a> {
    pub(crate) fn of(node: &'a NodeFacts) -> Self {
        Self {
            id: &node.id,
            node: node.name.as_str(),
            address: &node.address,
            datacenter: &node.datacenter,
            tagged_addresses: non_empty(&node.tagged_addresses),
            meta: non_empty(&node.meta),
            create_index: node.origin.create_index,
            modify_index: node.origin.modify_index,
        }
    }

    pub(crate) fn of_listed(listed: &'a Listed) -> Self {
        Self {
            address: listed.node_address(),
            ..Self::of(listed.instance.node())
        }
    }
}

/// `NodeService`, as the catalog and health endpoints show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeService<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: Text,
    #[serde(rename = "ID")]
    id: &'a str,
    service: ServiceName,
    tags: Texts,
    address: Text,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: Tagged,
    meta: TextMap,
    port: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    socket_path: Text,
    weights: WeightsObject,
    enable_tag_override: bool,
    proxy: Proxy,
    connect: Nothing,
    peer_name: &'a str,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeService<'a> {
    pub(crate) fn of(view: &'a InstanceView) -> Self {
        let (instance, origin) = (view.record(), view.origin());
        Self {
            tagged_addresses: tagged(view, &instance),
            kind: instance.kind,
            id: view.id.as_str(),
            service: instance.service,
            tags: instance.tags,
            address: instance.address,
            meta: instance.meta,
            port: instance.port,
            socket_path: instance.socket_path,
            weights: instance.weights.into(),
            enable_tag_override: instance.enable_tag_override,
            proxy: Proxy::default(),
            connect: Nothing {},
            peer_name: "",
            create_index: origin.create_index,
            modify_index: origin.modify_index,
        }
    }
}

/// `AgentService`, as the agent shows its own instances. It serialises without indexes, so that it
/// can be hashed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AgentService<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: Text,
    #[serde(rename = "ID")]
    id: &'a str,
    service: ServiceName,
    tags: Texts,
    meta: TextMap,
    port: u16,
    address: Text,
    #[serde(skip_serializing_if = "str::is_empty")]
    socket_path: Text,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: Tagged,
    weights: WeightsObject,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_hash: Option<String>,
    datacenter: &'a str,
}

impl<'a> AgentService<'a> {
    pub(crate) fn of(view: &'a InstanceView) -> Self {
        let instance = view.record();
        Self {
            tagged_addresses: tagged(view, &instance),
            kind: instance.kind,
            id: view.id.as_str(),
            service: instance.service,
            tags: instance.tags,
            meta: instance.meta,
            port: instance.port,
            address: instance.address,
            socket_path: instance.socket_path,
            weights: instance.weights.into(),
            enable_tag_override: instance.enable_tag_override,
            content_hash: None,
            datacenter: &view.node().datacenter,
        }
    }
}

/// `ServiceNode`: node and instance in one flat object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServiceNode<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: Option<&'a TextMap>,
    node_meta: Option<&'a TextMap>,
    service_kind: Text,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: ServiceName,
    service_tags: Texts,
    service_address: Text,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    service_tagged_addresses: Tagged,
    service_weights: WeightsObject,
    service_meta: TextMap,
    service_port: u16,
    service_socket_path: Text,
    service_enable_tag_override: bool,
    service_proxy: Proxy,
    service_connect: Nothing,
    create_index: u64,
    modify_index: u64,
}

impl<'a> ServiceNode<'a> {
    pub(crate) fn of(listed: &'a Listed) -> Self {
        let (view, node) = (&*listed.instance, &**listed.instance.node());
        let (instance, origin) = (view.record(), view.origin());
        Self {
            service_tagged_addresses: tagged(view, &instance),
            id: &node.id,
            node: node.name.as_str(),
            address: listed.node_address(),
            datacenter: &node.datacenter,
            tagged_addresses: non_empty(&node.tagged_addresses),
            node_meta: non_empty(&node.meta),
            service_kind: instance.kind,
            service_id: view.id.as_str(),
            service_name: instance.service,
            service_tags: instance.tags,
            service_address: instance.address,
            service_weights: instance.weights.into(),
            service_meta: instance.meta,
            service_port: instance.port,
            service_socket_path: instance.socket_path,
            service_enable_tag_override: instance.enable_tag_override,
            service_proxy: Proxy::default(),
            service_connect: Nothing {},
            create_index: origin.create_index,
            modify_index: origin.modify_index,
        }
    }
}

/// `CheckServiceNode`: an instance with its node and every check that decides its health.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CheckServiceNode<'a> {
    node: NodeObject<'a>,
    service: NodeService<'a>,
    checks: Vec<HealthCheck<'a>>,
}

impl<'a> CheckServiceNode<'a> {
    /// `serf_health` is the node's own check, if it has an agent.
    pub(crate) fn of(listed: &'a Listed, serf_health: Option<SerfHealth>) -> Self {
        let view = &*listed.instance;
        let checks = HealthCheck::of_whole_node(view, serf_health);
        Self {
            node: NodeObject::of_listed(listed),
            service: NodeService::of(view),
            checks: checks.chain(HealthCheck::of_instance(view)).collect(),
        }
    }
}

/// `HealthCheck`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthCheck<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: Text,
    status: &'static str,
    notes: Text,
    output: Arc<str>,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: Text,
    service_tags: Texts,
    r#type: Text,
    interval: Cow<'static, str>,
    timeout: Cow<'static, str>,
    exposed_port: u16,
    definition: Definition,
    create_index: u64,
    modify_index: u64,
}

impl<'a> HealthCheck<'a> {
    /// A check of `node` that speaks for `instance`, or for the whole node.
    pub(crate) fn of(
        node: &'a NodeFacts,
        check: &'a CheckView,
        instance: Option<&'a InstanceView>,
    ) -> Self {
        let record = check.record();
        let runs = !matches!(record.kind, CheckKind::Manual { .. });
        // An external check is run by nobody here, and says how it could be; an agent's own says
        // how it is run, and keeps the rest to itself.
        let is_external = matches!(node.key, NodeKey::External(_));
        let span = |ms| match runs && !is_external {
            true => Cow::Owned(format_ms(ms)),
            false => Cow::Borrowed(""),
        };
        Self {
            node: node.name.as_str(),
            check_id: check.id.as_str(),
            status: record.status.as_str(),
            output: check.output(),
            service_id: instance.map_or("", |instance| instance.id.as_str()),
            service_name: instance.map_or_else(Text::new, |instance| instance.service().into()),
            service_tags: instance.map_or_else(Texts::new, InstanceView::tags),
            r#type: type_of(&record.kind).into(),
            interval: span(record.interval_ms),
            timeout: span(record.timeout_ms),
            exposed_port: 0,
            definition: match is_external {
                true => Definition::of(&record),
                false => Definition::default(),
            },
            name: record.name,
            notes: record.notes,
            create_index: check.origin.create_index,
            modify_index: check.origin.modify_index,
        }
    }

    /// The checks of the instance's whole node; `serf_health` is the one that it has if it has an agent.
    pub(crate) fn of_whole_node(
        view: &'a InstanceView,
        serf_health: Option<SerfHealth>,
    ) -> impl Iterator<Item = Self> {
        let serf_health = serf_health.map(|serf| Self::of_node(view.node(), serf));
        let others = view.node_checks().iter();
        let others = others.map(|check| Self::of(view.node(), check, None));
        serf_health.into_iter().chain(others)
    }

    /// The instance's own checks, those that are not here included.
    pub(crate) fn of_instance(view: &'a InstanceView) -> impl Iterator<Item = Self> {
        let here = view.checks().iter();
        let here = here.map(|check| Self::of(view.node(), check, Some(view)));
        here.chain(Self::awaited_by(view))
    }

    /// The check `serfHealth` of `node`.
    pub(crate) fn of_node(node: &'a NodeFacts, serf: SerfHealth) -> Self {
        Self {
            node: node.name.as_str(),
            check_id: "serfHealth",
            name: "Serf Health Status".into(),
            status: serf.status.as_str(),
            notes: Text::new(),
            output: serf.output.into(),
            service_id: "",
            service_name: Text::new(),
            service_tags: Texts::new(),
            r#type: Text::new(),
            interval: Cow::Borrowed(""),
            timeout: Cow::Borrowed(""),
            exposed_port: 0,
            definition: Definition::default(),
            create_index: node.origin.create_index,
            modify_index: node.origin.modify_index,
        }
    }

    /// What stands for the checks that `instance` names and that are not here.
    pub(crate) fn awaited_by(instance: &'a InstanceView) -> impl Iterator<Item = Self> {
        instance.awaited().iter().map(|check| Self {
            node: instance.node().name.as_str(),
            check_id: check.as_str(),
            name: check.as_str().into(),
            status: CheckStatus::Critical.as_str(),
            notes: Text::new(),
            output: AWAITED.into(),
            service_id: instance.id.as_str(),
            service_name: instance.service().into(),
            service_tags: instance.tags(),
            r#type: Text::new(),
            interval: Cow::Borrowed(""),
            timeout: Cow::Borrowed(""),
            exposed_port: 0,
            definition: Definition::default(),
            create_index: 0,
            modify_index: 0,
        })
    }

    /// As the agent shows its own checks: without indexes.
    pub(crate) fn without_index(self) -> Self {
        Self {
            create_index: 0,
            modify_index: 0,
            ..self
        }
    }

    pub(crate) fn has_status(&self, status: CheckStatus) -> bool {
        self.status == status.as_str()
    }
}

/// An instance's share of traffic.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct WeightsObject {
    passing: u16,
    warning: u16,
}

impl From<Weights> for WeightsObject {
    fn from(Weights { passing, warning }: Weights) -> Self {
        Self { passing, warning }
    }
}

/// The mesh proxy that no instance has.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Proxy {
    mode: &'static str,
    mesh_gateway: Nothing,
    expose: Nothing,
}

/// `{}`.
#[derive(Debug, Default, Serialize)]
struct Nothing {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TaggedObject {
    address: Text,
    port: u16,
}

type Tagged = BTreeMap<Text, TaggedObject>;

/// The instance's tagged addresses. An agent's instance whose address is an IP has it under four
/// tags as well, unless it uses them itself; they follow from the record and are not in it.
fn tagged(view: &InstanceView, instance: &Instance) -> Tagged {
    let stated = instance.tagged_addresses.iter();
    let mut tagged: Tagged = stated
        .map(|(tag, address, port)| {
            let address = address.into();
            (tag.into(), TaggedObject { address, port })
        })
        .collect();
    let tags = match (&view.node().key, instance.address.parse::<IpAddr>()) {
        (NodeKey::Agent(_), Ok(IpAddr::V4(_))) => ["lan_ipv4", "wan_ipv4"],
        (NodeKey::Agent(_), Ok(IpAddr::V6(_))) => ["lan_ipv6", "wan_ipv6"],
        _ => return tagged,
    };
    for tag in tags {
        tagged.entry(tag.into()).or_insert_with(|| TaggedObject {
            address: instance.address.clone(),
            port: instance.port,
        });
    }
    tagged
}

fn type_of(kind: &CheckKind) -> &str {
    match kind {
        CheckKind::Manual { label } => label,
        CheckKind::Ttl { .. } => "ttl",
        CheckKind::Http(_) => "http",
        CheckKind::Tcp { .. } | CheckKind::TcpTls(_) => "tcp",
        CheckKind::Grpc(_) => "grpc",
        CheckKind::H2Ping(_) => "h2ping",
        CheckKind::Udp { .. } => "udp",
        CheckKind::Script { .. } => "script",
        CheckKind::Docker(_) => "docker",
        CheckKind::OsService { .. } => "os_service",
        CheckKind::Alias(_) => "alias",
    }
}

fn non_empty(texts: &TextMap) -> Option<&TextMap> {
    Some(texts).filter(|texts| !texts.is_empty())
}
