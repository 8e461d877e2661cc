//! What is wrong with a filter. All of it is the client's, and nothing was evaluated.

use crate::{Operator, limits};

/// Why a text is no filter for what it is to select from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The text is no expression.
    #[error("1:{} ({at}): no match found, expected: {expected}", at + 1)]
    Syntax {
        /// Where, in bytes from the start.
        at: usize,
        /// What would have gone on there.
        expected: &'static str,
    },
    /// The text has more than [`limits::TEXT_BYTES`].
    #[error(
        "the expression has {bytes} bytes, the limit is {}",
        limits::TEXT_BYTES
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Parentheses and `not` are nested more than [`limits::DEPTH`] deep.
    #[error("1:{} ({at}): nested deeper than {}", at + 1, limits::DEPTH)]
    TooDeep {
        /// Where the first one too many stands, in bytes from the start.
        at: usize,
    },
    /// There are more than [`limits::MATCHES`] comparisons.
    #[error("1:{} ({at}): more than {} comparisons", at + 1, limits::MATCHES)]
    TooManyMatches {
        /// Where the first one too many stands, in bytes from the start.
        at: usize,
    },
    /// There are more than [`limits::PATTERNS`] regular expressions.
    #[error("more than {} regular expressions", limits::PATTERNS)]
    TooManyPatterns,
    /// Nothing of that name can be selected.
    #[error("Selector {selector:?} is not valid")]
    UnknownSelector {
        /// What was asked for, its parts joined by dots.
        selector: String,
    },
    /// What is selected cannot be asked that.
    #[error("Invalid match operator {:?} for selector {selector:?}", operator.name())]
    WrongOperator {
        /// What was asked.
        operator: Operator,
        /// Of what, its parts joined by dots.
        selector: String,
    },
    /// A value is not of the selected type.
    #[error("Failed to coerce value {value:?} for selector {selector:?}: it is not {expected}")]
    WrongValue {
        /// The value.
        value: String,
        /// What it is compared with, its parts joined by dots.
        selector: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A regular expression cannot be compiled within the limits.
    #[error("Failed to compile regular expression {pattern:?}: {reason}")]
    WrongPattern {
        /// The regular expression.
        pattern: String,
        /// What its compiler says.
        reason: String,
    },
}
