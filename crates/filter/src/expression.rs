//! What a filter's text says, before anybody asks whether it fits.

use std::fmt::{self, Display, Formatter};

use crate::{FilterError, parse, quote};

/// An expression as written. Printing and parsing it again gives an equal one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// One of at least two must hold.
    Any(Vec<Self>),
    /// Each of at least two must hold.
    All(Vec<Self>),
    /// It must not hold.
    Not(Box<Self>),
    /// What is selected must compare like this.
    Match {
        /// What is looked at.
        selector: Selector,
        /// What is asked of it.
        operator: Operator,
        /// What it is compared with; empty where the operator takes none.
        value: String,
    },
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// If `text` is none, or exceeds the [limits](crate::limits).
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::expression(text)
    }

    /// As it stands within another one: in parentheses if it has parts.
    fn fmt_inner(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(_) | Self::All(_) => write!(out, "({self})"),
            Self::Not(_) | Self::Match { .. } => write!(out, "{self}"),
        }
    }
}

impl Display for Expression {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Self::Any(parts) => (parts, " or "),
            Self::All(parts) => (parts, " and "),
            Self::Not(part) => {
                out.write_str("not ")?;
                return part.fmt_inner(out);
            }
            Self::Match {
                selector,
                operator,
                value,
            } => return operator.fmt_match(selector, value, out),
        };
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                out.write_str(word)?;
            }
            part.fmt_inner(out)?;
        }
        Ok(())
    }
}

/// The way to a value: names of fields and keys of maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    first: String,
    rest: Vec<String>,
}

impl Selector {
    /// A selector of the field `first` and, below it, of `rest`; `None` if `first` is no name or is
    /// the word `not`, which begins something else.
    pub fn new(first: impl Into<String>, rest: Vec<String>) -> Option<Self> {
        let first = first.into();
        (is_name(&first) && first != NOT).then_some(Self { first, rest })
    }

    /// Its parts, from the outermost.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        let rest = self.rest.iter().map(String::as_str);
        std::iter::once(self.first.as_str()).chain(rest)
    }

    /// Its parts joined by dots, as errors name it and as a bare value is read.
    pub fn joined(&self) -> String {
        self.parts().collect::<Vec<_>>().join(".")
    }
}

impl Display for Selector {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(&self.first)?;
        for part in &self.rest {
            if is_name(part) {
                write!(out, ".{part}")?;
            } else {
                write!(out, "[{}]", quote::quoted(part))?;
            }
        }
        Ok(())
    }
}

/// Whether `text` can stand in a selector without quotes.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(in_name)
}

/// Whether a name may go on with `c`.
pub(crate) const fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The word that turns an expression round.
pub(crate) const NOT: &str = "not";

/// What can be asked of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `in`, or `contains` the other way round.
    In,
    /// `not in`, or `not contains` the other way round.
    NotIn,
    /// `is empty`
    Empty,
    /// `is not empty`
    NotEmpty,
    /// `matches`
    Matches,
    /// `not matches`
    NotMatches,
}

impl Operator {
    /// Its name in errors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equal => "Equal",
            Self::NotEqual => "Not Equal",
            Self::In => "In",
            Self::NotIn => "Not In",
            Self::Empty => "Is Empty",
            Self::NotEmpty => "Is Not Empty",
            Self::Matches => "Matches",
            Self::NotMatches => "Not Matches",
        }
    }

    /// Whether something is compared with a value.
    pub const fn takes_value(self) -> bool {
        !matches!(self, Self::Empty | Self::NotEmpty)
    }

    /// Whether it asks that something be not so.
    pub(crate) const fn is_negative(self) -> bool {
        matches!(
            self,
            Self::NotEqual | Self::NotIn | Self::Empty | Self::NotMatches
        )
    }

    fn fmt_match(self, selector: &Selector, value: &str, out: &mut Formatter<'_>) -> fmt::Result {
        let value = quote::quoted(value);
        match self {
            Self::Equal => write!(out, "{selector} == {value}"),
            Self::NotEqual => write!(out, "{selector} != {value}"),
            Self::In => write!(out, "{value} in {selector}"),
            Self::NotIn => write!(out, "{value} not in {selector}"),
            Self::Empty => write!(out, "{selector} is empty"),
            Self::NotEmpty => write!(out, "{selector} is not empty"),
            Self::Matches => write!(out, "{selector} matches {value}"),
            Self::NotMatches => write!(out, "{selector} not matches {value}"),
        }
    }
}
