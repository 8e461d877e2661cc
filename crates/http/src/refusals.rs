//! What is refused, and in which words.
//!
//! A registry that goes on through a partition cannot promise mutual exclusion: a lock or a
//! compare-and-set that it granted might be granted on the other side too. Such a call gets 501, so
//! that no client takes a hopeful `true` for a lock.

use axum::http::StatusCode;

use crate::failure::Failure;

/// A family of calls that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Needs agreement that a partition makes impossible.
    Coordination,
    /// Access control lists, in the words that Consul's clients look for.
    Acl,
    /// Consul's service mesh and its configuration entries.
    Mesh,
    /// Belongs to a Raft cluster.
    Raft,
    /// Consul's list of gossip keys, which shows the keys themselves.
    Keyring,
    /// Not there yet.
    NotYet,
}

/// The family that `path` belongs to.
pub(crate) fn of(path: &str) -> Option<Refused> {
    FAMILIES
        .iter()
        .find(|(family, _)| {
            let below = path.strip_prefix(family);
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .map(|(_, refused)| *refused)
}

/// The answer to a call of that family.
pub(crate) fn refuse(refused: Refused) -> Failure {
    let text = match refused {
        Refused::Acl => return Failure::new(StatusCode::UNAUTHORIZED, "ACL support disabled"),
        Refused::Coordination => {
            "tidings has no key/value store, sessions, locks, compare-and-set or transactions: it \
             keeps answering on both sides of a network split, so it could not tell truthfully \
             that you alone hold a lock. Use etcd, ZooKeeper or Consul beside it for coordination; \
             service registration, health and discovery are what tidings does."
        }
        Refused::Mesh => {
            "tidings has no service mesh: Connect, intentions, configuration entries, gateways, \
             peerings, namespaces and partitions are not part of it."
        }
        Refused::Raft => {
            "tidings has no leader, no Raft log and no quorum, so there is nothing here to operate \
             or to take a snapshot of; see /v1/tidings/status for the state of this agent."
        }
        Refused::Keyring => {
            "tidings shows no cluster key to anybody, as this endpoint does with Consul's: use \
             `tidings keyring`, or /v1/tidings/keyring, which name keys by their ids."
        }
        Refused::NotYet => "This endpoint is not supported by this version of tidings.",
    };
    Failure::new(StatusCode::NOT_IMPLEMENTED, text)
}

/// Every family, for the table of what is covered.
#[cfg(test)]
pub(crate) fn families() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(family, _)| *family)
}

const FAMILIES: &[(&str, Refused)] = &[
    ("/v1/acl", Refused::Acl),
    ("/v1/agent/connect", Refused::Mesh),
    ("/v1/agent/metrics/stream", Refused::NotYet),
    ("/v1/agent/token", Refused::Acl),
    ("/v1/config", Refused::Mesh),
    ("/v1/connect", Refused::Mesh),
    ("/v1/discovery-chain", Refused::Mesh),
    ("/v1/exported-services", Refused::Mesh),
    ("/v1/internal", Refused::NotYet),
    ("/v1/kv", Refused::Coordination),
    ("/v1/namespace", Refused::Mesh),
    ("/v1/namespaces", Refused::Mesh),
    ("/v1/operator/keyring", Refused::Keyring),
    ("/v1/operator", Refused::Raft),
    ("/v1/partition", Refused::Mesh),
    ("/v1/partitions", Refused::Mesh),
    ("/v1/peering", Refused::Mesh),
    ("/v1/peerings", Refused::Mesh),
    ("/v1/query", Refused::NotYet),
    ("/v1/session", Refused::Coordination),
    ("/v1/snapshot", Refused::Raft),
    ("/v1/txn", Refused::Coordination),
];
