//! E7: two clusters on one network see nothing of each other.

use tidings_types::{NodeId, Roster, Timestamp};

use super::{Checks, Violation};
use crate::scenario::Cluster;

impl Checks {
    /// A node begins to run as a member of a cluster.
    pub(crate) fn joined(&mut self, node: NodeId, cluster: Cluster) {
        self.clusters.insert(node, cluster);
    }

    /// Whose member a node is.
    pub(super) fn cluster_of(&self, node: NodeId) -> Cluster {
        self.clusters.get(&node).copied().unwrap_or_default()
    }

    /// A node shows its readers who its members are.
    pub(crate) fn roster(
        &self,
        now: Timestamp,
        (host, me): (usize, NodeId),
        roster: &Roster,
    ) -> Result<(), Violation> {
        if !self
            .clusters
            .values()
            .any(|cluster| *cluster != Cluster::First)
        {
            return Ok(());
        }
        let own = self.cluster_of(me);
        let foreign = roster
            .members
            .keys()
            .find(|&&member| self.cluster_of(member) != own);
        match foreign {
            None => Ok(()),
            Some(member) => Err(Violation {
                invariant: "E7",
                at: now,
                host: Some(host),
                text: format!("{member:?} of another cluster is in its roster"),
            }),
        }
    }
}
