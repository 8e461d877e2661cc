use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};

use super::{Packed, Packing, Unpacking};
use crate::Text;

/// The headers of a request, each with its values in the order given. Encoded as a map of lists.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Headers(Packed);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Packed::empty())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many names there are. Counts them.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The names in their order, each with its values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        let mut unpacking = self.0.unpack();
        std::iter::from_fn(move || header(&mut unpacking))
    }
}

fn header<'a>(unpacking: &mut Unpacking<'a>) -> Option<(&'a str, Vec<&'a str>)> {
    let (name, count) = (unpacking.text()?, unpacking.number()?);
    let values = (0..count).map_while(|_| unpacking.text()).collect();
    Some((name, values))
}

impl<T: AsRef<str>> From<BTreeMap<T, Vec<T>>> for Headers {
    fn from(headers: BTreeMap<T, Vec<T>>) -> Self {
        let mut packing = Packing::default();
        for (name, values) in &headers {
            packing.text(name.as_ref());
            packing.number(values.len());
            for value in values {
                packing.text(value.as_ref());
            }
        }
        Self(packing.pack())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, values) in self.iter() {
            map.serialize_entry(name, &values)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<Text, Vec<Text>>::deserialize(deserializer).map(Self::from)
    }
}
