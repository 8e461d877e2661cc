//! A2: merging two agents' feeds is commutative, associative and idempotent, and takes nothing away;
//! two agents have equal fingerprints exactly when they hold the same.
//!
//! The laws are tried on live states: what hosts hold at this moment of the run is copied, and the
//! copies are merged in each order. The run itself is not touched. States that differ are tried in each
//! second; of equal ones, which have nothing to give each other, what is new is built anew.

use std::collections::BTreeMap;

use tidings_registry::Registry;
use tidings_types::{ClusterId, NodeId, Timestamp, Transfer};

use super::{Checks, Violation};
use crate::{host::Host, scenario::Cluster};

/// States that are merged with each other.
const STATES: usize = 3;
/// Every so many seconds equal states are looked at.
const EQUAL: usize = 5;

/// What was judged before.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// The fingerprints at each host's last turn.
    turns: BTreeMap<usize, [u128; STATES]>,
    /// Each feed's item when it was built anew last.
    rebuilt: BTreeMap<(Cluster, NodeId), u128>,
}

impl Checks {
    /// The laws on the states of a few hosts, others each time; hosts of which nothing has changed
    /// since their last turn are left out.
    pub(crate) fn merging_is_lawful(
        &mut self,
        now: Timestamp,
        second: usize,
        hosts: &[Host],
        id_of: impl Fn(Cluster) -> ClusterId,
    ) -> Result<(), Violation> {
        let is_for_equal = second.is_multiple_of(EQUAL);
        let turn = if is_for_equal { second / EQUAL } else { second };
        let Some((host, cluster, states)) = self.pick(turn, hosts) else {
            return Ok(());
        };
        let fingerprints = states.map(Registry::fingerprint);
        let are_equal = fingerprints.iter().all(|other| *other == fingerprints[0]);
        let is_judged = self.laws.turns.get(&host) == Some(&fingerprints);
        if is_judged || are_equal && !is_for_equal {
            return Ok(());
        }
        self.laws.turns.insert(host, fingerprints);
        let rebuilt = &mut self.laws.rebuilt;
        let is_new = |owner, item| rebuilt.insert((cluster, owner), item) != Some(item);
        let mut judged = fits_its_content(states, id_of(cluster), is_new);
        if !are_equal {
            judged = judged.and_then(|()| merge_lawfully(states));
        }
        judged.map_err(|text| Violation {
            invariant: "A2",
            at: now,
            host: Some(host),
            text,
        })
    }

    /// The host whose turn it is, and the states of it and those after it in its cluster: honest,
    /// whole, and with nothing that waits to be joined. None once somebody has settled for what was left
    /// of a damaged feed: the laws hold again when its replicas have met.
    fn pick<'a>(
        &self,
        turn: usize,
        hosts: &'a [Host],
    ) -> Option<(usize, Cluster, [&'a Registry; STATES])> {
        if !self.liars.is_empty() || !self.damage_accepted.is_empty() {
            return None;
        }
        let first = turn % hosts.len();
        let cluster = hosts[first].cluster;
        let states: Vec<&Registry> = hosts[first..]
            .iter()
            .chain(&hosts[..first])
            .filter(|state| state.cluster == cluster)
            .filter_map(|state| Some(state.node.as_ref()?.registry()))
            .filter(|state| state.damaged().next().is_none() && state.ahead().0 == 0)
            .take(STATES)
            .collect();
        Some((first, cluster, states.try_into().ok()?))
    }
}

/// The first state's fingerprint is that of its items, and they are those of its feeds, as far as they
/// are new.
fn fits_its_content(
    [a, b, _]: [&Registry; STATES],
    cluster: ClusterId,
    mut is_new: impl FnMut(NodeId, u128) -> bool,
) -> Result<(), String> {
    equal_means_same(a, b)?;
    let items = a.items().map(|(_, item)| item);
    if items.fold(0, u128::wrapping_add) != a.fingerprint() {
        return Err("its fingerprint is not the sum of its items".to_owned());
    }
    for (owner, item) in a.items().filter(|&(owner, item)| is_new(owner, item)) {
        if rebuilt(a, owner, cluster) != Some(item) {
            return Err(format!("the item of {owner:?} is not that of its feed"));
        }
    }
    Ok(())
}

fn merge_lawfully([a, b, c]: [&Registry; STATES]) -> Result<(), String> {
    // A state that its own node would refuse, as after a rollback, is none to merge.
    let (Some(ab), Some(ba), Some(bc)) = (merged(a, b), merged(b, a), merged(b, c)) else {
        return Ok(());
    };
    same(&ab, &ba).map_err(|what| format!("merging is not commutative: {what}"))?;
    if let (Some(left), Some(right)) = (merged(&ab, c), merged(a, &bc)) {
        same(&left, &right).map_err(|what| format!("merging is not associative: {what}"))?;
    }
    for (into, from, by_deltas) in [(a, b, &ab), (b, a, &ba)] {
        if let Some(by_snapshots) = with_all_of(into, from) {
            same(by_deltas, &by_snapshots)
                .map_err(|what| format!("a snapshot does not give what a delta gives: {what}"))?;
        }
    }
    for part in [a, b] {
        takes_nothing_away(&ab, part)?;
        if let Some(again) = with_all_of(&ab, part) {
            same(&ab, &again).map_err(|what| format!("merging is not idempotent: {what}"))?;
        }
    }
    Ok(())
}

