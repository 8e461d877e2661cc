//! Nodes, addresses, and the zone itself.

use std::{net::IpAddr, sync::Arc};

use hickory_proto::{
    op::ResponseCode,
    rr::{
        RData, Record, RecordType,
        rdata::{NS, TXT},
    },
};
use tidings_view::{NodeFacts, Standing};

use super::{Place, Query, Zone, records_of};
use crate::{
    names,
    reply::{Reply, address_record},
    shuffle::shuffle,
};

/// Name servers that are named.
const NAME_SERVERS: usize = 3;
/// Bytes of one string in a TXT record.
const TXT_BYTES: usize = 255;
/// A metadata key with this prefix is left out: its value alone is the text.
const BARE_TEXT: &str = "rfc1035-";

impl Zone<'_> {
    /// `None` if there is no such node. A node that is down still has its address.
    pub(super) fn node(&self, query: &Query<'_>, name: &str) -> Option<Reply> {
        let node = self.view.node(name)?;
        let mut reply = Reply::new(ResponseCode::NoError);
        self.push_node(&mut reply, query, &node.facts);
        if query.wants(RecordType::TXT) {
            for (key, value) in &node.facts.meta {
                let text = RData::TXT(text_of(key, value));
                let ttl_s = self.settings.node_ttl_s;
                reply.push(Record::from_rdata(query.name.clone(), ttl_s, text));
            }
        }
        Some(reply)
    }

    /// The address that is the name. Asked for another type, it is added for free.
    pub(super) fn address(&self, query: &Query<'_>, address: IpAddr) -> Reply {
        let mut reply = Reply::new(ResponseCode::NoError);
        let record = address_record(query.name.clone(), self.settings.node_ttl_s, address);
        if query.wants_address(address) {
            reply.push(record);
        } else {
            reply.additionals.push(record);
        }
        reply
    }

    /// This agent as a name server.
    pub(super) fn name_server(&self, query: &Query<'_>) -> Reply {
        let mut reply = Reply::new(ResponseCode::NoError);
        self.push_node(&mut reply, query, &self.view.own().facts);
        reply
    }

    /// SOA and NS of the zone.
    pub(super) fn apex(&self, query: &Query<'_>) -> Reply {
        let mut reply = Reply::new(ResponseCode::NoError);
        if query.wants(RecordType::SOA)
            && let Some(soa) = self.soa(query.zone)
        {
            reply.push(soa);
        }
        if query.wants(RecordType::NS) {
            self.push_name_servers(&mut reply, query);
        }
        reply
    }

    fn push_node(&self, reply: &mut Reply, query: &Query<'_>, node: &NodeFacts) {
        let ttl_s = self.settings.node_ttl_s;
        match Place::of(&node.address) {
            Some(Place::Ip(ip)) if query.wants_address(ip) => {
                reply.push(address_record(query.name.clone(), ttl_s, ip));
            }
            Some(Place::Host(host)) if query.follows_alias() => {
                self.push_alias(reply, query, ttl_s, host);
            }
            _ => {}
        }
    }

    /// This agent and some others: each live agent answers for the zone.
    fn push_name_servers(&self, reply: &mut Reply, query: &Query<'_>) {
        let own = Arc::clone(&self.view.own().facts);
        let mut others: Vec<_> = self
            .view
            .nodes()
            .into_iter()
            .filter(|(node, standing)| {
                *standing == Standing::Live && node.key.agent().is_some() && node.key != own.key
            })
            .map(|(node, _)| node)
            .collect();
        shuffle(&mut others);
        for node in std::iter::once(own).chain(others).take(NAME_SERVERS) {
            let ttl_s = self.settings.node_ttl_s;
            let datacenter = self.view.datacenter();
            // A node whose name is no DNS name, or that has no address, serves nobody.
            let name = names::of_node(node.name.as_str(), datacenter, query.zone);
            let (Some(name), Some(place)) = (name, Place::of(&node.address)) else {
                continue;
            };
            let glue = records_of(&place, &name, ttl_s);
            let data = RData::NS(NS(name.clone()));
            let answer = Record::from_rdata(query.name.clone(), ttl_s, data);
            reply.push_with(answer, &name, glue);
        }
    }
}

/// A metadata pair as text: `key=value`, with the key's own `=` and backticks escaped (RFC 1464).
fn text_of(key: &str, value: &str) -> TXT {
    let text = if key.starts_with(BARE_TEXT) {
        value.to_owned()
    } else {
        let key = key.replace('`', "``").replace('=', "`=");
        format!("{key}={value}")
    };
    let mut strings: Vec<&[u8]> = text.as_bytes().chunks(TXT_BYTES).collect();
    if strings.is_empty() {
        strings.push(b"");
    }
    TXT::from_bytes(strings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(key: &str, value: &str) -> Vec<String> {
        let text = text_of(key, value);
        let strings = text.txt_data.iter();
        strings
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect()
    }

    #[test]
    fn metadata_becomes_text_with_the_key_escaped() {
        assert_eq!(strings("role", "db"), ["role=db"]);
        assert_eq!(strings("a=b`", "c=d"), ["a`=b``=c=d"]);
        assert_eq!(strings("rfc1035-spf", "v=spf1 -all"), ["v=spf1 -all"]);
        assert_eq!(strings("rfc1035-x", ""), [""]);
        assert_eq!(strings("k", &"v".repeat(300))[0].len(), 255);
    }
}
