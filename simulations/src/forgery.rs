//! What a dishonest driver makes of true frames, and what it makes up.
//!
//! A forgery is well-formed: what a peer can see at a glance to be none of ours is the matter of
//! the parsers and not of the cluster.

use std::collections::BTreeMap;

use tidings_registry::Registry;
use tidings_types::{
    Body, BodyKind, Change, ClusterId, Content, Delta, Dot, Entry, Epoch, FeedState, Key, Lineage,
    NodeId, Place, ServiceId, Slot, Snapshot, Version,
};
use tidings_wire::{Datagram, FeedPart, Response, datagram};

/// Seqs that a liar claims beyond the true head.
const BEYOND: u64 = 7;
/// What a forged port differs in.
const FORGED_BITS: u16 = 0x4000;

/// The position with a few more changes in its last run.
pub(crate) fn beyond(lineage: &Lineage) -> Lineage {
    let mut claimed = lineage.clone();
    if let Some(epoch) = lineage.last_epoch() {
        claimed.advance(epoch, lineage.head(epoch) + BEYOND);
    }
    claimed
}

/// The datagram, with another fingerprint and with positions that are too high.
pub(crate) fn false_datagram(payload: &[u8]) -> Option<Vec<u8>> {
    let mut datagram = Datagram::decode(payload).ok()?;
    datagram.fingerprint = !datagram.fingerprint;
    if let datagram::Body::Have { lineage, .. } = &mut datagram.body {
        *lineage = beyond(lineage);
    }
    datagram.encode().ok()
}

/// The answer, with items that are not the feeds' and with positions that are too high.
pub(crate) fn false_answer(frame: &[u8]) -> Option<Vec<u8>> {
    let mut response = Response::decode(frame).ok()?;
    match &mut response {
        Response::Heads(heads) => heads.iter_mut().for_each(|head| head.item = !head.item),
        Response::Positions(positions) => {
            for (_, lineage) in positions {
                *lineage = beyond(lineage);
            }
        }
        _ => return None,
    }
    response.encode().ok()
}

/// The answer, with other content in the feeds of others; `truth` is the liar's own registry.
pub(crate) fn altered_answer(
    truth: &Registry,
    cluster: ClusterId,
    frame: &[u8],
) -> Option<Vec<u8>> {
    let mut response = Response::decode(frame).ok()?;
    match &mut response {
        Response::Heads(heads) => {
            for head in heads.iter_mut().filter(|head| head.owner != truth.me()) {
                let altered = truth.snapshot(head.owner).map(|feed| alter(cluster, feed));
                head.item = altered.map_or(head.item, |(_, item)| item);
            }
        }
        Response::Feed(part) if part.state.owner != truth.me() => alter_part(truth, cluster, part)?,
        _ => return None,
    }
    response.encode().ok()
}

/// Alters a feed that fits one frame. Its sum is that of what it has become, or it would be found
/// out before it is taken.
fn alter_part(truth: &Registry, cluster: ClusterId, part: &mut FeedPart) -> Option<()> {
    let feed = truth.snapshot(part.state.owner)?;
    if !part.last || feed.state.lineage != part.state.lineage {
        return None;
    }
    let (altered, _) = alter(cluster, feed);
    part.state.sum = altered.state.sum;
    part.changes.iter_mut().for_each(alter_change);
    Some(())
}

/// A rumor of a feed at its true position that says it has another content.
pub(crate) fn other_content(cluster: ClusterId, feed: Snapshot) -> Delta {
    let (altered, _) = alter(cluster, feed);
    Delta {
        from: Lineage::empty(),
        state: altered.state,
        changes: Vec::new(),
    }
}

/// The feed with other records at the same position, and its item.
fn alter(cluster: ClusterId, mut feed: Snapshot) -> (Snapshot, u128) {
    let owner = feed.state.owner;
    feed.changes.iter_mut().for_each(alter_change);
    // Restored as if from a disk, a feed whose sum does not match is summed up anew.
    let mut forged = Registry::new(NodeId::from_bytes([0; 16]), cluster);
    if forged.restore(feed.clone(), false).is_ok()
        && let Some(state) = forged.state(owner)
    {
        feed.state.sum = state.sum;
    }
    let item = forged.item(owner).unwrap_or_default();
    (feed, item)
}

fn alter_change(change: &mut Change) {
    if let Slot::Entry(Entry {
        body: Some(body), ..
    }) = &mut change.slot
        && let Some(mut instance) = body.instance()
    {
        instance.port ^= FORGED_BITS;
        *body = Body::Instance(instance).into();
    }
}

/// The liar's own next change: an instance that belongs to another node.
pub(crate) fn stolen(own: FeedState, of: &Snapshot) -> Option<Delta> {
    let instance = instance_in(of)?;
    let key = Key::Instance(of.state.owner, ServiceId::new("stolen").ok()?);
    let from = own.lineage.clone();
    next(own, from, vec![(key, instance)])
}

/// The next changes of another node's feed, which that node never made: a new instance, and a new
/// port for one that is there.
pub(crate) fn invented(of: &Snapshot) -> Option<Delta> {
    let owner = of.state.owner;
    let instance = instance_in(of)?;
    let there = of
        .changes
        .iter()
        .find(|change| instance_of(change).is_some())?;
    let invented = Key::Instance(owner, ServiceId::new("invented").ok()?);
    let from = of.state.lineage.clone();
    let entries = vec![(invented, instance.clone()), (there.key.clone(), instance)];
    next(of.state.clone(), from, entries)
}