/// Equal fingerprints and equal content go together.
fn equal_means_same(a: &Registry, b: &Registry) -> Result<(), String> {
    let is_same = holds_the_same(a, b);
    if is_same == (a.fingerprint() == b.fingerprint()) {
        return Ok(());
    }
    Err(if is_same {
        "it holds the same as the next host, under another fingerprint".to_owned()
    } else {
        "its fingerprint is that of the next host, and it holds something else".to_owned()
    })
}

/// Whether two merged states are one: by fingerprint, by content, and in what they answer.
fn same(a: &Registry, b: &Registry) -> Result<(), String> {
    if a.fingerprint() != b.fingerprint() || !holds_the_same(a, b) {
        return Err(format!(
            "the results differ in {:?}",
            first_difference(a, b)
        ));
    }
    let differs = a.keys().find(|key| a.in_force(key) != b.in_force(key));
    match differs {
        Some(key) => Err(format!("the results answer differently for {key:?}")),
        None => Ok(()),
    }
}

/// What was merged covers each part.
fn takes_nothing_away(whole: &Registry, part: &Registry) -> Result<(), String> {
    let lost = part
        .owners()
        .find(|&owner| !whole.lineage(owner).covers(&part.lineage(owner)));
    match lost {
        Some(owner) => Err(format!("merging went back in the feed of {owner:?}")),
        None => Ok(()),
    }
}

fn holds_the_same(a: &Registry, b: &Registry) -> bool {
    first_difference(a, b).is_none()
}

/// The first feed that is not the same on both sides.
fn first_difference(a: &Registry, b: &Registry) -> Option<NodeId> {
    // Without the sum, which is judged against the content.
    let position = |registry: &Registry, owner| {
        let state = registry.state(owner)?;
        Some((state.lineage, state.watermark, state.needs))
    };
    a.owners().chain(b.owners()).find(|&owner| {
        position(a, owner) != position(b, owner) || !a.changes(owner).eq(b.changes(owner))
    })
}

/// `into` with what it lacks of `from`; `None` if it would refuse that.
fn merged(into: &Registry, from: &Registry) -> Option<Registry> {
    let mut merged = into.clone();
    for owner in from.owners() {
        if let Some(transfer) = from.transfer(owner, &merged.held(owner)) {
            merged.apply(transfer).ok()?;
        }
    }
    Some(merged)
}

/// `into` with every feed of `from` once more.
fn with_all_of(into: &Registry, from: &Registry) -> Option<Registry> {
    let mut merged = into.clone();
    for owner in from.owners() {
        merged
            .apply(Transfer::Snapshot(from.snapshot(owner)?))
            .ok()?;
    }
    Some(merged)
}

/// The item of one of its feeds in a registry that has never held anything else; `None` if it would
/// refuse the feed.
fn rebuilt(state: &Registry, owner: NodeId, cluster: ClusterId) -> Option<u128> {
    let mut fresh = Registry::new(state.me(), cluster);
    let feed = state.snapshot(owner)?;
    fresh.apply(Transfer::Snapshot(feed)).ok()?;
    fresh.item(owner)
}

#[cfg(test)]
mod tests {
    use tidings_registry::Writer;
    use tidings_types::{Body, CheckStatus, Epoch, Key, ServiceId};

    use super::*;
    use crate::workload::{check, check_id};

    const CLUSTER: ClusterId = ClusterId::from_bytes([1; 16]);
    const OTHER: ClusterId = ClusterId::from_bytes([2; 16]);

    /// A node's registry that holds what it wrote itself.
    fn registry(node: u8, cluster: ClusterId, ids: &[&str]) -> Registry {
        let me = NodeId::from_bytes([node; 16]);
        let mut registry = Registry::new(me, cluster);
        let mut writer = Writer::new(me, Epoch::from_bits(1));
        for id in ids {
            let service = ServiceId::new(*id).unwrap();
            let key = Key::Check(me, check_id(&service));
            let body = Body::Check(check(&service, CheckStatus::Passing));
            writer.register(&registry, key, body).unwrap();
        }
        if let Some(batch) = writer.take_batch(&registry) {
            writer.commit(&mut registry, batch);
        }
        registry
    }

    #[test]
    fn sound_states_pass_and_each_law_can_fail() {
        let (a, b) = (registry(1, CLUSTER, &["a"]), registry(2, CLUSTER, &["b"]));
        let c = registry(3, CLUSTER, &["c", "d"]);
        assert_eq!(fits_its_content([&a, &b, &c], CLUSTER, |_, _| true), Ok(()));
        assert_eq!(merge_lawfully([&a, &b, &c]), Ok(()));
        let ab = merged(&a, &b).unwrap();
        assert!(same(&ab, &a).is_err());
        assert!(takes_nothing_away(&a, &ab).is_err());
        assert!(takes_nothing_away(&ab, &a).is_ok());
        // The same content has another fingerprint in another cluster.
        let elsewhere = registry(1, OTHER, &["a"]);
        assert!(equal_means_same(&a, &elsewhere).is_err());
        assert!(fits_its_content([&a, &b, &c], OTHER, |_, _| true).is_err());
    }
}
