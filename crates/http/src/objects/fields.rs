//! What a filter can select from the shared objects, under the names that Consul gives it.
//!
//! Indexes, definitions and what belongs to the mesh's configuration cannot be selected, as with
//! Consul. The mesh's own fields are there and say nothing, so that filters for what has no proxy
//! find everything.

use tidings_filter::{Entries, Field, Record, Shape, Value};
use tidings_types::TextMap;

use super::{
    AgentService, CheckServiceNode, HealthCheck, NodeObject, NodeService, ServiceNode, Tagged,
    TaggedObject, WeightsObject,
};

/// Of `catalog/nodes`.
pub(crate) const NODE: Shape = Shape::Record(NODE_FIELDS);
/// Of `catalog/node` and `catalog/node-services`: a service of the node.
pub(crate) const NODE_SERVICE: Shape = Shape::Record(NODE_SERVICE_FIELDS);
/// Of `agent/services`.
pub(crate) const AGENT_SERVICE: Shape = Shape::Record(AGENT_SERVICE_FIELDS);
/// Of `catalog/service` and `catalog/services`.
pub(crate) const SERVICE_NODE: Shape = Shape::Record(SERVICE_NODE_FIELDS);
/// Of `agent/checks`, `health/node`, `health/checks` and `health/state`.
pub(crate) const HEALTH_CHECK: Shape = Shape::Record(HEALTH_CHECK_FIELDS);
/// Of `health/service`.
pub(crate) const CHECK_SERVICE_NODE: Shape = Shape::Record(&[
    ("Checks", Shape::Records(HEALTH_CHECK_FIELDS)),
    ("Node", NODE),
    ("Service", NODE_SERVICE),
]);

const TEXTS_BY_KEY: Shape = Shape::Map(&Shape::Text);
const TAGGED: Shape = Shape::Map(&Shape::Record(&[
    ("Address", Shape::Text),
    ("Port", Shape::Int),
]));
const WEIGHTS: Shape = Shape::Record(&[("Passing", Shape::Int), ("Warning", Shape::Int)]);
const CONNECT: Shape = Shape::Record(&[("Native", Shape::Bool)]);
const PROXY: Shape = Shape::Record(&[
    ("DestinationServiceID", Shape::Text),
    ("DestinationServiceName", Shape::Text),
    ("LocalServiceAddress", Shape::Text),
    ("LocalServicePort", Shape::Int),
    ("Mode", Shape::Text),
]);

const NODE_FIELDS: &[Field] = &[
    ("Address", Shape::Text),
    ("Datacenter", Shape::Text),
    ("ID", Shape::Text),
    ("Meta", TEXTS_BY_KEY),
    ("Node", Shape::Text),
    ("PeerName", Shape::Text),
    ("TaggedAddresses", TEXTS_BY_KEY),
];

impl Record for NodeObject<'_> {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        Some(match field {
            "Address" => Value::Text(self.address),
            "Datacenter" => Value::Text(self.datacenter),
            "ID" => Value::Text(self.id),
            "Meta" => texts_by_key(self.meta),
            "Node" => Value::Text(self.node),
            "PeerName" => Value::Text(""),
            "TaggedAddresses" => texts_by_key(self.tagged_addresses),
            _ => return None,
        })
    }
}

const NODE_SERVICE_FIELDS: &[Field] = &[
    ("Address", Shape::Text),
    ("Connect", CONNECT),
    ("EnableTagOverride", Shape::Bool),
    ("ID", Shape::Text),
    ("Kind", Shape::Text),
    ("Meta", TEXTS_BY_KEY),
    ("PeerName", Shape::Text),
    ("Port", Shape::Int),
    ("Proxy", PROXY),
    ("Service", Shape::Text),
    ("SocketPath", Shape::Text),
    ("TaggedAddresses", TAGGED),
    ("Tags", Shape::Texts),
    ("Weights", WEIGHTS),
];

