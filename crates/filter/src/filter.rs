//! An expression that fits what it selects from.

use regex::{Regex, RegexBuilder};

use crate::{
    Expression, FilterError, Operator, Record, Selector, Shape, Value,
    limits::{PATTERN_BYTES, PATTERNS},
};

/// An expression whose selectors, operators and values fit one [`Shape`].
#[derive(Clone, Debug)]
pub struct Filter {
    root: Node,
}

impl Filter {
    /// Reads `text` as a filter of records that have the fields of `shape`.
    ///
    /// # Errors
    /// If the text is no expression, exceeds the [limits](crate::limits), or asks something that
    /// such records cannot be asked.
    pub fn new(text: &str, shape: Shape) -> Result<Self, FilterError> {
        let expression = Expression::parse(text)?;
        let mut patterns = 0;
        let root = Node::of(&expression, shape, &mut patterns)?;
        Ok(Self { root })
    }

    /// Whether `record` is selected.
    pub fn takes(&self, record: &dyn Record) -> bool {
        self.root.takes(record)
    }
}

#[derive(Clone, Debug)]
enum Node {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Match {
        path: Vec<String>,
        operator: Operator,
        wanted: Wanted,
    },
}

/// What a value is compared with, in the type of that value.
#[derive(Clone, Debug)]
enum Wanted {
    Nothing,
    Text(String),
    Bool(bool),
    Int(i64),
    Pattern(Regex),
}

impl Node {
    /// `patterns` counts the regular expressions so far.
    fn of(
        expression: &Expression,
        shape: Shape,
        patterns: &mut usize,
    ) -> Result<Self, FilterError> {
        let mut all = |parts: &[Expression]| {
            let parts = parts.iter().map(|part| Self::of(part, shape, patterns));
            parts.collect::<Result<Vec<_>, _>>()
        };
        Ok(match expression {
            Expression::Any(parts) => Self::Any(all(parts)?),
            Expression::All(parts) => Self::All(all(parts)?),
            Expression::Not(part) => Self::Not(Box::new(Self::of(part, shape, patterns)?)),
            Expression::Match {
                selector,
                operator,
                value,
            } => Self::Match {
                path: selector.parts().map(str::to_owned).collect(),
                operator: *operator,
                wanted: Wanted::of(selector, *operator, value, shape, patterns)?,
            },
        })
    }

    fn takes(&self, record: &dyn Record) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.takes(record)),
            Self::All(parts) => parts.iter().all(|part| part.takes(record)),
            Self::Not(part) => !part.takes(record),
            Self::Match {
                path,
                operator,
                wanted,
            } => holds(Value::Record(record), path, *operator, wanted),
        }
    }
}

impl Wanted {
    fn of(
        selector: &Selector,
        operator: Operator,
        value: &str,
        shape: Shape,
        patterns: &mut usize,
    ) -> Result<Self, FilterError> {
        let found = shape
            .at(selector)
            .ok_or_else(|| FilterError::UnknownSelector {
                selector: selector.joined(),
            })?;
        if !found.takes(operator) {
            return Err(FilterError::WrongOperator {
                operator,
                selector: selector.joined(),
            });
        }
        let wrong = |expected| FilterError::WrongValue {
            value: value.to_owned(),
            selector: selector.joined(),
            expected,
        };
        match (operator, found) {
            (Operator::Empty | Operator::NotEmpty, _) => Ok(Self::Nothing),
            (Operator::Matches | Operator::NotMatches, _) => pattern(value, patterns),
            (_, Shape::Bool) => bool_of(value)
                .map(Self::Bool)
                .ok_or_else(|| wrong("a bool")),
            (_, Shape::Int) => int_of(value)
                .map(Self::Int)
                .ok_or_else(|| wrong("a whole number")),
            _ => Ok(Self::Text(value.to_owned())),
        }
    }
}

fn pattern(text: &str, patterns: &mut usize) -> Result<Wanted, FilterError> {
    if *patterns == PATTERNS {
        return Err(FilterError::TooManyPatterns);
    }
    *patterns += 1;
    RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES)
        .build()
        .map(Wanted::Pattern)
        .map_err(|error| FilterError::WrongPattern {
            pattern: text.to_owned(),
            reason: error.to_string(),
        })
}

/// Whether `value`, or what `path` leads to below it, compares as wanted.
fn holds(value: Value<'_>, path: &[String], operator: Operator, wanted: &Wanted) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return compares(value, operator, wanted);
    };
    match value {
        Value::Record(record) => record
            .value(first)
            .is_some_and(|value| holds(value, rest, operator, wanted)),
        Value::Records(mut records) => {
            records.any(|record| holds(Value::Record(record), path, operator, wanted))
        }
        Value::Map(map) => map.entry(first).map_or_else(
            // Consul's clients know it like this: a pattern matches whatever is not there.
            || operator.is_negative() || operator == Operator::Matches,
            |value| holds(value, rest, operator, wanted),
        ),
        Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Texts(_) => false,
    }
}

/// The shape was checked before: whatever does not fit here cannot be.
fn compares(value: Value<'_>, operator: Operator, wanted: &Wanted) -> bool {
    let is_so = match (value, wanted) {
        (Value::Text(text), Wanted::Text(wanted)) => match operator {
            Operator::Equal | Operator::NotEqual => text == wanted,
            _ => text.contains(wanted.as_str()),
        },
        (Value::Text(text), Wanted::Pattern(pattern)) => pattern.is_match(text),
        (Value::Bool(value), Wanted::Bool(wanted)) => value == *wanted,
        (Value::Int(value), Wanted::Int(wanted)) => value == *wanted,
        (Value::Texts(mut texts), Wanted::Text(wanted)) => texts.any(|text| text == wanted),
        (Value::Texts(mut texts), Wanted::Nothing) => texts.next().is_some(),
        (Value::Map(map), Wanted::Text(wanted)) => map.entry(wanted).is_some(),
        (Value::Map(map), Wanted::Nothing) => !map.is_empty(),
        (Value::Records(mut records), Wanted::Nothing) => records.next().is_some(),
        _ => return false,
    };
    is_so != operator.is_negative()
}

/// What Go's `ParseBool` makes of `word`.
fn bool_of(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// What Go's `ParseInt` makes of `text` if its base may be told by a prefix.
fn int_of(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let bases = [("0x", 16), ("0o", 8), ("0b", 2)];
    let based = bases
        .iter()
        .find_map(|(prefix, base)| Some((lower.strip_prefix(prefix)?, *base)));
    let (digits, base) = based.unwrap_or_else(|| match lower.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => (octal, 8),
        _ => (&lower, 10),
    });
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}
