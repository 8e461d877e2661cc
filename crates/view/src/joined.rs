//! What a query reads: services, instances, nodes and checks, joined and immutable.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use tidings_types::{
    Body, BodyKind, Check, CheckId, CheckKind, CheckStatus, Content, Departure, Dot, Epoch,
    ExternalNode, Instance, Key, Node, NodeId, NodeName, Place, ServiceId, ServiceName, Text,
    TextMap, Texts,
};

use crate::{consul, memo::Memo};

/// Which node a record stands on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKey {
    /// A node with an agent: its records are its own and hang on its liveness.
    Agent(NodeId),
    /// A node without an agent: anybody writes its records, and they hang on no liveness.
    External(NodeName),
}

impl NodeKey {
    /// The node that `key` stands on.
    pub fn of(key: &Key) -> Self {
        match key {
            Key::Node(id)
            | Key::Instance(id, _)
            | Key::Check(id, _)
            | Key::Event(id, _)
            | Key::Tags(id, _) => Self::Agent(*id),
            Key::ExternalNode(name)
            | Key::ExternalInstance(name, _)
            | Key::ExternalCheck(name, _) => Self::External(name.clone()),
        }
    }

    /// The agent's id; `None` for an external node.
    pub const fn agent(&self) -> Option<NodeId> {
        match self {
            Self::Agent(id) => Some(*id),
            Self::External(_) => None,
        }
    }
}

/// Every instance of one service, whatever its health and its owner's liveness.
///
/// Another one whenever an answer about it changes, by records or by liveness; but not when a check says
/// something without changing its status, see [`Service::times_said`].
#[derive(Clone, Debug)]
pub struct Service {
    /// The name as its first instance spells it.
    pub name: ServiceName,
    /// By node name, then instance id, then node.
    pub instances: Arc<[Arc<InstanceView>]>,
    /// When an answer about this service last changed, by this agent's counter.
    pub index: u64,
}

impl Service {
    /// How often the checks of its instances and of their nodes have said something without changing
    /// their status. Never falls while this is the service's view.
    pub fn times_said(&self) -> u64 {
        let instances = self.instances.iter();
        let checks = instances.flat_map(|instance| {
            let own = instance.checks().iter();
            own.chain(instance.node_checks())
        });
        checks.map(|check| check.times_said()).sum()
    }
}

/// One instance with its node and its checks.
///
/// An agent holds the instances of everybody, so each byte that all of them have counts.
#[derive(Clone, Debug)]
pub struct InstanceView {
    /// Its id on its node.
    pub id: ServiceId,
    pub(crate) record: InstanceRecord,
    pub(crate) on_node: Arc<OnNode>,
    pub(crate) rest: Option<Box<Rest>>,
    written: Place,
    create_index: u64,
    modify_index: u64,
    /// What was made of it; see [`InstanceView::memo`].
    pub(crate) memo: Memo,
}

/// What few instances have.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    /// Its own checks that are here.
    checks: Box<[Arc<CheckView>]>,
    /// Those that are not.
    awaited: Box<[CheckId]>,
    /// Those that it names and over which somebody put a tombstone.
    withdrawn: Box<[CheckId]>,
    /// Who wrote the record of an instance on an external node.
    writer: Option<NodeId>,
    /// How many beaten writes its writer had not seen.
    conflicts: usize,
}

/// The checks of one instance, as it is joined with them.
#[derive(Debug, Default)]
pub(crate) struct OwnChecks {
    pub(crate) here: Vec<Arc<CheckView>>,
    pub(crate) awaited: Vec<CheckId>,
    pub(crate) withdrawn: Vec<CheckId>,
}

impl OwnChecks {
    const fn is_empty(&self) -> bool {
        self.here.is_empty() && self.awaited.is_empty() && self.withdrawn.is_empty()
    }
}

/// What the instances of one node share.
#[derive(Debug)]
pub(crate) struct OnNode {
    /// The node itself.
    pub(crate) facts: Arc<NodeFacts>,
    /// The checks of the whole node, by id.
    pub(crate) checks: Box<[Arc<CheckView>]>,
    /// What was made of the node; see [`InstanceView::node_memo`].
    pub(crate) memo: Memo,
}

