//! What is answered.

use std::{
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use hickory_proto::{
    op::ResponseCode,
    rr::{
        Name, RData, Record, RecordType,
        rdata::{CNAME, SOA},
    },
};
use tidings_view::View;

use crate::{
    DnsSettings, Domain,
    asked::{self, Asked},
    names,
    reply::{Reply, address_record},
};

mod node;
mod reverse;
mod service;

/// How many aliases in our own zones are followed.
const ALIASES_MAX: u8 = 3;

/// Looks names up in the view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zone<'a> {
    view: &'a View,
    settings: &'a DnsSettings,
    /// More answers than this are not collected.
    records_max: usize,
    /// Aliases followed so far.
    aliases: u8,
}

/// A question in one of our zones.
#[derive(Clone, Copy, Debug)]
struct Query<'q> {
    /// The name as it was asked.
    name: &'q Name,
    kind: RecordType,
    zone: &'q Name,
}

impl Query<'_> {
    /// Whether a record of type `kind` answers it.
    fn wants(&self, kind: RecordType) -> bool {
        self.kind == kind || self.kind == RecordType::ANY
    }

    fn wants_address(&self, address: IpAddr) -> bool {
        self.wants(match address {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::AAAA,
        })
    }

    /// Whether an alias answers it.
    fn follows_alias(&self) -> bool {
        matches!(
            self.kind,
            RecordType::A | RecordType::AAAA | RecordType::ANY | RecordType::CNAME
        )
    }
}

impl<'a> Zone<'a> {
    pub(crate) const fn new(view: &'a View, settings: &'a DnsSettings, records_max: usize) -> Self {
        Self {
            view,
            settings,
            records_max,
            aliases: 0,
        }
    }

    /// What there is of type `kind` under `name`.
    pub(crate) fn look_up(&self, name: &Name, kind: RecordType) -> Reply {
        let found = self
            .settings
            .domains
            .iter()
            .find_map(|domain| Some((domain, domain.labels_before(name)?)));
        let Some((domain, labels)) = found else {
            return reverse::look_up(self, name, kind)
                .unwrap_or_else(|| Reply::failed(ResponseCode::Refused));
        };
        let zone = domain.name();
        let query = Query { name, kind, zone };
        let reply = asked::parse(&labels, kind, self.view.datacenter())
            .and_then(|asked| self.answer(&query, asked));
        let mut reply = reply.unwrap_or_else(|| Reply::new(ResponseCode::NXDomain));
        if reply.answers.is_empty() {
            reply.authorities.extend(self.soa(zone));
        }
        reply
    }

    /// `None` if there is no such name.
    fn answer(&self, query: &Query<'_>, asked: Asked) -> Option<Reply> {
        match asked {
            Asked::Apex => Some(self.apex(query)),
            Asked::NameServer => Some(self.name_server(query)),
            Asked::Between => Some(Reply::new(ResponseCode::NoError)),
            Asked::Service { name, tag } => self.service(query, &name, tag.as_deref()),
            Asked::Node(name) => self.node(query, &name),
            Asked::Address(address) => Some(self.address(query, address)),
        }
    }

    /// Adds an alias to `target` and, if that is in a zone of ours, what stands there.
    fn push_alias(&self, reply: &mut Reply, query: &Query<'_>, ttl_s: u32, target: Name) {
        let known = if query.kind == RecordType::CNAME {
            Vec::new()
        } else {
            self.known_of(&target, query.kind)
        };
        let alias = RData::CNAME(CNAME(target));
        reply.push(Record::from_rdata(query.name.clone(), ttl_s, alias));
        for record in known {
            reply.push(record);
        }
    }

    /// The addresses of `host` if it is a name in a zone of ours.
    fn known_of(&self, host: &Name, kind: RecordType) -> Vec<Record> {
        let is_ours = |domain: &Domain| domain.labels_before(host).is_some();
        if self.aliases >= ALIASES_MAX || !self.settings.domains.iter().any(is_ours) {
            return Vec::new();
        }
        let further = Zone {
            aliases: self.aliases + 1,
            ..*self
        };
        let mut known = further.look_up(host, kind).answers;
        known.retain(|record| {
            let kind = record.record_type();
            matches!(kind, RecordType::A | RecordType::AAAA | RecordType::CNAME)
        });
        known
    }

    /// The zone's SOA record.
    fn soa(&self, zone: &Name) -> Option<Record> {
        let times = &self.settings.soa;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since_1970.map_or(0, |age| age.as_secs());
        // Serial numbers wrap by design (RFC 1982).
        let serial = u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or(0);
        let data = SOA::new(
            names::below("ns", zone)?,
            names::below("hostmaster", zone)?,
            serial,
            times.refresh_s,
            times.retry_s,
            times.expire_s,
            times.negative_ttl_s,
        );
        Some(Record::from_rdata(
            zone.clone(),
            times.negative_ttl_s,
            RData::SOA(data),
        ))
    }
}

/// What an address in a record is for DNS.
enum Place {
    Ip(IpAddr),
    Host(Name),
}

impl Place {
    /// `None` if the text is neither an IP address nor a host name.
    fn of(address: &str) -> Option<Self> {
        match tidings_types::Address::of(address)? {
            tidings_types::Address::Ip(ip) => Some(Self::Ip(ip)),
            tidings_types::Address::Host(host) => names::of_host(host).map(Self::Host),
        }
    }
}

/// The records of a node's or instance's address under `owner`.
fn records_of(place: &Place, owner: &Name, ttl_s: u32) -> Vec<Record> {
    vec![match place {
        Place::Ip(ip) => address_record(owner.clone(), ttl_s, *ip),
        Place::Host(host) => {
            let alias = RData::CNAME(CNAME(host.clone()));
            Record::from_rdata(owner.clone(), ttl_s, alias)
        }
    }]
}