impl Record for NodeService<'_> {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        Some(match field {
            "Address" => Value::Text(&self.address),
            "Connect" | "Proxy" => Value::Record(&NoMesh),
            "EnableTagOverride" => Value::Bool(self.enable_tag_override),
            "ID" => Value::Text(self.id),
            "Kind" => Value::Text(&self.kind),
            "Meta" => texts_by_key(Some(&self.meta)),
            "PeerName" => Value::Text(self.peer_name),
            "Port" => Value::Int(self.port.into()),
            "Service" => Value::Text(self.service.as_str()),
            "SocketPath" => Value::Text(&self.socket_path),
            "TaggedAddresses" => Value::Map(Box::new(ByTag(&self.tagged_addresses))),
            "Tags" => Value::Texts(Box::new(self.tags.iter())),
            "Weights" => Value::Record(&self.weights),
            _ => return None,
        })
    }
}

const AGENT_SERVICE_FIELDS: &[Field] = &[
    ("Address", Shape::Text),
    ("Connect", CONNECT),
    ("Datacenter", Shape::Text),
    ("EnableTagOverride", Shape::Bool),
    ("ID", Shape::Text),
    ("Kind", Shape::Text),
    ("Meta", TEXTS_BY_KEY),
    ("Port", Shape::Int),
    ("Proxy", PROXY),
    ("Service", Shape::Text),
    ("SocketPath", Shape::Text),
    ("TaggedAddresses", TAGGED),
    ("Tags", Shape::Texts),
    ("Weights", WEIGHTS),
];

impl Record for AgentService<'_> {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        Some(match field {
            "Address" => Value::Text(&self.address),
            "Connect" | "Proxy" => Value::Record(&NoMesh),
            "Datacenter" => Value::Text(self.datacenter),
            "EnableTagOverride" => Value::Bool(self.enable_tag_override),
            "ID" => Value::Text(self.id),
            "Kind" => Value::Text(&self.kind),
            "Meta" => texts_by_key(Some(&self.meta)),
            "Port" => Value::Int(self.port.into()),
            "Service" => Value::Text(self.service.as_str()),
            "SocketPath" => Value::Text(&self.socket_path),
            "TaggedAddresses" => Value::Map(Box::new(ByTag(&self.tagged_addresses))),
            "Tags" => Value::Texts(Box::new(self.tags.iter())),
            "Weights" => Value::Record(&self.weights),
            _ => return None,
        })
    }
}

const SERVICE_NODE_FIELDS: &[Field] = &[
    ("Address", Shape::Text),
    ("Datacenter", Shape::Text),
    ("ID", Shape::Text),
    ("Node", Shape::Text),
    ("NodeMeta", TEXTS_BY_KEY),
    ("PeerName", Shape::Text),
    ("ServiceAddress", Shape::Text),
    ("ServiceConnect", CONNECT),
    ("ServiceEnableTagOverride", Shape::Bool),
    ("ServiceID", Shape::Text),
    ("ServiceKind", Shape::Text),
    ("ServiceMeta", TEXTS_BY_KEY),
    ("ServiceName", Shape::Text),
    ("ServicePort", Shape::Int),
    ("ServiceProxy", PROXY),
    ("ServiceSocketPath", Shape::Text),
    ("ServiceTaggedAddresses", TAGGED),
    ("ServiceTags", Shape::Texts),
    ("ServiceWeights", WEIGHTS),
    ("TaggedAddresses", TEXTS_BY_KEY),
];

impl Record for ServiceNode<'_> {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        Some(match field {
            "Address" => Value::Text(self.address),
            "Datacenter" => Value::Text(self.datacenter),
            "ID" => Value::Text(self.id),
            "Node" => Value::Text(self.node),
            "NodeMeta" => texts_by_key(self.node_meta),
            "PeerName" => Value::Text(""),
            "ServiceAddress" => Value::Text(&self.service_address),
            "ServiceConnect" | "ServiceProxy" => Value::Record(&NoMesh),
            "ServiceEnableTagOverride" => Value::Bool(self.service_enable_tag_override),
            "ServiceID" => Value::Text(self.service_id),
            "ServiceKind" => Value::Text(&self.service_kind),
            "ServiceMeta" => texts_by_key(Some(&self.service_meta)),
            "ServiceName" => Value::Text(self.service_name.as_str()),
            "ServicePort" => Value::Int(self.service_port.into()),
            "ServiceSocketPath" => Value::Text(&self.service_socket_path),
            "ServiceTaggedAddresses" => Value::Map(Box::new(ByTag(&self.service_tagged_addresses))),
            "ServiceTags" => Value::Texts(Box::new(self.service_tags.iter())),
            "ServiceWeights" => Value::Record(&self.service_weights),
            "TaggedAddresses" => texts_by_key(self.tagged_addresses),
            _ => return None,
        })
    }
}

