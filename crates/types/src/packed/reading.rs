//! Packs texts as they are decoded, without a string for each in between.

use std::{fmt, ops::Range};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, Visitor},
};

use super::Packing;

/// The next text of what is decoded. Tells where it stands in what was packed.
pub(super) struct NextText<'p>(pub(super) &'p mut Packing);

impl<'de> DeserializeSeed<'de> for NextText<'_> {
    type Value = Range<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Range<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NextText<'_> {
    type Value = Range<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Range<usize>, E> {
        self.0.text(text);
        let end = self.0.0.len();
        Ok(end - text.len()..end)
    }
}
