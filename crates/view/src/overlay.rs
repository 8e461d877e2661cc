//! Liveness, laid over records when a query is answered.

use std::{collections::HashMap, sync::Arc, time::Duration};

use foldhash::fast::RandomState;
use tidings_types::{
    CheckStatus, Departure, Instance, Liveness, MemberStatus, NodeId, Roster, RosterEntry,
    Timestamp,
};

use crate::{InstanceView, NodeKey, Service};

/// What a node's liveness means for what is shown of it, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Its instances are served.
    Live,
    /// Its instances are served after the live ones, marked with the age of its last word.
    Stale,
    /// As stale, but only in a service that would be empty without them: what is left of an island
    /// after its end.
    LastResort,
    /// Its instances are not served; the node is listed as critical.
    Down,
    /// It left, or a live node bears its name: nothing of it is shown.
    Gone,
}

/// The membership view, ready to be laid over records.
#[derive(Debug)]
pub struct Overlay {
    me: NodeId,
    roster: Arc<Roster>,
    standings: HashMap<NodeId, Standing, RandomState>,
    unknown: Standing,
    /// Kept, since the writer asks with each instance.
    has_last_resort: bool,
}

/// An agent node that has a record, as far as the overlay needs to know it.
pub(crate) struct Namesake<'a> {
    pub(crate) id: NodeId,
    pub(crate) name: &'a str,
    pub(crate) departure: Option<Departure>,
}

/// One instance of an answer.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The instance.
    pub instance: Arc<InstanceView>,
    /// How long its owner has not been heard, if it is served as stale.
    pub stale_for: Option<Duration>,
    /// Stands in for the node's address while no record of the node is here.
    fallback: Option<String>,
}

impl Listed {
    /// Whether all that is shown of it follows from its records: its owner is live, and where its node is
    /// stands in a record.
    pub const fn is_plain(&self) -> bool {
        self.stale_for.is_none() && self.fallback.is_none()
    }

    /// The node's address: an IP or host name.
    pub fn node_address(&self) -> &str {
        self.fallback
            .as_deref()
            .unwrap_or(&self.instance.node().address)
    }

    /// Where the instance with this record is reached: at its own address, else at its node's.
    pub fn address<'a>(&'a self, record: &'a Instance) -> &'a str {
        let own = &*record.address;
        if own.is_empty() {
            self.node_address()
        } else {
            own
        }
    }

    /// Whether there is any address to hand out, or a socket on the node.
    fn is_reachable(&self) -> bool {
        let by_its_own = || {
            let record = self.instance.record();
            !record.address.is_empty() || !record.socket_path.is_empty()
        };
        !self.node_address().is_empty() || by_its_own()
    }
}

/// The check `serfHealth` that every agent node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerfHealth {
    /// Critical for a node that is down. A stale node passes: its instances must stay usable under
    /// `?passing`, or an island would serve nothing.
    pub status: CheckStatus,
    /// What it says; of a stale node since when it has been silent.
    pub output: String,
}

impl Overlay {
    /// Before the node has published a roster.
    pub(crate) fn empty(me: NodeId) -> Self {
        Self::new(me, Roster::empty(), std::iter::empty())
    }

