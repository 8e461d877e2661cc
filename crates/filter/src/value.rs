//! What is selected from: typed values, read in place.

use std::fmt;

/// Named values.
pub trait Record {
    /// The value of `field`; `None` for what the record's [`Shape`](crate::Shape) does not name.
    fn value(&self, field: &str) -> Option<Value<'_>>;
}

/// Values by key.
pub trait Entries {
    /// The value of `key`.
    fn entry(&self, key: &str) -> Option<Value<'_>>;

    /// Whether there is no key.
    fn is_empty(&self) -> bool;
}

/// One value.
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A list of texts.
    Texts(Box<dyn Iterator<Item = &'a str> + 'a>),
    /// Values by key.
    Map(Box<dyn Entries + 'a>),
    /// Named values.
    Record(&'a dyn Record),
    /// A list of records.
    Records(Box<dyn Iterator<Item = &'a dyn Record> + 'a>),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(out, "Text({text:?})"),
            Self::Bool(value) => write!(out, "Bool({value})"),
            Self::Int(value) => write!(out, "Int({value})"),
            Self::Texts(_) => out.write_str("Texts(..)"),
            Self::Map(_) => out.write_str("Map(..)"),
            Self::Record(_) => out.write_str("Record(..)"),
            Self::Records(_) => out.write_str("Records(..)"),
        }
    }
}