impl OnNode {
    pub(crate) fn new(facts: Arc<NodeFacts>, checks: Box<[Arc<CheckView>]>) -> Self {
        Self {
            facts,
            checks,
            memo: Memo::default(),
        }
    }
}

impl InstanceView {
    /// An instance with its own checks.
    pub(crate) fn new(
        id: ServiceId,
        record: InstanceRecord,
        on_node: Arc<OnNode>,
        origin: Origin,
        checks: OwnChecks,
    ) -> Self {
        let dot = origin.written;
        let is_owners = on_node.facts.key == NodeKey::Agent(dot.node);
        let writer = origin.dot().map(|dot| dot.node).filter(|_| !is_owners);
        let conflicts = origin.conflicts;
        let has_rest = !checks.is_empty() || writer.is_some() || conflicts > 0;
        let rest = has_rest.then(|| Rest {
            checks: checks.here.into(),
            awaited: checks.awaited.into(),
            withdrawn: checks.withdrawn.into(),
            writer,
            conflicts,
        });
        Self {
            id,
            record,
            on_node,
            rest: rest.map(Box::new),
            written: dot.into(),
            create_index: origin.create_index,
            modify_index: origin.modify_index,
            memo: Memo::default(),
        }
    }

    /// The node on which it stands.
    pub fn node(&self) -> &Arc<NodeFacts> {
        &self.on_node.facts
    }

    /// What its record says. Decodes it: who needs more than one field keeps it.
    pub fn record(&self) -> Instance {
        self.record.read()
    }

    /// The name of its service, as it spells it. Decodes that alone.
    pub fn service(&self) -> &str {
        self.record.service()
    }

    /// Its tags. Decodes no more than its service and them.
    pub fn tags(&self) -> Texts {
        self.record.tags()
    }

    /// Whether it names a check that is not here, withdrawn or not.
    pub(crate) fn names_missing(&self, check: &CheckId) -> bool {
        let rest = self.rest.as_ref();
        rest.is_some_and(|rest| rest.awaited.contains(check) || rest.withdrawn.contains(check))
    }

    /// The write in force, and this agent's numbers for it.
    pub fn origin(&self) -> Origin {
        let rest = self.rest.as_ref();
        let writer = rest
            .and_then(|rest| rest.writer)
            .or_else(|| self.node().key.agent());
        Origin {
            written: self.written.of(writer.unwrap_or(NOTHING_WRITTEN.node)),
            conflicts: self.conflicts(),
            create_index: self.create_index,
            modify_index: self.modify_index,
        }
    }

    /// How many beaten writes its writer had not seen.
    pub fn conflicts(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| rest.conflicts)
    }

    /// Its own checks that are here: those that it names, in its order, then others that speak for
    /// it.
    pub fn checks(&self) -> &[Arc<CheckView>] {
        let rest = self.rest.as_ref();
        rest.map_or(&[], |rest| &rest.checks)
    }

    /// The checks that it names and of which no record is here. They count as critical.
    pub fn awaited(&self) -> &[CheckId] {
        let rest = self.rest.as_ref();
        rest.map_or(&[], |rest| &rest.awaited)
    }

    /// Whether any check stands for it alone, be it here or awaited.
    pub(crate) fn has_own_checks(&self) -> bool {
        !self.checks().is_empty() || !self.awaited().is_empty()
    }

    /// The checks of its whole node, by id. `serfHealth` is not among them: see
    /// [`Overlay::serf_health`](crate::Overlay::serf_health).
    pub fn node_checks(&self) -> &[Arc<CheckView>] {
        &self.on_node.checks
    }

    /// What stands for the checks that are [`awaited`](Self::awaited). Made when somebody looks:
    /// they are rarely there, and a node could name more of them than anybody has room for.
    pub fn missing_checks(&self) -> impl Iterator<Item = CheckView> {
        let awaited = self.awaited().iter();
        awaited.map(|check| CheckView::missing(check.clone(), &self.id))
    }

    /// The worst status among its own checks and its node's; passing if there are none.
    pub fn status(&self) -> CheckStatus {
        if !self.awaited().is_empty() {
            return CheckStatus::Critical;
        }
        self.checks()
            .iter()
            .chain(self.node_checks())
            .map(|check| check.status)
            .max()
            .unwrap_or(CheckStatus::Passing)
    }
}

