//! Names of addresses: `in-addr.arpa` and `ip6.arpa`.

use std::net::IpAddr;

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RData, Record, RecordType, rdata::PTR},
};

use super::Zone;
use crate::{names, reply::Reply};

/// The node at an address, else the service there; no such name if we know neither. `None` if
/// `name` is not the name of an address.
///
/// This walks over what is registered, which no other query does; a service is looked for only if
/// no node has the address.
pub(super) fn look_up(zone: &Zone<'_>, name: &Name, kind: RecordType) -> Option<Reply> {
    let address = address_of(name)?;
    let domain = zone.settings.domains.first()?.name();
    let datacenter = zone.view.datacenter();
    let target = node_at(zone, address)
        .and_then(|node| names::of_node(&node, datacenter, domain))
        .or_else(|| names::of_service(&service_at(zone, address)?, datacenter, domain));
    let Some(target) = target else {
        return Some(Reply::new(ResponseCode::NXDomain));
    };
    let mut reply = Reply::new(ResponseCode::NoError);
    if matches!(kind, RecordType::PTR | RecordType::ANY) {
        let data = RData::PTR(PTR(target));
        reply.push(Record::from_rdata(name.clone(), 0, data));
    }
    Some(reply)
}

/// The one address that `name` stands for.
fn address_of(name: &Name) -> Option<IpAddr> {
    let net = name.parse_arpa_name().ok()?;
    let whole = net.prefix_len() == net.max_prefix_len();
    whole.then(|| net.addr())
}

fn node_at(zone: &Zone<'_>, address: IpAddr) -> Option<String> {
    let mut nodes = zone.view.nodes().into_iter();
    nodes
        .find(|(node, _)| node.address.parse() == Ok(address))
        .map(|(node, _)| node.name.to_string())
}

fn service_at(zone: &Zone<'_>, address: IpAddr) -> Option<String> {
    let overlay = zone.view.overlay();
    let now = zone.view.now();
    let mut services = zone.view.services().into_iter();
    let service = services.find(|service| {
        let listed = overlay.list(service, now);
        listed
            .iter()
            .any(|one| one.address(&one.instance.record()).parse() == Ok(address))
    })?;
    Some(service.name.to_string())
}
