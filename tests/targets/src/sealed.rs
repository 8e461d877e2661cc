//! Datagrams as they come from the network, and what a member with the right key could put inside.

use std::time::Duration;

use tidings_agent::transport::fuzzing::Sealed;

use crate::node::{Lone, ME, PEER};

/// The first byte says what the rest is.
///
/// | Byte | The rest |
/// |---|---|
/// | 0 | a datagram, as it is |
/// | 1 | changes of a right datagram's bytes: place and mask, three bytes each |
/// | 2 | the payload of a right datagram |
/// | 3, 4 | a request, an answer over a session |
///
/// # Panics
/// If a changed datagram is taken, a right one is not, or one is taken twice.
pub fn sealed(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 5 {
        0 => {
            let mut ends = Sealed::between(PEER, ME);
            if let Some(payload) = ends.open(rest) {
                panic!("nobody sealed {payload:?}");
            }
        }
        1 => changed(rest),
        2 => {
            let mut ends = Sealed::between(PEER, ME);
            let datagram = ends.seal(rest);
            let Some(payload) = ends.open(&datagram) else {
                assert!(rest.len() > 1_100, "a right datagram is taken");
                return;
            };
            assert_eq!(payload, rest);
            assert_eq!(ends.open(&datagram), None, "once");
            live(|node| node.datagram(payload));
        }
        3 => live(|node| node.request(rest.to_vec())),
        _ => live(|node| node.response(rest.to_vec())),
    }
}

fn changed(changes: &[u8]) {
    let mut ends = Sealed::between(PEER, ME);
    let right = ends.seal(b"a payload");
    let mut datagram = right.clone();
    for change in changes.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]])) % datagram.len();
        datagram[place] ^= change[2];
    }
    let taken = ends.open(&datagram);
    assert_eq!(taken.is_some(), datagram == right, "{datagram:?}");
}

/// Gives a node something, and time to follow it up.
fn live(give: impl FnOnce(&mut Lone)) {
    let mut node = Lone::new();
    give(&mut node);
    node.wait(Duration::from_millis(1_500));
}
