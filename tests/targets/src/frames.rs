//! Frames between agents.

use tidings_registry::{Registry, Rejected};
use tidings_types::{ClusterId, Lineage, NodeId, Transfer};
use tidings_wire::{Assembly, Datagram, Request, Response, datagram};

/// `data` is a frame of each kind, as far as it is one.
///
/// # Panics
/// If a frame is another one after it was written again, or a registry cannot pass on what it took.
pub fn frames(data: &[u8]) {
    if let Ok(read) = Datagram::decode(data) {
        let again = read.encode().expect("what was read fits a datagram");
        assert_eq!(Datagram::decode(&again).ok().as_ref(), Some(&read));
        if let datagram::Body::Rumors(deltas) = read.body {
            deltas.into_iter().map(Transfer::Delta).for_each(take);
        }
    }
    if let Ok(read) = Request::decode(data) {
        let again = read.encode().expect("what was read fits a frame");
        assert_eq!(Request::decode(&again).ok(), Some(read));
    }
    if let Ok(read) = Response::decode(data) {
        let again = read.encode().expect("what was read fits a frame");
        assert_eq!(Response::decode(&again).ok().as_ref(), Some(&read));
        if let Response::Feed(part) = read {
            let mut assembly = Assembly::default();
            if let Ok(Some(transfer)) = assembly.push(*part, data) {
                take(transfer);
            }
        }
    }
}

/// Gives a transfer to a registry. What it takes, it must be able to give to the next one.
pub(crate) fn take(transfer: Transfer) {
    let owner = transfer.state().owner;
    let mut registry = empty(1);
    let Ok(applied) = registry.apply(transfer.clone()) else {
        return;
    };
    let again = registry.apply(transfer).expect("it was taken before");
    assert!(
        again.touched.is_empty() && !again.advanced,
        "a transfer changes nothing when it comes again"
    );
    if applied.advanced {
        pass_on(&registry, owner);
    }
}

/// Has another registry take all that this one holds of a feed.
pub(crate) fn pass_on(registry: &Registry, owner: NodeId) {
    let Some(transfer) = registry.transfer(owner, &Lineage::empty()) else {
        return;
    };
    let mut next = empty(2);
    match next.apply(transfer) {
        Ok(_) => assert_eq!(next.item(owner), registry.item(owner), "they agree"),
        // The position of a delta is believed without the content before it.
        Err(Rejected::Sum { .. }) => panic!("a registry gives what others refuse"),
        Err(other) => panic!("a registry gives what others refuse: {other}"),
    }
}

pub(crate) fn empty(n: u8) -> Registry {
    Registry::new(NodeId::from_bytes([n; 16]), ClusterId::from_bytes([0; 16]))
}