/// Where a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The write in force; a dot of no change if there is none.
    written: Dot,
    /// How many beaten writes its writer had not seen.
    pub conflicts: usize,
    /// When this agent first showed the record, by its own counter.
    pub create_index: u64,
    /// When this agent last saw its content change, by its own counter.
    pub modify_index: u64,
}

/// Before the first change of a run: there is none.
const NOTHING_WRITTEN: Dot = Dot {
    epoch: Epoch::ZERO,
    seq: 0,
    node: NodeId::from_bytes([0; 16]),
};

impl Origin {
    /// Of a record that is first shown under `index`.
    pub(crate) fn new(dot: Option<Dot>, conflicts: usize, index: u64) -> Self {
        Self {
            written: dot.unwrap_or(NOTHING_WRITTEN),
            conflicts,
            create_index: index,
            modify_index: index,
        }
    }

    /// The write in force.
    pub fn dot(&self) -> Option<Dot> {
        (self.written.seq > 0).then_some(self.written)
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self::new(None, 0, 0)
    }
}

/// What is known of a node itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Which node.
    pub key: NodeKey,
    /// An agent's id as a UUID; for an external node what it was registered with, perhaps nothing.
    pub id: Text,
    /// Its name; the id in hexadecimal while no record of the node is here.
    pub name: NodeName,
    /// An IP or host name; empty while no record of the node is here.
    pub address: Text,
    /// Its datacenter.
    pub datacenter: Text,
    /// Further addresses, by tag.
    pub tagged_addresses: TextMap,
    /// Key/value metadata.
    pub meta: TextMap,
    /// Where its agent takes gossip.
    pub gossip: Option<SocketAddr>,
    /// Its agent's version.
    pub build: Text,
    /// Whether and how its agent said goodbye.
    pub departure: Option<Departure>,
    /// Whether a record of the node itself is in force.
    pub known: bool,
    /// The write in force, and this agent's numbers for it.
    pub origin: Origin,
}

impl NodeFacts {
    /// A node of which only records that stand on it are here.
    pub(crate) fn unknown(key: NodeKey, datacenter: &str) -> Self {
        let (id, name) = match &key {
            NodeKey::Agent(id) => (id.to_uuid(), nameless(*id)),
            NodeKey::External(name) => (String::new(), name.clone()),
        };
        Self {
            key,
            id: id.into(),
            name,
            address: Text::new(),
            datacenter: datacenter.into(),
            tagged_addresses: TextMap::new(),
            meta: TextMap::new(),
            gossip: None,
            build: Text::new(),
            departure: None,
            known: false,
            origin: Origin::default(),
        }
    }

    pub(crate) fn of_agent(id: NodeId, record: &Node, origin: Origin) -> Self {
        Self {
            key: NodeKey::Agent(id),
            id: id.to_uuid().into(),
            name: record.name.clone(),
            address: record.address.clone(),
            datacenter: record.datacenter.clone(),
            tagged_addresses: tagged(&record.address),
            meta: consul::meta_of(&record.meta),
            gossip: Some(record.gossip),
            build: record.build.clone(),
            departure: record.departure,
            known: true,
            origin,
        }
    }

    pub(crate) fn of_external(
        name: &NodeName,
        record: &ExternalNode,
        datacenter: &str,
        origin: Origin,
    ) -> Self {
        Self {
            id: record.id.clone(),
            address: record.address.clone(),
            tagged_addresses: record.tagged_addresses.clone(),
            meta: record.meta.clone(),
            known: true,
            origin,
            ..Self::unknown(NodeKey::External(name.clone()), datacenter)
        }
    }

    /// Whether both say the same, wherever it came from.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let other = Self {
            origin: self.origin,
            ..other.clone()
        };
        *self == other
    }
}

/// What stands for the name of an agent of which only its id is known.
pub(crate) fn nameless(agent: NodeId) -> NodeName {
    NodeName::new(agent.to_string()).expect("32 hexadecimal digits are a name")
}

