//! Lists and maps of short texts, each in one piece of memory.
//!
//! A record holds few and short texts, and an agent holds the records of everybody. As maps and
//! lists of strings they took up to forty times the bytes of their encoding, which a peer could use
//! to fill its neighbours' memory. Packed they take what they say and a byte or two for each.
//! They are written once and read often, are encoded as the maps and lists that they stand for, and
//! share their memory when cloned.

mod headers;
mod reading;
mod tagged;
mod text_map;
mod texts;

pub use headers::Headers;
pub use tagged::TaggedAddresses;
pub use text_map::TextMap;
pub use texts::Texts;

use crate::Text;

/// Texts and numbers one after the other.
///
/// A number is written in groups of six bits, the lowest first, each an ASCII character of its own;
/// a text is its length and itself. So the whole is a text too, and no reader has to check it again.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Packed(Text);

/// What is being packed.
#[derive(Default)]
struct Packing(Text);

/// What is left to be read.
#[derive(Clone, Copy, Debug)]
struct Unpacking<'a>(&'a str);

const GROUP_BITS: u32 = 6;
const GROUP: u8 = 0x3f;
const MORE: u8 = 0x40;

impl Packing {
    fn number(&mut self, mut number: usize) {
        loop {
            let group = u8::try_from(number & usize::from(GROUP)).expect("six bits fit a byte");
            number >>= GROUP_BITS;
            let more = if number == 0 { 0 } else { MORE };
            self.0.push(char::from(group | more));
            if number == 0 {
                return;
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.push_str(text);
    }

    fn pack(self) -> Packed {
        Packed(self.0)
    }
}

impl Packed {
    const fn empty() -> Self {
        Self(Text::new())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn unpack(&self) -> Unpacking<'_> {
        Unpacking(&self.0)
    }
}

impl<'a> Unpacking<'a> {
    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for (at, group) in self.0.bytes().enumerate() {
            let shift = GROUP_BITS * u32::try_from(at).ok()?;
            number |= usize::from(group & GROUP).checked_shl(shift)?;
            if group & MORE == 0 {
                self.0 = &self.0[at + 1..];
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.number()?;
        let (text, rest) = self.0.split_at(len);
        self.0 = rest;
        Some(text)
    }
}

#[cfg(test)]
mod tests;
