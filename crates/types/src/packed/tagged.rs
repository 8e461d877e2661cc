use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};

use super::{Packed, Packing, Unpacking};
use crate::{TaggedAddress, Text};

/// Addresses with their ports by tag, in the order of the tags. Encoded as a map.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaggedAddresses(Packed);

impl TaggedAddresses {
    /// No addresses.
    pub const fn new() -> Self {
        Self(Packed::empty())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are. Counts them.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The tags in their order, each with its address and port.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, u16)> {
        let mut unpacking = self.0.unpack();
        std::iter::from_fn(move || tagged(&mut unpacking))
    }
}

fn tagged<'a>(unpacking: &mut Unpacking<'a>) -> Option<(&'a str, &'a str, u16)> {
    let (tag, address) = (unpacking.text()?, unpacking.text()?);
    let port = u16::try_from(unpacking.number()?).ok()?;
    Some((tag, address, port))
}

impl<T: AsRef<str>> From<BTreeMap<T, TaggedAddress>> for TaggedAddresses {
    fn from(addresses: BTreeMap<T, TaggedAddress>) -> Self {
        let mut packing = Packing::default();
        for (tag, TaggedAddress { address, port }) in &addresses {
            packing.text(tag.as_ref());
            packing.text(address);
            packing.number(usize::from(*port));
        }
        Self(packing.pack())
    }
}

impl fmt::Debug for TaggedAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.iter();
        f.debug_map()
            .entries(addresses.map(|(tag, address, port)| (tag, (address, port))))
            .finish()
    }
}

impl Serialize for TaggedAddresses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (tag, address, port) in self.iter() {
            let address = address.to_owned();
            map.serialize_entry(tag, &TaggedAddress { address, port })?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for TaggedAddresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<Text, TaggedAddress>::deserialize(deserializer).map(Self::from)
    }
}