fn next(mut state: FeedState, from: Lineage, entries: Vec<(Key, Content)>) -> Option<Delta> {
    let epoch = from.last_epoch()?;
    let mut seq = from.head(epoch);
    let owner = state.owner;
    let changes = entries.into_iter().map(|(key, body)| {
        seq += 1;
        let dot = Dot {
            epoch,
            seq,
            node: owner,
        };
        Change {
            place: Place { epoch, seq },
            key,
            slot: Slot::Entry(Entry {
                version: Version::Owner(dot.into()),
                body: Some(body),
            }),
        }
    });
    let changes: Vec<Change> = changes.collect();
    state.lineage.advance(epoch, seq);
    state.sum = !state.sum;
    Some(Delta {
        from,
        state,
        changes,
    })
}

/// A forged copy of the first instance in a feed.
fn instance_in(feed: &Snapshot) -> Option<Content> {
    let mut change = feed
        .changes
        .iter()
        .find(|change| instance_of(change).is_some())?
        .clone();
    alter_change(&mut change);
    instance_of(&change).cloned()
}

fn instance_of(change: &Change) -> Option<&Content> {
    match &change.slot {
        Slot::Entry(Entry {
            body: Some(body), ..
        }) if body.kind() == BodyKind::Instance => Some(body),
        _ => None,
    }
}

/// Whether the datagram is the membership layer's.
pub(crate) fn is_membership(payload: &[u8]) -> bool {
    Datagram::decode(payload)
        .is_ok_and(|datagram| matches!(datagram.body, datagram::Body::Membership(_)))
}

/// The answer with nothing new in it, if it is a feed of `owner`.
pub(crate) fn without_feed(owner: NodeId, frame: &[u8]) -> Option<Vec<u8>> {
    let Ok(Response::Feed(mut part)) = Response::decode(frame) else {
        return None;
    };
    if part.state.owner != owner {
        return None;
    }
    part.from = Some(Lineage::empty());
    part.state.lineage = Lineage::empty();
    part.state.watermark = Lineage::empty();
    part.changes.clear();
    part.last = true;
    Response::Feed(part).encode().ok()
}

/// A run of the liar's own feed that never was, with nothing in it.
pub(crate) fn another_run(owner: NodeId, epoch: Epoch) -> Delta {
    Delta {
        from: Lineage::empty(),
        state: FeedState {
            owner,
            lineage: Lineage::of(epoch, 1),
            watermark: Lineage::empty(),
            needs: BTreeMap::new(),
            sum: 0,
        },
        changes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use tidings_registry::{Giver, Rejected, Writer};
    use tidings_types::{Instance, ServiceName, Transfer};

    use super::*;

    const OWNER: NodeId = NodeId::from_bytes([1; 16]);
    const LIAR: NodeId = NodeId::from_bytes([2; 16]);
    const PEER: NodeId = NodeId::from_bytes([3; 16]);
    const CLUSTER: ClusterId = ClusterId::from_bytes([9; 16]);

    fn key(owner: NodeId, id: &str) -> Key {
        Key::Instance(owner, ServiceId::new(id).unwrap())
    }

    /// The registry of `node` after it registered one instance.
    fn registered(node: NodeId) -> Registry {
        let mut registry = Registry::new(node, CLUSTER);
        let mut writer = Writer::new(node, Epoch::from_bits(5));
        let instance = Instance::new(ServiceName::new("web").unwrap(), 80);
        writer
            .register(&registry, key(node, "web"), Body::Instance(instance))
            .unwrap();
        let batch = writer.take_batch(&registry).unwrap();
        writer.commit(&mut registry, batch);
        registry
    }

    #[test]
    fn an_altered_feed_is_taken_and_found_by_its_sum_alone() {
        let owner = registered(OWNER);
        let truth = owner.snapshot(OWNER).unwrap();
        let (altered, item) = alter(CLUSTER, truth.clone());
        assert_eq!(altered.state.lineage, truth.state.lineage);
        let mut peer = Registry::new(PEER, CLUSTER);
        peer.apply(Transfer::Snapshot(altered)).unwrap();
        assert_eq!(peer.item(OWNER), Some(item));
        assert_ne!(peer.item(OWNER), owner.item(OWNER));
        let rumor = other_content(CLUSTER, truth.clone());
        let mut honest = Registry::new(PEER, CLUSTER);
        honest.apply(Transfer::Snapshot(truth.clone())).unwrap();
        let told = honest.apply(Transfer::Delta(rumor)).unwrap();
        assert!(told.alarm.is_some());
        peer.repair(truth, Giver::Owner).unwrap();
        assert_eq!(peer.fingerprint(), owner.fingerprint());
    }

    #[test]
    fn a_stolen_instance_is_refused_and_an_invented_one_by_its_owner_alone() {
        let mut owner = registered(OWNER);
        owner.set_own_epoch(Epoch::from_bits(5));
        let truth = owner.snapshot(OWNER).unwrap();
        let mut peer = Registry::new(PEER, CLUSTER);
        peer.apply(Transfer::Snapshot(truth.clone())).unwrap();
        let own = registered(LIAR).state(LIAR).unwrap();
        let stolen = stolen(own, &truth).unwrap();
        let liars = registered(LIAR).snapshot(LIAR).unwrap();
        peer.apply(Transfer::Snapshot(liars)).unwrap();
        let refused = peer.apply(Transfer::Delta(stolen));
        assert!(
            matches!(refused, Err(Rejected::Change { .. })),
            "{refused:?}"
        );
        let invented = invented(&truth).unwrap();
        peer.apply(Transfer::Delta(invented.clone())).unwrap();
        assert!(peer.in_force(&key(OWNER, "invented")).is_some());
        let refused = owner.apply(Transfer::Delta(invented));
        assert!(matches!(refused, Err(Rejected::ForgedDot { seq: 3, .. })));
    }
}
