use std::{collections::BTreeMap, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};

use super::{Packed, Packing, Unpacking, reading::NextText};

/// Texts by text, such as metadata, in the order of the keys. Encoded as a map.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextMap(Packed);

/// What [`TextMap::iter`] goes through.
#[derive(Clone, Debug)]
pub struct Iter<'a>(Unpacking<'a>);

impl TextMap {
    /// No pairs.
    pub const fn new() -> Self {
        Self(Packed::empty())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many pairs there are. Counts them.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The text under `key`. Looks through the keys: there are few.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut pairs = self.iter();
        pairs.find(|(other, _)| *other == key).map(|(_, text)| text)
    }

    /// The pairs in the order of their keys.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.0.unpack())
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        Some((self.0.text()?, self.0.text()?))
    }
}

impl<'a> IntoIterator for &'a TextMap {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<T: AsRef<str>> From<BTreeMap<T, T>> for TextMap {
    fn from(texts: BTreeMap<T, T>) -> Self {
        let mut packing = Packing::default();
        for (key, text) in &texts {
            packing.text(key.as_ref());
            packing.text(text.as_ref());
        }
        Self(packing.pack())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for TextMap {
    /// Of pairs with one key the last one stands.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        let sorted: BTreeMap<String, String> = pairs.map(|(k, v)| (k.into(), v.into())).collect();
        Self::from(sorted)
    }
}

impl fmt::Debug for TextMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl Serialize for TextMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, text) in self {
            map.serialize_entry(key, text)?;
        }
        map.end()
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = TextMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of texts by text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<TextMap, A::Error> {
        let mut packing = Packing::default();
        let (mut last, mut is_sorted) = (None, true);
        while let Some(key) = pairs.next_key_seed(NextText(&mut packing))? {
            let text = |at: &Range<usize>| &packing.0[at.clone()];
            is_sorted &= last.is_none_or(|last| text(&last) < text(&key));
            last = Some(key);
            pairs.next_value_seed(NextText(&mut packing))?;
        }
        let map = TextMap(packing.pack());
        if is_sorted {
            return Ok(map);
        }
        // Whoever wrote it did not sort it, or said something twice.
        Ok(map.iter().collect())
    }
}

impl<'de> Deserialize<'de> for TextMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reading)
    }
}
