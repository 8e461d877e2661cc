//! Which selectors there are, and of which type.

use crate::{Operator, Selector};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A list of texts.
    Texts,
    /// Values of one shape by key.
    Map(&'static Self),
    /// Named values.
    Record(&'static [Field]),
    /// A list of records. What is asked of their fields must hold for one of them.
    Records(&'static [Field]),
}

/// A name and what it stands for.
pub type Field = (&'static str, Shape);

impl Shape {
    /// What `selector` leads to, if it leads anywhere.
    pub(crate) fn at(self, selector: &Selector) -> Option<Self> {
        selector.parts().try_fold(self, |shape, part| match shape {
            Self::Record(fields) | Self::Records(fields) => fields
                .iter()
                .find(|(name, _)| *name == part)
                .map(|(_, shape)| *shape),
            Self::Map(values) => Some(*values),
            Self::Text | Self::Bool | Self::Int | Self::Texts => None,
        })
    }

    /// Whether a value of this shape can be asked that.
    pub(crate) const fn takes(self, operator: Operator) -> bool {
        use Operator::{Empty, Equal, In, Matches, NotEmpty, NotEqual, NotIn, NotMatches};
        match self {
            Self::Text => matches!(
                operator,
                Equal | NotEqual | In | NotIn | Matches | NotMatches
            ),
            Self::Bool | Self::Int => matches!(operator, Equal | NotEqual),
            Self::Texts | Self::Map(_) => matches!(operator, In | NotIn | Empty | NotEmpty),
            Self::Records(_) => matches!(operator, Empty | NotEmpty),
            Self::Record(_) => false,
        }
    }
}
