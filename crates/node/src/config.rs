//! A node's settings.

use std::{collections::BTreeMap, time::Duration};

use tidings_registry::Keeps;
use tidings_types::NodeName;

/// A node's settings. The defaults suit a local network.
#[derive(Clone, Debug)]
pub struct Config {
    /// What people call the node.
    pub name: NodeName,
    /// The datacenter that it answers for.
    pub datacenter: String,
    /// The address under which its instances are found when they state none.
    pub address: String,
    /// The agent's version, for people.
    pub build: String,
    /// Key/value metadata of the node.
    pub meta: BTreeMap<String, String>,
    /// How members find and watch each other.
    pub membership: tidings_membership::Config,
    /// How long two fingerprints may differ before the difference is repaired over a session.
    /// News in flight explains a short one: a smaller value repairs what gossip would have brought.
    pub repair_after: Duration,
    /// How long records of a node that is not in the roster are served as stale after a start, and
    /// those of a node that said it would be back.
    pub stale_for: Duration,
    /// How often replicas are saved.
    pub save_every: Duration,
    /// How often the member list of a random peer is pulled: gossip alone leaves holes.
    pub members_every: Duration,
    /// How long a goodbye may take.
    pub depart_within: Duration,
    /// How long an island's expectation stays unchanged after the last loss; then its excess over
    /// the reachable members halves in each such span.
    pub island_half_life: Duration,
    /// What the own feed holds of its past.
    pub keeps: Keeps,
    /// Guards of the registry that a test takes away.
    #[cfg(feature = "mutants")]
    pub mutants: tidings_registry::Mutants,
    /// A test's: after a restart, dots are given out from the beginning of the last epoch again.
    #[cfg(feature = "mutants")]
    pub reuses_dots: bool,
}

impl Config {
    /// What a start that reuses dots makes of what the disk had: its epoch is the last one.
    #[cfg(feature = "mutants")]
    pub(crate) fn spoil(&self, mut boot: crate::Boot) -> crate::Boot {
        let own = boot.own.as_ref().map(|snapshot| &snapshot.state.lineage);
        let last = own.and_then(|lineage| lineage.heads().last());
        if let Some((epoch, _)) = last.filter(|_| self.reuses_dots) {
            boot.epoch = epoch;
        }
        boot
    }

    /// The defaults for a node of that name at `address`.
    pub fn new(name: NodeName, address: String) -> Self {
        Self {
            name,
            datacenter: "dc1".to_owned(),
            address,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            meta: BTreeMap::new(),
            membership: tidings_membership::Config::default(),
            repair_after: Duration::from_secs(1),
            stale_for: Duration::from_secs(30),
            save_every: Duration::from_secs(1),
            members_every: Duration::from_secs(30),
            depart_within: Duration::from_millis(400),
            island_half_life: Duration::from_secs(3_600),
            keeps: Keeps::default(),
            #[cfg(feature = "mutants")]
            mutants: tidings_registry::Mutants::default(),
            #[cfg(feature = "mutants")]
            reuses_dots: false,
        }
    }
}
