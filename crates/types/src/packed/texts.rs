use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
};

use super::{Packed, Packing, Unpacking, reading::NextText};

/// Texts in the order given, such as tags. Encoded as a list.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Texts(Packed);

/// What [`Texts::iter`] goes through.
#[derive(Clone, Debug)]
pub struct Iter<'a>(Unpacking<'a>);

impl Texts {
    /// No texts.
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

    /// Whether `text` is among them.
    pub fn contains(&self, text: &str) -> bool {
        self.iter().any(|other| other == text)
    }

    /// The texts in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.0.unpack())
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0.text()
    }
}

impl<'a> IntoIterator for &'a Texts {
    type Item = &'a str;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Texts {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        let mut packing = Packing::default();
        for text in texts {
            packing.text(text.as_ref());
        }
        Self(packing.pack())
    }
}

impl From<Vec<String>> for Texts {
    fn from(texts: Vec<String>) -> Self {
        texts.into_iter().collect()
    }
}

impl<const N: usize> From<[&str; N]> for Texts {
    fn from(texts: [&str; N]) -> Self {
        texts.into_iter().collect()
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A length has to be known before the first text is written.
        serializer.collect_seq(self.iter().collect::<Vec<_>>())
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Texts, A::Error> {
        let mut packing = Packing::default();
        while texts.next_element_seed(NextText(&mut packing))?.is_some() {}
        Ok(Texts(packing.pack()))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Reading)
    }
}