/// The tagged addresses that Consul's agents publish for themselves.
fn tagged(address: &str) -> TextMap {
    let tags: &[&str] = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => &["lan", "lan_ipv4", "wan", "wan_ipv4"],
        Ok(IpAddr::V6(_)) => &["lan", "lan_ipv6", "wan", "wan_ipv6"],
        Err(_) => &["lan", "wan"],
    };
    tags.iter().map(|tag| (*tag, address)).collect()
}

/// What stands for the output of a check that is not here.
pub const AWAITED: &str =
    "this check's record has not reached this agent yet; it counts as critical until then";

/// One check.
#[derive(Debug)]
pub struct CheckView {
    /// Its id on its node.
    pub id: CheckId,
    /// The instance for which it speaks; `None` for the whole node.
    pub service: Option<ServiceId>,
    /// What it found.
    pub status: CheckStatus,
    pub(crate) record: Content,
    /// Whether an instance names it and no record of it is here: counts as critical.
    pub missing: bool,
    /// The write in force, and this agent's numbers for it.
    pub origin: Origin,
    /// What the check said since its status last changed; this agent's own checks only.
    said: ArcSwapOption<String>,
    /// How often it was said.
    times_said: AtomicU64,
}

impl CheckView {
    /// A check with its record; `None` if the record is of another kind.
    pub(crate) fn new(id: CheckId, record: Content, origin: Origin) -> Option<Self> {
        let check = record.check()?;
        Some(Self {
            id,
            service: check.service,
            status: check.status,
            record,
            missing: false,
            origin,
            said: ArcSwapOption::empty(),
            times_said: AtomicU64::new(0),
        })
    }

    /// What stands for a check that `service` names and that is not here.
    pub(crate) fn missing(id: CheckId, service: &ServiceId) -> Self {
        let check = Check {
            service: Some(service.clone()),
            output: AWAITED.into(),
            ..Check::new(id.to_string(), CheckKind::Manual { label: Text::new() })
        };
        let record = Content::of(&Body::Check(check));
        let view = Self::new(id, record, Origin::default());
        Self {
            missing: true,
            ..view.expect("it was made of a check")
        }
    }

    /// What its record says. Decodes it: who needs more than one field keeps it.
    ///
    /// # Panics
    /// Never: that it is a check was seen when this was made.
    pub fn record(&self) -> Check {
        self.record.check().expect("it was made of a check")
    }

    /// What the check said last, as far as this agent knows.
    pub fn output(&self) -> Arc<str> {
        self.said.load().as_ref().map_or_else(
            || Arc::from(&*self.record().output),
            |said| Arc::from(said.as_str()),
        )
    }

    /// How often it has said something since its status changed.
    pub(crate) fn times_said(&self) -> u64 {
        self.times_said.load(Ordering::Acquire)
    }

    pub(crate) fn says(&self, output: String) {
        self.said.store(Some(Arc::new(output)));
        // Afterwards: whoever counts first and then reads takes nothing old for new.
        self.times_said.fetch_add(1, Ordering::Release);
    }

    /// Takes over what `before` said, if the status has not changed since.
    pub(crate) fn keep_output_of(&self, before: &Self) {
        let same_word = || self.record().output == before.record().output;
        if self.status == before.status && same_word() {
            self.said.store(before.said.load_full());
        }
    }
}

/// A record that is an instance, shared with the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstanceRecord(Content);

impl InstanceRecord {
    /// Takes `content` if it is an instance.
    pub(crate) fn new(content: Content) -> Option<Self> {
        (content.kind() == BodyKind::Instance).then_some(Self(content))
    }

    pub(crate) fn read(&self) -> Instance {
        self.0
            .instance()
            .expect("the kind was seen when this was made")
    }

    pub(crate) fn service(&self) -> &str {
        self.0
            .service()
            .expect("the kind was seen when this was made")
    }

    pub(crate) fn tags(&self) -> Texts {
        let tags = self.0.instance_tags();
        tags.expect("the kind was seen when this was made")
    }

    pub(crate) fn of(instance: &Instance) -> Self {
        Self(Content::of(&Body::Instance(instance.clone())))
    }
}
