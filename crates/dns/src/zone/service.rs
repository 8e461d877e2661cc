//! Services.

use std::{collections::BTreeSet, net::IpAddr};

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RData, Record, RecordType, rdata::SRV},
};
use tidings_types::{CheckStatus, Instance};
use tidings_view::Listed;

use super::{Place, Query, Zone, records_of};
use crate::{
    names,
    reply::{Reply, address_record},
    shuffle::shuffle,
};

/// One usable instance.
struct Usable {
    listed: Listed,
    record: Instance,
    status: CheckStatus,
}

impl Usable {
    /// Its share of traffic, by its health; 0 is a standby.
    fn weight(&self) -> u16 {
        let weights = self.record.weights;
        match self.status {
            CheckStatus::Warning => weights.warning,
            CheckStatus::Passing | CheckStatus::Critical => weights.passing,
        }
    }

    fn address(&self) -> &str {
        self.listed.address(&self.record)
    }
}

impl Zone<'_> {
    /// `None` if no instance can be used.
    pub(super) fn service(
        &self,
        query: &Query<'_>,
        name: &str,
        tag: Option<&str>,
    ) -> Option<Reply> {
        let usable = self.usable(name, tag);
        if usable.is_empty() {
            return None;
        }
        let mut reply = Reply::new(ResponseCode::NoError);
        reply.stale = staleness(&usable);
        // What is stale is to be asked for again as soon as the agent knows better.
        let ttl_s = match reply.stale {
            None => self.settings.service_ttl_s,
            Some(_) => STALE_TTL_S,
        };
        if query.kind == RecordType::SRV {
            self.push_srv(&mut reply, query, &usable, ttl_s);
        } else {
            // An address bears no weight, so one of weight 0 would get as much as any other.
            let (active, standby): (Vec<_>, Vec<_>) =
                usable.into_iter().partition(|one| one.weight() > 0);
            self.push_addresses(&mut reply, query, &active, ttl_s);
            let is_live = |one: &Usable| one.listed.stale_for.is_none();
            if reply.answers.is_empty() || !active.iter().any(is_live) {
                self.push_addresses(&mut reply, query, &standby, ttl_s);
            }
        }
        Some(reply)
    }

    /// The instances whose checks allow it, in a random order, stale ones after live ones.
    fn usable(&self, name: &str, tag: Option<&str>) -> Vec<Usable> {
        let worst = if self.settings.only_passing {
            CheckStatus::Passing
        } else {
            CheckStatus::Warning
        };
        let bears = |one: &Usable| {
            let mut tags = one.record.tags.iter();
            tag.is_none_or(|tag| tags.any(|own| own.eq_ignore_ascii_case(tag)))
        };
        let mut usable: Vec<Usable> = self
            .view
            .lookup(name)
            .into_iter()
            .map(|listed| (listed.instance.status(), listed))
            .filter(|(status, _)| *status <= worst)
            .map(|(status, listed)| Usable {
                status,
                record: listed.instance.record(),
                listed,
            })
            .filter(bears)
            .collect();
        let live = usable.partition_point(|one| one.listed.stale_for.is_none());
        let (live, stale) = usable.split_at_mut(live);
        shuffle(live);
        shuffle(stale);
        usable
    }

    /// Each address once. A host name is answered by one alias, and only if there is no address.
    fn push_addresses(&self, reply: &mut Reply, query: &Query<'_>, usable: &[Usable], ttl_s: u32) {
        let mut seen = BTreeSet::new();
        let mut host = None;
        for one in usable {
            match Place::of(one.address()) {
                Some(Place::Ip(ip)) if query.wants_address(ip) => {
                    if seen.insert(ip) {
                        if reply.answers.len() == self.records_max {
                            reply.cut = true;
                            return;
                        }
                        reply.push(address_record(query.name.clone(), ttl_s, ip));
                    }
                }
                Some(Place::Host(name)) => host = host.or(Some(name)),
                Some(Place::Ip(_)) | None => {}
            }
        }
        if let Some(host) = host
            && reply.answers.is_empty()
            && query.follows_alias()
        {
            self.push_alias(reply, query, ttl_s, host);
        }
    }

    /// Each target and port once.
    fn push_srv(&self, reply: &mut Reply, query: &Query<'_>, usable: &[Usable], ttl_s: u32) {
        let mut seen = BTreeSet::new();
        let mut hosts = 0;
        for one in usable {
            let Some((target, place)) = self.target(query.zone, one) else {
                continue;
            };
            if !seen.insert((target.clone(), one.record.port)) {
                continue;
            }
            if reply.answers.len() == self.records_max {
                reply.cut = true;
                return;
            }
            let known = match &place {
                Place::Host(host) if *host == target => {
                    hosts += 1;
                    if hosts <= HOSTS_FOLLOWED {
                        self.known_of(host, RecordType::ANY)
                    } else {
                        Vec::new()
                    }
                }
                place => records_of(place, &target, ttl_s),
            };
            let data = RData::SRV(SRV::new(
                PRIORITY,
                one.weight(),
                one.record.port,
                target.clone(),
            ));
            let answer = Record::from_rdata(query.name.clone(), ttl_s, data);
            reply.push_with(answer, &target, known);
        }
    }

    /// The name to which clients of an instance go, and what stands there. An instance without an
    /// address of its own is where its node is.
    fn target(&self, zone: &Name, one: &Usable) -> Option<(Name, Place)> {
        let node = one.listed.instance.node();
        let datacenter = self.view.datacenter();
        let place = Place::of(one.address())?;
        let by_address = |ip: IpAddr| names::of_address(ip, datacenter, zone);
        let target = if one.record.address.is_empty() && node.known {
            let node = names::of_node(node.name.as_str(), datacenter, zone);
            match &place {
                // A node whose name is no DNS name is still reached by its address.
                Place::Ip(ip) => node.or_else(|| by_address(*ip))?,
                Place::Host(host) => node.unwrap_or_else(|| host.clone()),
            }
        } else {
            match &place {
                Place::Ip(ip) => by_address(*ip)?,
                Place::Host(host) => host.clone(),
            }
        };
        Some((target, place))
    }
}

/// How many of them are stale, and how old the oldest word is, if any is.
fn staleness(usable: &[Usable]) -> Option<String> {
    let stale = usable.iter().filter_map(|one| one.listed.stale_for);
    let oldest = stale.clone().max()?;
    Some(format!(
        "{} of {} instances are stale, oldest word {} s ago",
        stale.count(),
        usable.len(),
        oldest.as_secs()
    ))
}

/// Seconds for which an answer with stale instances may be kept.
const STALE_TTL_S: u32 = 0;
/// All instances are equal but for their weight.
const PRIORITY: u16 = 1;
/// Host names in one answer whose addresses are looked up and added: each lookup may be as large as
/// the one that it is part of.
const HOSTS_FOLLOWED: usize = 8;
