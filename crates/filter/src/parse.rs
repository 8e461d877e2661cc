//! From text to expression.

use crate::{
    Expression, FilterError, Operator, Selector,
    expression::{NOT, in_name},
    limits, quote,
};

/// Reads all of `text`.
pub(crate) fn expression(text: &str) -> Result<Expression, FilterError> {
    let bytes = text.len();
    if bytes > limits::TEXT_BYTES {
        return Err(FilterError::TooLong { bytes });
    }
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        matches: 0,
    };
    parser.space();
    let expression = parser.any()?;
    parser.space();
    if parser.rest().is_empty() {
        Ok(expression)
    } else {
        Err(parser.expected("\"and\", \"or\" or the end"))
    }
}

struct Parser<'a> {
    text: &'a str,
    /// How many bytes were read.
    at: usize,
    depth: usize,
    matches: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    const fn expected(&self, expected: &'static str) -> FilterError {
        FilterError::Syntax {
            at: self.at,
            expected,
        }
    }

    /// Skips white space; returns whether there was any.
    fn space(&mut self) -> bool {
        let rest = self.rest();
        let skipped = rest.len() - rest.trim_start_matches(SPACE).len();
        self.at += skipped;
        skipped > 0
    }

    /// Takes `token` if it is next.
    fn token(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes white space, `words` with white space between them and, if `closed`, after them.
    /// Takes nothing otherwise.
    fn words(&mut self, words: &[&str], closed: bool) -> bool {
        let before = self.at;
        let found =
            words.iter().all(|word| self.space() && self.token(word)) && (!closed || self.space());
        if !found {
            self.at = before;
        }
        found
    }

    fn any(&mut self) -> Result<Expression, FilterError> {
        let first = self.all()?;
        let mut parts = vec![first];
        while self.words(&["or"], true) {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, FilterError> {
        let first = self.not()?;
        let mut parts = vec![first];
        while self.words(&["and"], true) {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn not(&mut self) -> Result<Expression, FilterError> {
        let start = self.at;
        if self.token(NOT) && self.space() {
            let inner = self.deeper(start, Self::not)?;
            return Ok(Expression::Not(Box::new(inner)));
        }
        self.at = start;
        if self.token("(") {
            self.space();
            let inner = self.deeper(start, Self::any)?;
            self.space();
            if !self.token(")") {
                return Err(self.expected("\")\""));
            }
            return Ok(inner);
        }
        self.comparison()
    }

    fn deeper(
        &mut self,
        at: usize,
        inner: impl FnOnce(&mut Self) -> Result<Expression, FilterError>,
    ) -> Result<Expression, FilterError> {
        if self.depth == limits::DEPTH {
            return Err(FilterError::TooDeep { at });
        }
        self.depth += 1;
        let inner = inner(self);
        self.depth -= 1;
        inner
    }

    fn comparison(&mut self) -> Result<Expression, FilterError> {
        if self.matches == limits::MATCHES {
            return Err(FilterError::TooManyMatches { at: self.at });
        }
        self.matches += 1;
        let left = self.operand()?;
        if let Some(operator) = self.reversed() {
            let value = left.into_value();
            let selector = self.selector()?;
            return Ok(Expression::Match {
                selector,
                operator,
                value,
            });
        }
        let Operand::Selector(selector) = left else {
            return Err(self.expected("\"in\" or \"not in\" after a value"));
        };
        let Some(operator) = self.operator() else {
            return Err(self.expected("an operator after a selector"));
        };
        let value = match operator.takes_value() {
            true => self.operand()?.into_value(),
            false => String::new(),
        };
        Ok(Expression::Match {
            selector,
            operator,
            value,
        })
    }

    /// An operator that stands between a value and a selector.
    fn reversed(&mut self) -> Option<Operator> {
        if self.words(&["in"], true) {
            Some(Operator::In)
        } else if self.words(&[NOT, "in"], true) {
            Some(Operator::NotIn)
        } else {
            None
        }
    }

    /// An operator that stands behind a selector.
    fn operator(&mut self) -> Option<Operator> {
        for (words, operator) in OPERATORS {
            if self.words(words, operator.takes_value()) {
                return Some(*operator);
            }
        }
        let before = self.at;
        self.space();
        for (token, operator) in [("==", Operator::Equal), ("!=", Operator::NotEqual)] {
            if self.token(token) {
                self.space();
                return Some(operator);
            }
        }
        self.at = before;
        None
    }

    fn operand(&mut self) -> Result<Operand, FilterError> {
        match self.rest().chars().next() {
            Some('"' | '`') => Ok(Operand::Value(self.quoted()?)),
            Some('-' | '0'..='9') => Ok(Operand::Value(self.number()?)),
            _ => self.selector().map(Operand::Selector),
        }
    }

    fn quoted(&mut self) -> Result<String, FilterError> {
        let (text, length) = quote::unquote(self.rest(), self.at)?;
        self.at += length;
        Ok(text)
    }

    /// A number, as written.
    fn number(&mut self) -> Result<String, FilterError> {
        let start = self.at;
        self.token("-");
        let starts_with_zero = self.rest().starts_with('0');
        let whole = self.digits();
        if whole == 0 || whole > 1 && starts_with_zero {
            self.at = start;
            return Err(self.expected("a number"));
        }
        if self.token(".") && self.digits() == 0 {
            return Err(self.expected("digits behind the point"));
        }
        match self.rest().chars().next() {
            None | Some(')' | ' ' | '\t' | '\r' | '\n') => Ok(self.text[start..self.at].to_owned()),
            Some(_) => Err(self.expected("white space after a number")),
        }
    }

    fn digits(&mut self) -> usize {
        let rest = self.rest();
        let count = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        self.at += count;
        count
    }

    fn selector(&mut self) -> Result<Selector, FilterError> {
        let start = self.at;
        let first = self.name()?;
        let mut rest = Vec::new();
        loop {
            if self.token(".") {
                rest.push(self.name()?);
            } else if self.token("[") {
                self.space();
                if !self.rest().starts_with(['"', '`']) {
                    return Err(self.expected("a key in quotes"));
                }
                rest.push(self.quoted()?);
                self.space();
                if !self.token("]") {
                    return Err(self.expected("\"]\""));
                }
            } else {
                break;
            }
        }
        Selector::new(first, rest).ok_or(FilterError::Syntax {
            at: start,
            expected: "an expression after \"not\" and white space",
        })
    }

    fn name(&mut self) -> Result<String, FilterError> {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(self.expected("a selector or a value"));
        }
        let length = rest.len() - rest.trim_start_matches(in_name).len();
        let name = rest[..length].to_owned();
        self.at += length;
        Ok(name)
    }
}

/// One side of a comparison. A bare word can be either.
enum Operand {
    Selector(Selector),
    Value(String),
}

impl Operand {
    fn into_value(self) -> String {
        match self {
            Self::Selector(selector) => selector.joined(),
            Self::Value(value) => value,
        }
    }
}

fn one_or(
    mut parts: Vec<Expression>,
    several: impl FnOnce(Vec<Expression>) -> Expression,
) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            several(parts)
        }
    }
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Operators made of words. A longer one stands before what it begins with.
const OPERATORS: &[(&[&str], Operator)] = &[
    (&["contains"], Operator::In),
    (&[NOT, "contains"], Operator::NotIn),
    (&["is", "empty"], Operator::Empty),
    (&["is", NOT, "empty"], Operator::NotEmpty),
    (&["matches"], Operator::Matches),
    (&[NOT, "matches"], Operator::NotMatches),
];
