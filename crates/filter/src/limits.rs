//! How much a filter may ask for.

/// Bytes of a filter's text.
pub const TEXT_BYTES: usize = 8_192;
/// How deep parentheses and `not` may be nested.
pub const DEPTH: usize = 64;
/// How many values a filter may compare.
pub const MATCHES: usize = 256;
/// How many of them may be regular expressions.
pub const PATTERNS: usize = 16;
/// Bytes that one regular expression may take when compiled.
pub const PATTERN_BYTES: usize = 256 << 10;