    pub(crate) fn new<'a>(
        me: NodeId,
        roster: Arc<Roster>,
        nodes: impl Iterator<Item = Namesake<'a>>,
    ) -> Self {
        let members = roster.members.iter();
        let standings = members
            .map(|(&id, member)| (id, standing_of(member)))
            .collect();
        let unknown = standing(roster.unknown);
        let mut overlay = Self {
            me,
            roster,
            standings,
            unknown,
            has_last_resort: false,
        };
        for &node in &overlay.roster.former {
            let standing = overlay.standings.entry(node).or_insert(Standing::Gone);
            if *standing == Standing::Down {
                *standing = Standing::Gone;
            }
        }
        overlay.standings.insert(me, Standing::Live);
        overlay.hide_namesakes(nodes);
        let mut standings = overlay.standings.values();
        overlay.has_last_resort = standings.any(|standing| *standing == Standing::LastResort);
        overlay
    }

    /// Of the nodes that bear one name, hides those that are not live if one is; and whoever said
    /// goodbye for good and is not back.
    fn hide_namesakes<'a>(&mut self, nodes: impl Iterator<Item = Namesake<'a>>) {
        let mut names: HashMap<String, Vec<NodeId>, RandomState> = HashMap::default();
        for node in nodes {
            let standing = self.agent(node.id);
            if node.departure == Some(Departure::Left) && standing == Standing::Down {
                self.standings.insert(node.id, Standing::Gone);
            }
            let name = node.name.to_ascii_lowercase();
            names.entry(name).or_default().push(node.id);
        }
        for bearers in names.values().filter(|bearers| bearers.len() > 1) {
            if bearers.iter().any(|&id| self.agent(id) == Standing::Live) {
                for &id in bearers {
                    if self.agent(id) != Standing::Live {
                        self.standings.insert(id, Standing::Gone);
                    }
                }
            }
        }
    }

    /// The membership view that this was made from.
    pub const fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// How `node` stands. External nodes are always live: they hang on no liveness.
    pub fn standing(&self, node: &NodeKey) -> Standing {
        node.agent().map_or(Standing::Live, |id| self.agent(id))
    }

    fn agent(&self, id: NodeId) -> Standing {
        self.standings.get(&id).copied().unwrap_or(self.unknown)
    }

    /// The instances of `service` that are served at `now`: live ones, then stale ones, each by
    /// node name and id. Health does not matter here.
    pub fn list(&self, service: &Service, now: Timestamp) -> Vec<Listed> {
        let mut listed = Vec::with_capacity(service.instances.len());
        let (mut stale, mut last_resort) = (Vec::new(), Vec::new());
        for instance in service.instances.iter() {
            let (group, is_live) = match self.standing(&instance.node().key) {
                Standing::Live => (&mut listed, true),
                Standing::Stale => (&mut stale, false),
                Standing::LastResort => (&mut last_resort, false),
                Standing::Down | Standing::Gone => continue,
            };
            let entry = Listed {
                instance: Arc::clone(instance),
                stale_for: (!is_live).then(|| self.silent_for(&instance.node().key, now)),
                fallback: self.fallback_address(instance),
            };
            // Without any address there is nothing to hand out, until the node's record is here.
            if entry.is_reachable() {
                group.push(entry);
            }
        }
        listed.append(&mut stale);
        if listed.is_empty() {
            listed.append(&mut last_resort);
        }
        listed
    }

    /// How long `node` has not been heard directly; since this agent's start if never.
    pub fn silent_for(&self, node: &NodeKey, now: Timestamp) -> Duration {
        match node {
            NodeKey::Agent(id) if *id != self.me => now.since(
                self.roster
                    .members
                    .get(id)
                    .map_or(Timestamp::ZERO, |member| member.heard),
            ),
            _ => Duration::ZERO,
        }
    }

    /// The check `serfHealth` of `node` at `now`; `None` for an external node, which has none.
    pub fn serf_health(&self, node: &NodeKey, now: Timestamp) -> Option<SerfHealth> {
        let id = node.agent()?;
        Some(match self.agent(id) {
            Standing::Live => SerfHealth {
                status: CheckStatus::Passing,
                output: "Agent alive and reachable".to_owned(),
            },
            Standing::Stale | Standing::LastResort => SerfHealth {
                status: CheckStatus::Passing,
                output: format!(
                    "stale: owner not heard for {} s",
                    self.silent_for(node, now).as_secs()
                ),
            },
            Standing::Down | Standing::Gone => SerfHealth {
                status: CheckStatus::Critical,
                output: "Agent not live or unreachable".to_owned(),
            },
        })
    }

    /// Whether there is a node whose instances stand in where a service has no others.
    pub(crate) const fn has_last_resort(&self) -> bool {
        self.has_last_resort
    }

    /// The member's IP address, for a node whose record is not here.
    pub(crate) fn member_address(&self, node: &NodeKey) -> Option<String> {
        let member = self.roster.members.get(&node.agent()?)?;
        Some(member.addr.ip().to_string())
    }

    fn fallback_address(&self, instance: &InstanceView) -> Option<String> {
        if instance.node().known {
            None
        } else {
            self.member_address(&instance.node().key)
        }
    }
}

/// What `liveness` means, for a node that has not said goodbye.
const fn standing(liveness: Liveness) -> Standing {
    match liveness {
        Liveness::Live => Standing::Live,
        Liveness::Stale => Standing::Stale,
        Liveness::LastResort => Standing::LastResort,
        Liveness::Hidden => Standing::Down,
    }
}

fn standing_of(member: &RosterEntry) -> Standing {
    match (member.liveness, member.status) {
        (Liveness::Hidden, MemberStatus::Left) => Standing::Gone,
        (liveness, _) => standing(liveness),
    }
}
