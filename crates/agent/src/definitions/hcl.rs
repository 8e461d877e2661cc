//! Definition files in HCL, as Consul reads them: HCL 1, where a value is a text, a number, a list or an
//! object.
//!
//! There is a library for HCL 2 (hcl-rs 0.20), and it was used. What HCL 2 has besides plain values
//! made it misread definitions (`address = 10.0.0.1` became `"${10.0.1}"`, and `${PORT:-80}` in a script
//! is the shell's), it needs a line for each attribute, and it does not bound its work: 331 bytes kept it
//! busy for ever, 28 KB overflowed its stack. This reads a text once, from its begin to its end, nested up
//! to [`DEPTH_MAX`].

#[cfg(test)]
mod tests;
mod tokens;

use serde_json::{Map, Value};

use self::tokens::{Token, Tokens, Wrong, no_expression, shown};

/// Blocks, objects and lists in each other, each label of a block counted.
const DEPTH_MAX: usize = 64;

/// What `text` says, or the line, from 1, and the reason why it says nothing.
///
/// A block is an object under its name, and under its labels within; objects that have one name are a
/// list.
pub(super) fn parse(text: &str) -> Result<Value, (usize, String)> {
    // Consul takes JSON under this name too.
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| (error.line(), error.to_string()));
    }
    Parser::of(text)
        .and_then(Parser::file)
        .map_err(|Wrong { at, reason }| (1 + text[..at].matches('\n').count(), reason))
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    /// The token that comes, and the byte at which it begins.
    at: usize,
    next: Token<'a>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn of(text: &'a str) -> Result<Self, Wrong> {
        let mut tokens = Tokens::of(text);
        let (at, next) = tokens.next()?;
        let depth = 0;
        Ok(Self {
            tokens,
            at,
            next,
            depth,
        })
    }

    fn take(&mut self) -> Result<(usize, Token<'a>), Wrong> {
        let (at, next) = self.tokens.next()?;
        let taken = (self.at, std::mem::replace(&mut self.next, next));
        self.at = at;
        Ok(taken)
    }

    fn take_sign(&mut self, sign: char) -> Result<bool, Wrong> {
        let is_it = self.next == Token::Sign(sign);
        if is_it {
            self.take()?;
        }
        Ok(is_it)
    }

    fn file(mut self) -> Result<Value, Wrong> {
        let mut object = Map::new();
        while self.next != Token::End {
            self.item(&mut object)?;
        }
        Ok(Value::Object(object))
    }

    /// What stands between `{`, which was taken at `start`, and its `}`.
    fn object(&mut self, start: usize) -> Result<Value, Wrong> {
        self.enter(start)?;
        let mut object = Map::new();
        while !self.take_sign('}')? {
            if self.next == Token::End {
                let reason = "what begins here is not ended: its } is missing";
                return Err(Wrong::new(start, reason));
            }
            self.item(&mut object)?;
        }
        self.depth -= 1;
        Ok(Value::Object(object))
    }

    /// `name = value`, `name: value`, or a block: `name label { … }`. A comma may follow.
    fn item(&mut self, object: &mut Map<String, Value>) -> Result<(), Wrong> {
        let (at, name) = self.name()?;
        let mut labels = Vec::new();
        while matches!(self.next, Token::Word(_) | Token::Text(_)) {
            labels.push(self.name()?.1);
            self.enter(at)?;
        }
        let value = match self.next {
            Token::Sign('=' | ':') if labels.is_empty() => {
                let (sign, _) = self.take()?;
                self.value(sign)?
            }
            Token::Sign('{') => {
                let (start, _) = self.take()?;
                self.object(start)?
            }
            _ => {
                let name = shown(&name);
                let reason = format!("{name} has no value: write {name} = …, or {name} {{ … }}");
                return Err(Wrong::new(at, reason));
            }
        };
        self.depth -= labels.len();
        let labelled = labels.into_iter().rev();
        let value = labelled.fold(value, |value, label| {
            Map::from_iter([(label, value)]).into()
        });
        self.take_sign(',')?;
        if put(object, &name, value) {
            return Ok(());
        }
        let reason = format!("{} is said twice, and only blocks may be", shown(&name));
        Err(Wrong::new(at, reason))
    }

    fn name(&mut self) -> Result<(usize, String), Wrong> {
        match self.take()? {
            (at, Token::Word(name)) => Ok((at, name.to_owned())),
            (at, Token::Text(name)) => Ok((at, name)),
            (at, found) => {
                let found = match found {
                    Token::Number(number) => number.to_string(),
                    Token::Sign(sign) => sign.to_string(),
                    _ => "the end".to_owned(),
                };
                Err(Wrong::new(
                    at,
                    format!("{} stands where a name is meant", shown(&found)),
                ))
            }
        }
    }

    /// The value behind the sign at `behind`.
    fn value(&mut self, behind: usize) -> Result<Value, Wrong> {
        match self.take()? {
            (start, Token::Sign('{')) => self.object(start),
            (start, Token::Sign('[')) => self.list(start),
            (_, Token::Text(text)) => Ok(text.into()),
            (_, Token::Number(number)) => Ok(number.into()),
            (_, Token::Word("true")) => Ok(true.into()),
            (_, Token::Word("false")) => Ok(false.into()),
            (_, Token::Word("null")) => Ok(Value::Null),
            (at, Token::Word(word)) => Err(no_expression(at, word)),
            (_, Token::Sign(_) | Token::End) => {
                Err(Wrong::new(behind, "a value is missing behind this sign"))
            }
        }
    }

    /// What stands between `[`, which was taken at `start`, and its `]`.
    fn list(&mut self, start: usize) -> Result<Value, Wrong> {
        self.enter(start)?;
        let mut values = Vec::new();
        let mut behind = start;
        while !self.take_sign(']')? {
            values.push(self.value(behind)?);
            behind = self.at;
            if !self.take_sign(',')? && self.next != Token::Sign(']') {
                let reason = "a comma or ] is missing in front of this";
                return Err(Wrong::new(behind, reason));
            }
        }
        self.depth -= 1;
        Ok(values.into())
    }

    fn enter(&mut self, at: usize) -> Result<(), Wrong> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let reason = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(Wrong::new(at, reason));
        }
        Ok(())
    }
}

/// Puts `value` under `name`, to what is there if all of it are objects. Returns whether that was so.
fn put(object: &mut Map<String, Value>, name: &str, value: Value) -> bool {
    match (object.get_mut(name), value) {
        (None, value) => _ = object.insert(name.to_owned(), value),
        (Some(Value::Array(there)), value @ Value::Object(_))
            if there.first().is_some_and(Value::is_object) =>
        {
            there.push(value);
        }
        (Some(there @ Value::Object(_)), value @ Value::Object(_)) => {
            *there = Value::Array(vec![there.take(), value]);
        }
        _ => return false,
    }
    true
}
