//! The service `consul`: what Consul's clients take for the servers.
//!
//! Consul lists each of its servers as an instance of a service of that name; clients count it,
//! filter it out, or look for it to see whether the catalog works. Here every agent does what a
//! server does there, so each known agent node has one. It is made from the node's record when that
//! is shown: no record of its own, nothing that is replicated, and its liveness is its node's.
//!
//! A registered instance that bears the same id on the same node takes its place, since clients
//! tell instances by node and id. Any other of that name stands beside it.

use tidings_types::{Instance, ServiceId, ServiceName, TextMap};

use crate::{NodeFacts, NodeKey, joined::InstanceRecord};

/// The service's name, and the id of its instance on each agent node.
pub const CONSUL: &str = "consul";

/// What is listed of the node in the service `consul`; `None` for an external node and for one of
/// which no record is here.
pub(crate) fn instance_of(facts: &NodeFacts) -> Option<InstanceRecord> {
    let (NodeKey::Agent(_), true, Some(gossip)) = (&facts.key, facts.known, facts.gossip) else {
        return None;
    };
    let service = ServiceName::new(CONSUL).expect("six letters are a name");
    // Consul states its servers' RPC port, 8300. There is no such port here; the gossip port is
    // where agents do for each other what servers do over RPC.
    Some(InstanceRecord::of(&Instance::new(service, gossip.port())))
}

/// Consul's agents always state their network segment, the default one by an empty text: clients look
/// keys up in an agent's metadata without asking whether it has any.
const SEGMENT: &str = "consul-network-segment";

/// The metadata that is shown of an agent whose record states `meta`.
pub(crate) fn meta_of(meta: &TextMap) -> TextMap {
    [(SEGMENT, "")].into_iter().chain(meta.iter()).collect()
}

/// The id of every such instance.
pub(crate) fn id() -> ServiceId {
    ServiceId::new(CONSUL).expect("six letters are an id")
}
