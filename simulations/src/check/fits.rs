//! A10: every datagram fits, and what an honest node has encoded can be decoded.

use tidings_types::{Timestamp, limits::PAYLOAD_BYTES};
use tidings_wire::Datagram;

use super::{Checks, Violation};

/// Of so many datagrams one is decoded: all of them are decoded by those whom they reach.
const LOOKED_AT: u64 = 64;

impl Checks {
    /// A host sends a datagram.
    pub(crate) fn fits(
        &mut self,
        now: Timestamp,
        host: usize,
        payload: &[u8],
    ) -> Result<(), Violation> {
        let broken = |text| Violation {
            invariant: "A10",
            at: now,
            host: Some(host),
            text,
        };
        if payload.len() > PAYLOAD_BYTES {
            return Err(broken(format!(
                "a datagram of {} bytes, the limit is {PAYLOAD_BYTES}",
                payload.len()
            )));
        }
        self.datagrams += 1;
        // What a liar makes up is passed on by honest hosts too: A6 judges that.
        if self.datagrams.is_multiple_of(LOOKED_AT) && self.liars.is_empty() {
            let decoded = Datagram::decode(payload);
            decoded.map_err(|error| broken(format!("its own datagram is refused: {error}")))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tidings_types::{Epoch, Lineage, NodeId};
    use tidings_wire::datagram::Body;

    use super::*;

    fn payload() -> Vec<u8> {
        let body = Body::Have {
            owner: NodeId::from_bytes([1; 16]),
            lineage: Lineage::of(Epoch::from_bits(1), 1),
        };
        let datagram = Datagram {
            fingerprint: 7,
            wall_ms: 7,
            body,
        };
        datagram.encode().unwrap()
    }

    /// What is said of the last of as many datagrams as it takes for one to be decoded.
    fn judge(payload: &[u8]) -> Result<(), &'static str> {
        let mut checks = Checks::default();
        let judged = (0..LOOKED_AT).map(|_| checks.fits(Timestamp::ZERO, 0, payload));
        judged.last().unwrap().map_err(|broken| broken.invariant)
    }

    #[test]
    fn what_is_too_long_or_of_another_version_is_named() {
        assert_eq!(judge(&payload()), Ok(()));
        assert_eq!(judge(&vec![0; PAYLOAD_BYTES + 1]), Err("A10"));
        let mut other = payload();
        other[0] += 1;
        assert_eq!(judge(&other), Err("A10"));
        assert_eq!(judge(&payload()[..5]), Err("A10"));
    }
}
