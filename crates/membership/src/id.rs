//! A node's identity as foca sees it.

use std::net::{SocketAddr, SocketAddrV6};

use bincode::{
    Decode, Encode,
    de::Decoder,
    enc::Encoder,
    error::{DecodeError, EncodeError},
};
use serde::{Deserialize, Serialize};
use tidings_types::{Epoch, Hlc, NodeId};

/// A node in one of its lives in the cluster.
///
/// foca keeps one identity per [`NodeId`]; of two, the one with the greater `(generation, addr)`
/// stands. A run starts with its [`Epoch`]'s bits as generation, so a restart beats the life before
/// it; a node that finds itself declared down renews by adding one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MemberId {
    /// Whose identity.
    pub node: NodeId,
    /// Where its membership packets go, as it advertises it.
    pub addr: SocketAddr,
    /// Greater in each life.
    pub generation: u64,
}

/// Stands for the node id in an announce to an address whose node is unknown. No real node has it:
/// ids are hashes.
const ANYONE: NodeId = NodeId::from_bytes([0; 16]);

impl MemberId {
    /// Whoever answers at `addr`.
    pub(crate) const fn anyone_at(addr: SocketAddr) -> Self {
        Self {
            node: ANYONE,
            addr,
            generation: 0,
        }
    }

    pub(crate) fn is_anyone(&self) -> bool {
        self.node == ANYONE
    }

    /// The identity as it looks after a trip over the wire.
    ///
    /// Flow label and scope of an IPv6 address do not travel, so an identity that carried them would
    /// be another one at its peers, and every packet to it would be refused.
    pub(crate) fn canonical(self) -> Self {
        Self {
            addr: canonical(self.addr),
            ..self
        }
    }

    /// Whether a member can have this identity: a real node, an address that can be sent to, and a
    /// generation that a later life can still exceed.
    pub fn is_well_formed(&self) -> bool {
        let ip = self.addr.ip();
        !self.is_anyone()
            && self.addr.port() != 0
            && !ip.is_unspecified()
            && !ip.is_multicast()
            && Epoch::from_bits(self.generation).unix_ms() < Hlc::END.unix_ms()
    }
}

/// The address without what does not travel, IPv4 as IPv4.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(_) => addr,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => (v4, v6.port()).into(),
            None => SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0).into(),
        },
    }
}

// As serde writes it, and the node's bytes in one go.
impl Encode for MemberId {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.node.as_bytes().encode(encoder)?;
        self.addr.encode(encoder)?;
        self.generation.encode(encoder)
    }
}

impl<C> Decode<C> for MemberId {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            node: NodeId::from_bytes(Decode::decode(decoder)?),
            addr: Decode::decode(decoder)?,
            generation: Decode::decode(decoder)?,
        })
    }
}

bincode::impl_borrow_decode!(MemberId);

impl foca::Identity for MemberId {
    // foca compares these in loops over all members: 16 bytes are much faster than an address.
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        let generation = self.generation.checked_add(1)?;
        Some(Self {
            generation,
            ..*self
        })
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    // A strict total order: if both of two identities could lose, they would replace each other for
    // ever.
    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        (self.generation, self.addr) > (adversary.generation, adversary.addr)
    }
}

#[cfg(test)]
mod tests {
    use foca::Identity as _;

    use super::*;

    fn id(generation: u64, addr: &str) -> MemberId {
        MemberId {
            node: NodeId::from_bytes([1; 16]),
            addr: addr.parse().unwrap(),
            generation,
        }
    }

    #[test]
    fn of_two_identities_exactly_one_wins() {
        let ids = [
            id(1, "10.0.0.1:1"),
            id(1, "10.0.0.2:1"),
            id(2, "10.0.0.1:1"),
        ];
        for a in ids {
            assert!(!a.win_addr_conflict(&a));
            for b in ids.into_iter().filter(|&b| b != a) {
                assert_ne!(a.win_addr_conflict(&b), b.win_addr_conflict(&a));
            }
            let renewed = a.renew().unwrap();
            assert!(renewed.win_addr_conflict(&a));
        }
    }

    #[test]
    fn packets_spell_an_identity_as_member_lists_do() {
        for addr in ["10.0.0.1:1", "[fe80::1]:8301"] {
            let id = id(1 << 40, addr);
            let config = bincode::config::standard().with_limit::<256>();
            let listed = bincode::serde::encode_to_vec(id, config).unwrap();
            assert_eq!(bincode::encode_to_vec(id, config).unwrap(), listed);
            let read = bincode::decode_from_slice(&listed, config).unwrap();
            assert_eq!(read, (id, listed.len()));
        }
    }

    #[test]
    fn what_does_not_travel_is_dropped_at_home() {
        let scoped: SocketAddr = SocketAddrV6::new("fe80::1".parse().unwrap(), 8301, 7, 3).into();
        assert_eq!(canonical(scoped), "[fe80::1]:8301".parse().unwrap());
        let mapped = "[::ffff:10.0.0.1]:8301".parse().unwrap();
        assert_eq!(canonical(mapped), "10.0.0.1:8301".parse().unwrap());
    }

    #[test]
    fn an_identity_that_nobody_can_have_is_told_apart() {
        assert!(id(1, "10.0.0.1:1").is_well_formed());
        assert!(!id(u64::MAX, "10.0.0.1:1").is_well_formed());
        assert!(!id(1, "10.0.0.1:0").is_well_formed());
        assert!(!id(1, "0.0.0.0:1").is_well_formed());
        assert!(!MemberId::anyone_at("10.0.0.1:1".parse().unwrap()).is_well_formed());
    }
}