const HEALTH_CHECK_FIELDS: &[Field] = &[
    ("CheckID", Shape::Text),
    ("ExposedPort", Shape::Int),
    ("Interval", Shape::Text),
    ("Name", Shape::Text),
    ("Node", Shape::Text),
    ("Notes", Shape::Text),
    ("Output", Shape::Text),
    ("PeerName", Shape::Text),
    ("ServiceID", Shape::Text),
    ("ServiceName", Shape::Text),
    ("ServiceTags", Shape::Texts),
    ("Status", Shape::Text),
    ("Timeout", Shape::Text),
    ("Type", Shape::Text),
];

impl Record for HealthCheck<'_> {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        Some(match field {
            "CheckID" => Value::Text(self.check_id),
            "ExposedPort" => Value::Int(self.exposed_port.into()),
            "Interval" => Value::Text(&self.interval),
            "Name" => Value::Text(&self.name),
            "Node" => Value::Text(self.node),
            "Notes" => Value::Text(&self.notes),
            "Output" => Value::Text(&self.output),
            "PeerName" => Value::Text(""),
            "ServiceID" => Value::Text(self.service_id),
            "ServiceName" => Value::Text(&self.service_name),
            "ServiceTags" => Value::Texts(Box::new(self.service_tags.iter())),
            "Status" => Value::Text(self.status),
            "Timeout" => Value::Text(&self.timeout),
            "Type" => Value::Text(&self.r#type),
            _ => return None,
        })
    }
}

impl Record for CheckServiceNode<'_> {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        Some(match field {
            "Checks" => {
                let checks = self.checks.iter();
                Value::Records(Box::new(checks.map(|check| check as &dyn Record)))
            }
            "Node" => Value::Record(&self.node),
            "Service" => Value::Record(&self.service),
            _ => return None,
        })
    }
}

impl Record for WeightsObject {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        match field {
            "Passing" => Some(Value::Int(self.passing.into())),
            "Warning" => Some(Value::Int(self.warning.into())),
            _ => None,
        }
    }
}

impl Record for TaggedObject {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        match field {
            "Address" => Some(Value::Text(&self.address)),
            "Port" => Some(Value::Int(self.port.into())),
            _ => None,
        }
    }
}

struct ByTag<'a>(&'a Tagged);

impl Entries for ByTag<'_> {
    fn entry(&self, key: &str) -> Option<Value<'_>> {
        let found = self.0.get(key)?;
        Some(Value::Record(found))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The proxy and the mesh that no instance has.
struct NoMesh;

impl Record for NoMesh {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        match field {
            "Native" => Some(Value::Bool(false)),
            "LocalServicePort" => Some(Value::Int(0)),
            "DestinationServiceID" | "DestinationServiceName" | "LocalServiceAddress" | "Mode" => {
                Some(Value::Text(""))
            }
            _ => None,
        }
    }
}

struct TextsByKey<'a>(Option<&'a TextMap>);

fn texts_by_key(texts: Option<&TextMap>) -> Value<'_> {
    Value::Map(Box::new(TextsByKey(texts)))
}

impl Entries for TextsByKey<'_> {
    fn entry(&self, key: &str) -> Option<Value<'_>> {
        self.0?.get(key).map(Value::Text)
    }

    fn is_empty(&self) -> bool {
        self.0.is_none_or(TextMap::is_empty)
    }
}
