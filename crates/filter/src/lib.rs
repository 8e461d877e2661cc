//! Consul's filter expressions, such as `Status == passing and "v2" in ServiceTags`.
//!
//! The language is that of go-bexpr 0.1.2, which Consul's clients write. A [`Filter`] is made of a
//! text and the [`Shape`] of what it will select from; all that can be wrong with it is found then,
//! so that evaluation cannot fail. It reads typed values through [`Record`] and knows nothing of
//! HTTP or of what is registered.
//!
//! The one invariant: whatever the text, parsing and evaluation are bounded by [`limits`].
//!
//! | Module | Holds |
//! |---|---|
//! | [`expression`] | [`Expression`]: what a text says, and how it is printed |
//! | `parse`, `quote` | from text to expression; texts in quotes as Go reads them |
//! | [`shape`] | [`Shape`]: which selectors there are, and of which type |
//! | [`value`] | [`Record`], [`Entries`], [`Value`]: what is selected from |
//! | [`filter`] | [`Filter`]: an expression that fits a shape |
//! | [`error`] | [`FilterError`]: what is wrong with a filter |

pub mod error;
pub mod expression;
pub mod filter;
pub mod limits;
mod parse;
mod quote;
pub mod shape;
pub mod value;

#[cfg(test)]
mod tests;

pub use error::FilterError;
pub use expression::{Expression, Operator, Selector};
pub use filter::Filter;
pub use shape::{Field, Shape};
pub use value::{Entries, Record, Value};
